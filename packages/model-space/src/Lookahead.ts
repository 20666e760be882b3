/**
 * Lookahead (Zhang et al. 2019): every few steps, the weights are set back to a point between their current values and the slow weights, which are the values they were last set back to.
 *
 * The slow weights are separate variables, `slow.<name>`. At a fixed interval of training steps, a small program updates both, so any engine can do it.
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
 * - `every` (default 5): steps from one update to the next.
 * - `stay` (default 0.5): the share of the slow weights that is kept; the rest comes from the current weights.
 */
export const Lookahead = Schema.Struct({ every: or(Count, 5), stay: or(Share, 0.5) })
export type Lookahead = typeof Lookahead.Type

/** The program input for the share that is kept. At 0 the slow weights become the current weights, which is how they start. */
export const stayName = "stay"

/** Whether the weights are set back after a step, counted from 0. */
export const isDue =
  (step: number) =>
  ({ every }: Lookahead): boolean =>
    (step + 1) % every === 0

/** The program that updates the slow weights and sets the weights to them. Input: `stay`, a scalar. */
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
