/** Fused ops (see `Fused.ts`) in as few passes over memory as the blocked kernels allow. */
import { Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import { affine, affineAll, blockedImage, node as blocked, rowDot } from "../internal/blocks.ts"
import type { Value } from "../internal/builder.ts"
import { channelRows, type Context, fromChannelRows, type FusedRules, plain, scaleRows } from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import { physicalShape } from "../internal/layout.ts"
import * as Fused from "../Fused.ts"
import { eachInRows } from "../Target.ts"
import { gateImage, imageRows } from "./gates.ts"

/** Weights as a matrix with one row per output. */
const matrix = (ctx: Context, w: Tensor.Tensor): Value => {
  const rows = Arr.getUnsafe(w.shape, 0)
  return E.reshape(ctx.b, ctx.plain(w), [rows, w.shape.slice(1).reduce((n, m) => n * m, 1)])
}

/** The mean of every column, `[1, columns]`. */
const columnMeans = (ctx: Context, x: Value): Value => {
  const rows = Arr.getUnsafe(x.shape, 0)
  return E.gemm(ctx.b, ctx.b.constant(new Float32Array(rows).fill(1 / rows), [1, rows]), x)
}

/** Up to this many rows, a product that subtracts the columns' means is faster than computing them first. */
const fewRows = 64

const withoutMeans = (ctx: Context, x: Value): Value => {
  const { b } = ctx
  const n = Arr.getUnsafe(x.shape, 0)
  if (n > fewRows) return E.sub(b, x, columnMeans(ctx, x))
  const centring = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0) - 1 / n)
  return E.gemm(b, b.constant(centring, [n, n]), x)
}

/** √½ · (1 + erf(u)). */
const geluShare = (ctx: Context, u: Value): Value =>
  affineAll(ctx, E.unary(ctx.b, "Erf", u), Math.SQRT1_2, Math.SQRT1_2)

export const rules: FusedRules = {
  affine: (node, ctx) => {
    const { b } = ctx
    const parts = Fused.affineOf(node)
    if (parts === undefined) return plain(ctx.plain(node))
    const rows = channelRows(ctx, parts.x)
    const [factor, offset] = [ctx.plain(parts.factor), parts.offset && ctx.plain(parts.offset)]
    const sum = parts.sum && channelRows(ctx, parts.sum)
    if (Arr.getUnsafe(rows.shape, 1) % ctx.block === 0)
      return fromChannelRows(
        ctx,
        node.shape,
        affine(ctx, rows, factor, { ...(offset && { offset }), ...(sum && { sum }) })
      )
    const scaled = E.mul(b, rows, E.column(b, factor))
    const moved = offset === undefined ? scaled : E.add(b, scaled, E.column(b, offset))
    return fromChannelRows(ctx, node.shape, sum === undefined ? moved : E.add(b, moved, sum))
  },
  shifted: ({ inputs: [x, offset], shape }, ctx) =>
    fromChannelRows(ctx, shape, affine(ctx, channelRows(ctx, x), 1, { offset: ctx.plain(offset) })),
  line: ({ attributes, inputs: [x] }, ctx) => {
    const { factor, offset } = attributes.parameters
    const layout = ctx.layoutOf(x)
    return { layout, value: affineAll(ctx, ctx.get(x, layout), factor, offset) }
  },
  rowSum: ({ inputs: [x] }, ctx) => plain(E.sum(ctx.b, channelRows(ctx, x), [1])),
  rowDot: ({ inputs: [x, y] }, ctx) => {
    const [p, q] = [channelRows(ctx, x), channelRows(ctx, y)]
    return plain(
      Arr.getUnsafe(p.shape, 1) % ctx.block === 0 ? rowDot(ctx, p, q) : E.sum(ctx.b, E.mul(ctx.b, p, q), [1])
    )
  },
  imageDot: ({ inputs: [p, q], shape }, ctx) => {
    const physical = physicalShape("channels", shape, ctx.lanes)
    if (eachInRows(ctx, p.shape)) {
      const dots = rowDot(ctx, imageRows(ctx, p), imageRows(ctx, q))
      return { layout: "channels", value: E.reshape(ctx.b, dots, physical) }
    }
    const [image, kernel] = [blockedImage(ctx, p), blockedImage(ctx, q)]
    const [, groups, height, width] = Shape.ofRank(4)(image.shape)
    const dots = blocked(
      ctx,
      "Conv",
      [image, E.reshape(ctx.b, kernel, [groups, 1, height, width])],
      { kernel_shape: [height, width], strides: [1, 1], pads: [0, 0, 0, 0], group: groups },
      [1, groups, 1, 1]
    )
    return { layout: "channels", value: E.reshape(ctx.b, dots, physical) }
  },
  gate: ({ inputs: [image, by, offset] }, ctx) => gateImage(ctx, image, by, offset),
  geluOfScaled: ({ inputs: [x] }, ctx) => {
    const layout = ctx.layoutOf(x)
    const u = ctx.get(x, layout)
    return { layout, value: E.mul(ctx.b, u, geluShare(ctx, u)) }
  },
  // The slope Φ(x) + x·φ(x) at x = √2·u is √½ · (t + √(2/π) · u/e^(u²)), where t is the GELU's factor on u.
  geluGradOfScaled: ({ inputs: [x, dy] }, ctx) => {
    const { b } = ctx
    const layout = ctx.layoutOf(x)
    const u = ctx.get(x, layout)
    const t = geluShare(ctx, u)
    const peaked = E.div(b, u, E.unary(b, "Exp", E.mul(b, u, u)))
    const slope = affineAll(ctx, peaked, Math.sqrt(2 / Math.PI), 0, t)
    return { layout, value: E.mul(b, ctx.get(dy, layout), slope) }
  },
  vectorGelu: ({ inputs: [x] }, ctx) => {
    const value = ctx.plain(x)
    return plain(ctx.b.node("Gelu", [value], {}, [value.shape], "com.microsoft")[0])
  },
  scaled: ({ inputs: [x, factor], shape }, ctx) => {
    const by = ctx.plain(factor)
    if (by.shape.length === 0) {
      const layout = ctx.layoutOf(x)
      return { layout, value: E.mul(ctx.b, ctx.get(x, layout), by) }
    }
    const rows = channelRows(ctx, x)
    return fromChannelRows(ctx, shape, shape.length === 4 ? affine(ctx, rows, by) : scaleRows(ctx, rows, by))
  },
  rowScaled: ({ inputs: [w, v], shape }, ctx) =>
    plain(E.reshape(ctx.b, scaleRows(ctx, matrix(ctx, w), ctx.plain(v)), shape)),
  columnScaled: ({ inputs: [w, v], shape }, ctx) =>
    plain(E.reshape(ctx.b, E.mul(ctx.b, matrix(ctx, w), E.row(ctx.b, ctx.plain(v))), shape)),
  vectorProduct: ({ attributes: { parameters }, inputs: [w, v, plus], shape }, ctx) => {
    const { b } = ctx
    const c = plus === undefined ? {} : { c: E.column(b, ctx.plain(plus)) }
    const transA = parameters.transposed ? { transA: true } : {}
    return plain(E.reshape(b, E.gemm(b, ctx.plain(w), E.column(b, ctx.plain(v)), { ...transA, ...c }), shape))
  },
  withoutMeans: ({ inputs: [x], shape }, ctx) => fromChannelRows(ctx, shape, withoutMeans(ctx, channelRows(ctx, x))),
  featureMeans: ({ inputs: [x], shape }, ctx) => fromChannelRows(ctx, shape, columnMeans(ctx, channelRows(ctx, x)))
}
