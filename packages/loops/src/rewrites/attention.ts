/** Attention and its gradients as products per head and softmax. */
import { Op, type Tensor } from "@uninet/graph"
import type { Rewrite } from "../Rewrite.ts"

/** Tokens `[batch, tokens, channels]` as `[batch, heads, tokens, head size]`. */
const split = (tokens: Tensor.Tensor, heads: number, path: string) => {
  const [batch, n, channels] = tokens.shape
  return Op.transpose(Op.reshape(tokens, [batch, n, heads, channels / heads], path), [0, 2, 1, 3], path)
}

/** And back. */
const joined = (x: Tensor.Tensor, path: string) => {
  const [batch, heads, n, size] = x.shape
  return Op.reshape(Op.transpose(x, [0, 2, 1, 3], path), [batch, n, heads * size], path)
}

/** softmax(scale·q·kᵀ + mask), `[batch, heads, queries, keys]`. */
const weights = (
  { heads, scale }: { readonly heads: number; readonly scale: number },
  [query, key, , mask]: ReadonlyArray<Tensor.Tensor>,
  path: string
) => {
  const scores = Op.scale(
    Op.matmul(split(query, heads, path), split(key, heads, path), { transposeB: true }, path),
    scale,
    path
  )
  if (mask === undefined) return Op.softmax(scores, path)
  const [batch, , queries, keys] = scores.shape
  const [groups] = mask.shape
  const grouped = Op.reshape(scores, [batch / groups, groups, heads, queries, keys], path)
  const entries = [1, groups, 1, mask.shape.length === 2 ? 1 : queries, keys]
  return Op.softmax(Op.reshape(Op.add(grouped, Op.reshape(mask, entries, path), path), scores.shape, path), path)
}

export const rewrite: Rewrite = {
  name: "attention",
  summary: "attention as products per head and softmax",
  rules: {
    attention: ({ attributes, inputs, path }) => {
      const p = weights(attributes, inputs, path)
      return joined(Op.matmul(p, split(inputs[2], attributes.heads, path), {}, path), path)
    },
    attentionGrad: ({ attributes, inputs: [dy, ...inputs], path }) => {
      const { heads, of, scale } = attributes
      const [query, key, value] = inputs
      const p = weights(attributes, inputs, path)
      const d = split(dy, heads, path)
      if (of === "value") return joined(Op.matmul(p, d, { transposeA: true }, path), path)
      // Through the softmax: dS = P ∘ (dP − Σ dP ∘ P).
      const dp = Op.matmul(d, split(value, heads, path), { transposeB: true }, path)
      const along = Op.sum(Op.mul(dp, p, path), [3], true, path)
      const ds = Op.scale(Op.mul(p, Op.sub(dp, along, path), path), scale, path)
      return of === "query"
        ? joined(Op.matmul(ds, split(key, heads, path), {}, path), path)
        : joined(Op.matmul(ds, split(query, heads, path), { transposeA: true }, path), path)
    }
  }
}
