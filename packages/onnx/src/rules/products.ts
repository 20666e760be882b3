/** Matrix products, linear layers and attention with standard operators only. */
import { Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Value } from "../internal/builder.ts"
import {
  channelRows,
  type Context,
  featureRows,
  fromChannelRows,
  type Lowered,
  plain,
  type Rules,
  scaledFeatureRows
} from "../internal/context.ts"
import * as E from "../internal/emit.ts"

/** A matrix `[rows, features]` as the tensor it represents. */
const fromFeatureRows = (ctx: Context, node: Tensor.Tensor, value: Value): Lowered =>
  plain(E.reshape(ctx.b, value, node.shape))

/** Tokens as `[batch, heads, tokens, head size]`. */
const split = (ctx: Context, tokens: Tensor.Tensor, heads: number): Value => {
  const [batch, n, channels] = Shape.ofRank(3)(tokens.shape)
  const apart = E.reshape(ctx.b, ctx.plain(tokens), [batch, n, heads, channels / heads])
  return E.transpose(ctx.b, apart, [0, 2, 1, 3])
}

/** `[batch, heads, tokens, head size]` as the tensor it represents. */
const join = (ctx: Context, node: Tensor.Tensor, x: Value): Lowered =>
  plain(E.reshape(ctx.b, E.transpose(ctx.b, x, [0, 2, 1, 3]), node.shape))

/**
 * softmax(scores + mask) of scores `[batch, heads, queries, keys]`; batch entry `i` gets entry `i mod groups` of a mask `[groups, keys]` or `[groups, queries, keys]`.
 */
export const softmaxOfScores = (ctx: Context, scores: Value, mask: Tensor.Tensor | undefined): Value => {
  const { b } = ctx
  if (mask === undefined) return E.alongLast(b, "Softmax", scores)
  const groups = Arr.getUnsafe(mask.shape, 0)
  const [batch, heads, queries, keys] = Shape.ofRank(4)(scores.shape)
  // Axes with the same mask are joined into one.
  const [alike, apart] = mask.shape.length === 2 ? ([heads * queries, []] as const) : ([heads, [queries]] as const)
  const grouped = E.reshape(b, scores, [batch / groups, groups, alike, ...apart, keys])
  const masked = E.add(b, grouped, E.reshape(b, ctx.plain(mask), [1, groups, 1, ...apart, keys]))
  return E.alongLast(b, "Softmax", E.reshape(b, masked, scores.shape))
}

/** softmax(scale·q·kᵀ + mask), `[batch, heads, queries, keys]`. */
const probabilities = (
  ctx: Context,
  { heads, scale }: { readonly heads: number; readonly scale: number },
  query: Tensor.Tensor,
  key: Tensor.Tensor,
  mask: Tensor.Tensor | undefined
): Value => {
  const { b } = ctx
  const scores = E.matmul(b, split(ctx, query, heads), E.swapLastTwo(b, split(ctx, key, heads)))
  return softmaxOfScores(ctx, E.mul(b, scores, b.scalar(scale)), mask)
}

/** d·vᵀ − along, with one number per row in `along`. If the result is much larger than the factors, the subtraction becomes one more feature of the product. */
const lessAlong = ({ b }: Context, d: Value, v: Value, along: Value): Value => {
  const [batch, heads, keys, size] = Shape.ofRank(4)(v.shape)
  if (keys < 4 * size) return E.sub(b, E.matmul(b, d, E.swapLastTwo(b, v)), along)
  const wide = E.concat(b, [d, E.unary(b, "Neg", along)], 3)
  return E.matmul(b, wide, E.swapLastTwo(b, E.concat(b, [v, E.ones(b, [batch, heads, keys, 1])], 3)))
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
        node.shape,
        E.gemm(ctx.b, w, channelRows(ctx, x), c === undefined ? {} : { c: E.column(ctx.b, c) })
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
      return fromChannelRows(ctx, node.shape, E.gemm(ctx.b, w, channelRows(ctx, dy), { transA: true }))
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
    const p = probabilities(ctx, node.attributes, query, key, mask)
    return join(ctx, node, E.matmul(ctx.b, p, split(ctx, value, heads)))
  },
  attentionGrad: (node, ctx) => {
    const { b } = ctx
    const [dy, query, key, value, mask] = node.inputs
    const { heads, scale, of } = node.attributes
    const p = probabilities(ctx, node.attributes, query, key, mask)
    const d = split(ctx, dy, heads)
    if (of === "value") return join(ctx, node, E.matmul(b, E.swapLastTwo(b, p), d))
    // Through the softmax: dS = P ∘ (dP − Σ dP ∘ P), where the sum over the keys is that of dy ∘ y over the features.
    const v = split(ctx, value, heads)
    const along = E.sum(b, E.mul(b, d, E.matmul(b, p, v)), [3], true)
    const ds = E.mul(b, p, lessAlong(ctx, d, v, along))
    const dx =
      of === "query"
        ? E.matmul(b, ds, split(ctx, key, heads))
        : E.matmul(b, E.swapLastTwo(b, ds), split(ctx, query, heads))
    return join(ctx, node, E.mul(b, dx, b.scalar(scale)))
  }
} satisfies Partial<Rules>
