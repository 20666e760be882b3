/**
 * Attention over pieces of the batch whose scores stay in the CPU's caches. Queries, keys and values of an image are `[head size, tokens]` per head,
 * as they are laid out with channels outermost.
 */
import { Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Value } from "../internal/builder.ts"
import { type Context, type Lowered, type PartialRules, viewed } from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import { viewOf } from "../internal/layout.ts"
import * as View from "../internal/view.ts"
import { softmaxOfScores } from "./products.ts"

/** `alpha · x·y` over the last two axes; either side can be transposed. */
const product = (
  { b }: Context,
  x: Value,
  y: Value,
  {
    alpha = 1,
    transA = false,
    transB = false
  }: { readonly alpha?: number; readonly transA?: boolean; readonly transB?: boolean } = {}
): Value => {
  const shape = [
    ...x.shape.slice(0, -2),
    Arr.getUnsafe(x.shape, transA ? 3 : 2),
    Arr.getUnsafe(y.shape, transB ? 2 : 3)
  ]
  const attributes = { alpha: { float: alpha }, transA: transA ? 1 : 0, transB: transB ? 1 : 0 }
  return b.node("FusedMatMul", [x, y], attributes, [shape], "com.microsoft")[0]
}

/** Bytes of scores that are processed at once. */
const piece = 1.25 * 2 ** 20

/** Each piece adds about ten operators, which take time to prepare. */
const mostPieces = 16

/** How many pieces a batch is cut into; each contains every row of the mask equally often. */
const piecesOf = (heads: number, query: Tensor.Tensor, key: Tensor.Tensor, mask: Tensor.Tensor | undefined): number => {
  const [batch, queries] = Shape.ofRank(3)(query.shape)
  const bytes = 4 * batch * heads * queries * Arr.getUnsafe(key.shape, 1)
  const whole = batch / (mask?.shape[0] ?? 1)
  let count = 1
  while (bytes / count > piece && count < mostPieces && whole % (2 * count) === 0) count *= 2
  return count
}

/** Pieces of tokens, each `[batch, heads, head size, tokens]`. */
const split = (ctx: Context, tokens: Tensor.Tensor, heads: number, count: number): ReadonlyArray<Value> => {
  const { b } = ctx
  const [batch, n, channels] = Shape.ofRank(3)(tokens.shape)
  const apart = [batch, n, heads, channels / heads]
  const view =
    View.reshape(ctx.view(tokens), apart) ?? viewOf(E.reshape(b, ctx.plain(tokens), apart), apart, 1, "plain")
  const whole = View.laid(b, view, [0, 2, 3, 1])
  if (count === 1) return [whole]
  const shape = [batch / count, ...whole.shape.slice(1)]
  return b.node(
    "Split",
    [whole],
    { axis: 0, num_outputs: count },
    Array.from({ length: count }, () => shape)
  )
}

/** Joins pieces into the tensor that they represent. */
const joined = (ctx: Context, node: Tensor.Tensor, pieces: ReadonlyArray<Value>): Lowered => {
  const whole = E.concat(ctx.b, pieces, 0)
  return viewed(ctx, node.shape, View.make(whole, whole.shape, [[0], [3], [1, 2]]))
}

/** What the attention and its gradients have in common, piece by piece. */
const forward = (
  ctx: Context,
  { heads, scale }: { readonly heads: number; readonly scale: number },
  [query, key, value, mask]: Tensor.Inputs["attention"]
) => {
  const count = piecesOf(heads, query, key, mask)
  const [queries, keys, values] = Tensor.each((t) => split(ctx, t, heads, count))([query, key, value])
  return queries.map((q, i) => {
    const [k, v] = [Arr.getUnsafe(keys, i), Arr.getUnsafe(values, i)]
    const p = softmaxOfScores(ctx, product(ctx, q, k, { transA: true, alpha: scale }), mask)
    return { q, k, v, p, y: product(ctx, v, p, { transB: true }) }
  })
}

/** dᵀ·v − along, with one number per query in `along`. If the result is much larger than the factors, the subtraction becomes one more feature of the product. */
const lessAlong = (ctx: Context, d: Value, v: Value, along: Value): Value => {
  const { b } = ctx
  const [batch, heads, size, keys] = Shape.ofRank(4)(v.shape)
  if (keys < 4 * size) {
    const column = E.reshape(b, along, [batch, heads, Arr.getUnsafe(d.shape, 3), 1])
    return E.sub(b, product(ctx, d, v, { transA: true }), column)
  }
  const more = E.concat(b, [d, E.unary(b, "Neg", along)], 2)
  const tall = E.concat(b, [v, E.ones(b, [batch, heads, 1, keys])], 2)
  return product(ctx, more, tall, { transA: true })
}

export const rules = {
  attention: (node, ctx) =>
    joined(
      ctx,
      node,
      forward(ctx, node.attributes, node.inputs).map(({ y }) => y)
    ),
  attentionGrad: (node, ctx) => {
    const { b } = ctx
    const { heads, of, scale } = node.attributes
    const [dy, ...inputs] = node.inputs
    const pieces = forward(ctx, node.attributes, inputs)
    const gradients = split(ctx, dy, heads, pieces.length)
    const results = pieces.map(({ k, p, q, v, y }, i) => {
      const d = Arr.getUnsafe(gradients, i)
      if (of === "value") return product(ctx, d, p)
      // Through the softmax: dS = P ∘ (dP − Σ dP ∘ P), where the sum over the keys is that of dy ∘ y over the features.
      const along = E.sum(b, E.mul(b, d, y), [2], true)
      const ds = E.mul(b, p, lessAlong(ctx, d, v, along))
      return of === "query"
        ? product(ctx, k, ds, { transB: true, alpha: scale })
        : product(ctx, q, ds, { alpha: scale })
    })
    return joined(ctx, node, results)
  }
} satisfies PartialRules
