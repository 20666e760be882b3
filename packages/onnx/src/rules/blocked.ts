/**
 * Depthwise convolution and pooling by ONNX Runtime's blocked kernels (see `internal/blocks.ts`).
 *
 * A wrong block size gives wrong numbers silently: the runtime finds the size out before it allows these rules.
 */
import { Shape, type Tensor } from "@uninet/graph"
import { blockedImage, fromBlocked, isBlocked, node as blocked } from "../internal/blocks.ts"
import type { Value } from "../internal/builder.ts"
import { type Context, type Lowered, type PartialRules, plain } from "../internal/context.ts"
import * as E from "../internal/emit.ts"

/** A depthwise kernel `[c, 1, kh, kw]` repeated over the images of the batch, blocked. */
const blockedKernel = (ctx: Context, kernel: Value, batch: number): Value => {
  const { b, block, lanes } = ctx
  const [channels, , kh, kw] = kernel.shape
  const taps = kh * kw
  const shape = [channels * batch, 1, kh, kw]
  if (lanes === block) {
    const one = E.reshape(b, kernel, [channels, 1, taps, 1])
    return E.reshape(b, E.expand(b, one, [channels, batch / lanes, taps, lanes]), shape)
  }
  const all = E.expand(b, E.reshape(b, kernel, [channels, 1, taps]), [channels, batch, taps])
  const blocks = E.reshape(b, all, [(channels * batch) / block, block, taps])
  return E.reshape(b, E.transpose(b, blocks, [0, 2, 1]), shape)
}

/** Numbers per channel, image and tap, `[1, c·b, …taps]` in blocks, summed over the images: `[c, taps]`. */
const sumOfImages = (ctx: Context, each: Value, channels: number, batch: number, taps: number): Value => {
  const { b, block, lanes } = ctx
  if (lanes === block) return E.sum(b, E.reshape(b, each, [channels, batch / lanes, taps, lanes]), [1, 3])
  const blocks = E.reshape(b, each, [(channels * batch) / block, taps, block])
  return E.sum(b, E.reshape(b, E.transpose(b, blocks, [0, 2, 1]), [channels, batch, taps]), [1])
}

/** One number per channel repeated over the images of the batch. */
const blockedBias = (ctx: Context, bias: Value, batch: number): Value => {
  const [channels] = bias.shape
  const column = E.reshape(ctx.b, bias, [channels, 1])
  return E.reshape(ctx.b, E.expand(ctx.b, column, [channels, batch]), [channels * batch])
}

/** The kernel turned by 180°. */
const turned = (ctx: Context, kernel: Value): Value => {
  const [channels, , kh, kw] = kernel.shape
  const taps = kh * kw
  const backwards = ctx.b.constant(
    BigInt64Array.from({ length: taps }, (_, i) => BigInt(taps - 1 - i)),
    [taps]
  )
  const flat = E.reshape(ctx.b, kernel, [channels, taps])
  return E.reshape(ctx.b, ctx.b.node("Gather", [flat, backwards], { axis: 1 }, [flat.shape])[0], kernel.shape)
}

/** `step − 1` rows and columns of zeros after every row and column of a blocked image. */
const spaced = (ctx: Context, x: Value, [sh, sw]: readonly [number, number]): Value => {
  const { b, block } = ctx
  const [, channels, height, width] = x.shape
  const columns = E.reshape(b, x, [(channels / block) * height * width, 1, block])
  const wide = E.pad(b, columns, [0, 0, 0], [0, sw - 1, 0])
  const rows = E.reshape(b, wide, [(channels / block) * height, 1, width * sw * block])
  const tall = E.pad(b, rows, [0, 0, 0], [0, sh - 1, 0])
  return E.reshape(b, tall, [1, channels, height * sh, width * sw])
}

const isDepthwise = (weight: Shape.Shape, groups: number) => weight[1] === 1 && weight[0] === groups

