/**
 * Normalisation, GELU and squeeze-and-excitation in as few passes over memory as the blocked kernels allow.
 *
 * - A batch norm is an affine map per channel. It is folded into the pointwise convolution after it, whose gradients then give the norm's own
 *   without a pass over the map; or it takes the residual along; or the GELU after it starts from its result scaled by √½.
 * - Its variance is a dot product of each row with itself, of rows whose mean was taken off before: a convolution's mean follows from its
 *   input's and goes along as a bias.
 * - A gate per channel and image is a depthwise 1×1 convolution, its gradient a dot product, the gradient of the mean a bias.
 */
import { type Op, Shape, Tensor } from "@uninet/graph"
import { affine, affineAll, blockedImage, fromBlocked, isBlocked, node as blocked, rowDot } from "../internal/blocks.ts"
import type { Value } from "../internal/builder.ts"
import { channelRows, type Context, type Lowered, type PartialRules, plain } from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import { physicalShape } from "../internal/layout.ts"
import { depthwise } from "./blocked.ts"

const isBatchNorm = Tensor.is("batchNorm")
const isGradInput = Tensor.is("conv2dGradInput")
const isConvolution = Tensor.is("conv2d")
const isBinary = Tensor.is("binary")

const fromRows = (ctx: Context, shape: Shape.Shape, value: Value): Lowered => ({
  layout: "channels",
  value: E.reshape(ctx.b, value, physicalShape("channels", shape, ctx.lanes))
})

/** Whether an image is worked on in rows of whole blocks. */
const inRows = (ctx: Context, shape: Shape.Shape) =>
  shape.length === 4 &&
  ctx.allows("channels", shape) &&
  ctx.block > 1 &&
  (Shape.size(shape) / shape[1]) % ctx.block === 0

const isPointwise = (weight: Shape.Shape, { groups, padding, stride }: Op.Window & { readonly groups: number }) =>
  groups === 1 &&
  weight[2] === 1 &&
  weight[3] === 1 &&
  [...stride].every((s) => s === 1) &&
  padding.every((p) => p === 0)

const isDepthwise = ({ attributes, inputs: [, weight] }: Tensor.Tensor<"conv2d">) =>
  weight.shape[1] === 1 && weight.shape[0] === attributes.groups

const matrix = (ctx: Context, weight: Tensor.Tensor): Value =>
  E.reshape(ctx.b, ctx.plain(weight), [weight.shape[0], weight.shape[1]])
const asColumn = (ctx: Context, vector: Value) => E.reshape(ctx.b, vector, [Shape.size(vector.shape), 1])
const asRow = (ctx: Context, vector: Value) => E.reshape(ctx.b, vector, [1, Shape.size(vector.shape)])

/** The rows of an image, shifted so that their means are nearly nothing: what statistics by moments need to be exact. */
interface Centred {
  readonly rows: Value
  /** What was taken off each row, `[c]`. */
  readonly shift: Value
  /** The mean that is left, `[c]`; `undefined` where it is nothing but rounding. */
  readonly residual: Value | undefined
}

const meanOf = (ctx: Context, rows: Value): Value =>
  E.mul(ctx.b, E.sum(ctx.b, rows, [1]), ctx.b.scalar(1 / rows.shape[1]))

/**
 * A convolution's mean is known from its input's, so that the shift goes along as its bias: exactly for a pointwise one, nearly for a
 * depthwise one (but for the border). Anything else takes a pass of its own.
 */
