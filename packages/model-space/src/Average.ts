/**
 * Exponential moving average of a network's weights and running statistics: smoother than those of the last step, and often better.
 *
 * The averages are separate variables, `ema.<name>`. A small program updates them after every training step, so any engine can keep them.
 *
 * @example
 * ```ts
 * import { Average } from "@uninet/model-space"
 *
 * console.log(Average.nameOf("stem.weight"), Average.decayAt(10)({ decay: 0.998, warmup: true }))
 * ```
 */
import { type GraphError, Op, Program, type Tensor } from "@uninet/graph"
import { Initialiser, Model, Scope } from "@uninet/nn"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { or, Share } from "./internal/schema.ts"

/**
 * - `decay`: d of average ← d · average + (1 − d) · weights, after every step.
 * - `warmup` (default true): d is at most (1 + t) / (10 + t) after t steps, so that short runs forget the initial weights,
 *   like TensorFlow's average with `num_updates`. The paper's 300 epochs do without it.
 */
export const Average = Schema.Struct({ decay: Share, warmup: or(Schema.Boolean, true) })
export type Average = typeof Average.Type

/** The value of d after `step` steps, counted from 1. */
export const decayAt =
  (step: number) =>
  ({ decay, warmup }: Average): number =>
    warmup ? Math.min(decay, (1 + step) / (10 + step)) : decay

const prefix = "ema"

/** The name of a variable's average. */
export const nameOf = (name: string): string => Scope.join(prefix, name)

/** The program input that holds d. */
export const decayName = "decay"

/** The program that updates the averages of an evaluation's variables by one step. Input: `decay`, a scalar. */
export const program = (
  variables: ReadonlyArray<Tensor.Tensor<"variable">>
): Result.Result<Program.Program, GraphError> => {
  const decay = Op.input(decayName, [])
  return Program.make({
    outputs: {},
    updates: variables.map((current) => {
      // The initial value does not matter: the first step copies the weights.
      const attributes = {
        ...current.attributes,
        name: nameOf(current.attributes.name),
        initialiser: Initialiser.zero
      }
      const average = Op.variable(attributes, current.shape)
      return { variable: average, value: Op.movingAverage(average, current, decay) }
    })
  })
}

/**
 * Like `Model.evaluation`, with the averages instead of the weights.
 *
 * @example
 * ```ts
 * import { Average } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
 * })
 * // After every training step this program moves the averages on …
 * const { variables } = Result.getOrThrow(Model.evaluation()(model))
 * const moving = Result.getOrThrow(Average.program(variables))
 * console.log(moving.updates.map(({ variable }) => variable.attributes.name)) // [ 'ema.y.weight', 'ema.y.bias' ], in some order
 * // … and this one evaluates by them.
 * const averaged = Result.getOrThrow(Average.evaluation({ batch: 64 })(model))
 * console.log(averaged.variables.map(({ attributes }) => attributes.name))
 * ```
 */
export const evaluation =
  ({ batch }: { readonly batch: number }) =>
  (model: Model.Model): Result.Result<Program.Program, GraphError> =>
    Model.evaluation({ batch, path: prefix })(model)
