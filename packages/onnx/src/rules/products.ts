/** Matrix products, linear layers and attention. */
import type { Tensor } from "@uninet/graph"
import type { Value } from "../internal/builder.ts"
import {
  channelRows,
  type Context,
  featureRows,
  type Lowered,
  plain,
  type Rules,
  scaledFeatureRows
} from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import { type Layout, physicalShape } from "../internal/layout.ts"

/** A matrix `[rows, features]` as the tensor it stands for. */
const fromFeatureRows = (ctx: Context, node: Tensor.Tensor, value: Value): Lowered => {
  const layout: Layout = node.shape.length === 3 && ctx.allows("rows", node.shape) ? "rows" : "plain"
  return { layout, value: E.reshape(ctx.b, value, physicalShape(layout, node.shape, ctx.lanes)) }
}

const fromChannelRows = (ctx: Context, node: Tensor.Tensor, value: Value): Lowered => ({
  layout: "channels",
  value: E.reshape(ctx.b, value, physicalShape("channels", node.shape, ctx.lanes))
})

const column = (ctx: Context, vector: Value): Value => E.reshape(ctx.b, vector, [vector.shape[0], 1])

/**
 * `alpha · x·y` over the last two axes, either side transposed. ONNX Runtime has one operator for it; by the standard's it takes a
 * transposition and a multiplication.
 */
const product = (
  ctx: Context,
  x: Value,
  y: Value,
  {
    alpha = 1,
    transA = false,
    transB = false
  }: { readonly alpha?: number; readonly transA?: boolean; readonly transB?: boolean } = {}
): Value => {
  const { b } = ctx
  const rank = x.shape.length
  if (ctx.block > 0 && (transA || transB || alpha !== 1)) {
    const shape = [...x.shape.slice(0, -2), x.shape[rank - (transA ? 1 : 2)], y.shape[rank - (transB ? 2 : 1)]]
    const attributes = { alpha: { float: alpha }, transA: transA ? 1 : 0, transB: transB ? 1 : 0 }
    return b.node("FusedMatMul", [x, y], attributes, [shape], "com.microsoft")[0]
  }
  const plainProduct = E.matmul(b, transA ? E.swapLastTwo(b, x) : x, transB ? E.swapLastTwo(b, y) : y)
  return alpha === 1 ? plainProduct : E.mul(b, plainProduct, b.scalar(alpha))
}

/** Tokens as `[batch, heads, tokens, head size]`. */
const split = (ctx: Context, tokens: Tensor.Tensor, layout: Layout, heads: number): Value => {
  const [batch, n, channels] = tokens.shape
  const size = channels / heads
  const x = ctx.get(tokens, layout)
  if (layout === "rows") {
    const apart = E.reshape(ctx.b, x, [batch / ctx.lanes, n, ctx.lanes, heads, size])
    return E.reshape(ctx.b, E.transpose(ctx.b, apart, [0, 2, 3, 1, 4]), [batch, heads, n, size])
  }
  return E.transpose(ctx.b, E.reshape(ctx.b, x, [batch, n, heads, size]), [0, 2, 1, 3])
}

/** `[batch, heads, tokens, head size]` as the tensor it stands for. */
const join = (ctx: Context, node: Tensor.Tensor, layout: Layout, heads: number, x: Value): Lowered => {
  const [batch, n, channels] = node.shape
  const size = channels / heads
  if (layout === "rows") {
    const apart = E.reshape(ctx.b, x, [batch / ctx.lanes, ctx.lanes, heads, n, size])
    const moved = E.transpose(ctx.b, apart, [0, 3, 1, 2, 4])
    return { layout, value: E.reshape(ctx.b, moved, physicalShape(layout, node.shape, ctx.lanes)) }
  }
  return plain(E.reshape(ctx.b, E.transpose(ctx.b, x, [0, 2, 1, 3]), node.shape))
}

const attentionLayout = (ctx: Context, query: Tensor.Tensor): Layout =>
  ctx.allows("rows", query.shape) ? "rows" : "plain"

/** softmax(scale·q·kᵀ + mask), `[batch, heads, queries, keys]`. */
const probabilities = (
  ctx: Context,
  layout: Layout,
  { heads, scale }: { readonly heads: number; readonly scale: number },
  query: Tensor.Tensor,
  key: Tensor.Tensor,
  mask: Tensor.Tensor | undefined
): Value => {
  const { b } = ctx
  const scaled = product(ctx, split(ctx, query, layout, heads), split(ctx, key, layout, heads), {
    transB: true,
    alpha: scale
  })
  if (mask === undefined) return E.alongLast(b, "Softmax", scaled)
  const [groups, keys] = mask.shape
  const [batch, , queries] = scaled.shape
  const grouped = E.reshape(b, scaled, [batch / groups, groups, heads * queries, keys])
  const masked = E.add(b, grouped, E.reshape(b, ctx.plain(mask), [1, groups, 1, keys]))
  return E.alongLast(b, "Softmax", E.reshape(b, masked, scaled.shape))
}