const centred = (ctx: Context, x: Tensor.Tensor): Centred => {
  const { b } = ctx
  const [convolution, weight, bias] = isConvolution(x) ? [x, ...x.inputs.slice(1)] : []
  const whole = (shift: Value) => (bias === undefined ? shift : E.add(b, shift, ctx.plain(bias)))
  if (convolution !== undefined && weight !== undefined) {
    const [input] = convolution.inputs
    // Worth it unless the input is much larger than the result.
    const cheap = isBatchNorm(input) || input.shape[1] <= 3 * x.shape[1]
    if (isPointwise(weight.shape, convolution.attributes) && inRows(ctx, input.shape) && cheap) {
      const w = matrix(ctx, weight)
      const { factor, offset, rows } = isBatchNorm(input)
        ? asAffine(ctx, input)
        : { factor: undefined, offset: undefined, rows: channelRows(ctx, input) }
      const scaled = factor === undefined ? w : E.mul(b, w, asRow(ctx, factor))
      // A batch norm's mean is its bias, to which its offset adds what was left of its own input's.
      const mean = isBatchNorm(input) ? ctx.plain(input.inputs[2]) : meanOf(ctx, rows)
      const through = E.gemm(b, w, asColumn(ctx, mean))
      const rest =
        offset === undefined ? E.unary(b, "Neg", through) : E.gemm(b, w, asColumn(ctx, E.sub(b, offset, mean)))
      const shift = whole(E.reshape(b, through, [x.shape[1]]))
      return { rows: E.gemm(b, scaled, rows, { c: rest }), shift, residual: undefined }
    }
    if (inRows(ctx, input.shape)) {
      const taps = E.reshape(b, ctx.plain(weight), [weight.shape[0], Shape.size(weight.shape) / weight.shape[0]])
      const shifted = () => E.mul(b, E.sum(b, taps, [1]), meanOf(ctx, channelRows(ctx, input)))
      const lowered = isDepthwise(convolution) ? depthwise(ctx, convolution, E.unary(b, "Neg", shifted())) : undefined
      if (lowered !== undefined) {
        const rows = E.reshape(b, lowered.value, [x.shape[1], Shape.size(x.shape) / x.shape[1]])
        return { rows, shift: whole(shifted()), residual: meanOf(ctx, rows) }
      }
    }
  }
  const rows = channelRows(ctx, x)
  const shift = meanOf(ctx, rows)
  return { rows: affine(ctx, rows, 1, { offset: E.unary(b, "Neg", shift) }), shift, residual: undefined }
}

/** Statistics per channel, `[c]` each, and the rows they were taken from: shifted by `mean − residual`. */
const statistics = (ctx: Context, x: Tensor.Tensor, epsilon: number) => {
  const { b } = ctx
  const { residual, rows, shift } = centred(ctx, x)
  const square = E.mul(b, rowDot(ctx, rows, rows), b.scalar(1 / rows.shape[1]))
  const variance = residual === undefined ? square : E.sub(b, square, E.mul(b, residual, residual))
  const inverse = E.unary(b, "Reciprocal", E.unary(b, "Sqrt", E.add(b, variance, b.scalar(epsilon))))
  return { rows, mean: residual === undefined ? shift : E.add(b, shift, residual), residual, variance, inverse }
}

/** A batch norm as `factor · rows + offset` per channel, of its input's shifted rows. */
const asAffine = (ctx: Context, norm: Tensor.Tensor<"batchNorm">) => {
  const { b } = ctx
  const [x, gamma, beta] = norm.inputs
  const { inverse, residual, rows } = statistics(ctx, x, norm.attributes.epsilon)
  const factor = E.mul(b, ctx.plain(gamma), inverse)
  const bias = ctx.plain(beta)
  return { rows, factor, offset: residual === undefined ? bias : E.sub(b, bias, E.mul(b, residual, factor)) }
}

/** The gradient that reaches a batch norm, when it comes through a pointwise convolution: never written, only what is asked of it. */
const throughPointwise = (ctx: Context, dy: Tensor.Tensor, rows: Value) => {
  if (!isGradInput(dy)) return undefined
  const [outer, weight] = dy.inputs
  if (!isPointwise(weight.shape, dy.attributes) || !inRows(ctx, outer.shape)) return undefined
  const { b } = ctx
  const w = matrix(ctx, weight)
  const d = channelRows(ctx, outer)
  const product = E.gemm(b, d, rows, { transB: true })
  return {
    /** Σ of the gradient per channel. */
    sum: E.reshape(b, E.gemm(b, w, asColumn(ctx, E.sum(b, d, [1])), { transA: true }), [w.shape[1]]),
    /** Σ of the gradient times the rows, per channel. */
    dot: E.sum(b, E.mul(b, w, product), [0]),
    /** The gradient with its rows scaled. */
    scaled: (factor: Value) => E.gemm(b, E.mul(b, w, asRow(ctx, factor)), d, { transA: true })
  }
}

