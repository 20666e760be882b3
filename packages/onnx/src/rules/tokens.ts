/** Linear layers over tokens with channels outermost, where a channel is a row and a token a column. */
import type { Tensor } from "@uninet/graph"
import { channelRows, fromChannelRows, type Lowered, type PartialRules, plain, scaleRows } from "../internal/context.ts"
import * as E from "../internal/emit.ts"

export const rules = {
  linear: (node, ctx) => {
    const [x, weight, bias] = node.inputs
    const c = bias === undefined ? {} : { c: E.column(ctx.b, ctx.plain(bias)) }
    return fromChannelRows(ctx, node.shape, E.gemm(ctx.b, ctx.plain(weight), channelRows(ctx, x), c))
  },
  linearGradInput: (node, ctx) => {
    const [dy, weight] = node.inputs
    return fromChannelRows(ctx, node.shape, E.gemm(ctx.b, ctx.plain(weight), channelRows(ctx, dy), { transA: true }))
  },
  linearGradWeight: (node, ctx) => {
    const [dy, x] = node.inputs
    return plain(E.gemm(ctx.b, channelRows(ctx, dy), channelRows(ctx, x), { transB: true }))
  },
  // Tokens by a number per feature.
  binary: (node: Tensor.Tensor<"binary">, ctx): Lowered => {
    const [x, y] = node.inputs
    const [tokens, vector] = x.shape.length === 3 ? [x, y] : [y, x]
    return fromChannelRows(ctx, node.shape, scaleRows(ctx, channelRows(ctx, tokens), ctx.plain(vector)))
  }
} satisfies PartialRules
