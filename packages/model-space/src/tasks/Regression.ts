/** Numbers for each example: squared or absolute error, and how much of the targets' variance is explained. */
import { Op } from "@uninet/graph"
import { Loss } from "@uninet/nn"
import { named } from "../internal/named.ts"
import * as Task from "../Task.ts"

/** - `mae`: mean absolute error.
 *  - `rmse`: root of the mean squared error.
 *  - `r2`: coefficient of determination, 1 − Σ(target − output)² / Σ(target − mean)², averaged over the numbers of an example. If all targets are equal, it is 1 if the outputs
 *    equal them, else 0.
 *  - `loss`: what is minimised, `mse` or `mae`. */
export type Measure = "mae" | "rmse" | "r2" | "loss"

/** What is predicted for each example. */
export interface Options {
  /** Numbers per example. Default 1. */
  readonly values?: number
  /** What is minimised: the mean squared error, or the mean absolute error, which is less sensitive to outliers. Default `squared`. */
  readonly error?: "squared" | "absolute"
  /** The measure by which networks are chosen. Default `mae`. */
  readonly decides?: Measure
  /** The name of the model's output. Default `y`. */
  readonly output?: string
}

const tally = (output: string, values: number, error: "squared" | "absolute"): Task.Tally<Measure> => {
  let examples = 0
  let absolute = 0
  // For each number: Welford's running mean and sum of squares of the targets, and the squared error.
  const sums = Array.from({ length: values }, () => ({ mean: 0, spread: 0, squared: 0 }))
  return {
    add: ({ outputs, size, targets }) => {
      const found = named(output)(outputs)
      for (let i = 0; i < size; i++) {
        examples++
        for (const [k, sum] of sums.entries()) {
          const target = targets[i * values + k] ?? Number.NaN
          const off = (found[i * values + k] ?? Number.NaN) - target
          absolute += Math.abs(off)
          sum.squared += off * off
          const before = target - sum.mean
          sum.mean += before / examples
          sum.spread += before * (target - sum.mean)
        }
      }
    },
    measures: () => {
      const mae = absolute / (examples * values)
      const mse = sums.reduce((total, { squared }) => total + squared, 0) / (examples * values)
      const explained = sums.map(({ spread, squared }) => (spread > 0 ? 1 - squared / spread : squared === 0 ? 1 : 0))
      return {
        mae,
        rmse: Math.sqrt(mse),
        r2: explained.reduce((a, b) => a + b, 0) / values,
        loss: error === "squared" ? mse : mae
      }
    }
  }
}

/**
 * Targets `[batch]`, or `[batch, values]` if there are several, and outputs `[batch, values]`, all float32. Recipes may neither smooth nor mix targets. Images may only be augmented in
 * ways that keep their numbers correct, and since the task cannot know any, it allows none.
 *
 * @example
 * ```ts
 * import { Regression } from "@uninet/model-space"
 *
 * const prices = Regression.make()
 * const boxes = Regression.make({ values: 4, error: "absolute" })
 * ```
 */
export const make = ({
  values = 1,
  error = "squared",
  decides = "mae",
  output = "y"
}: Options = {}): Task.Task<Measure> =>
  Task.make<Measure>({
    name: "regression",
    outputs: { [output]: [values] },
    targets: { shape: values === 1 ? [] : [values], dtype: "float32" },
    loss: (outputs, targets) => {
      const found = named(output)(outputs)
      const [batch = 1] = targets.shape
      const wanted = Op.reshape(targets, [batch, values], "loss")
      return error === "squared" ? Loss.meanSquaredError(found, wanted) : Loss.meanAbsoluteError(found, wanted)
    },
    measures: { mae: "lower", rmse: "lower", r2: "higher", loss: "lower" },
    decides,
    tally: () => tally(output, values, error)
  })