/** A depthwise convolution with a bias per channel, if the node is one. */
export const depthwise = (
  ctx: Context,
  node: Tensor.Tensor<"conv2d">,
  bias: Value | undefined
): Lowered | undefined => {
  const [x, weight] = node.inputs
  const { groups, padding, stride } = node.attributes
  if (!isBlocked(ctx, x.shape) || !isDepthwise(weight.shape, groups)) return undefined
  const [batch] = x.shape
  const inputs = [blockedImage(ctx, x), blockedKernel(ctx, ctx.plain(weight), batch)]
  const y = blocked(
    ctx,
    "Conv",
    bias === undefined ? inputs : [...inputs, blockedBias(ctx, bias, batch)],
    { kernel_shape: weight.shape.slice(2), strides: stride, pads: padding, group: groups * batch },
    [1, node.shape[1] * batch, node.shape[2], node.shape[3]]
  )
  return fromBlocked(ctx, node.shape, y)
}

export const rules = {
  conv2d: (node, ctx) => {
    const bias = node.inputs[2]
    return depthwise(ctx, node, bias === undefined ? undefined : ctx.plain(bias))
  },
  conv2dGradInput: (node, ctx) => {
    const [dy, weight] = node.inputs
    const { groups, stride, padding, inputShape } = node.attributes
    if (!isBlocked(ctx, dy.shape) || !isDepthwise(weight.shape, groups)) return undefined
    const [batch, channels, height, width] = inputShape
    const [kh, kw] = weight.shape.slice(2)
    const d = spaced(ctx, blockedImage(ctx, dy), stride)
    const top = kh - 1 - padding[0]
    const left = kw - 1 - padding[1]
    const bottom = height - d.shape[2] - top + kh - 1
    const right = width - d.shape[3] - left + kw - 1
    if (Math.min(top, left, bottom, right) < 0) return undefined
    const dx = blocked(
      ctx,
      "Conv",
      [d, blockedKernel(ctx, turned(ctx, ctx.plain(weight)), batch)],
      { kernel_shape: [kh, kw], strides: [1, 1], pads: [top, left, bottom, right], group: groups * batch },
      [1, channels * batch, height, width]
    )
    return fromBlocked(ctx, node.shape, dx)
  },
  // Every channel of every image is convolved with its output's gradient as the kernel; then the sum over the batch.
  conv2dGradWeight: (node, ctx) => {
    const [dy, x] = node.inputs
    const { groups, stride, padding, weightShape } = node.attributes
    if (!isBlocked(ctx, x.shape) || !isDepthwise(weightShape, groups)) return undefined
    const { b, block } = ctx
    const [batch, channels, height, width] = x.shape
    const [kh, kw] = weightShape.slice(2)
    const [, , h, w] = dy.shape
    const full = [
      height + padding[0] + padding[2] - (h - 1) * stride[0],
      width + padding[1] + padding[3] - (w - 1) * stride[1]
    ]
    const kernel = E.reshape(b, blockedImage(ctx, dy), [channels * batch, 1, h, w])
    const each = blocked(
      ctx,
      "Conv",
      [blockedImage(ctx, x), kernel],
      { kernel_shape: [h, w], strides: [1, 1], dilations: stride, pads: padding, group: groups * batch },
      [1, channels * batch, ...full]
    )
    const apart = E.reshape(b, each, [(channels * batch) / block, full[0], full[1], block])
    const cut = E.slice(b, apart, [
      { axis: 1, start: 0, end: kh },
      { axis: 2, start: 0, end: kw }
    ])
    return plain(E.reshape(b, sumOfImages(ctx, cut, channels, batch, kh * kw), weightShape))
  },
  maxPool2d: (node, ctx) => {
    const [x] = node.inputs
    if (!isBlocked(ctx, x.shape)) return undefined
    const { kernel, stride, padding } = node.attributes
    const y = blocked(
      ctx,
      "MaxPool",
      [blockedImage(ctx, x)],
      { kernel_shape: kernel, strides: stride, pads: padding },
      [1, x.shape[0] * x.shape[1], node.shape[2], node.shape[3]]
    )
    return fromBlocked(ctx, node.shape, y)
  },
  maxPool2dGrad: (node, ctx) => {
    const [x, dy] = node.inputs
    if (!isBlocked(ctx, x.shape)) return undefined
    const { block } = ctx
    const { kernel, stride, padding } = node.attributes
    const [batch, channels, height, width] = x.shape
    const [h, w] = dy.shape.slice(2)
    const outer = (channels * batch) / block
    const image = blockedImage(ctx, x)
    // The maximum over a window is the maximum over its rows' maxima: first along columns, then along rows.
    const rowMaxima = blocked(
      ctx,
      "MaxPool",
      [image],
      { kernel_shape: [1, kernel[1]], strides: [1, stride[1]], pads: [0, padding[1], 0, padding[3]] },
      [1, batch * channels, height, w]
    )
    const rows: Axis = {
      outer,
      length: height,
      inner: w * block,
      count: h,
      kernel: kernel[0],
      stride: stride[0],
      padding: padding[0]
    }
    const dRows = maximumGradient(ctx, rowMaxima, blockedImage(ctx, dy), rows)
    const columns: Axis = {
      outer: outer * height,
      length: width,
      inner: block,
      count: w,
      kernel: kernel[1],
      stride: stride[1],
      padding: padding[1]
    }
    return fromBlocked(ctx, node.shape, maximumGradient(ctx, image, dRows, columns))
  }
} satisfies PartialRules

