/**
 * Layer norms and linear layers over tokens with channels outermost, where a channel is a row and a token a column.
 *
 * - What a layer norm's scale and offset do is folded into the linear layer after it, whose gradients then give the norm's own; taking the mean
 *   off is a product with a constant matrix, or goes into weights too.
 * - What a factor per feature does (LayerScale) is folded into the linear layer before it.
 */
import { Shape, Tensor } from "@uninet/graph"
import { affine, rowDot } from "../internal/blocks.ts"
import type { Value } from "../internal/builder.ts"
import {
  channelRows,
  type Context,
  fromChannelRows,
  type Lowered,
  type PartialRules,
  plain,
  scaledRows,
  scaleRows
} from "../internal/context.ts"
import * as E from "../internal/emit.ts"

const isLayerNorm = Tensor.is("layerNorm")
const isLinear = Tensor.is("linear")
const isLinearGradInput = Tensor.is("linearGradInput")
const isBinary = Tensor.is("binary")

/** Whether tokens `[batch, tokens, channels]` are worked on as rows of channels. */
const inRows = (ctx: Context, shape: Shape.Shape) =>
  shape.length === 3 && ctx.block > 1 && ctx.allows("channels", shape)

/** Whether work on weights that each token meets so many of is less than the same work on the tokens. */
const worthFolding = ([batch, tokens]: Shape.Shape, features: number) => batch * tokens >= 2 * features

/** The mean of every column, `[1, columns]`. */
const columnMeans = (ctx: Context, x: Value): Value => {
  const [rows] = x.shape
  return E.gemm(ctx.b, ctx.b.constant(new Float32Array(rows).fill(1 / rows), [1, rows]), x)
}

/** Up to so many rows a product that takes off the columns' means is faster than working them out first. */
const fewRows = 64

const withoutMeans = (ctx: Context, x: Value): Value => {
  const { b } = ctx
  const [n] = x.shape
  if (n > fewRows) return E.sub(b, x, columnMeans(ctx, x))
  const centring = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0) - 1 / n)
  return E.gemm(b, b.constant(centring, [n, n]), x)
}

/** What a layer norm makes of its input before scale and offset, and by what it divides. */
const normalised = (ctx: Context, x: Tensor.Tensor, epsilon: number) => {
  const { b } = ctx
  const centred = withoutMeans(ctx, channelRows(ctx, x))
  const variance = columnMeans(ctx, E.mul(b, centred, centred))
  const inverse = E.unary(b, "Reciprocal", E.unary(b, "Sqrt", E.add(b, variance, b.scalar(epsilon))))
  return { rows: E.mul(b, centred, inverse), inverse }
}

/** The layer norm before a linear layer of so many features, if it is to be folded into it. */
const normBefore = (x: Tensor.Tensor, features: number) =>
  isLayerNorm(x) && worthFolding(x.shape, features) ? x : undefined

/** A linear layer as `weight · rows + bias`, with the layer norm before it folded in. */
const folded = (ctx: Context, { inputs: [x, weight, bias] }: Tensor.Tensor<"linear">) => {
  const { b } = ctx
  const w = ctx.plain(weight)
  const c = bias === undefined ? undefined : E.column(ctx.b, ctx.plain(bias))
  const norm = normBefore(x, weight.shape[0])
  if (norm === undefined) return { weight: w, rows: channelRows(ctx, x), bias: c }
  const [input, gamma, beta] = norm.inputs
  return {
    weight: E.mul(b, w, E.row(ctx.b, ctx.plain(gamma))),
    rows: normalised(ctx, input, norm.attributes.epsilon).rows,
    bias: E.gemm(b, w, E.column(ctx.b, ctx.plain(beta)), c === undefined ? {} : { c })
  }
}

/** A linear layer as rows of features. */
const linearRows = (ctx: Context, node: Tensor.Tensor<"linear">, factor?: Value): Value => {
  const { bias, rows, weight } = folded(ctx, node)
  const c = bias === undefined ? {} : { c: scaleRows(ctx, bias, factor) }
  return E.gemm(ctx.b, scaleRows(ctx, weight, factor), rows, c)
}

