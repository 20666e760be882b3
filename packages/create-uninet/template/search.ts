/** A search: what proposes networks, what evaluates them, and where the results are kept. Every layer can be replaced. */
import { RegularizedEvolution } from "@uninet/controller"
import { Mnist } from "@uninet/data"
import { OnnxRuntime } from "@uninet/runtime"
import { Journal, Reward, Search, TrainingEvaluator } from "@uninet/search"
import { Recipe, Trainer } from "@uninet/trainer"
import { Console, Effect, Layer } from "effect"
import { space } from "./space.ts"

const strategy = RegularizedEvolution.layer({ population: 4, sample: 2 })
const evaluator = TrainingEvaluator.layer(space, { recipe: { ...Recipe.proxy, epochs: 1 } }).pipe(
  Layer.provide(Trainer.layer),
  Layer.provide(Mnist.layer)
)

const program = Search.run(space, {
  trials: 6,
  seed: "demo",
  // Accuracy, with 1 million multiply-accumulates as the target cost of a network.
  reward: Reward.mnas({ target: 1e6 }),
  within: { macs: { max: 2e6 } },
  onEvent: (event) =>
    event._tag === "Finished"
      ? Console.log(`${event.record.outcome.reward.toFixed(4)}  ${event.record.line}`)
      : Effect.void
}).pipe(
  Effect.flatMap(({ best }) => Console.log(`best: trial ${best.trial}, ${best.line}`)),
  Effect.provide(Layer.mergeAll(strategy, evaluator).pipe(Layer.provide(OnnxRuntime.cpu()))),
  // A second run continues from the first one: raise `trials`.
  Effect.provide(Journal.sqlite("runs/search.db", { existing: "resume" }))
)

Effect.runPromise(program)
