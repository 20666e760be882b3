/** A small custom space: a row of four numbers to one number, through a hidden layer of some width. */
import { Op, type Tensor } from "@uninet/graph"
import { ModelSpace, Task } from "@uninet/model-space"
import { Model, Nn, Scope } from "@uninet/nn"
import { Choice, Space } from "@uninet/search-space"
import * as Result from "effect/Result"

/** How far a number is off. */
export const distances = Task.make({
  name: "distances",
  outputs: { y: [] },
  targets: { shape: [], dtype: "float32" },
  loss: ({ y }, targets) => Op.mean(Op.abs(Op.sub(y, targets))),
  measures: { distance: "lower" },
  decides: "distance",
  tally: () => {
    let [sum, examples] = [0, 0]
    return {
      add: ({ outputs, size, targets }) => {
        for (let i = 0; i < size; i++) sum += Math.abs(outputs["y"][i] - targets[i])
        examples += size
      },
      measures: () => ({ distance: sum / examples })
    }
  }
})

export interface Point {
  readonly width: number
  readonly learningRate: number
}

export const space: Space.Space<Point> = Result.getOrThrow(
  Space.make(Choice.struct({ width: Choice.ordered([4, 8]), learningRate: Choice.ordered([1e-3, 1e-2]) }))
)

/** What a hidden layer makes of rows, between its linear layers. */
export type Middle = (x: Tensor.Tensor, scope: Scope.Scope) => Tensor.Tensor

export const network = (width: number, middle: Middle = (x, scope) => Nn.gelu(scope)(x)): Model.Model =>
  Model.make({
    inputs: { x: Model.input([4]) },
    forward: (scope, { x }) => {
      const hidden = middle(Nn.linear(Scope.at("hidden")(scope), { out: width })(x), Scope.at("middle")(scope))
      return { y: Op.reshape(Nn.linear(Scope.at("y")(scope), { out: 1 })(hidden), [x.shape[0]]) }
    }
  })

/** What every space here has, but for what is said otherwise. */
export const declared = {
  name: "rows",
  space,
  task: distances,
  model: ({ width }: Point) => network(width),
  recipe: ({ learningRate }: Point) => ({ learningRate })
}

export const rows = ModelSpace.make(declared)
