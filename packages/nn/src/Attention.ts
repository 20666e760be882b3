/** Multi-head attention over tokens `[batch, tokens, channels]`. */
import { Op, Shape, type Tensor } from "@uninet/graph"
import * as Elementary from "@uninet/search-space/elementary"
import { fail, type Layer } from "./Layer.ts"
import { linear } from "./Linear.ts"
import * as Scope from "./Scope.ts"

/**
 * Scaled dot-product attention with heads of `headDim` channels: scores times headDim^-½, plus a mask `[groups, keys]` or `[groups, queries, keys]` if there is one, as in `Op.attention`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * // Two heads of 32 channels: 10 queries look at 49 keys.
 * const query = Op.input("query", [8, 10, 64])
 * const key = Op.input("key", [8, 49, 64])
 * const value = Op.input("value", [8, 49, 64])
 * console.log(Nn.attend(Scope.make("training", "attn"), 32, query, key, value).shape) // [ 8, 10, 64 ]
 * ```
 */
export const attend = (
  scope: Scope.Scope,
  headDim: number,
  query: Tensor.Tensor,
  key: Tensor.Tensor,
  value: Tensor.Tensor,
  mask?: Tensor.Tensor
): Tensor.Tensor => {
  if (!isTokens(query.shape)) return noTokens(scope, query)
  const [, , channels] = query.shape
  if (channels % headDim !== 0)
    return fail(scope, "attention", query, `${channels} channels do not divide evenly into heads of ${headDim}`)
  return Op.attention(
    query,
    key,
    value,
    { heads: channels / headDim, scale: Elementary.pow(headDim, -0.5), mask },
    scope.path
  )
}

/** Gives part `i` of the last axis, cut into parts of this length. */
const parts = (x: Tensor.Tensor, length: number, path: string) => (i: number) =>
  Op.slice(x, x.shape.length - 1, i * length, (i + 1) * length, path)

const isTokens = Shape.hasRank(3)
const noTokens = (scope: Scope.Scope, x: Tensor.Tensor) =>
  fail(scope, "attention", x, "query, key and value must be [batch×tokens×channels]")

/**
 * A mask `[1, tokens, tokens]` under which a token attends to itself and to earlier tokens. The program computes it from two rows of numbers: a constant would take the square of that, and
 * one for every layer.
 */
const causalMask = (tokens: number, path: string): Tensor.Tensor => {
  const places = Float32Array.from({ length: tokens }, (_, i) => i)
  const later = Op.greater(Op.constant(places, [1, 1, tokens], path), Op.constant(places, [1, tokens, 1], path), path)
  return Op.scale(later, -1e9, path)
}

/**
 * Self-attention: query, key and value of every token from one linear layer `qkv`, and the output projection `proj`.
 *
 * Heads have `headDim` channels, which must divide the token's channels. `causal` (default false): a token attends only to itself and to earlier tokens.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const tokens = Op.input("tokens", [8, 49, 64])
 * console.log(Nn.selfAttention(Scope.at("attn")(scope), { headDim: 32, causal: true })(tokens).shape) // [ 8, 49, 64 ]
 * ```
 */
export const selfAttention =
  (scope: Scope.Scope, { causal = false, headDim }: { readonly headDim: number; readonly causal?: boolean }): Layer =>
  (x) => {
    if (!isTokens(x.shape)) return noTokens(scope, x)
    const [, tokens, channels] = x.shape
    const mask = causal && tokens >= 1 ? causalMask(tokens, scope.path) : undefined
    const part = parts(linear(Scope.at("qkv")(scope), { out: 3 * channels })(x), channels, scope.path)
    return linear(Scope.at("proj")(scope), { out: channels })(attend(scope, headDim, part(0), part(1), part(2), mask))
  }

/**
 * Attention of `query` to all of `x`: key and value from one linear layer `kv`, and the output projection `proj`.
 *
 * `query` `[batch, queries, channels]` keeps its shape; `x` `[batch, tokens, ...]` may have other channels.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * // A decoder's 10 queries gather what they want from 49 tokens of a wider encoder.
 * const query = Op.input("query", [8, 10, 64])
 * const decode = Nn.crossAttention(Scope.make("training", "decoder"), { headDim: 32, query })
 * console.log(decode(Op.input("tokens", [8, 49, 256])).shape) // [ 8, 10, 64 ]
 * ```
 */
