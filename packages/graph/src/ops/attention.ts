/** Multi-head scaled dot-product attention and its gradient. */
import { Flops, Macs } from "../Cost.ts"
import { apply, define, type Definitions } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"

interface Heads {
  readonly heads: number
  /** The factor applied to the dot products; usually head size to the power of −½. */
  readonly scale: number
}

export interface Attributes {
  /**
   * Inputs `[query, key, value, mask?]`: `[batch, queries, channels]`, `[batch, keys, channels]` twice, and a mask `[groups, keys]` or
   * `[groups, queries, keys]` added to the scores: batch entry `i` gets mask entry `i mod groups`. Channels are split into heads in order.
   */
  readonly attention: Heads
  /** Inputs `[dy, query, key, value, mask?]` → the gradient with respect to one of the three. */
  readonly attentionGrad: Heads & { readonly of: "query" | "key" | "value" }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly attention: readonly [query: Tensor, key: Tensor, value: Tensor, ...mask: ReadonlyArray<Tensor>]
  readonly attentionGrad: readonly [
    dy: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ...mask: ReadonlyArray<Tensor>
  ]
}

/** Whether a mask has an entry per key, or per query and key, and its number of groups divides the batch. */
const fits = ({ shape: [groups = 0, ...entry] }: Tensor, batch: number, queries: number, keys: number) =>
  (Shape.equals(entry, [keys]) || Shape.equals(entry, [queries, keys])) && batch % groups === 0

const tokens = ({ shape }: Tensor) => Shape.ofRank(3)(shape)

/** Multiply-accumulates of one product of queries and keys. */
const product = (query: Tensor, key: Tensor) => Shape.size(query.shape) * tokens(key)[1]
const scores = ({ heads }: Heads, query: Tensor, key: Tensor) => {
  const [batch, queries] = tokens(query)
  return heads * batch * queries * tokens(key)[1]
}

export const definitions: Definitions<Attributes> = {
  attention: define("attention", {
    shape: ({ heads, scale }, [query, key, value, mask]) => {
      if (!Number.isFinite(scale)) return "the scale must be finite"
      const isTokens = Shape.hasRank(3)
      if (!isTokens(query.shape) || !isTokens(key.shape) || !isTokens(value.shape))
        return "query, key and value must be [batch×tokens×channels]"
      const [batch, queries, channels] = query.shape
      const keys = key.shape[1]
      if (!Shape.equals(key.shape, value.shape)) return "key and value must have the same shape"
      if (key.shape[0] !== batch || key.shape[2] !== channels) return "query and key must agree on batch and channels"
      if (!Number.isInteger(heads) || heads < 1 || channels % heads !== 0)
        return `${channels} channels do not divide evenly into ${heads} heads`
      if (mask !== undefined && !fits(mask, batch, queries, keys))
        return `the mask must be [groups×${keys}] or [groups×${queries}×${keys}] with groups dividing ${batch}`
      return query.shape
    },
    cost: (y) => {
      const [query, key] = y.inputs
      const macs = 2 * product(query, key)
      return {
        macs: Macs(macs),
        flops: Flops(2 * macs + 9 * scores(y.attributes, query, key)),
        fvcore: { operator: "matmul", count: macs }
      }
    },
    gradient: (y, dy) => {
      const of = (of: Attributes["attentionGrad"]["of"]) =>
        apply(definitions.attentionGrad, { ...y.attributes, of }, [dy, ...y.inputs], y.path)
      return [of("query"), of("key"), of("value"), null].slice(0, y.inputs.length)
    }
  }),
  attentionGrad: define("attentionGrad", {
    shape: ({ of }, [, query, key]) => (of === "query" ? query.shape : key.shape),
    // Counted as if the gradients shared only the scores: the value's gradient needs one product, each of the other two needs two, with half of a shared one.
    cost: (y) => {
      const [, query, key] = y.inputs
      const macs = (y.attributes.of === "value" ? 1 : 1.5) * product(query, key)
      return { macs: Macs(macs), flops: Flops(2 * macs + 4 * scores(y.attributes, query, key)) }
    },
    gradient: "unsupported"
  })
}

/**
 * Multi-head attention: softmax(scale · q·kᵀ + mask)·v per head.
 *
 * Query `[batch, queries, channels]`, key and value `[batch, keys, channels]` → `[batch, queries, channels]`. A mask, `[groups, keys]` for all queries alike or
 * `[groups, queries, keys]`, is added to the scores: batch entry `i` gets mask entry `i mod groups`. 0 lets a query attend to a key; −1e9 masks it out.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * // Four heads of 32 channels; 10 queries look at 49 keys, of which a mask hides the last 9.
 * const query = Op.input("query", [8, 10, 128])
 * const key = Op.input("key", [8, 49, 128])
 * const value = Op.input("value", [8, 49, 128])
 * const mask = Op.constant(Float32Array.from({ length: 49 }, (_, i) => (i < 40 ? 0 : -1e9)), [1, 49])
 * console.log(Op.attention(query, key, value, { heads: 4, scale: 32 ** -0.5, mask }).shape) // [ 8, 10, 128 ]
 * ```
 */
export const attention = (
  query: Tensor,
  key: Tensor,
  value: Tensor,
  attributes: Attributes["attention"] & { readonly mask?: Tensor | undefined },
  path = query.path
): Tensor<"attention"> => {
  const { heads, scale, mask } = attributes
  return apply(
    definitions.attention,
    { heads, scale },
    mask === undefined ? [query, key, value] : [query, key, value, mask],
    path
  )
}