/** d·vᵀ − along, `along` one number per row. Where the result is much larger than the factors the subtraction goes along as one feature more. */
const lessAlong = (ctx: Context, d: Value, v: Value, along: Value): Value => {
  const { b } = ctx
  const [batch, heads, keys, size] = v.shape
  if (keys < 4 * size) return E.sub(b, product(ctx, d, v, { transB: true }), along)
  const ones = b.constant(onesOf(batch * heads * keys), [batch, heads, keys, 1])
  const [wide, tall] = [E.concat(b, [d, E.unary(b, "Neg", along)], 3), E.concat(b, [v, ones], 3)]
  return product(ctx, wide, tall, { transB: true })
}

const onesBySize = new Map<number, Float32Array>()

const onesOf = (size: number): Float32Array => {
  const known = onesBySize.get(size) ?? new Float32Array(size).fill(1)
  onesBySize.set(size, known)
  return known
}

/**
 * alpha · xᵀ·y. With a large x it is three times as fast to have x as the second factor and turn the narrow result, unless x's rows lie a
 * multiple of a memory page apart.
 */
const transposedProduct = (ctx: Context, x: Value, y: Value, alpha = 1): Value => {
  const [rows, columns] = x.shape.slice(2)
  if (ctx.block === 0 || rows * columns < 8_192 || columns % 1024 === 0)
    return product(ctx, x, y, { transA: true, alpha })
  return E.swapLastTwo(ctx.b, product(ctx, y, x, { transA: true, alpha }))
}

export const rules = {
  matmul: (node, ctx) => {
    const [x, y] = node.inputs
    const { transposeA, transposeB } = node.attributes
    if (x.shape.length === 2 && y.shape.length === 2)
      return plain(E.gemm(ctx.b, ctx.plain(x), ctx.plain(y), { transA: transposeA, transB: transposeB }))
    const side = (t: Tensor.Tensor, transposed: boolean) =>
      transposed ? E.swapLastTwo(ctx.b, ctx.plain(t)) : ctx.plain(t)
    return plain(E.matmul(ctx.b, side(x, transposeA), side(y, transposeB)))
  },
  linear: (node, ctx) => {
    const [x, weight, bias] = node.inputs
    const w = ctx.plain(weight)
    const c = bias === undefined ? undefined : ctx.plain(bias)
    if (ctx.layoutOf(x) === "channels" && ctx.allows("channels", node.shape))
      return fromChannelRows(
        ctx,
        node,
        E.gemm(ctx.b, w, channelRows(ctx, x), c === undefined ? {} : { c: column(ctx, c) })
      )
    return fromFeatureRows(
      ctx,
      node,
      E.gemm(ctx.b, featureRows(ctx, x), w, { transB: true, ...(c === undefined ? {} : { c }) })
    )
  },
  linearGradInput: (node, ctx) => {
    const [dy, weight] = node.inputs
    const w = ctx.plain(weight)
    if (ctx.layoutOf(dy) === "channels" && ctx.allows("channels", node.shape))
      return fromChannelRows(ctx, node, E.gemm(ctx.b, w, channelRows(ctx, dy), { transA: true }))
    const { factor, rows } = scaledFeatureRows(ctx, dy)
    return fromFeatureRows(ctx, node, E.gemm(ctx.b, rows, factor === undefined ? w : E.mul(ctx.b, w, factor)))
  },
  linearGradWeight: (node, ctx) => {
    const [dy, x] = node.inputs
    if ([dy, x].every((t) => ctx.layoutOf(t) === "channels"))
      return plain(E.gemm(ctx.b, channelRows(ctx, dy), channelRows(ctx, x), { transB: true }))
    const { factor, rows } = scaledFeatureRows(ctx, dy)
    const product = E.gemm(ctx.b, rows, featureRows(ctx, x), { transA: true })
    return plain(factor === undefined ? product : E.mul(ctx.b, product, factor))
  },
  attention: (node, ctx) => {
    const [query, key, value, mask] = node.inputs
    const { heads } = node.attributes
    const layout = attentionLayout(ctx, query)
    const p = probabilities(ctx, layout, node.attributes, query, key, mask)
    return join(ctx, node, layout, heads, E.matmul(ctx.b, p, split(ctx, value, layout, heads)))
  },
  attentionGrad: (node, ctx) => {
    const { b } = ctx
    const [dy, query, key, value, mask] = node.inputs
    const { heads, scale, of } = node.attributes
    const layout = attentionLayout(ctx, query)
    const p = probabilities(ctx, layout, node.attributes, query, key, mask)
    const d = split(ctx, dy, layout, heads)
    if (of === "value") return join(ctx, node, layout, heads, transposedProduct(ctx, p, d))
    // Through the softmax: dS = P ∘ (dP − Σ dP ∘ P), where the sum over the keys is that of dy ∘ y over the features.
    const v = split(ctx, value, layout, heads)
    const along = E.sum(b, E.mul(b, d, E.matmul(b, p, v)), [3], true)
    const ds = E.mul(b, p, lessAlong(ctx, d, v, along))
    const dx =
      of === "query"
        ? product(ctx, ds, split(ctx, key, layout, heads), { alpha: scale })
        : transposedProduct(ctx, ds, split(ctx, query, layout, heads), scale)
    return join(ctx, node, layout, heads, dx)
  }
} satisfies Partial<Rules>
