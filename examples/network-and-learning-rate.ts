/** UniNet's networks and their learning rate, searched together. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Tpe } from "@uninet/controller"
import { Mnist } from "@uninet/data"
import { Classification, ModelSpace, Recipe } from "@uninet/model-space"
import { OnnxRuntime } from "@uninet/runtime"
import { Journal, Search, TrainingEvaluator } from "@uninet/search"
import { Choice, Cost, Space } from "@uninet/search-space"
import { Trainer } from "@uninet/trainer"
import { Network, NetworkCosts, UniNetSpace } from "@uninet/uninet"
import { Console, Effect, Layer, Result } from "effect"

const image = { image: 28, channels: 1, classes: 10 }

export const joint = Result.getOrThrow(
  Space.make(
    Choice.struct({
      network: UniNetSpace.choice(image),
      learningRate: Choice.logUniform({ min: 1e-3, max: 3e-2 }),
      labelSmoothing: Choice.ordered([0, 0.05, 0.1])
    })
  )
)

export const mine = ModelSpace.make({
  name: "uninet with its learning rate",
  space: joint,
  task: Classification.make({ classes: 10 }),
  model: ({ network }) => Result.map(Network.make(network), Network.model),
  // UniNet's costs apply to the field `network`, and its chain still solves bounds on them.
  chain: { costs: NetworkCosts.additive, cost: Cost.onField("network")(NetworkCosts.forSpace()) },
  recipe: ({ labelSmoothing, learningRate }) => ({ learningRate, labelSmoothing })
})

export const program = ({
  data = Mnist.layer,
  trials
}: {
  readonly trials: number
  readonly data?: typeof Mnist.layer
}) =>
  Search.run(mine, {
    trials,
    seed: "joint",
    within: { macs: { max: 1.5e6 } },
    reward: ({ accuracy, macs }) => accuracy * (macs / 1e6) ** -0.07,
    onEvent: (event) =>
      event._tag === "Finished"
        ? Console.log(
            `${event.record.outcome.evaluation.measures.accuracy.toFixed(3)} at a rate of ${event.record.point.learningRate.toPrecision(3)}`
          )
        : Effect.void
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        Tpe.layer(),
        TrainingEvaluator.layer(mine, { recipe: { ...Recipe.proxy, epochs: 1 } }),
        Journal.memory
      ).pipe(Layer.provide(Trainer.layer), Layer.provide([data, OnnxRuntime.cpu()]))
    )
  )

if (import.meta.main)
  program({ trials: 8 }).pipe(
    Effect.flatMap(({ best }) => Console.log(best.point.learningRate, best.line)),
    NodeRuntime.runMain()
  )