/** What a batch norm's gradients ask of the gradient that reaches it, given its input's shifted rows. */
const reaching = (ctx: Context, dy: Tensor.Tensor, rows: Value) => {
  const through = throughPointwise(ctx, dy, rows)
  if (through !== undefined) return through
  const d = channelRows(ctx, dy)
  return {
    sum: E.sum(ctx.b, d, [1]),
    dot: rowDot(ctx, d, rows),
    scaled: (factor: Value) => affine(ctx, d, factor)
  }
}

/** The gradient for the scale: Σ dy·(x − mean) / deviation. */
const scaleGradient = (ctx: Context, dy: Tensor.Tensor, x: Tensor.Tensor, epsilon: number): Value => {
  const { b } = ctx
  const { inverse, residual, rows } = statistics(ctx, x, epsilon)
  const { dot, sum } = reaching(ctx, dy, rows)
  return E.mul(b, residual === undefined ? dot : E.sub(b, dot, E.mul(b, residual, sum)), inverse)
}

/** x / √2, and √½ · (1 + erf(x / √2)), for the input of a GELU. */
const geluParts = (
  ctx: Context,
  x: Tensor.Tensor
): { readonly u: Value; readonly t: Value; readonly lowered: Lowered } | undefined => {
  const { b } = ctx
  if (ctx.block < 2 || Shape.size(x.shape) % ctx.block !== 0) return undefined
  let lowered: Lowered
  if (isBatchNorm(x) && inRows(ctx, x.shape)) {
    const { factor, offset, rows } = asAffine(ctx, x)
    const half = b.scalar(Math.SQRT1_2)
    const u = affine(ctx, rows, E.mul(b, factor, half), { offset: E.mul(b, offset, half) })
    lowered = fromRows(ctx, x.shape, u)
  } else {
    const layout = ctx.layoutOf(x)
    lowered = { layout, value: affineAll(ctx, ctx.get(x, layout), Math.SQRT1_2, 0) }
  }
  const t = affineAll(ctx, E.unary(b, "Erf", lowered.value), Math.SQRT1_2, Math.SQRT1_2)
  return { u: lowered.value, t, lowered }
}

/** Whether `gate` is one number per channel and image of `image`. */
const isGate = (image: Tensor.Tensor, gate: Tensor.Tensor) =>
  gate.shape.length === 4 &&
  gate.shape[2] === 1 &&
  gate.shape[3] === 1 &&
  gate.shape[0] === image.shape[0] &&
  gate.shape[1] === image.shape[1] &&
  image.shape[2] * image.shape[3] > 1

/** Numbers per channel and image in the order of a blocked image's channels. */
const perImage = (ctx: Context, gate: Tensor.Tensor, shape: Shape.Shape): Value =>
  E.reshape(ctx.b, ctx.get(gate, "channels"), shape)

/** The image and the gate of a product, if it is one. */
const gated = (ctx: Context, node: Tensor.Tensor) => {
  if (!isBinary(node) || node.attributes.fn !== "mul" || ctx.lanes !== ctx.block || !isBlocked(ctx, node.shape))
    return undefined
  const [x, y] = node.inputs
  if (x.shape.length !== 4 || y.shape.length !== 4) return undefined
  return isGate(x, y) ? { image: x, gate: y } : isGate(y, x) ? { image: y, gate: x } : undefined
}

/** image · gate + bias, gate and bias per channel and image. */
const gateImage = (ctx: Context, image: Tensor.Tensor, gate: Value, bias?: Value): Lowered => {
  const x = blockedImage(ctx, image)
  const [, groups] = x.shape
  const attributes = { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], group: groups }
  const inputs = [x, E.reshape(ctx.b, gate, [groups, 1, 1, 1])]
  return fromBlocked(
    ctx,
    image.shape,
    blocked(ctx, "Conv", bias === undefined ? inputs : [...inputs, bias], attributes, x.shape)
  )
}

/** The number per channel and image that was spread over an image, if that is what the tensor is. */
const spread = (node: Tensor.Tensor): Tensor.Tensor | undefined =>
  Tensor.is("broadcastTo")(node) && isGate(node, node.inputs[0]) ? node.inputs[0] : undefined

