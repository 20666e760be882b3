/**
 * Full convolutions as one matrix product over patches.
 *
 * With channels outermost and whole blocks of images innermost, the input at one tap of the kernel is a slice in long contiguous pieces. The taps one
 * above the other are a matrix `[taps · channels, positions]`, and the convolution, its weight gradient and the gradient of the patches are each one
 * `Gemm`. Beside ONNX Runtime's convolution this saves moving the image to its layout and back.
 */
import type { Op, Shape, Tensor } from "@uninet/graph"
import type { Value } from "../internal/builder.ts"
import { type Context, type PartialRules, plain, scaledRows, scaleRows } from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import { physicalShape } from "../internal/layout.ts"

type Attributes = Op.Window & { readonly groups: number }

const applies = (ctx: Context, image: Shape.Shape, weight: Shape.Shape, { groups }: Attributes) =>
  groups === 1 &&
  weight[2] * weight[3] > 1 &&
  ctx.block > 1 &&
  ctx.lanes === ctx.block &&
  image[0] % ctx.lanes === 0 &&
  ctx.allows("channels", image)

/** The offset of every tap of a kernel, rows first. */
const taps = ([, , height, width]: Shape.Shape): ReadonlyArray<readonly [number, number]> =>
  Array.from({ length: height * width }, (_, i) => [Math.floor(i / width), i % width] as const)

/** The input at every tap, `[taps · channels, positions]`. */
const patches = (
  ctx: Context,
  x: Tensor.Tensor,
  weight: Shape.Shape,
  output: Shape.Shape,
  { padding, stride }: Attributes
): Value => {
  const { b } = ctx
  const [top, left, bottom, right] = padding
  const padded = E.pad(b, ctx.get(x, "channels"), [0, 0, top, left, 0], [0, 0, bottom, right, 0])
  const [, , height, width] = output
  const positions = output[0] * height * width
  const cuts = taps(weight).map(([row, column]) => {
    const cut = E.slice(b, padded, [
      { axis: 2, start: row, end: row + (height - 1) * stride[0] + 1, step: stride[0] },
      { axis: 3, start: column, end: column + (width - 1) * stride[1] + 1, step: stride[1] }
    ])
    return E.reshape(b, cut, [x.shape[1], positions])
  })
  return E.concat(b, cuts, 0)
}

/** A kernel `[out, in, kh, kw]` as a matrix `[out, taps · in]`. */
const matrix = (ctx: Context, weight: Tensor.Tensor): Value => {
  const [out, channels, height, width] = weight.shape
  return E.reshape(ctx.b, E.transpose(ctx.b, ctx.plain(weight), [0, 2, 3, 1]), [out, height * width * channels])
}

export const rules = {
  conv2d: (node, ctx) => {
    const [x, weight, bias] = node.inputs
    if (!applies(ctx, x.shape, weight.shape, node.attributes)) return undefined
    const columns = patches(ctx, x, weight.shape, node.shape, node.attributes)
    const c = bias === undefined ? {} : { c: E.reshape(ctx.b, ctx.plain(bias), [weight.shape[0], 1]) }
    const y = E.gemm(ctx.b, matrix(ctx, weight), columns, c)
    return { layout: "channels", value: E.reshape(ctx.b, y, physicalShape("channels", node.shape, ctx.lanes)) }
  },
  conv2dGradWeight: (node, ctx) => {
    const [dy, x] = node.inputs
    const { weightShape } = node.attributes
    if (!applies(ctx, x.shape, weightShape, node.attributes)) return undefined
    const columns = patches(ctx, x, weightShape, dy.shape, node.attributes)
    const [out, channels, height, width] = weightShape
    const { factor, rows } = scaledRows(ctx, dy)
    const product = scaleRows(ctx, E.gemm(ctx.b, rows, columns, { transB: true }), factor)
    return plain(E.transpose(ctx.b, E.reshape(ctx.b, product, [out, height, width, channels]), [0, 3, 1, 2]))
  },
  // Every tap's share of the patches' gradient goes back to where the tap took it from.
  conv2dGradInput: (node, ctx) => {
    const { b, lanes } = ctx
    const [dy, weight] = node.inputs
    const { inputShape, padding, stride } = node.attributes
    if (!applies(ctx, inputShape, weight.shape, node.attributes) || stride.some((s) => s !== 1)) return undefined
    const [batch, channels, height, width] = inputShape
    const [, , h, w] = dy.shape
    const { factor, rows: dRows } = scaledRows(ctx, dy)
    const d = E.gemm(b, scaleRows(ctx, matrix(ctx, weight), factor), dRows, { transA: true })
    const [top, left, bottom, right] = padding
    const shares = taps(weight.shape).map(([row, column], tap) => {
      const rows = E.slice(b, d, [{ axis: 0, start: tap * channels, end: (tap + 1) * channels }])
      const image = E.reshape(b, rows, [channels, batch / lanes, h, w, lanes])
      return E.pad(
        b,
        image,
        [0, 0, row, column, 0],
        [0, 0, height + top + bottom - h - row, width + left + right - w - column, 0]
      )
    })
    const dx = E.slice(b, E.total(b, shares), [
      { axis: 2, start: top, end: top + height },
      { axis: 3, start: left, end: left + width }
    ])
    return { layout: "channels", value: dx }
  }
} satisfies PartialRules
