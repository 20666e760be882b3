/** Layers that are random in training and do nothing in evaluation. */
import { Op, type Shape, type Tensor } from "@uninet/graph"
import type { Layer } from "./Layer.ts"
import type { Scope } from "./Scope.ts"

/** What the program's inputs of noise are called: this and the layer's path. */
export const noisePrefix = "noise/"

/**
 * Uniform noise in [0, 1) for the layer at `scope`: an input of the program named `noise/<path>`, to be fed anew at every step.
 * The one place where randomness enters a network.
 */
export const noise = (scope: Scope, shape: Shape.Shape): Tensor.Tensor => Op.input(`${noisePrefix}${scope.path}`, shape)

/** Whether an input of a program is noise of a layer. */
export const isNoise = (input: Tensor.Tensor<"input">): boolean => input.attributes.name.startsWith(noisePrefix)

/** x times a mask that is 0 with probability `rate` and 1 / (1 − rate) otherwise, drawn once per element of `shape`. */
const masked = (scope: Scope, rate: number, shape: Shape.Shape, x: Tensor.Tensor): Tensor.Tensor => {
  const keep = Op.greaterOrEqual(noise(scope, shape), Op.fill(rate), scope.path)
  return Op.mul(x, Op.scale(keep, 1 / (1 - rate), scope.path), scope.path)
}

/** Whether a rate asks for anything at all. */
const active = (scope: Scope, rate: number) => scope.mode === "training" && rate > 0

/** Stochastic depth: drops the whole branch for an example with probability `rate`, and scales what is kept by 1 / (1 − rate). */
export const stochasticDepth =
  (scope: Scope, rate: number): Layer =>
  (x) =>
    active(scope, rate) ? masked(scope, rate, [x.shape[0], ...x.shape.slice(1).map(() => 1)], x) : x

/** Dropout: every element becomes 0 with probability `rate`, and what is kept is scaled by 1 / (1 − rate). */
export const dropout =
  (scope: Scope, rate: number): Layer =>
  (x) =>
    active(scope, rate) ? masked(scope, rate, x.shape, x) : x