export const crossAttention =
  (scope: Scope.Scope, { headDim, query }: { readonly headDim: number; readonly query: Tensor.Tensor }): Layer =>
  (x) => {
    if (!isTokens(query.shape)) return noTokens(scope, query)
    const [, , channels] = query.shape
    const part = parts(linear(Scope.at("kv")(scope), { out: 2 * channels })(x), channels, scope.path)
    return linear(Scope.at("proj")(scope), { out: channels })(attend(scope, headDim, query, part(0), part(1)))
  }

/** An image's rows or columns cut into windows: how many, how long, and what is left over at the end. */
const cut = (length: number, window: number) => {
  // One window larger than the image would give the same result at a higher cost: the rest is padding and mask.
  const size = Math.min(window, length)
  const count = Math.ceil(length / size)
  return { size, count, padding: count * size - length }
}

/**
 * Self-attention inside non-overlapping windows of `window` × `window` tokens, over the tokens of a `height` × `width` image.
 *
 * The image is padded with zeros at the bottom and the right to a multiple of the window; no token attends to padding. Parameters as in
 * `selfAttention`.
 */
export const windowAttention =
  (
    scope: Scope.Scope,
    options: { readonly headDim: number; readonly window: number; readonly height: number; readonly width: number }
  ): Layer =>
  (x) => {
    const { headDim, window, height, width } = options
    const { path } = scope
    if (!isTokens(x.shape)) return noTokens(scope, x)
    const [batch, , channels] = x.shape
    const rows = cut(height, window)
    const columns = cut(width, window)
    const [paddedHeight, paddedWidth] = [height + rows.padding, width + columns.padding]
    const tokens = rows.size * columns.size
    const windows = rows.count * columns.count

    // Only the attention itself works on padded windows: the linear layers see every token once.
    const qkv = linear(Scope.at("qkv")(scope), { out: 3 * channels })(x)
    const image = Op.reshape(qkv, [batch, height, width, 3 * channels], path)
    const padded = Op.pad(image, [0, 0, 0, 0], [0, rows.padding, columns.padding, 0], path)
    const grid = Op.reshape(padded, [batch, rows.count, rows.size, columns.count, columns.size, 3 * channels], path)
    const inWindows = Op.reshape(
      Op.transpose(grid, [0, 1, 3, 2, 4, 5], path),
      [batch * windows, tokens, 3 * channels],
      path
    )
    const part = parts(inWindows, channels, path)
    const mask =
      rows.padding + columns.padding === 0 || x.fault !== undefined
        ? undefined
        : Op.constant(paddingMask(rows, columns, height, width), [windows, tokens], path)
    const attended = attend(scope, headDim, part(0), part(1), part(2), mask)

    const back = Op.reshape(attended, [batch, rows.count, columns.count, rows.size, columns.size, channels], path)
    const whole = Op.reshape(
      Op.transpose(back, [0, 1, 3, 2, 4, 5], path),
      [batch, paddedHeight, paddedWidth, channels],
      path
    )
    const cropped = Op.slice(Op.slice(whole, 1, 0, height, path), 2, 0, width, path)
    return linear(Scope.at("proj")(scope), { out: channels })(
      Op.reshape(cropped, [batch, height * width, channels], path)
    )
  }

/** Per window and token, what is added to its scores as a key: 0, or a number so low that the softmax leaves nothing of it. */
const paddingMask = (
  rows: ReturnType<typeof cut>,
  columns: ReturnType<typeof cut>,
  height: number,
  width: number
): Float32Array => {
  const mask = new Float32Array(rows.count * columns.count * rows.size * columns.size)
  let i = 0
  for (let row = 0; row < rows.count; row++)
    for (let column = 0; column < columns.count; column++)
      for (let y = row * rows.size; y < (row + 1) * rows.size; y++)
        for (let x = column * columns.size; x < (column + 1) * columns.size; x++)
          mask[i++] = y < height && x < width ? 0 : -1e9
  return mask
}