/** A sliding maximum along one axis of `[outer, length, inner]`, with `count` results. */
interface Axis {
  readonly outer: number
  readonly length: number
  readonly inner: number
  readonly count: number
  readonly kernel: number
  readonly stride: number
  readonly padding: number
}

/** Below every number that can win. */
const lowest = -3.4e38

/** The gradient of a sliding maximum along one axis: each result's gradient goes to the first of its window's largest elements. */
const maximumGradient = (ctx: Context, x: Value, dy: Value, axis: Axis): Value => {
  const { b } = ctx
  const { outer, length, inner, count, kernel, stride, padding } = axis
  // Lengthened so that every window is whole and the axis divides into strides.
  const phases = Math.ceil(Math.max(padding + length, (count - 1) * stride + kernel) / stride)
  const padded = E.pad(
    b,
    E.reshape(b, x, [outer, length, inner]),
    [0, padding, 0],
    [0, phases * stride - length - padding, 0],
    lowest
  )
  const split = E.reshape(b, padded, [outer, phases, stride * inner])
  // Element k of every window, `[outer, count, inner]`.
  const element = (k: number) =>
    E.slice(b, split, [
      { axis: 1, start: Math.floor(k / stride), end: Math.floor(k / stride) + count },
      { axis: 2, start: (k % stride) * inner, end: ((k % stride) + 1) * inner }
    ])
  const elements = Array.from({ length: kernel }, (_, k) => element(k))
  const zero = b.scalar(0)
  // What is left after the elements before k have had their chance goes to k where nothing after it is larger.
  let rest = E.reshape(b, dy, [outer, count, inner])
  const shares: Array<Value> = []
  for (let k = 0; k < kernel; k++) {
    if (k === kernel - 1) {
      shares.push(rest)
      break
    }
    const after = elements.slice(k + 1).reduce((m, e) => E.binary(b, "Max", m, e))
    const wins = E.binary(b, "GreaterOrEqual", elements[k], after)
    const share = b.node("Where", [wins, rest, zero], {}, [rest.shape])[0]
    shares.push(share)
    rest = E.sub(b, rest, share)
  }
  // Back to their places: the elements of one phase add up, shifted by whole strides.
  const ofPhase = (phase: number) =>
    E.total(
      b,
      shares.flatMap((share, k) => {
        if (k % stride !== phase) return []
        const shift = Math.floor(k / stride)
        return [E.pad(b, share, [0, shift, 0], [0, phases - count - shift, 0])]
      })
    )
  const columns = Array.from({ length: stride }, (_, phase) =>
    phase < kernel ? ofPhase(phase) : E.expand(b, zero, [outer, phases, inner])
  )
  const joined = E.reshape(b, E.concat(b, columns, 2), [outer, phases * stride, inner])
  return E.slice(b, joined, [{ axis: 1, start: padding, end: padding + length }])
}
