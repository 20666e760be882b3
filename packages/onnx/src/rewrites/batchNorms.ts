/**
 * Batch norms as affine maps per channel of rows whose mean is almost zero.
 *
 * The variance is then a dot product of each row with itself. A convolution's mean follows from its input's and is applied through the bias. Factors per channel on a gradient are
 * left to its readers.
 */
import { Definition, Op, Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Forms from "../Forms.ts"
import * as Fused from "../Fused.ts"
import type { Rewrite } from "../Rewrite.ts"
import { imageInRows, isBlocked, isDepthwise, isPointwise, type Target } from "../Target.ts"
import { gated } from "./gates.ts"

const isConvolution = Tensor.is("conv2d")
const isGradInput = Tensor.is("conv2dGradInput")
const isGelu = Fused.is("geluOfScaled")
const isActivation = Tensor.is("activation")
const isLine = Fused.is("line")

/** The rows of an image, shifted so that their means are almost zero, which makes statistics by moments exact. */
interface Centred {
  readonly rows: Tensor.Tensor
  /** What was subtracted from each row, `[c]`. */
  readonly shift: Tensor.Tensor
  /** The mean that remains, `[c]`; `undefined` if it is only rounding. */
  readonly residual: Tensor.Tensor | undefined
}

interface Statistics {
  /** Shifted by `mean − residual`. */
  readonly rows: Tensor.Tensor
  readonly mean: Tensor.Tensor
  readonly residual: Tensor.Tensor | undefined
  readonly variance: Tensor.Tensor
  readonly inverse: Tensor.Tensor
}

/** A norm as `factor · rows + offset`. */
interface Norm {
  readonly rows: Tensor.Tensor
  readonly factor: Tensor.Tensor
  readonly offset: Tensor.Tensor
  /** The mean of the norm's output. */
  readonly beta: Tensor.Tensor
}

/** The moments do not depend on it; with the norms' usual epsilon they are the norms' own. */
const momentsEpsilon = 1e-5

/** How many numbers each channel has. */
const countOf = (x: Tensor.Tensor) => Shape.size(x.shape) / Arr.getUnsafe(x.shape, 1)

const meanOf = (x: Tensor.Tensor, path: string) => Op.scale(Fused.rowSum(x, path), 1 / countOf(x), path)

/** A kernel `[out, in, kh, kw]` as a matrix `[out, rest]`. */
const matrix = (w: Tensor.Tensor, path: string) =>
  Op.reshape(w, [Arr.getUnsafe(w.shape, 0), Shape.size(w.shape) / Arr.getUnsafe(w.shape, 0)], path)

const scaledBy = (gamma: Tensor.Tensor | undefined, x: Tensor.Tensor, path: string) =>
  gamma === undefined ? x : Op.mul(gamma, x, path)

/** `factor · x` per channel. */
const times = (x: Tensor.Tensor, factor: Tensor.Tensor | undefined, path: string) =>
  factor === undefined ? x : Op.mul(x, factor, path)

/** Σ dy·(x − mean) / deviation from Σ dy·rows and Σ dy. */
const alongDeviation = (
  { dot, sum }: { readonly dot: Tensor.Tensor; readonly sum: Tensor.Tensor },
  { inverse, residual }: Statistics,
  path: string
) => Op.mul(residual === undefined ? dot : Op.sub(dot, Op.mul(residual, sum, path), path), inverse, path)

/** Statistics of the images in one program, each computed once. */
const statisticsOf = (target: Target) => {
  // By attributes: a copied tensor keeps the same record.
  const norms = new Map<object, Norm>()
  const known = new Map<Tensor.Tensor, Map<number, Statistics>>()
  const centredOnes = new Map<Tensor.Tensor, Centred>()
  const normOf = (x: Tensor.Tensor) => norms.get(x.attributes)

  /** The mean of each channel of an image, `[c]`. For a gated image it follows from the means of its images, from which the gate was made. */
  const channelMeans = (x: Tensor.Tensor, path: string): Tensor.Tensor => {
    const product = gated(target, x)
    if (product === undefined) return meanOf(x, path)
    const [batch, channels] = Shape.ofRank(4)(x.shape)
    const ofImages = Op.globalAveragePool(product.image, path)
    const all = Op.mul(ofImages, Op.reshape(product.gate, [batch, channels], path), path)
    return Op.scale(Op.sum(all, [0], false, path), 1 / batch, path)
  }

  /** The norm in front of the GELU that a tensor is. */
  const normBefore = (x: Tensor.Tensor): Norm | undefined => {
    if (isActivation(x)) return x.attributes.fn === "gelu" ? normOf(x.inputs[0]) : undefined
    if (!isGelu(x)) return undefined
    const [u] = x.inputs
    return isLine(u) ? normOf(u.inputs[0]) : undefined
  }

  /** An approximation of each channel's mean: for a GELU after a batch norm, the GELU of the norm's offset. */
  const nearMeans = (x: Tensor.Tensor, path: string): Tensor.Tensor => {
    const norm = normBefore(x)
    return norm === undefined ? channelMeans(x, path) : Fused.vectorGelu(norm.beta, path)
  }

  /**
   * A convolution's mean follows from its input's. After a batch norm, a pointwise convolution needs no shift: normalised values have no mean, and the norm's offset is left out. Otherwise the
   * shift is applied through the bias, exactly for a pointwise convolution, approximately for a depthwise one. Anything else takes a pass of its own.
   */
  const centred = (x: Tensor.Tensor, path: string): Centred => {
    if (isConvolution(x)) {
      const { attributes, inputs } = x
      const [input, weight, bias] = inputs
      const whole = (shift: Tensor.Tensor) => (bias === undefined ? shift : Op.add(shift, bias, path))
      const convolved = (w: Tensor.Tensor, shift?: Tensor.Tensor) =>
        Definition.apply(Op.definitions.conv2d, attributes, shift === undefined ? [input, w] : [input, w, shift], path)
      const inRows = imageInRows(target, input.shape)
      if (inRows && isPointwise(weight.shape, attributes)) {
        const through = (v: Tensor.Tensor) => Fused.vectorProduct(matrix(weight, path), v, {}, path)
        const norm = normOf(input)
        if (norm !== undefined) {
          const { beta, factor, offset, rows } = norm
          const residual = offset === beta ? undefined : through(Op.sub(beta, offset, path))
          const folded = Fused.columnScaled(weight, factor, path)
          const product = Definition.apply(Op.definitions.conv2d, attributes, [rows, folded], path)
          return { rows: product, shift: whole(through(offset)), residual }
        }
        // Worth it unless the input is much larger than the result.
        if (Arr.getUnsafe(input.shape, 1) <= 3 * Arr.getUnsafe(x.shape, 1)) {
          const shift = through(channelMeans(input, path))
          return { rows: convolved(weight, Op.neg(shift, path)), shift: whole(shift), residual: undefined }
        }
      }
      if (inRows && isBlocked(target, input.shape) && isDepthwise(weight.shape, attributes.groups)) {
        const shift = Op.mul(Op.sum(matrix(weight, path), [1], false, path), nearMeans(input, path), path)
        const rows = convolved(weight, Op.neg(shift, path))
        return { rows, shift: whole(shift), residual: meanOf(rows, path) }
      }
    }
    const shift = meanOf(x, path)
    return { rows: Fused.shifted(x, Op.neg(shift, path), path), shift, residual: undefined }
  }

  const statistics = (x: Tensor.Tensor, epsilon: number, path: string): Statistics => {
    const own = known.get(x) ?? new Map<number, Statistics>()
    known.set(x, own)
    const before = own.get(epsilon)
    if (before !== undefined) return before
    const shifted = centredOnes.get(x) ?? centred(x, path)
    centredOnes.set(x, shifted)
    const { residual, rows, shift } = shifted
    const square = Op.scale(Fused.rowDot(rows, rows, path), 1 / countOf(rows), path)
    const variance = residual === undefined ? square : Op.sub(square, Op.mul(residual, residual, path), path)
    const inverse = Op.reciprocal(Op.sqrt(Op.add(variance, Op.fill(epsilon), path), path), path)
    const mean = residual === undefined ? shift : Op.add(shift, residual, path)
    const made = { rows, mean, residual, variance, inverse }
    own.set(epsilon, made)
    return made
  }

  const normalised = ({ attributes, inputs: [x, gamma, beta], path }: Tensor.Tensor<"batchNorm">): Tensor.Tensor => {
    const { inverse, residual, rows } = statistics(x, attributes.epsilon, path)
    const factor = scaledBy(gamma, inverse, path)
    const bias = beta ?? Op.constant(new Float32Array(Arr.getUnsafe(x.shape, 1)), [Arr.getUnsafe(x.shape, 1)], path)
    const offset = residual === undefined ? bias : Op.sub(bias, Op.mul(residual, factor, path), path)
    const y = Fused.affine(rows, factor, { offset }, path)
    norms.set(y.attributes, { rows, factor, offset, beta: bias })
    return y
  }
  return { normalised, statistics }
}

/** The gradient that reaches a norm, when it comes through a pointwise convolution. */
const pointwiseGradient = (target: Target, dy: Tensor.Tensor): Tensor.Tensor<"conv2dGradInput"> | undefined =>
  isGradInput(dy) && isPointwise(dy.inputs[1].shape, dy.attributes) && imageInRows(target, dy.inputs[0].shape)
    ? dy
    : undefined

export const rewrite: Rewrite = {
  name: "batch norms",
  summary: "batch norms as affine maps of rows without a mean, which the convolution before subtracts",
  rules: (target) => {
    const { normalised, statistics } = statisticsOf(target)
    /** The two rows of moments, by the tensor that they are. */
    const moments = new Map<object, readonly [Tensor.Tensor, Tensor.Tensor]>()
    return {
      batchNorm: (node) => (imageInRows(target, node.shape) ? normalised(node) : undefined),
      batchMoments: ({ inputs: [x], path }) => {
        if (!imageInRows(target, x.shape)) return undefined
        const { mean, variance } = statistics(x, momentsEpsilon, path)
        const row = (v: Tensor.Tensor) => Op.reshape(v, [1, Arr.getUnsafe(x.shape, 1)], path)
        const rows = [row(mean), row(variance)] as const
        const both = Op.concat(rows, 0, path)
        moments.set(both.attributes, rows)
        return both
      },
      // One row of the moments: there is no need to concatenate them first.
      slice: ({ attributes: { axis, end, start }, inputs: [both] }) =>
        axis === 0 && end === start + 1 ? moments.get(both.attributes)?.[start] : undefined,
      batchNormGradScale: ({ attributes: { epsilon }, inputs: [dy, x], path }) => {
        if (!imageInRows(target, x.shape)) return undefined
        const own = statistics(x, epsilon, path)
        const { factor, value } = Forms.scaledOf(dy, target)
        const reaching = { sum: Fused.rowSum(value, path), dot: Fused.rowDot(value, own.rows, path) }
        return times(alongDeviation(reaching, own, path), factor, path)
      },
      // dx = γ/σ · (dy + along · x + offset), where the last two terms remove the gradient's mean and its component along x.
      batchNormGradInput: ({ attributes: { epsilon }, inputs: [dy, x, gamma], path }) => {
        if (!imageInRows(target, x.shape)) return undefined
        const own = statistics(x, epsilon, path)
        const { inverse, residual, rows } = own
        const share = -1 / countOf(rows)
        const steepness = scaledBy(gamma, inverse, path)
        const { factor, value } = Forms.scaledOf(dy, target)
        const reaching = { sum: Fused.rowSum(value, path), dot: Fused.rowDot(value, rows, path) }
        const slope = Op.mul(inverse, alongDeviation(reaching, own, path), path)
        const along = Op.scale(slope, share, path)
        const even = Op.scale(reaching.sum, share, path)
        const offset = residual === undefined ? even : Op.sub(even, Op.mul(along, residual, path), path)
        const product = pointwiseGradient(target, dy)
        if (product !== undefined) {
          // The slope is folded into the weights through which the gradient comes.
          const [outer, weight] = product.inputs
          const steep = Definition.apply(
            Op.definitions.conv2dGradInput,
            product.attributes,
            [outer, Fused.columnScaled(weight, steepness, path)],
            path
          )
          const factor = Op.mul(along, steepness, path)
          return Fused.affine(rows, factor, { offset: Op.mul(offset, steepness, path), sum: steep }, path)
        }
        const flat = Fused.affine(rows, along, { offset, sum: value }, path)
        return Fused.scaled(flat, times(steepness, factor, path), path)
      }
    }
  }
}
