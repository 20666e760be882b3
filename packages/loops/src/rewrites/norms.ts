/**
 * Batch and layer normalisation as sums and arithmetic.
 *
 * Moments take one pass over a map, and no precision is lost if a mean is large compared with its standard deviation.
 */
import { Op, Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import { axesBut, perChannel, type Rewrite } from "../Rewrite.ts"

/** How many numbers a channel's mean is taken over. */
const countOf = (x: Tensor.Tensor) => Shape.size(x.shape) / Arr.getUnsafe(x.shape, 1)

/**
 * Mean and biased variance per channel, `[c]` each: first for every image, as differences from its first element in the channel, then for the images' means, as differences from those
 * of the first image. So every sum is over small numbers, and over a single image until the last.
 */
const moments = (x: Tensor.Tensor, path: string) => {
  const [batch, channels] = [Arr.getUnsafe(x.shape, 0), Arr.getUnsafe(x.shape, 1)]
  const inside = axesBut(x, 0, 1)
  const size = Shape.size(x.shape) / (batch * channels)
  const first = inside.reduce<Tensor.Tensor>((t, axis) => Op.slice(t, axis, 0, 1, path), x)
  const apart = Op.sub(x, first, path)
  const sum = Op.sum(apart, inside, false, path)
  const squares = Op.sum(Op.mul(apart, apart, path), inside, false, path)
  const ofImages =
    size === 1
      ? { mean: Op.reshape(x, [batch, channels], path), spread: undefined }
      : {
          mean: Op.add(Op.reshape(first, [batch, channels], path), Op.scale(sum, 1 / size, path), path),
          spread: Op.sub(squares, Op.scale(Op.mul(sum, sum, path), 1 / size, path), path)
        }
  const shift = Op.slice(ofImages.mean, 0, 0, 1, path)
  const between = Op.sub(ofImages.mean, shift, path)
  const whole = Op.scale(Op.mul(between, between, path), size, path)
  const total = Op.sum(between, [0], false, path)
  const spread = Op.sum(ofImages.spread === undefined ? whole : Op.add(whole, ofImages.spread, path), [0], false, path)
  const lost = Op.scale(Op.mul(total, total, path), size / batch, path)
  return {
    mean: Op.add(Op.scale(total, 1 / batch, path), Op.reshape(shift, [channels], path), path),
    // Rounding must not make it negative.
    variance: Op.max(Op.scale(Op.sub(spread, lost, path), 1 / (size * batch), path), Op.fill(0, [channels]), path)
  }
}

const inverse = (variance: Tensor.Tensor, epsilon: number, path: string) =>
  Op.reciprocal(Op.sqrt(Op.add(variance, Op.fill(epsilon), path), path), path)

/** The factor of a channel: its scale over its standard deviation. */
const scaled = (gamma: Tensor.Tensor | undefined, inv: Tensor.Tensor, path: string) =>
  gamma === undefined ? inv : Op.mul(gamma, inv, path)

/** (x − mean) · factor + offset, per channel. */
const affine = (
  x: Tensor.Tensor,
  mean: Tensor.Tensor,
  factor: Tensor.Tensor,
  offset: Tensor.Tensor | undefined,
  path: string
) => {
  const y = Op.mul(Op.sub(x, perChannel(mean, x), path), perChannel(factor, x), path)
  return offset === undefined ? y : Op.add(y, perChannel(offset, x), path)
}

/** Σ dy and Σ dy·(x − mean) per channel. */
const gradientSums = (dy: Tensor.Tensor, x: Tensor.Tensor, mean: Tensor.Tensor, path: string) => ({
  sum: Op.sum(dy, axesBut(x, 1), false, path),
  along: Op.sum(Op.mul(dy, Op.sub(x, perChannel(mean, x), path), path), axesBut(x, 1), false, path)
})

/** Mean over the last axis, which is kept with length 1. */
const meanOfRow = (x: Tensor.Tensor, path: string) => Op.mean(x, [x.shape.length - 1], true, path)

/** A row minus its mean, and the divisor for it. */
const centredRow = (x: Tensor.Tensor, epsilon: number, path: string) => {
  const centred = Op.sub(x, meanOfRow(x, path), path)
  return { centred, inv: inverse(meanOfRow(Op.mul(centred, centred, path), path), epsilon, path) }
}

export const rewrite: Rewrite = {
  name: "norms",
  summary: "batch and layer norms as sums and arithmetic",
  rules: {
    batchNorm: ({ attributes: { epsilon }, inputs: [x, gamma, beta], path }) => {
      const { mean, variance } = moments(x, path)
      return affine(x, mean, scaled(gamma, inverse(variance, epsilon, path), path), beta, path)
    },
    batchMoments: ({ inputs: [x], path }) => {
      const { mean, variance } = moments(x, path)
      const row = (v: Tensor.Tensor) => Op.reshape(v, [1, Arr.getUnsafe(x.shape, 1)], path)
      return Op.concat([row(mean), row(variance)], 0, path)
    },
    // γ/σ · (dy − its mean − x̂ · the mean of dy·x̂).
    batchNormGradInput: ({ attributes: { epsilon }, inputs: [dy, x, gamma], path }) => {
      const { mean, variance } = moments(x, path)
      const inv = inverse(variance, epsilon, path)
      const factor = scaled(gamma, inv, path)
      const { along, sum } = gradientSums(dy, x, mean, path)
      const share = -1 / countOf(x)
      const even = Op.scale(Op.mul(sum, factor, path), share, path)
      const slope = Op.scale(Op.mul(Op.mul(along, Op.mul(inv, inv, path), path), factor, path), share, path)
      return Op.add(Op.mul(dy, perChannel(factor, x), path), affine(x, mean, slope, even, path), path)
    },
    batchNormGradScale: ({ attributes: { epsilon }, inputs: [dy, x], path }) => {
      const { mean, variance } = moments(x, path)
      return Op.mul(gradientSums(dy, x, mean, path).along, inverse(variance, epsilon, path), path)
    },
    batchNormInference: ({ attributes: { epsilon }, inputs, path }) => {
      const [x] = inputs
      const [gamma, beta, mean, variance] =
        inputs.length === 5
          ? [inputs[1], inputs[2], inputs[3], inputs[4]]
          : [undefined, undefined, inputs[1], inputs[2]]
      return affine(x, mean, scaled(gamma, inverse(variance, epsilon, path), path), beta, path)
    },
    layerNorm: ({ attributes: { epsilon }, inputs: [x, gamma, beta], path }) => {
      const { centred, inv } = centredRow(x, epsilon, path)
      return Op.add(Op.mul(Op.mul(centred, inv, path), gamma, path), beta, path)
    },
    // (g − its mean − x̂ · the mean of g·x̂) / σ, where g is the gradient times γ.
    layerNormGradInput: ({ attributes: { epsilon }, inputs: [dy, x, gamma], path }) => {
      const { centred, inv } = centredRow(x, epsilon, path)
      const normal = Op.mul(centred, inv, path)
      const g = Op.mul(dy, gamma, path)
      const even = Op.sub(g, meanOfRow(g, path), path)
      const along = meanOfRow(Op.mul(g, normal, path), path)
      return Op.mul(Op.sub(even, Op.mul(normal, along, path), path), inv, path)
    },
    layerNormGradScale: ({ attributes: { epsilon }, inputs: [dy, x], path }) => {
      const { centred, inv } = centredRow(x, epsilon, path)
      return Op.sum(Op.mul(dy, Op.mul(centred, inv, path), path), axesBut(x, x.shape.length - 1), false, path)
    }
  }
}
