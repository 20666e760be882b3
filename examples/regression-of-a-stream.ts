/** A regression on rows of numbers from a stream, by a chain of linear layers whose widths are searched; the mean absolute error decides, and lower is better. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { LocalSearch } from "@uninet/controller"
import { Dataset, StreamedExamples } from "@uninet/data"
import { ModelSpace, Recipe, Regression } from "@uninet/model-space"
import { Model, Nn, Scope } from "@uninet/nn"
import { OnnxRuntime } from "@uninet/runtime"
import { Journal, Search, TrainingEvaluator } from "@uninet/search"
import { Choice, Prng, Space } from "@uninet/search-space"
import { Trainer } from "@uninet/trainer"
import { Console, Effect, Layer, Result, Stream } from "effect"

const activations = { gelu: Nn.gelu, relu: Nn.relu }

/** Friedman's first function (1991) of ten numbers, five of which say nothing, with some noise: what a sensor may send. */
const measurements = (seed: string, size: number) => ({
  size,
  samples: Stream.suspend(() => {
    const prng = Prng.fromSeed(seed)
    return Stream.range(1, size).pipe(
      Stream.map(() => {
        const x = Float32Array.from({ length: 10 }, () => prng.nextFloat())
        const [a, b, c, d, e] = x
        const y = 10 * Math.sin(Math.PI * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e
        return { inputs: { x }, target: [y / 10 + 0.1 * prng.nextNormal()] }
      })
    )
  })
})

const data = StreamedExamples.layer({
  name: "measurements",
  inputs: { x: Dataset.float32(10) },
  targets: Dataset.float32(),
  train: measurements("train", 2048),
  validation: measurements("validation", 512),
  test: measurements("test", 512)
})

const space = Result.getOrThrow(
  Space.make(
    Choice.struct({
      widths: Choice.repeat(Choice.ordered([8, 16, 32, 64]), { min: 1, max: 3 }),
      activation: Choice.categorical(["gelu", "relu"])
    })
  )
)

export const mine = ModelSpace.make({
  name: "chain of linear layers",
  space,
  task: Regression.make(),
  model: ({ activation, widths }) =>
    Model.make({
      inputs: { x: Model.input([10]) },
      forward: (scope, { x }) => {
        let hidden = x
        for (const [i, width] of widths.entries()) {
          const at = Scope.at(`layers.${i}`)(scope)
          hidden = activations[activation](at)(Nn.linear(at, { out: width })(hidden))
        }
        return { y: Nn.linear(Scope.at("y")(scope), { out: 1 })(hidden) }
      }
    }),
  costs: { depth: ({ widths }) => widths.length }
})

export const program = ({ epochs, trials }: { readonly trials: number; readonly epochs: number }) =>
  Search.run(mine, {
    trials,
    seed: "sensor",
    // Small, accurate networks: a thousand parameters count as much as an error of 0.01.
    reward: ({ mae, parameters }) => -mae - parameters * 1e-5,
    objectives: ["mae", "parameters"],
    onEvent: (event) =>
      event._tag === "Finished"
        ? Console.log(`error ${event.record.outcome.evaluation.measures.mae.toFixed(3)}  ${event.record.line}`)
        : Effect.void
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        LocalSearch.layer(),
        TrainingEvaluator.layer(mine, {
          recipe: { ...Recipe.forTask(mine.task)(Recipe.proxy), epochs, batch: 64, learningRate: 0.01 }
        }),
        Journal.memory
      ).pipe(Layer.provide(Trainer.layer), Layer.provide([data, OnnxRuntime.cpu()]))
    )
  )

if (import.meta.main)
  program({ trials: 8, epochs: 30 }).pipe(
    Effect.flatMap(({ best }) => Console.log("best:", best.point.widths, best.outcome.evaluation.measures)),
    NodeRuntime.runMain()
  )
