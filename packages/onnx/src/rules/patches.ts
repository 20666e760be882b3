/**
 * Full convolutions as one matrix product over patches.
 *
 * With channels outermost and whole blocks of images innermost, the input at one tap of the kernel is a slice in long contiguous pieces. Stacked, the taps
 * form a matrix with one row per tap and channel, and the convolution, its weight gradient and the gradient of the patches are
 * one `Gemm` each. Compared with ONNX Runtime's convolution, this saves moving the image to its layout and back.
 */
import { type Op, Shape, type Tensor } from "@uninet/graph"
import { once } from "../internal/arrays.ts"
import { node as blocked } from "../internal/blocks.ts"
import type { Value } from "../internal/builder.ts"
import { type Context, fromChannelRows, type PartialRules, plain, channelRows } from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import { physicalShape } from "../internal/layout.ts"

const lengths = Shape.ofRank(4)

/** The input at every tap, `[kw · channels · kh, positions]`: copied column by column of the kernel, then all its rows at once in long pieces. */
const patches = (
  ctx: Context,
  x: Tensor.Tensor,
  [, , kh, kw]: Shape.OfRank<4>,
  [batch, , height, width]: Shape.OfRank<4>,
  { dilation, padding, stride }: Op.Convolution
): Value => {
  const { b, lanes } = ctx
  const [top, left, bottom, right] = padding
  const padded = E.pad(b, ctx.get(x, "channels"), [0, 0, top, left, 0], [0, 0, bottom, right, 0])
  const [channels, groups, rows] = Shape.ofRank(5)(padded.shape)
  const columns = Array.from({ length: kw }, (_, column) =>
    E.slice(b, padded, [
      {
        axis: 3,
        start: column * dilation[1],
        end: column * dilation[1] + (width - 1) * stride[1] + 1,
        step: stride[1]
      }
    ])
  )
  const lines = E.reshape(b, E.concat(b, columns, 0), [kw * channels, groups * rows, width * lanes])
  const taken = Array.from({ length: kh * groups * height }, (_, i) => {
    const [row, group, at] = [Math.floor(i / (groups * height)), Math.floor(i / height) % groups, i % height]
    return group * rows + at * stride[0] + row * dilation[0]
  })
  return E.reshape(b, E.gather(b, lines, 1, taken), [kw * channels * kh, batch * height * width])
}

/** A kernel `[out, in, kh, kw]` as a matrix `[out, kw · in · kh]`. */
const matrix = (ctx: Context, weight: Tensor.Tensor): Value => {
  const [out, ...rest] = lengths(weight.shape)
  return E.reshape(ctx.b, E.transpose(ctx.b, ctx.plain(weight), [0, 3, 1, 2]), [out, Shape.size(rest)])
}

/** For blocked kernels `[groups, 1, n, n]`: ones on the antidiagonal. */
const antidiagonal = (block: number, groups: number, n: number): Float32Array =>
  once(`antidiagonal ${block} ${groups} ${n}`, () =>
    Float32Array.from({ length: groups * n * n }, (_, i) => {
      const tap = Math.floor(i / block) % (n * n)
      return Math.floor(tap / n) + (tap % n) === n - 1 ? 1 : 0
    })
  )

/**
 * Adds up the results of a kernel's taps, `[channels · kh · kw, positions]`, at the positions of the taps: `[c, b/L, h, w, L]`. The parts of a row of taps, one below the
 * other, are added by a convolution that is dilated by the height of a part and reads each one column further to the left; then the rows are added in the same way.
 */
const addedUp = (
  ctx: Context,
  shares: Value,
  { inputShape, padding }: { readonly inputShape: Shape.Shape; readonly padding: Op.Window["padding"] },
  [kh, kw, height, width]: Shape.OfRank<4>
): Value => {
  const { b, lanes } = ctx
  const [batch, channels, inHeight, inWidth] = lengths(inputShape)
  const [top, left] = padding
  const groups = batch / lanes
  const [before, after] = [kw - 1 - left, inWidth - width + left]
  const maps = kh * channels * lanes
  const ofRows = blocked(
    ctx,
    "Conv",
    [
      E.reshape(b, shares, [1, maps, kw * groups * height, width]),
      b.constant(antidiagonal(ctx.block, maps, kw), [maps, 1, kw, kw])
    ],
    {
      kernel_shape: [kw, kw],
      dilations: [groups * height, 1],
      strides: [1, 1],
      pads: [0, before, 0, after],
      group: maps
    },
    [1, maps, groups * height, inWidth]
  )
  // Each row of taps lies one line above the one before; lines of zeros separate the images.
  const above = kh - 1 - top
  const lines = inHeight + kh - 1
  const apart = E.reshape(b, ofRows, [kh * channels * groups, height, inWidth * lanes])
  const spaced = E.pad(b, apart, [0, above, 0], [0, lines - height - above, 0])
  const each = groups * lines
  const ones = E.ones(b, [channels * lanes, 1, kh, 1])
  const sums = blocked(
    ctx,
    "Conv",
    [E.reshape(b, spaced, [1, channels * lanes, kh * each, inWidth]), ones],
    { kernel_shape: [kh, 1], dilations: [each - 1, 1], strides: [1, 1], pads: [0, 0, 0, 0], group: channels * lanes },
    [1, channels * lanes, each + kh - 1, inWidth]
  )
  const whole = E.reshape(b, sums, [channels, each + kh - 1, inWidth * lanes])
  const images = E.slice(b, whole, [{ axis: 1, start: kh - 1, end: kh - 1 + each }])
  const cut = E.slice(b, E.reshape(b, images, [channels, groups, lines, inWidth * lanes]), [
    { axis: 2, start: 0, end: inHeight }
  ])
  return E.reshape(b, cut, physicalShape("channels", inputShape, lanes))
}

export const rules = {
  conv2d: (node, ctx) => {
    const [x, weight, bias] = node.inputs
    const columns = patches(ctx, x, lengths(weight.shape), lengths(node.shape), node.attributes)
    const c = bias === undefined ? {} : { c: E.column(ctx.b, ctx.plain(bias)) }
    return fromChannelRows(ctx, node.shape, E.gemm(ctx.b, matrix(ctx, weight), columns, c))
  },
  conv2dGradWeight: (node, ctx) => {
    const [dy, x] = node.inputs
    const { weightShape } = node.attributes
    const [out, channels, height, width] = lengths(weightShape)
    const columns = patches(ctx, x, lengths(weightShape), lengths(dy.shape), node.attributes)
    const product = E.gemm(ctx.b, channelRows(ctx, dy), columns, { transB: true })
    return plain(E.transpose(ctx.b, E.reshape(ctx.b, product, [out, width, channels, height]), [0, 2, 3, 1]))
  },
  // Every tap's share of the patches' gradient goes back to the position from which the tap read.
  conv2dGradInput: (node, ctx) => {
    const { b } = ctx
    const [dy, weight] = node.inputs
    const [out, ...taps] = lengths(weight.shape)
    const [, kh, kw] = taps
    const [, , height, width] = lengths(dy.shape)
    const kernel = E.reshape(b, ctx.plain(weight), [out, Shape.size(taps)])
    const shares = E.gemm(b, kernel, channelRows(ctx, dy), { transA: true })
    const value = addedUp(ctx, shares, node.attributes, [kh, kw, height, width])
    return { layout: "channels", value }
  }
} satisfies PartialRules