/** `factor` times a linear layer, one number or one per feature, as rows of features; `undefined` where it does not go into the layer's weights. */
export const linearTimes = (ctx: Context, node: Tensor.Tensor<"linear">, factor: Value): Value | undefined =>
  inRows(ctx, node.shape) && worthFolding(node.shape, node.inputs[1].shape[1])
    ? linearRows(ctx, node, factor)
    : undefined

/** The gradient that reaches tokens through a linear layer: never written, only what is asked of it. */
const throughLinear = (ctx: Context, dy: Tensor.Tensor) => {
  if (!isLinearGradInput(dy)) return undefined
  const [outer, weight] = dy.inputs
  if (!worthFolding(outer.shape, weight.shape[0])) return undefined
  const { factor, rows } = scaledRows(ctx, outer)
  return { d: rows, weight: scaleRows(ctx, ctx.plain(weight), factor) }
}

const sumOfRows = (ctx: Context, x: Value) => E.sum(ctx.b, x, [1])

/** Σ x·y along the rows. */
const dot = (ctx: Context, x: Value, y: Value) =>
  x.shape[1] % ctx.block === 0 ? rowDot(ctx, x, y) : sumOfRows(ctx, E.mul(ctx.b, x, y))

/** The linear layer and the other factor of a product. */
const linearAnd = ([x, y]: ReadonlyArray<Tensor.Tensor>) =>
  isLinear(x) ? { layer: x, other: y } : isLinear(y) ? { layer: y, other: x } : undefined

/** Tokens and a number per channel that are multiplied. */
const tokensAndVector = (ctx: Context, [x, y]: ReadonlyArray<Tensor.Tensor>) => {
  const [tokens, vector] = x.shape.length === 3 ? [x, y] : [y, x]
  const fits = inRows(ctx, tokens.shape) && Shape.equals(vector.shape, [tokens.shape[2]])
  return fits ? { tokens, vector } : undefined
}

