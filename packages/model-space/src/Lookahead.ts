/**
 * Lookahead (Zhang et al. 2019): every few steps the weights are set back to a point between where they are and where they were set before, the slow weights.
 *
 * The slow weights are variables of their own, `slow.<name>`; a small program after every so many training steps moves both, so that any engine can do it.
 *
 * @example
 * ```ts
 * import { Lookahead } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const options = Lookahead.Lookahead.make({})
 * const due = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter((step) => Lookahead.isDue(step)(options))
 * console.log(due) // [ 4, 9 ]: every fifth step
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1, bias: false })(x) })
 * })
 * const program = Result.flatMap(Model.evaluation()(model), ({ variables }) => Lookahead.program(variables))
 * console.log(Result.getOrThrow(program).updates.map(({ variable }) => variable.attributes.name))
 * // [ 'slow.y.weight', 'y.weight' ]
 * ```
 */
import { type GraphError, Op, Program, type Tensor } from "@uninet/graph"
import { Initialiser, Scope } from "@uninet/nn"
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Count, or, Share } from "./internal/schema.ts"

/**
 * - `every` (default 5): steps between two such.
 * - `stay` (default 0.5): how much of the slow weights stays; the rest is of the weights as they are.
 */
export const Lookahead = Schema.Struct({ every: or(Count, 5), stay: or(Share, 0.5) })
export type Lookahead = typeof Lookahead.Type

/** The program's input with how much stays. At 0 the slow weights become the weights, which is how they begin. */
export const stayName = "stay"

/** Whether a step, counted from 0, is one after which the weights are set back. */
export const isDue =
  (step: number) =>
  ({ every }: Lookahead): boolean =>
    (step + 1) % every === 0

/** The program that moves slow weights on and sets the weights to them. Input: `stay`, a scalar. */
export const program = (
  variables: ReadonlyArray<Tensor.Tensor<"variable">>
): Result.Result<Program.Program, GraphError> => {
  const stay = Op.input(stayName, [])
  return Program.make({
    outputs: {},
    updates: variables
      .filter(({ attributes: { role } }) => role === "parameter")
      .flatMap((fast) => {
        const attributes = {
          ...fast.attributes,
          name: Scope.join("slow", fast.attributes.name),
          initialiser: Initialiser.zero
        }
        const slow = Op.variable(attributes, fast.shape)
        const next = Op.movingAverage(slow, fast, stay)
        return [
          { variable: slow, value: next },
          { variable: fast, value: next }
        ]
      })
  })
}
