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
import {
  channelRows,
  type Context,
  fromChannelRows,
  type Lowered,
  type PartialRules,
  plain,
  scaledFeatureRows,
  scaledRows,
  scaleRows
} from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import { physicalShape } from "../internal/layout.ts"
import { depthwise } from "./blocked.ts"
import { offsetOf } from "./images.ts"
import { linearTimes } from "./tokens.ts"

const isBatchNorm = Tensor.is("batchNorm")
const isGradInput = Tensor.is("conv2dGradInput")
const isConvolution = Tensor.is("conv2d")
const isLinear = Tensor.is("linear")
const isBinary = Tensor.is("binary")
const isActivation = Tensor.is("activation")
const isGelu = (x: Tensor.Tensor): x is Tensor.Tensor<"activation"> => isActivation(x) && x.attributes.fn === "gelu"

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

/** The rows of an image, shifted so that their means are nearly nothing: what statistics by moments need to be exact. */
interface Centred {
  readonly rows: Value
  /** What was taken off each row, `[c]`. */
  readonly shift: Value
  /** The mean that is left, `[c]`; `undefined` where it is nothing but rounding. */
  readonly residual: Value | undefined
}

/** A batch norm's scale times numbers per channel, where it has one. */
const scaledBy = (ctx: Context, gamma: Tensor.Tensor | undefined, x: Value): Value =>
  gamma === undefined ? x : E.mul(ctx.b, ctx.plain(gamma), x)

const meanOf = (ctx: Context, rows: Value): Value =>
  E.mul(ctx.b, E.sum(ctx.b, rows, [1]), ctx.b.scalar(1 / rows.shape[1]))

/** The mean of each channel of an image, `[c]`. Of a gated one it follows from the means of its images, which the gate was made from. */
const channelMeans = (ctx: Context, x: Tensor.Tensor): Value => {
  const product = gated(ctx, x)
  if (product === undefined) return meanOf(ctx, channelRows(ctx, x))
  const [batch, channels] = x.shape
  const ofImages = E.reshape(ctx.b, imageMeans(ctx, product.image), [channels, batch])
  return meanOf(ctx, E.mul(ctx.b, ofImages, perImage(ctx, product.gate, [channels, batch])))
}

/** Something near the mean of each channel: of a GELU after a batch norm, the GELU of the norm's bias. */
const nearMeans = (ctx: Context, x: Tensor.Tensor): Value => {
  if (!isGelu(x) || !isBatchNorm(x.inputs[0])) return channelMeans(ctx, x)
  const beta = offsetOf(ctx, x.inputs[0])
  return ctx.b.node("Gelu", [beta], {}, [beta.shape], "com.microsoft")[0]
}

/**
 * A convolution's mean is known from its input's. After a batch norm a pointwise one needs no shift: what is normalised has no mean, and the
 * norm's offset is left out. Otherwise the shift goes along as a bias, exactly for a pointwise convolution, nearly for a depthwise one. Anything
 * else takes a pass of its own.
 */
