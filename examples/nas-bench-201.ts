/**
 * NAS-Bench-201's cells: enumerated, searched in a table of results, searched by training, and the best one exported. `node examples/nas-bench-201.ts` trains six small cells on MNIST.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { RegularizedEvolution } from "@uninet/controller"
import { Dataset, Mnist } from "@uninet/data"
import { Format } from "@uninet/export"
import { Facts, ModelSpace, Recipe } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import { OnnxRuntime } from "@uninet/runtime"
import { Evaluator, Finals, Journal, Search, TrainingEvaluator } from "@uninet/search"
import { Space } from "@uninet/search-space"
import { NasBench201 } from "@uninet/spaces"
import { Trainer } from "@uninet/trainer"
import { Console, Effect, Layer, Result } from "effect"

/** The benchmark's own network: 16 channels, five cells a stage, CIFAR-10's pictures. */
export const cifar = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10 }))

/** The best cell by a table of accuracies, such as one made of the benchmark's files: by the cells' texts. */
export const fromTable = (accuracies: ReadonlyMap<string, number>, trials: number) => {
  const rows = [...accuracies].map(([text, accuracy]) => {
    const cell = Result.getOrThrow(NasBench201.parse(text))
    return [Space.hash(cell)(cifar.space), { accuracy, top5: 1, loss: 1 - accuracy, calibrationError: 0 }] as const
  })
  return Search.run(cifar, { trials, seed: "table" }).pipe(
    Effect.scoped,
    Effect.provide([RegularizedEvolution.layer(), Evaluator.fromTable(cifar, new Map(rows)), Journal.memory])
  )
}

/** A few cells trained on MNIST's digits, in a network narrow enough for that; the best as an ONNX file's bytes. */
export const byTraining = ({
  data: source = Mnist.layer,
  epochs,
  trials
}: {
  readonly trials: number
  readonly epochs: number
  readonly data?: typeof Mnist.layer
}) =>
  Effect.gen(function* () {
    const data = yield* Effect.flatMap(Dataset.Dataset, Dataset.images)
    const digits = yield* Effect.fromResult(NasBench201.forData({ width1: 4, cells: 1 })(Facts.of(data)))
    const services = Layer.mergeAll(
      RegularizedEvolution.layer({ population: 4, sample: 2 }),
      TrainingEvaluator.layer(digits, { recipe: { ...Recipe.proxy, learningRate: 0.01, epochs } }),
      Journal.memory
    )
    const { finished, found } = yield* Effect.gen(function* () {
      // Cells that cost at most as much as four 3×3 convolutions.
      const found = yield* Search.run(digits, {
        trials,
        seed: "digits",
        within: { macs: { max: 2e6 } },
        onEvent: (event) =>
          event._tag === "Finished"
            ? Console.log(`${event.record.outcome.reward.toFixed(4)}  ${event.record.line}`)
            : Effect.void
      })
      const candidates = Search.ranking(digits)(found.records).slice(0, 1)
      return { found, finished: yield* Finals.run(digits, { candidates, epochs, seed: "digits", retrain: false }) }
    }).pipe(
      Effect.scoped,
      Effect.provide(services.pipe(Layer.provideMerge(Trainer.layer), Layer.provide(OnnxRuntime.cpu())))
    )
    const { line, point, weights } = finished.winner
    const { model, task } = yield* Effect.fromResult(ModelSpace.trainable(point)(digits))
    const onnx = yield* Effect.fromResult(
      Format.onnx({
        model,
        weights,
        pytorch: null,
        card: {
          network: ModelSpace.write(point)(digits),
          line,
          inputs: model.inputs,
          outputs: yield* Effect.fromResult(Model.outputs(model)),
          task: task.name,
          classes: data.classes,
          picture: { input: "image", mean: data.mean, deviation: data.deviation, cropRatio: 1 },
          provenance: {}
        }
      })
    )
    return { found, finished, onnx: onnx.content }
  }).pipe(Effect.scoped, Effect.provide(source))

if (import.meta.main)
  byTraining({ trials: 6, epochs: 1 }).pipe(
    Effect.flatMap(({ finished, onnx }) =>
      Console.log(`test accuracy ${finished.test.measures["accuracy"]}, ${onnx.length} bytes of ONNX`)
    ),
    Effect.provide(NodeServices.layer),
    NodeRuntime.runMain()
  )
