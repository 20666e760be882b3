/** Batch and layer normalisation. Epsilon is 1e-5 and momentum 0.1 everywhere, the defaults of PyTorch and UniNet. */
import { Op, type Tensor } from "@uninet/graph"
import * as Initialiser from "./Initialiser.ts"
import { alongChannels, alongFeatures } from "./internal/axes.ts"
import { fail, type Layer } from "./Layer.ts"
import { buffer, parameter } from "./Parameter.ts"
import type { Scope } from "./Scope.ts"

/** The running statistics of the batch norm at `path`: buffers `running_mean` (initially 0) and `running_var` (initially 1). */
export const runningStatistics = (
  path: string,
  channels: number
): { readonly mean: Tensor.Tensor<"variable">; readonly variance: Tensor.Tensor<"variable"> } => ({
  mean: buffer(path, "running_mean", [channels], Initialiser.zero),
  variance: buffer(path, "running_var", [channels], Initialiser.one)
})

/**
 * Batch norm over axis 1: uses the batch's statistics in training, running statistics in evaluation.
 *
 * Parameters `weight` and `bias`; none with `affine: false`. `zero` starts the weight at 0 instead of 1, as at the end of a residual branch.
 *
 * A batch norm applied several times in one network has one set of parameters and running statistics. A training step updates these once per application, in order.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * const norm = Nn.batchNorm(Scope.at("norm")(scope))
 * const bare = Nn.batchNorm(Scope.at("bare")(scope), { affine: false })
 * console.log(norm(x).shape, bare(x).shape)
 * ```
 */
export const batchNorm = (
  scope: Scope,
  { affine = true, zero = false }: { readonly zero?: boolean; readonly affine?: boolean } = {}
): Layer =>
  alongChannels(scope, "batchNorm", (channels) => (x) => {
    if (!affine) {
      if (zero)
        return fail(
          scope,
          "batchNorm",
          x,
          "without affine there is no scale to start at zero; leave out zero or affine: false"
        )
      if (scope.mode === "training") return Op.batchNorm(x, undefined, undefined, {}, scope.path)
      const { mean, variance } = runningStatistics(scope.path, channels)
      return Op.batchNormInference(x, undefined, undefined, mean, variance, {}, scope.path)
    }
    const weight = parameter(scope, "weight", [channels], zero ? Initialiser.zero : Initialiser.one, false)
    const bias = parameter(scope, "bias", [channels], Initialiser.zero, false)
    if (scope.mode === "training") return Op.batchNorm(x, weight, bias, {}, scope.path)
    const { mean, variance } = runningStatistics(scope.path, channels)
    return Op.batchNormInference(x, weight, bias, mean, variance, {}, scope.path)
  })

/** Layer norm over the last axis. Parameters `weight` (initially 1) and `bias` (initially 0). */
export const layerNorm = (scope: Scope): Layer =>
  alongFeatures(scope, "layerNorm", (features) => (x) => {
    const weight = parameter(scope, "weight", [features], Initialiser.one, false)
    const bias = parameter(scope, "bias", [features], Initialiser.zero, false)
    return Op.layerNorm(x, weight, bias, {}, scope.path)
  })
