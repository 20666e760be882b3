import { Ppo } from "@uninet/controller"
import { Mnist } from "@uninet/data"
import { DsmSet } from "@uninet/dsm"
import { OnnxRuntime } from "@uninet/runtime"
import { Journal, Reward, Search, TrainingEvaluator } from "@uninet/search"
import { Recipe, Trainer } from "@uninet/trainer"
import { Kit, UniNetSpace } from "@uninet/uninet"
import { Console, Effect, Layer, Result } from "effect"

// The search space: UniNet's space for MNIST, without the module G.
const kit = Kit.make({ dsms: DsmSet.only("L", "LG") })
const space = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit }))
// What proposes networks, and how they are evaluated.
const strategy = Ppo.layer()
const evaluator = TrainingEvaluator.layer(space, { recipe: { ...Recipe.proxy, epochs: 1 } }).pipe(
  Layer.provide(Trainer.layer),
  Layer.provide(Mnist.layer)
)

const program = Search.run(space, {
  trials: 12,
  seed: "demo",
  reward: Reward.mnas({ target: 1e6 }),
  onEvent: (event) =>
    event._tag === "Finished"
      ? Console.log(`${event.record.outcome.reward.toFixed(4)}  ${event.record.line}`)
      : Effect.void
}).pipe(
  Effect.flatMap(({ best }) => Console.log(`best: trial ${best.trial}, ${best.line}`)),
  Effect.provide(Layer.mergeAll(strategy, evaluator).pipe(Layer.provide(OnnxRuntime.cpu()))),
  // A second run continues where the first one stopped.
  Effect.provide(Journal.sqlite("runs/digits.db", { existing: "resume" }))
)

Effect.runPromise(program)
