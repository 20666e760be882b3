/** Layers that are random in training and do nothing in evaluation. */
import { Op, type Shape, type Tensor } from "@uninet/graph"
import { fail, type Layer } from "./Layer.ts"
import type { Scope } from "./Scope.ts"

/** The prefix of a program's noise inputs; the layer's path follows. */
export const noisePrefix = "noise/"

/**
 * Uniform noise in [0, 1) of this shape for the layer at `scope`: a program input named `noise/<path>`, fed anew at every step. A layer that is applied several times in one network has its
 * own noise each time: the second is named `noise/<path>#2`. This is the only place where randomness enters a network.
 *
 * @example
 * ```ts
 * import { Program } from "@uninet/graph"
 * import { Model, Nn, Regularisation, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * // What a training step has to be fed beside its examples.
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.dropout(Scope.at("drop")(scope), scope.rates.dropout)(x) })
 * })
 * const scope = Scope.make("training", "", { dropout: 0.2 })
 * const program = Result.getOrThrow(Program.make({ outputs: Model.apply(scope, { batch: 2 })(model) }))
 * const noise = program.inputs.filter(Regularisation.isNoise)
 * console.log(noise.map(({ attributes, shape }) => `${attributes.name} [${shape.join("×")}]`)) // [ 'noise/drop [2×4]' ]
 * ```
 */
export const noise = (scope: Scope, shape: Shape.Shape): Tensor.Tensor => Op.noise(`${noisePrefix}${scope.path}`, shape)

/** Whether a program's input is a layer's noise. */
export const isNoise = (input: Tensor.Tensor<"input">): boolean => input.attributes.name.startsWith(noisePrefix)

/** x times a mask that is 0 with probability `rate` and 1 / (1 − rate) otherwise, drawn once per element of `shape`. */
const masked = (scope: Scope, rate: number, shape: Shape.Shape, x: Tensor.Tensor): Tensor.Tensor => {
  const keep = Op.greaterOrEqual(noise(scope, shape), Op.fill(rate), scope.path)
  return Op.mul(x, Op.scale(keep, 1 / (1 - rate), scope.path), scope.path)
}

/** A layer that drops at a rate, with one draw for each element of a shape; where nothing is dropped it returns `x` itself. */
const dropping =
  (op: string, scope: Scope, rate: number, drawn: (x: Shape.Shape) => Shape.Shape): Layer =>
  (x) => {
    // At a rate of 1 everything kept would be scaled by 1 / 0.
    if (!(rate >= 0 && rate < 1)) return fail(scope, op, x, `the rate must lie in [0, 1), not be ${rate}`)
    return scope.mode === "training" && rate > 0 ? masked(scope, rate, drawn(x.shape), x) : x
  }

/**
 * Stochastic depth: drops the whole branch for an example with probability `rate`, and scales kept branches by 1 / (1 − rate). A rate outside [0, 1) is a `ShapeError`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Nn.stochasticDepth(scope, 0.1)(x).shape)
 * ```
 */
export const stochasticDepth = (scope: Scope, rate: number): Layer =>
  dropping("stochasticDepth", scope, rate, (shape) => shape.map((n, axis) => (axis === 0 ? n : 1)))

/**
 * Dropout: every element becomes 0 with probability `rate`, and the others are scaled by 1 / (1 − rate). A rate outside [0, 1) is a `ShapeError`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Nn.dropout(Scope.at("classifier")(scope), 0.2)(x).shape)
 * ```
 */
export const dropout = (scope: Scope, rate: number): Layer => dropping("dropout", scope, rate, (shape) => shape)
