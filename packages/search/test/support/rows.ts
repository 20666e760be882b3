/** A custom space: rows of four numbers, a chain of two linear layers with a searched width, and the mean absolute error. Nothing in it is UniNet's. */
import { Dataset, Examples } from "@uninet/data"
import { Op } from "@uninet/graph"
import { ModelSpace, Task } from "@uninet/model-space"
import { Model, Nn, Scope } from "@uninet/nn"
import { Choice, Space } from "@uninet/search-space"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"

export interface Point {
  readonly width: number
  readonly learningRate: number
}

/** How far the numbers are off: by their distances, and by the squares of these. */
export const task = Task.make({
  name: "nearness",
  outputs: { y: [1] },
  targets: { shape: [1], dtype: "float32" },
  loss: ({ y }, targets) => Op.mean(Op.abs(Op.sub(y, targets))),
  measures: { mae: "lower", mse: "lower" },
  decides: "mae",
  tally: () => {
    let [mae, mse, examples] = [0, 0, 0]
    return {
      add: ({ outputs, size, targets }) => {
        for (let i = 0; i < size; i++) {
          const distance = Math.abs(outputs["y"][i] - targets[i])
          mae += distance
          mse += distance ** 2
        }
        examples += size
      },
      measures: () => ({ mae: mae / examples, mse: mse / examples })
    }
  }
})

const space = Result.getOrThrow(
  Space.make(
    Choice.struct({
      width: Choice.ordered<number>([1, 2, 4, 8, 16], { seed: 4 }),
      learningRate: Choice.ordered<number>([1e-3, 3e-3, 1e-2, 3e-2])
    })
  )
)

const model = ({ width }: Point) =>
  Model.make({
    inputs: { row: Model.input([4]) },
    forward: (scope, { row }) => {
      const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: width })(row))
      return { y: Nn.linear(Scope.at("y")(scope), { out: 1 })(hidden) }
    }
  })

export const rows = ModelSpace.make({
  name: "rows",
  space,
  task,
  model,
  costs: { width: ({ width }) => width },
  recipe: ({ learningRate }) => ({ learningRate }),
  line: ({ learningRate, width }) => `width ${width}, rate ${learningRate}`
})

/** The same, but a width of 8 cannot be built. */
export const gapped = ModelSpace.make({
  name: "gapped rows",
  space,
  task,
  model: (point) => (point.width === 8 ? Result.fail({ message: "eight is too many" }) : model(point))
})

/** An error that distinguishes points: lowest at a width of 8 and a rate of 0.01. */
export const errorOf = ({ learningRate, width }: Point): number =>
  0.1 + Math.abs(Math.log2(width) - 3) + Math.abs(Math.log10(learningRate) + 2)

export const measuresOf = (point: Point) => ({ mae: errorOf(point), mse: errorOf(point) ** 2 })

const samples = (size: number) => {
  const row = Float32Array.from({ length: size * 4 }, (_, i) => Math.sin(i * 12.9898) * 2)
  const targets = Float32Array.from({ length: size }, (_, i) => row[i * 4] - 2 * row[i * 4 + 1] + 0.5 * row[i * 4 + 3])
  return { inputs: { row }, targets }
}

/** Rows whose target is a weighted sum. */
export const data: Layer.Layer<Dataset.Dataset> = Layer.orDie(
  Examples.layer({
    name: "sums",
    inputs: { row: Dataset.float32(4) },
    targets: Dataset.float32(1),
    train: samples(256),
    validation: samples(64),
    test: samples(64)
  })
)
