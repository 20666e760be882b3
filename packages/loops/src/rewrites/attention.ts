/** Attention and its gradients as per-head products and softmax. */
import { Op, Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import { divisorUpTo } from "../lower/products.ts"
import type { Rewrite } from "../Rewrite.ts"
import { shares } from "./softmax.ts"

/** Tokens `[batch, tokens, channels]` as `[batch, heads, tokens, head size]`. */
const split = (tokens: Tensor.Tensor, heads: number, path: string) => {
  const [batch, n, channels] = Shape.ofRank(3)(tokens.shape)
  return Op.transpose(Op.reshape(tokens, [batch, n, heads, channels / heads], path), [0, 2, 1, 3], path)
}

/** The reverse. */
const joined = (x: Tensor.Tensor, path: string) => {
  const [batch, heads, n, size] = Shape.ofRank(4)(x.shape)
  return Op.reshape(Op.transpose(x, [0, 2, 1, 3], path), [batch, n, heads * size], path)
}

/**
 * exp(scale·q·kᵀ + mask − the largest of a row), `[batch, heads, queries, keys]`, and the reciprocal of the sum of every row. The attention weights are their product, which is never stored: instead of
 * multiplying by the weights, multiply by the exponentials, and then each query's result, of which there are few, by its reciprocal.
 */
const weights = (
  { heads, scale }: { readonly heads: number; readonly scale: number },
  [query, key, , mask]: Tensor.Inputs["attention"],
  path: string
) => {
  const scores = Op.scale(
    Op.matmul(split(query, heads, path), split(key, heads, path), { transposeB: true }, path),
    scale,
    path
  )
  const [batch, , queries, keys] = Shape.ofRank(4)(scores.shape)
  const masked = () => {
    if (mask === undefined) return scores
    const groups = Arr.getUnsafe(mask.shape, 0)
    const grouped = Op.reshape(scores, [batch / groups, groups, heads, queries, keys], path)
    const entries = [1, groups, 1, mask.shape.length === 2 ? 1 : queries, keys]
    return Op.reshape(Op.add(grouped, Op.reshape(mask, entries, path), path), scores.shape, path)
  }
  return shares(masked(), path)
}

/** With fewer scores per head, it is not worth the trouble. */
const manyScores = 2048

/** How many tokens are processed together: the largest divisor of their number up to 64. */
export const pieceOf = (tokens: number): number => divisorUpTo(tokens, 64)

/** Whether an attention is left to the loops that take a few queries and keys at a time. An attention with a mask, or whose tokens cannot be divided into pieces, is not. */
const inPieces = ({ heads }: { readonly heads: number }, [query, key, , mask]: Tensor.Inputs["attention"]): boolean => {
  const [, queries, channels] = Shape.ofRank(3)(query.shape)
  const keys = Arr.getUnsafe(key.shape, 1)
  const pieces = [queries, keys].map(pieceOf)
  return mask === undefined && channels > heads && queries * keys >= manyScores && pieces.every((n) => n >= 4)
}

export const rewrite: Rewrite = {
  name: "attention",
  summary:
    "attention as products per head, exponentials and divisions by their sums; attention with many scores is left to loops over some queries at a time",
  rules: {
    attention: ({ attributes, inputs, path }) => {
      if (inPieces(attributes, inputs)) return undefined
      const { powers, share } = weights(attributes, inputs, path)
      const y = Op.matmul(powers, split(inputs[2], attributes.heads, path), {}, path)
      return joined(Op.mul(y, share, path), path)
    },
    attentionGrad: ({ attributes, inputs: [dy, ...inputs], path }) => {
      const { heads, of, scale } = attributes
      const [query, key, value] = inputs
      if (inPieces(attributes, inputs)) return undefined
      const { powers, share } = weights(attributes, inputs, path)
      const d = split(dy, heads, path)
      if (of === "value") return joined(Op.matmul(powers, Op.mul(d, share, path), { transposeA: true }, path), path)
      // Through the softmax: dS = P ∘ (dP − Σ dP ∘ P), and that sum over the keys is Σ dy ∘ y over a head's features.
      const v = split(value, heads, path)
      const dp = Op.matmul(d, v, { transposeB: true }, path)
      const y = Op.mul(Op.matmul(powers, v, {}, path), share, path)
      const along = Op.sum(Op.mul(d, y, path), [3], true, path)
      const p = Op.mul(powers, share, path)
      const ds = Op.scale(Op.mul(p, Op.sub(dp, along, path), path), scale, path)
      return of === "query"
        ? joined(Op.matmul(ds, split(key, heads, path), {}, path), path)
        : joined(Op.matmul(ds, split(query, heads, path), { transposeA: true }, path), path)
    }
  }
}