export const rules = {
  layerNorm: (node, ctx) => {
    const { b } = ctx
    const [x, gamma, beta] = node.inputs
    if (!inRows(ctx, x.shape)) return undefined
    const { rows } = normalised(ctx, x, node.attributes.epsilon)
    const [factor, offset] = [ctx.plain(gamma), ctx.plain(beta)]
    const y =
      rows.shape[1] % ctx.block === 0
        ? affine(ctx, rows, factor, { offset })
        : E.add(b, E.mul(b, rows, E.column(ctx.b, factor)), E.column(ctx.b, offset))
    return fromChannelRows(ctx, node.shape, y)
  },
  // dx = (g − its mean − x̂ · the mean of g·x̂) / deviation, g the gradient times γ.
  layerNormGradInput: (node, ctx) => {
    const { b } = ctx
    const [dy, x, gamma] = node.inputs
    if (!inRows(ctx, x.shape)) return undefined
    const { inverse, rows } = normalised(ctx, x, node.attributes.epsilon)
    const scale = ctx.plain(gamma)
    const through = throughLinear(ctx, dy)
    let centred: Value
    if (through !== undefined) {
      const weight = E.mul(b, through.weight, E.row(ctx.b, scale))
      const even = E.sub(b, weight, E.reduce(b, "ReduceMean", weight, [1], true))
      centred = E.gemm(b, even, through.d, { transA: true })
    } else centred = withoutMeans(ctx, E.mul(b, channelRows(ctx, dy), E.column(ctx.b, scale)))
    const along = columnMeans(ctx, E.mul(b, centred, rows))
    const dx = E.mul(b, E.sub(b, centred, E.mul(b, rows, along)), inverse)
    return fromChannelRows(ctx, node.shape, dx)
  },
  layerNormGradScale: (node, ctx) => {
    const { b } = ctx
    const [dy, x] = node.inputs
    if (!inRows(ctx, x.shape)) return undefined
    const { rows } = normalised(ctx, x, node.attributes.epsilon)
    const through = throughLinear(ctx, dy)
    if (through === undefined) return plain(dot(ctx, channelRows(ctx, dy), rows))
    return plain(E.sum(b, E.mul(b, through.weight, E.gemm(b, through.d, rows, { transB: true })), [0]))
  },

  linear: (node, ctx) =>
    inRows(ctx, node.shape) ? fromChannelRows(ctx, node.shape, linearRows(ctx, node)) : undefined,
  linearGradInput: (node, ctx) => {
    const [dy, weight] = node.inputs
    if (!inRows(ctx, node.shape)) return undefined
    const { factor, rows } = scaledRows(ctx, dy)
    const w = scaleRows(ctx, ctx.plain(weight), factor)
    return fromChannelRows(ctx, node.shape, E.gemm(ctx.b, w, rows, { transA: true }))
  },
  linearGradWeight: (node, ctx) => {
    const { b } = ctx
    const [dy, x] = node.inputs
    if (!inRows(ctx, x.shape)) return undefined
    const { factor, rows: d } = scaledRows(ctx, dy)
    const norm = normBefore(x, d.shape[0])
    if (norm === undefined) return plain(scaleRows(ctx, E.gemm(b, d, channelRows(ctx, x), { transB: true }), factor))
    const [input, gamma, beta] = norm.inputs
    const product = E.gemm(b, d, normalised(ctx, input, norm.attributes.epsilon).rows, { transB: true })
    const constant = E.gemm(b, E.column(ctx.b, sumOfRows(ctx, d)), E.row(ctx.b, ctx.plain(beta)))
    return plain(scaleRows(ctx, E.add(b, E.mul(b, product, E.row(ctx.b, ctx.plain(gamma))), constant), factor))
  },

  binary: (node, ctx): Lowered | undefined => {
    if (node.attributes.fn !== "mul") return undefined
    const found = tokensAndVector(ctx, node.inputs)
    if (found === undefined) return undefined
    const { tokens, vector } = found
    const factor = ctx.plain(vector)
    const scaled = isLinear(tokens) ? linearTimes(ctx, tokens, factor) : undefined
    if (scaled !== undefined) return fromChannelRows(ctx, node.shape, scaled)
    const lowered = fromChannelRows(ctx, node.shape, scaleRows(ctx, channelRows(ctx, tokens), factor))
    // What reads the gradient is a linear layer from about as many features.
    if (!worthFolding(node.shape, node.shape[2])) return lowered
    return { ...lowered, scaled: { value: ctx.get(tokens, "channels"), factor } }
  },
  reduce: (node, ctx) => {
    const { b } = ctx
    const [x] = node.inputs
    const { axes, fn } = node.attributes
    if (fn !== "sum" || axes.join() !== "0,1" || !inRows(ctx, x.shape)) return undefined
    const result = (sums: Value) => plain(E.reshape(b, sums, node.shape))
    // The offset of a layer norm before a linear layer.
    const through = throughLinear(ctx, x)
    if (through !== undefined)
      return result(E.gemm(b, through.weight, E.column(ctx.b, sumOfRows(ctx, through.d)), { transA: true }))
    // The bias of a layer whose gradient is known up to a factor.
    if (ctx.scaled(x, "channels") !== undefined) {
      const { factor, rows } = scaledRows(ctx, x)
      return result(scaleRows(ctx, E.column(ctx.b, sumOfRows(ctx, rows)), factor))
    }
    if (!isBinary(x) || x.attributes.fn !== "mul" || !Shape.equals(x.inputs[0].shape, x.inputs[1].shape))
      return undefined
    // A factor per feature.
    const found = linearAnd(x.inputs)
    if (found === undefined || !worthFolding(x.shape, found.layer.inputs[1].shape[1]))
      return result(dot(ctx, channelRows(ctx, x.inputs[0]), channelRows(ctx, x.inputs[1])))
    const { bias, rows, weight } = folded(ctx, found.layer)
    const { factor, rows: d } = scaledRows(ctx, found.other)
    const products = E.sum(b, E.mul(b, weight, E.gemm(b, d, rows, { transB: true })), [1])
    const sums =
      bias === undefined
        ? products
        : E.add(b, products, E.mul(b, sumOfRows(ctx, d), E.reshape(b, bias, [bias.shape[0]])))
    return result(factor === undefined ? sums : E.mul(b, sums, factor))
  }
} satisfies PartialRules
