/** Segmentation, a class for every pixel of small images: an encoder of searched UniNet operators, and a custom head that brings the map back to the image's size. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { RegularizedEvolution } from "@uninet/controller"
import { Dataset, Examples } from "@uninet/data"
import { ModelSpace, Recipe, Segmentation } from "@uninet/model-space"
import { Model, Nn, Scope } from "@uninet/nn"
import { OperatorSet } from "@uninet/operators"
import { OnnxRuntime } from "@uninet/runtime"
import { Journal, Search, TrainingEvaluator } from "@uninet/search"
import { Choice, Prng, Space } from "@uninet/search-space"
import { Trainer } from "@uninet/trainer"
import { Console, Effect, Layer, Result } from "effect"

const edge = 16
const classes = 3

/** Noisy pictures of a square (class 1) and a disc (class 2) on the ground (class 0). */
const pictures = (seed: string, size: number) => {
  const prng = Prng.fromSeed(seed)
  const image = new Float32Array(size * edge * edge)
  const targets = new Int32Array(size * edge * edge)
  for (let i = 0; i < size; i++) {
    const [sx, sy, dx, dy] = Array.from({ length: 4 }, () => 3 + prng.nextInt(edge - 6))
    for (let y = 0; y < edge; y++)
      for (let x = 0; x < edge; x++) {
        const isSquare = Math.max(Math.abs(x - sx), Math.abs(y - sy)) <= 2
        const isDisc = (x - dx) ** 2 + (y - dy) ** 2 <= 7
        const at = (i * edge + y) * edge + x
        targets[at] = isDisc ? 2 : isSquare ? 1 : 0
        image[at] = (isDisc ? 0.9 : isSquare ? 0.8 : 0) + 0.2 * prng.nextNormal()
      }
  }
  return { inputs: { image }, targets }
}

const data = Examples.layer({
  name: "squares and discs",
  inputs: { image: Dataset.float32(1, edge, edge) },
  targets: Dataset.int32(edge, edge),
  train: pictures("train", 512),
  validation: pictures("validation", 128),
  test: pictures("test", 128)
})

const operators = OperatorSet.only("Conv", "DWConv", "SA", "MLP")

const space = Result.getOrThrow(
  Space.make(
    Choice.struct({
      channels: Choice.ordered([8, 16, 24]),
      blocks: Choice.repeat(
        Choice.struct({
          operator: Choice.categorical(["Conv", "DWConv", "SA", "MLP"]),
          expansion: Choice.ordered([2, 4])
        }),
        { min: 1, max: 3 }
      )
    })
  )
)

export const mine = ModelSpace.make({
  name: "encoder of UniNet's operators",
  space,
  task: Segmentation.make({ classes, height: edge, width: edge }),
  model: ({ blocks, channels }) =>
    Model.make({
      inputs: { image: Model.input([1, edge, edge]) },
      forward: (scope, { image }) => {
        const at = (name: string) => Scope.at(name)(scope)
        let x = Nn.gelu(scope)(
          Nn.batchNorm(at("norm"))(
            Nn.convolution(at("stem"), { out: channels, kernel: 3, stride: 2, bias: false })(image)
          )
        )
        for (const [i, { expansion, operator }] of blocks.entries()) {
          const settings = {}
          const config = { inChannels: channels, channels, expansion, headDim: 8, settings, stochasticDepth: 0 }
          x = operators[operator].layer(at(`blocks.${i}`), config)(x)
        }
        const large = Nn.resize(at("up"), { size: [edge, edge], mode: "bilinear" })(x)
        return { logits: Nn.convolution(at("head"), { out: classes, kernel: 3 })(large) }
      }
    }),
  // Biases that a norm cancels.
  isIdle: (parameter) => parameter.endsWith(".bias")
})

export const program = ({ epochs, trials }: { readonly trials: number; readonly epochs: number }) =>
  Search.run(mine, {
    trials,
    seed: "shapes",
    within: { macs: { max: 3e6 } },
    onEvent: (event) =>
      event._tag === "Finished"
        ? Console.log(`mean IoU ${event.record.outcome.evaluation.measures.meanIoU.toFixed(3)}  ${event.record.line}`)
        : Effect.void
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        RegularizedEvolution.layer({ population: 4, sample: 2 }),
        TrainingEvaluator.layer(mine, { recipe: { ...Recipe.proxy, epochs, batch: 32, learningRate: 0.01 } }),
        Journal.memory
      ).pipe(Layer.provide(Trainer.layer), Layer.provide([data, OnnxRuntime.cpu()]))
    )
  )

if (import.meta.main)
  program({ trials: 6, epochs: 6 }).pipe(
    Effect.flatMap(({ best }) => Console.log("best:", best.outcome.evaluation.measures)),
    NodeRuntime.runMain()
  )
