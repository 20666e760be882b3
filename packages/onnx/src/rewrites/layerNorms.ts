/** Layer norms over tokens with channels outermost: subtract the mean, divide by the standard deviation, apply an affine map per feature. */
import { Op, Tensor } from "@uninet/graph"
import * as Fused from "../Fused.ts"
import type { Rewrite } from "../Rewrite.ts"
import { tokensInRows } from "../Target.ts"

/** A layer norm's result before scale and offset, and its divisor. */
const normalised = (x: Tensor.Tensor, epsilon: number, path: string) => {
  const centred = Fused.withoutMeans(x, path)
  const variance = Fused.featureMeans(Op.mul(centred, centred, path), path)
  const inverse = Op.reciprocal(Op.sqrt(Op.add(variance, Op.fill(epsilon), path), path), path)
  return { rows: Op.mul(centred, inverse, path), inverse }
}

export const rewrite: Rewrite = {
  name: "layer norms",
  summary: "layer norms as the subtraction of means, a division and an affine map",
  rules: (target) => ({
    layerNorm: ({ attributes: { epsilon }, inputs: [x, gamma, beta], path }) =>
      tokensInRows(target, x.shape)
        ? Fused.affine(normalised(x, epsilon, path).rows, gamma, { offset: beta }, path)
        : undefined,
    // dx = (g − its mean − x̂ · the mean of g·x̂) / deviation, where g is the gradient times γ.
    layerNormGradInput: ({ attributes: { epsilon }, inputs: [dy, x, gamma], path }) => {
      if (!tokensInRows(target, x.shape)) return undefined
      const { inverse, rows } = normalised(x, epsilon, path)
      const centred = Fused.withoutMeans(Op.mul(dy, gamma, path), path)
      const along = Fused.featureMeans(Op.mul(centred, rows, path), path)
      return Op.mul(Op.sub(centred, Op.mul(rows, along, path), path), inverse, path)
    },
    layerNormGradScale: ({ attributes: { epsilon }, inputs: [dy, x], path }) =>
      tokensInRows(target, x.shape) ? Fused.rowDot(dy, normalised(x, epsilon, path).rows, path) : undefined
  })
}