const addition = (node: Tensor.Tensor<"binary">, ctx: Context): Lowered | undefined => {
  const { b } = ctx
  for (const [first, second] of [node.inputs, node.inputs.toReversed()]) {
    if (!Shape.equals(first.shape, second.shape)) return undefined
    // A residual goes along with the norm's affine map.
    if (isBatchNorm(first) && inRows(ctx, first.shape)) {
      const { factor, offset, rows } = asAffine(ctx, first)
      return fromRows(ctx, node.shape, affine(ctx, rows, factor, { offset, sum: channelRows(ctx, second) }))
    }
    // The gradient of a mean goes along with that of the gate.
    const each = spread(first)
    const product = gated(ctx, second)
    if (each !== undefined && product !== undefined) {
      const groups = [node.shape[0] * node.shape[1]]
      const gate = E.reshape(b, ctx.get(product.gate, "channels"), groups)
      return gateImage(ctx, product.image, gate, perImage(ctx, each, groups))
    }
  }
  return undefined
}

/** The moments do not depend on it; with the norms' usual one they are the norms' own. */
const momentsEpsilon = 1e-5

export const rules = {
  batchNorm: (node, ctx) => {
    if (!inRows(ctx, node.shape)) return undefined
    const { factor, offset, rows } = asAffine(ctx, node)
    return fromRows(ctx, node.shape, affine(ctx, rows, factor, { offset }))
  },
  batchMoments: (node, ctx) => {
    const [x] = node.inputs
    if (!inRows(ctx, x.shape)) return undefined
    const { mean, variance } = statistics(ctx, x, momentsEpsilon)
    return plain(
      E.concat(
        ctx.b,
        [mean, variance].map((v) => asRow(ctx, v)),
        0
      )
    )
  },
  // One row of the moments: no need to put them together first.
  slice: (node, ctx) => {
    const [moments] = node.inputs
    const { axis, end, start } = node.attributes
    if (moments.kind !== "batchMoments" || axis !== 0 || end !== start + 1 || !inRows(ctx, moments.inputs[0].shape))
      return undefined
    const { mean, variance } = statistics(ctx, moments.inputs[0], momentsEpsilon)
    return plain(asRow(ctx, start === 0 ? mean : variance))
  },
  batchNormGradScale: (node, ctx) => {
    const [dy, x] = node.inputs
    return inRows(ctx, x.shape) ? plain(scaleGradient(ctx, dy, x, node.attributes.epsilon)) : undefined
  },
  // dx = γ/σ · dy + along · x + offset, where the last two make the gradient's mean and its share along x vanish.
  batchNormGradInput: (node, ctx) => {
    const { b } = ctx
    const [dy, x, gamma] = node.inputs
    if (!inRows(ctx, x.shape)) return undefined
    const { inverse, residual, rows } = statistics(ctx, x, node.attributes.epsilon)
    const share = b.scalar(-1 / rows.shape[1])
    const { scaled, sum } = reaching(ctx, dy, rows)
    const factor = E.mul(b, ctx.plain(gamma), inverse)
    const along = E.mul(
      b,
      E.mul(b, E.mul(b, factor, inverse), scaleGradient(ctx, dy, x, node.attributes.epsilon)),
      share
    )
    const even = E.mul(b, E.mul(b, factor, sum), share)
    const offset = residual === undefined ? even : E.sub(b, even, E.mul(b, along, residual))
    return fromRows(ctx, node.shape, affine(ctx, rows, along, { offset, sum: scaled(factor) }))
  },
  conv2d: (node, ctx) => {
    const { b } = ctx
    const [x, weight, bias] = node.inputs
    if (!isBatchNorm(x) || !isPointwise(weight.shape, node.attributes) || !inRows(ctx, x.shape)) return undefined
    const { factor, offset, rows } = asAffine(ctx, x)
    const w = matrix(ctx, weight)
    const c = bias === undefined ? {} : { c: asColumn(ctx, ctx.plain(bias)) }
    const shifted = E.gemm(b, w, asColumn(ctx, offset), c)
    return fromRows(ctx, node.shape, E.gemm(b, E.mul(b, w, asRow(ctx, factor)), rows, { c: shifted }))
  },
  conv2dGradWeight: (node, ctx) => {
    const { b } = ctx
    const [dy, x] = node.inputs
    const { weightShape } = node.attributes
    if (!isBatchNorm(x) || !isPointwise(weightShape, node.attributes) || !inRows(ctx, x.shape)) return undefined
    const { factor, offset, rows } = asAffine(ctx, x)
    const d = channelRows(ctx, dy)
    const product = E.mul(b, E.gemm(b, d, rows, { transB: true }), asRow(ctx, factor))
    const constant = E.mul(b, asColumn(ctx, E.sum(b, d, [1])), asRow(ctx, offset))
    return plain(E.reshape(b, E.add(b, product, constant), weightShape))
  },

  activation: (node, ctx) => {
    if (node.attributes.fn !== "gelu") return undefined
    const parts = geluParts(ctx, node.inputs[0])
    return parts === undefined ? undefined : { layout: parts.lowered.layout, value: E.mul(ctx.b, parts.u, parts.t) }
  },
  // With u = x/√2 the slope Φ(x) + x·φ(x) is √½·t + u·e^(−u²)/√π.
  activationGrad: (node, ctx) => {
    if (node.attributes.fn !== "gelu") return undefined
    const { b } = ctx
    const [x, dy] = node.inputs
    const parts = geluParts(ctx, x)
    if (parts === undefined) return undefined
    const { lowered, t, u } = parts
    const density = E.unary(b, "Exp", affineAll(ctx, E.mul(b, u, u), -1, -Math.log(Math.PI) / 2))
    const slope = affineAll(ctx, t, Math.SQRT1_2, 0, E.mul(b, u, density))
    return { layout: lowered.layout, value: E.mul(b, ctx.get(dy, lowered.layout), slope) }
  },

  globalAveragePool: (node, ctx) => {
    const [x] = node.inputs
    if (ctx.lanes !== ctx.block || !isBlocked(ctx, x.shape)) return undefined
    const image = blockedImage(ctx, x)
    const mean = blocked(ctx, "GlobalAveragePool", [image], {}, [1, image.shape[1], 1, 1])
    return { layout: "channels", value: E.reshape(ctx.b, mean, physicalShape("channels", node.shape, ctx.lanes)) }
  },
  binary: (node, ctx) => {
    if (node.attributes.fn === "add") return addition(node, ctx)
    const product = gated(ctx, node)
    return product === undefined
      ? undefined
      : gateImage(ctx, product.image, perImage(ctx, product.gate, [node.shape[0] * node.shape[1]]))
  },
  reduce: (node, ctx) => {
    const { axes, fn } = node.attributes
    const [x] = node.inputs
    if (fn !== "sum") return undefined
    // A norm's bias before a pointwise convolution.
    if (
      axes.join() === "0,2,3" &&
      isGradInput(x) &&
      isPointwise(x.inputs[1].shape, x.attributes) &&
      inRows(ctx, x.inputs[0].shape)
    ) {
      const w = matrix(ctx, x.inputs[1])
      const sums = asColumn(ctx, E.sum(ctx.b, channelRows(ctx, x.inputs[0]), [1]))
      return plain(E.reshape(ctx.b, E.gemm(ctx.b, w, sums, { transA: true }), node.shape))
    }
    // The gradient of a gate: a dot product per channel and image.
    if (axes.join() !== "2,3" || !isBinary(x) || x.attributes.fn !== "mul") return undefined
    const [p, q] = x.inputs
    if (ctx.lanes !== ctx.block || !isBlocked(ctx, p.shape) || !Shape.equals(p.shape, q.shape)) return undefined
    const [image, kernel] = [blockedImage(ctx, p), blockedImage(ctx, q)]
    const [, groups, height, width] = image.shape
    const dots = blocked(
      ctx,
      "Conv",
      [image, E.reshape(ctx.b, kernel, [groups, 1, height, width])],
      { kernel_shape: [height, width], strides: [1, 1], pads: [0, 0, 0, 0], group: groups },
      [1, groups, 1, 1]
    )
    return { layout: "channels", value: E.reshape(ctx.b, dots, physicalShape("channels", node.shape, ctx.lanes)) }
  }
} satisfies PartialRules