const centred = (ctx: Context, x: Tensor.Tensor): Centred => {
  const { b } = ctx
  const [convolution, weight, bias] = isConvolution(x) ? [x, ...x.inputs.slice(1)] : []
  const whole = (shift: Value) => (bias === undefined ? shift : E.add(b, shift, ctx.plain(bias)))
  if (convolution !== undefined && weight !== undefined) {
    const [input] = convolution.inputs
    if (isPointwise(weight.shape, convolution.attributes) && inRows(ctx, input.shape)) {
      const w = matrix(ctx, weight)
      const through = (column: Value) => E.reshape(b, E.gemm(b, w, E.column(ctx.b, column)), [x.shape[1]])
      if (isBatchNorm(input)) {
        const { factor, offset, rows } = asAffine(ctx, input)
        const beta = offsetOf(ctx, input)
        const residual = offset === beta ? undefined : through(E.sub(b, beta, offset))
        return { rows: E.gemm(b, E.mul(b, w, E.row(ctx.b, factor)), rows), shift: whole(through(offset)), residual }
      }
      // Worth it unless the input is much larger than the result.
      if (input.shape[1] <= 3 * x.shape[1]) {
        const shift = through(channelMeans(ctx, input))
        const c = E.column(ctx.b, E.unary(b, "Neg", shift))
        return { rows: E.gemm(b, w, channelRows(ctx, input), { c }), shift: whole(shift), residual: undefined }
      }
    }
    if (inRows(ctx, input.shape)) {
      const taps = E.reshape(b, ctx.plain(weight), [weight.shape[0], Shape.size(weight.shape) / weight.shape[0]])
      const shifted = () => E.mul(b, E.sum(b, taps, [1]), nearMeans(ctx, input))
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
  const [x, gamma] = norm.inputs
  const { inverse, residual, rows } = statistics(ctx, x, norm.attributes.epsilon)
  const factor = scaledBy(ctx, gamma, inverse)
  const bias = offsetOf(ctx, norm)
  return { rows, factor, offset: residual === undefined ? bias : E.sub(b, bias, E.mul(b, residual, factor)) }
}

/** The gradient that reaches a batch norm, when it comes through a pointwise convolution: never written, only what is asked of it. */
const throughPointwise = (ctx: Context, dy: Tensor.Tensor, rows: Value) => {
  if (!isGradInput(dy)) return undefined
  const [outer, weight] = dy.inputs
  if (!isPointwise(weight.shape, dy.attributes) || !inRows(ctx, outer.shape)) return undefined
  const { b } = ctx
  const { factor: of, rows: d } = scaledRows(ctx, outer)
  const w = scaleRows(ctx, matrix(ctx, weight), of)
  const product = E.gemm(b, d, rows, { transB: true })
  return {
    /** Σ of the gradient per channel. */
    sum: E.reshape(b, E.gemm(b, w, E.column(ctx.b, E.sum(b, d, [1])), { transA: true }), [w.shape[1]]),
    /** Σ of the gradient times the rows, per channel. */
    dot: E.sum(b, E.mul(b, w, product), [0]),
    /** The gradient with its rows scaled. */
    scaled: (factor: Value) => E.gemm(b, E.mul(b, w, E.row(ctx.b, factor)), d, { transA: true })
  }
}

/** What a batch norm's gradients ask of the gradient that reaches it over a map, up to a factor per channel. */
const overMap = (ctx: Context, dy: Tensor.Tensor, rows: Value) => {
  const { factor, rows: d } = scaledRows(ctx, dy)
  return { d, factor, sum: E.sum(ctx.b, d, [1]), dot: rowDot(ctx, d, rows) }
}

/** `factor · x` per channel. */
const times = (ctx: Context, x: Value, factor: Value | undefined) =>
  factor === undefined ? x : E.mul(ctx.b, x, factor)

/** Σ dy·(x − mean) / deviation from Σ dy·rows and Σ dy. */
const alongDeviation = (
  ctx: Context,
  { dot, sum }: { readonly dot: Value; readonly sum: Value },
  { inverse, residual }: { readonly inverse: Value; readonly residual: Value | undefined }
): Value => E.mul(ctx.b, residual === undefined ? dot : E.sub(ctx.b, dot, E.mul(ctx.b, residual, sum)), inverse)

/** The gradient for the scale: Σ dy·(x − mean) / deviation. */
const scaleGradient = (ctx: Context, dy: Tensor.Tensor, x: Tensor.Tensor, epsilon: number): Value => {
  const moments = statistics(ctx, x, epsilon)
  const through = throughPointwise(ctx, dy, moments.rows)
  if (through !== undefined) return alongDeviation(ctx, through, moments)
  const reaching = overMap(ctx, dy, moments.rows)
  return times(ctx, alongDeviation(ctx, reaching, moments), reaching.factor)
}

/** x / √2, and √½ · (1 + erf(x / √2)), for the input of a GELU. */
const geluParts = (
  ctx: Context,
  x: Tensor.Tensor
): { readonly u: Value; readonly t: Value; readonly lowered: Lowered } | undefined => {
  const { b } = ctx
  if (ctx.block < 2 || Shape.size(x.shape) % ctx.block !== 0) return undefined
  let lowered: Lowered
  const half = b.scalar(Math.SQRT1_2)
  const linear = isLinear(x) ? linearTimes(ctx, x, half) : undefined
  if (linear !== undefined) lowered = fromChannelRows(ctx, x.shape, linear)
  else if (isBatchNorm(x) && inRows(ctx, x.shape)) {
    const { factor, offset, rows } = asAffine(ctx, x)
    const u = affine(ctx, rows, E.mul(b, factor, half), { offset: E.mul(b, offset, half) })
    lowered = fromChannelRows(ctx, x.shape, u)
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

/** Whether every channel of every image is a row of whole blocks, where images do not lie in lanes. */
const inImageRows = (ctx: Context, shape: Shape.Shape) =>
  ctx.block > 1 && ctx.lanes === 1 && ctx.allows("channels", shape) && (shape[2] * shape[3]) % ctx.block === 0

/** Every channel of every image as a row. */
const imageRows = (ctx: Context, x: Tensor.Tensor): Value =>
  E.reshape(ctx.b, ctx.get(x, "channels"), [x.shape[1] * x.shape[0], x.shape[2] * x.shape[3]])

/** The mean of every channel of every image, in the order of a blocked image's channels. */
const imageMeans = (ctx: Context, x: Tensor.Tensor): Value => {
  if (inImageRows(ctx, x.shape)) return E.reduce(ctx.b, "ReduceMean", imageRows(ctx, x), [1])
  const image = blockedImage(ctx, x)
  return blocked(ctx, "GlobalAveragePool", [image], {}, [1, image.shape[1], 1, 1])
}

/** The image and the gate of a product, if it is one. */
const gated = (ctx: Context, node: Tensor.Tensor) => {
  if (!isBinary(node) || node.attributes.fn !== "mul" || node.shape.length !== 4) return undefined
  if (!(ctx.lanes === ctx.block && isBlocked(ctx, node.shape)) && !inImageRows(ctx, node.shape)) return undefined
  const [x, y] = node.inputs
  if (x.shape.length !== 4 || y.shape.length !== 4) return undefined
  return isGate(x, y) ? { image: x, gate: y } : isGate(y, x) ? { image: y, gate: x } : undefined
}

/** image · gate + bias, gate and bias per channel and image. */
const gateImage = (ctx: Context, image: Tensor.Tensor, gate: Value, bias?: Value): Lowered => {
  if (inImageRows(ctx, image.shape)) {
    const value = affine(ctx, imageRows(ctx, image), gate, bias === undefined ? {} : { offset: bias })
    return fromChannelRows(ctx, image.shape, value)
  }
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
      return fromChannelRows(ctx, node.shape, affine(ctx, rows, factor, { offset, sum: channelRows(ctx, second) }))
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
    return fromChannelRows(ctx, node.shape, affine(ctx, rows, factor, { offset }))
  },
  batchMoments: (node, ctx) => {
    const [x] = node.inputs
    if (!inRows(ctx, x.shape)) return undefined
    const { mean, variance } = statistics(ctx, x, momentsEpsilon)
    return plain(
      E.concat(
        ctx.b,
        [mean, variance].map((v) => E.row(ctx.b, v)),
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
    return plain(E.row(ctx.b, start === 0 ? mean : variance))
  },
  batchNormGradScale: (node, ctx) => {
    const [dy, x] = node.inputs
    return inRows(ctx, x.shape) ? plain(scaleGradient(ctx, dy, x, node.attributes.epsilon)) : undefined
  },
  // dx = γ/σ · (dy + along · x + offset), where the last two make the gradient's mean and its share along x vanish.
  batchNormGradInput: (node, ctx) => {
    const { b } = ctx
    const [dy, x, gamma] = node.inputs
    if (!inRows(ctx, x.shape)) return undefined
    const moments = statistics(ctx, x, node.attributes.epsilon)
    const { inverse, residual, rows } = moments
    const share = b.scalar(-1 / rows.shape[1])
    const steepness = scaledBy(ctx, gamma, inverse)
    const centring = (reaching: { readonly dot: Value; readonly sum: Value }) => {
      const along = E.mul(b, E.mul(b, inverse, alongDeviation(ctx, reaching, moments)), share)
      const even = E.mul(b, reaching.sum, share)
      return { along, offset: residual === undefined ? even : E.sub(b, even, E.mul(b, along, residual)) }
    }
    const through = throughPointwise(ctx, dy, rows)
    if (through !== undefined) {
      const { along, offset } = centring(through)
      const dx = affine(ctx, rows, E.mul(b, along, steepness), {
        offset: E.mul(b, offset, steepness),
        sum: through.scaled(steepness)
      })
      return fromChannelRows(ctx, node.shape, dx)
    }
    const reaching = overMap(ctx, dy, rows)
    const { along, offset } = centring(reaching)
    const factor = times(ctx, steepness, reaching.factor)
    const flat = affine(ctx, rows, along, { offset, sum: reaching.d })
    const scaled = { value: fromChannelRows(ctx, node.shape, flat).value, factor }
    return { ...fromChannelRows(ctx, node.shape, affine(ctx, flat, factor)), scaled }
  },
  conv2d: (node, ctx) => {
    const { b } = ctx
    const [x, weight, bias] = node.inputs
    if (!isBatchNorm(x) || !isPointwise(weight.shape, node.attributes) || !inRows(ctx, x.shape)) return undefined
    const { factor, offset, rows } = asAffine(ctx, x)
    const w = matrix(ctx, weight)
    const c = bias === undefined ? {} : { c: E.column(ctx.b, ctx.plain(bias)) }
    const shifted = E.gemm(b, w, E.column(ctx.b, offset), c)
    return fromChannelRows(ctx, node.shape, E.gemm(b, E.mul(b, w, E.row(ctx.b, factor)), rows, { c: shifted }))
  },
  conv2dGradWeight: (node, ctx) => {
    const { b } = ctx
    const [dy, x] = node.inputs
    const { weightShape } = node.attributes
    if (!isBatchNorm(x) || !isPointwise(weightShape, node.attributes) || !inRows(ctx, x.shape)) return undefined
    const { factor, offset, rows } = asAffine(ctx, x)
    const { factor: of, rows: d } = scaledRows(ctx, dy)
    const product = E.mul(b, E.gemm(b, d, rows, { transB: true }), E.row(ctx.b, factor))
    const constant = E.gemm(b, E.column(ctx.b, E.sum(b, d, [1])), E.row(ctx.b, offset))
    return plain(E.reshape(b, scaleRows(ctx, E.add(b, product, constant), of), weightShape))
  },

  activation: (node, ctx) => {
    if (node.attributes.fn !== "gelu") return undefined
    const parts = geluParts(ctx, node.inputs[0])
    return parts === undefined ? undefined : { layout: parts.lowered.layout, value: E.mul(ctx.b, parts.u, parts.t) }
  },
  // With u = x/√2 the slope Φ(x) + x·φ(x) is √½ · (t + √(2/π) · u/e^(u²)).
  activationGrad: (node, ctx) => {
    if (node.attributes.fn !== "gelu") return undefined
    const { b } = ctx
    const [x, dy] = node.inputs
    const parts = geluParts(ctx, x)
    if (parts === undefined) return undefined
    const { lowered, t, u } = parts
    const peaked = E.div(b, u, E.unary(b, "Exp", E.mul(b, u, u)))
    const slope = affineAll(ctx, peaked, Math.sqrt(2 / Math.PI), 0, t)
    const value = E.mul(b, ctx.get(dy, lowered.layout), slope)
    const factor = b.scalar(Math.SQRT1_2)
    return { layout: lowered.layout, value: E.mul(b, value, factor), scaled: { value, factor } }
  },

  globalAveragePool: (node, ctx) => {
    const [x] = node.inputs
    if (ctx.lanes !== ctx.block || !isBlocked(ctx, x.shape)) return undefined
    const value = E.reshape(ctx.b, imageMeans(ctx, x), physicalShape("channels", node.shape, ctx.lanes))
    return { layout: "channels", value }
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
      const { factor, rows } = scaledRows(ctx, x.inputs[0])
      const w = scaleRows(ctx, matrix(ctx, x.inputs[1]), factor)
      const sums = E.column(ctx.b, E.sum(ctx.b, rows, [1]))
      return plain(E.reshape(ctx.b, E.gemm(ctx.b, w, sums, { transA: true }), node.shape))
    }
    // A bias before something whose gradient is known up to a factor.
    if (axes.join() === "0,2,3" && ctx.scaled(x, "channels") !== undefined) {
      const { factor, rows } = scaledRows(ctx, x)
      return plain(E.reshape(ctx.b, times(ctx, E.sum(ctx.b, rows, [1]), factor), node.shape))
    }
    if (axes.length === x.shape.length - 1 && !axes.includes(axes.length)) {
      const { factor, rows } = scaledFeatureRows(ctx, x)
      if (factor !== undefined)
        return plain(E.reshape(ctx.b, E.mul(ctx.b, E.sum(ctx.b, rows, [0]), factor), node.shape))
    }
    // The gradient of a gate: a dot product per channel and image.
    if (axes.join() !== "2,3" || !isBinary(x) || x.attributes.fn !== "mul") return undefined
    const [p, q] = x.inputs
    if (p.shape.length !== 4 || !Shape.equals(p.shape, q.shape)) return undefined
    if (inImageRows(ctx, p.shape)) {
      const dots = rowDot(ctx, imageRows(ctx, p), imageRows(ctx, q))
      return { layout: "channels", value: E.reshape(ctx.b, dots, physicalShape("channels", node.shape, ctx.lanes)) }
    }
    if (ctx.lanes !== ctx.block || !isBlocked(ctx, p.shape)) return undefined
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
