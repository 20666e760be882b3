/** Linear layers, matrix products and attention. */
import { Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import { type Context, plain, type Rules } from "../internal/context.ts"
import * as K from "../internal/kernels.ts"
import type { Value } from "../internal/plan.ts"
import { throughSoftmax } from "./basic.ts"

/** A product of two matrices; backends that are slow with transposed ones get them transposed beforehand. */
export const product = (
  { b, traits }: Context,
  x: Value,
  y: Value,
  { transposeA = false, transposeB = false }: { readonly transposeA?: boolean; readonly transposeB?: boolean } = {}
): Value => {
  if (traits.transposedProducts || x.shape.length > 2 || y.shape.length > 2)
    return K.matmul(b, x, y, { transposeA, transposeB })
  const turned = (v: Value, turn: boolean) => (turn ? K.transpose(b, v, [1, 0]) : v)
  return K.matmul(b, turned(x, transposeA), turned(y, transposeB))
}

/** xᵀ·y for two matrices with many rows each: the narrower one is transposed. */
export const crossProduct = (ctx: Context, x: Value, y: Value): Value =>
  Arr.getUnsafe(x.shape, 1) <= Arr.getUnsafe(y.shape, 1)
    ? product(ctx, x, y, { transposeA: true })
    : K.transpose(ctx.b, product(ctx, y, x, { transposeA: true }), [1, 0])

/** The last axis as columns, everything before it as rows. */
export const rows = ({ b }: Context, x: Value): Value => {
  const columns = Arr.getUnsafe(x.shape, x.shape.length - 1)
  return K.reshape(b, x, [Shape.size(x.shape) / columns, columns])
}

/** `[batch, tokens, channels]` as `[batch · heads, tokens, head size]`. */
const split = ({ b, plain: get }: Context, tensor: Tensor.Tensor, heads: number): Value => {
  const [batch, n, channels] = Shape.ofRank(3)(tensor.shape)
  const size = channels / heads
  const apart = K.transpose(b, K.reshape(b, get(tensor), [batch, n, heads, size]), [0, 2, 1, 3])
  return K.reshape(b, apart, [batch * heads, n, size])
}

const join = ({ b }: Context, node: Tensor.Tensor, heads: number, x: Value) => {
  const [batch, n, channels] = Shape.ofRank(3)(node.shape)
  const together = K.transpose(b, K.reshape(b, x, [batch, heads, n, channels / heads]), [0, 2, 1, 3])
  return plain(K.reshape(b, together, node.shape))
}

/** softmax(scale · q·kᵀ + mask), `[batch · heads, queries, keys]`. */
const probabilities = (
  ctx: Context,
  { heads, scale }: { readonly heads: number; readonly scale: number },
  query: Tensor.Tensor,
  key: Tensor.Tensor,
  mask: Tensor.Tensor | undefined
): Value => {
  const { b } = ctx
  const scaled = K.matmul(b, K.scale(b, split(ctx, query, heads), scale), split(ctx, key, heads), { transposeB: true })
  if (mask === undefined) return K.softmax(b, scaled)
  const groups = Arr.getUnsafe(mask.shape, 0)
  const [all, queries, keys] = Shape.ofRank(3)(scaled.shape)
  // Axes with the same mask are joined into one.
  const [alike, apart] = mask.shape.length === 2 ? ([heads * queries, []] as const) : ([heads, [queries]] as const)
  const grouped = K.reshape(b, scaled, [all / heads / groups, groups, alike, ...apart, keys])
  const masked = K.add(b, grouped, K.reshape(b, ctx.plain(mask), [1, groups, 1, ...apart, keys]))
  return K.softmax(b, K.reshape(b, masked, scaled.shape))
}

export const rules = {
  matmul: (node, ctx) => {
    const { b } = ctx
    const [x, y] = Tensor.each(ctx.plain)(node.inputs)
    const { transposeA, transposeB } = node.attributes
    if (x.shape.length === y.shape.length) return plain(product(ctx, x, y, node.attributes))
    // One matrix for all of the other side's: as the right-hand side it is a product of rows, as the left-hand side a batch of its own.
    if (y.shape.length === 2 && !transposeA)
      return plain(K.reshape(b, product(ctx, rows(ctx, x), y, { transposeB }), node.shape))
    const batched = (v: Value, other: Value) =>
      v.shape.length > 2
        ? v
        : K.broadcast(b, K.reshape(b, v, [...other.shape.slice(0, -2).map(() => 1), ...v.shape]), [
            ...other.shape.slice(0, -2),
            ...v.shape
          ])
    return plain(K.matmul(b, batched(x, y), batched(y, x), { transposeA, transposeB }))
  },
  linear: (node, ctx) => {
    const [x, weight, bias] = node.inputs
    const y = product(ctx, rows(ctx, ctx.plain(x)), ctx.plain(weight), { transposeB: true })
    const biased = bias === undefined ? y : K.add(ctx.b, y, ctx.plain(bias))
    return plain(K.reshape(ctx.b, biased, node.shape))
  },
  linearGradInput: (node, ctx) => {
    const [dy, weight] = node.inputs
    return plain(K.reshape(ctx.b, product(ctx, rows(ctx, ctx.plain(dy)), ctx.plain(weight)), node.shape))
  },
  linearGradWeight: (node, ctx) => {
    const [dy, x] = Tensor.each((t) => rows(ctx, ctx.plain(t)))(node.inputs)
    return plain(crossProduct(ctx, dy, x))
  },
  attention: (node, ctx) => {
    const [query, key, value, mask] = node.inputs
    const { heads } = node.attributes
    const p = probabilities(ctx, node.attributes, query, key, mask)
    return join(ctx, node, heads, K.matmul(ctx.b, p, split(ctx, value, heads)))
  },
  attentionGrad: (node, ctx) => {
    const { b } = ctx
    const [dy, query, key, value, mask] = node.inputs
    const { heads, of, scale } = node.attributes
    const p = probabilities(ctx, node.attributes, query, key, mask)
    const d = split(ctx, dy, heads)
    if (of === "value") return join(ctx, node, heads, K.matmul(b, p, d, { transposeA: true }))
    const ds = throughSoftmax(ctx, p, K.matmul(b, d, split(ctx, value, heads), { transposeB: true }))
    const dx =
      of === "query"
        ? K.matmul(b, ds, split(ctx, key, heads))
        : K.matmul(b, ds, split(ctx, query, heads), { transposeA: true })
    return join(ctx, node, heads, K.scale(b, dx, scale))
  }
} satisfies Partial<Rules>
