/**
 * Depthwise convolution and pooling by ONNX Runtime's blocked kernels (see `internal/blocks.ts`).
 *
 * A wrong block size silently gives wrong numbers, so the runtime determines the size before it allows these rules.
 */
import { Op, Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import { blockedImage, fromBlocked, node as blocked } from "../internal/blocks.ts"
import { once } from "../internal/arrays.ts"
import type { Value } from "../internal/builder.ts"
import { type Context, type Lowered, type PartialRules, plain } from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import { fullSize, unlessOnes, windowShares } from "./images.ts"

/**
 * The matrix that takes the taps of `per` channels, `[per · taps]`, to their positions in a blocked kernel, `[copies · taps · block]`: the lanes of a
 * block belong to the channels in turn. `turned` rotates the kernel by 180°.
 */
const selection = (block: number, taps: number, per: number, copies: number, turned: boolean): Float32Array =>
  once(`selection ${block} ${taps} ${per} ${copies} ${turned}`, () => {
    const columns = copies * taps * block
    const matrix = new Float32Array(per * taps * columns)
    for (let column = 0; column < columns; column++) {
      const lane = column % block
      const tap = Math.floor(column / block) % taps
      const channel = Math.floor((lane * per) / block)
      matrix[(channel * taps + (turned ? taps - 1 - tap : tap)) * columns + column] = 1
    }
    return matrix
  })

/** A depthwise kernel `[c, 1, kh, kw]` repeated over the images of the batch, blocked, and optionally rotated by 180°. */
const blockedKernel = (ctx: Context, kernel: Value, batch: number, turned = false): Value => {
  const { b, block } = ctx
  const [channels, , kh, kw] = Shape.ofRank(4)(kernel.shape)
  const taps = kh * kw
  const shape = [channels * batch, 1, kh, kw]
  // Whole blocks of one channel's images, or one block of whole channels.
  const [per, copies] = batch % block === 0 ? [1, batch / block] : [block / batch, 1]
  if (Number.isInteger(per) && channels % per === 0) {
    const matrix = b.constant(selection(block, taps, per, copies, turned), [per * taps, copies * taps * block])
    return E.reshape(b, E.gemm(b, E.reshape(b, kernel, [channels / per, per * taps]), matrix), shape)
  }
  const one = E.reshape(b, turned ? reversed(ctx, kernel) : kernel, [channels, 1, taps])
  const all = E.expand(b, one, [channels, batch, taps])
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
  const channels = Arr.getUnsafe(bias.shape, 0)
  return E.reshape(ctx.b, E.repeated(ctx.b, E.column(ctx.b, bias), batch), [channels * batch])
}

/** The kernel rotated by 180°. */
const reversed = (ctx: Context, kernel: Value): Value => {
  const [channels, , kh, kw] = Shape.ofRank(4)(kernel.shape)
  const taps = kh * kw
  const backwards = Array.from({ length: taps }, (_, i) => taps - 1 - i)
  return E.reshape(ctx.b, E.gather(ctx.b, E.reshape(ctx.b, kernel, [channels, taps]), 1, backwards), kernel.shape)
}

/** `step − 1` rows and columns of zeros after every row and column of a blocked image. */
const spaced = (ctx: Context, x: Value, [sh, sw]: readonly [number, number]): Value => {
  const { b, block } = ctx
  const [, channels, height, width] = Shape.ofRank(4)(x.shape)
  const columns = E.reshape(b, x, [(channels / block) * height * width, 1, block])
  const wide = E.pad(b, columns, [0, 0, 0], [0, sw - 1, 0])
  const rows = E.reshape(b, wide, [(channels / block) * height, 1, width * sw * block])
  const tall = E.pad(b, rows, [0, 0, 0], [0, sh - 1, 0])
  return E.reshape(b, tall, [1, channels, height * sh, width * sw])
}

/** A depthwise convolution. */
const depthwise = (ctx: Context, node: Tensor.Tensor<"conv2d">): Lowered => {
  const [x, weight, bias] = node.inputs
  const { dilation, groups, padding, stride } = node.attributes
  const batch = Arr.getUnsafe(x.shape, 0)
  const inputs = [blockedImage(ctx, x), blockedKernel(ctx, ctx.plain(weight), batch)]
  const y = blocked(
    ctx,
    "Conv",
    bias === undefined ? inputs : [...inputs, blockedBias(ctx, ctx.plain(bias), batch)],
    {
      kernel_shape: weight.shape.slice(2),
      strides: stride,
      pads: padding,
      group: groups * batch,
      ...unlessOnes("dilations", dilation)
    },
    [1, Arr.getUnsafe(node.shape, 1) * batch, Arr.getUnsafe(node.shape, 2), Arr.getUnsafe(node.shape, 3)]
  )
  return fromBlocked(ctx, node.shape, y)
}

export const rules = {
  conv2d: (node, ctx) => depthwise(ctx, node),
  conv2dGradInput: (node, ctx) => {
    const [dy, weight] = node.inputs
    const { dilation, groups, stride, padding, inputShape } = node.attributes
    const [batch, channels, height, width] = Shape.ofRank(4)(inputShape)
    const [, , kh, kw] = Shape.ofRank(4)(weight.shape)
    const [down, across] = Op.kernelExtent([kh, kw], dilation)
    const d = spaced(ctx, blockedImage(ctx, dy), stride)
    const top = down - 1 - padding[0]
    const left = across - 1 - padding[1]
    const bottom = height - Arr.getUnsafe(d.shape, 2) - top + down - 1
    const right = width - Arr.getUnsafe(d.shape, 3) - left + across - 1
    const dx = blocked(
      ctx,
      "Conv",
      [d, blockedKernel(ctx, ctx.plain(weight), batch, true)],
      {
        kernel_shape: [kh, kw],
        strides: [1, 1],
        pads: [top, left, bottom, right],
        group: groups * batch,
        ...unlessOnes("dilations", dilation)
      },
      [1, channels * batch, height, width]
    )
    return fromBlocked(ctx, node.shape, dx)
  },
  // Every channel of every image is convolved with its output's gradient as the kernel; then the batch is summed.
  conv2dGradWeight: (node, ctx) => {
    const [dy, x] = node.inputs
    const { dilation, groups, stride, padding, weightShape } = node.attributes
    const { b, block } = ctx
    const [batch, channels] = Shape.ofRank(4)(x.shape)
    const [, , kh, kw] = Shape.ofRank(4)(weightShape)
    const [, , h, w] = Shape.ofRank(4)(dy.shape)
    const full = fullSize(x.shape, dy.shape, node.attributes)
    const kernel = E.reshape(b, blockedImage(ctx, dy), [channels * batch, 1, h, w])
    const each = blocked(
      ctx,
      "Conv",
      [blockedImage(ctx, x), kernel],
      { kernel_shape: [h, w], strides: dilation, dilations: stride, pads: padding, group: groups * batch },
      [1, channels * batch, ...full]
    )
    const apart = E.reshape(b, each, [(channels * batch) / block, ...full, block])
    const cut = E.slice(b, apart, [
      { axis: 1, start: 0, end: kh },
      { axis: 2, start: 0, end: kw }
    ])
    const summed = sumOfImages(ctx, cut, channels, batch, kh * kw)
    return plain(E.reshape(b, summed, weightShape))
  },
  // The maximum over a window is the maximum over its rows' maxima, which the gradient also needs.
  maxPool2d: (node, ctx) => {
    const [x] = node.inputs
    const [rows, columns] = slidings(node.attributes)
    const maxima = pooled(ctx, blockedImage(ctx, x), 3, columns, Arr.getUnsafe(node.shape, 3))
    return fromBlocked(ctx, node.shape, pooled(ctx, maxima, 2, rows, Arr.getUnsafe(node.shape, 2)))
  },
  // First along columns, then along rows.
  maxPool2dGrad: (node, ctx) => {
    const [x, dy] = node.inputs
    const [, , h, w] = Shape.ofRank(4)(dy.shape)
    const [rows, columns] = slidings(node.attributes)
    const image = blockedImage(ctx, x)
    const maxima = pooled(ctx, image, 3, columns, w)
    const dMaxima = maximumGradient(ctx, maxima, blockedImage(ctx, dy), 2, rows, h)
    return fromBlocked(ctx, node.shape, maximumGradient(ctx, image, dMaxima, 3, columns, w))
  },
  averagePool2d: (node, ctx) => {
    const [x] = node.inputs
    const { countPadding, kernel, padding, stride } = node.attributes
    const image = blockedImage(ctx, x)
    const y = blocked(
      ctx,
      "AveragePool",
      [image],
      { kernel_shape: kernel, strides: stride, pads: padding, count_include_pad: countPadding ? 1 : 0 },
      [1, Arr.getUnsafe(image.shape, 1), Arr.getUnsafe(node.shape, 2), Arr.getUnsafe(node.shape, 3)]
    )
    return fromBlocked(ctx, node.shape, y)
  },
  // The mean over windows of the spaced gradient: every element gets the same share of each window that contains it.
  averagePool2dGrad: (node, ctx) => {
    const { b } = ctx
    const [dy] = node.inputs
    const { inputShape, kernel, padding, stride } = node.attributes
    const image = blockedImage(ctx, dy)
    const [, images, rows, columns] = Shape.ofRank(4)(image.shape)
    const shares = windowShares(ctx, node, 1)
    const blocks = E.reshape(b, image, [images / ctx.block, rows * columns, ctx.block])
    const scaled =
      Shape.size(shares.shape) === 1 ? image : E.reshape(b, E.mul(b, blocks, E.column(b, shares)), image.shape)
    const d = spaced(ctx, scaled, stride)
    const [, , height, width] = Shape.ofRank(4)(inputShape)
    const [top, left] = [kernel[0] - 1 - padding[0], kernel[1] - 1 - padding[1]]
    const bottom = height - Arr.getUnsafe(d.shape, 2) - top + kernel[0] - 1
    const right = width - Arr.getUnsafe(d.shape, 3) - left + kernel[1] - 1
    if (Math.min(bottom, right) < 0) return undefined
    const dx = blocked(
      ctx,
      "AveragePool",
      [d],
      { kernel_shape: kernel, strides: [1, 1], pads: [top, left, bottom, right], count_include_pad: 1 },
      [1, images, height, width]
    )
    return fromBlocked(ctx, node.shape, dx)
  }
} satisfies PartialRules

/** A sliding window along one axis. */
interface Sliding {
  readonly kernel: number
  readonly stride: number
  readonly before: number
  readonly after: number
}

/** A window's movement along rows and along columns. */
const slidings = ({
  kernel,
  padding: [top, left, bottom, right],
  stride
}: Op.Window & { readonly kernel: readonly [number, number] }): readonly [Sliding, Sliding] => [
  { kernel: kernel[0], stride: stride[0], before: top, after: bottom },
  { kernel: kernel[1], stride: stride[1], before: left, after: right }
]

/** The rows or the columns of a blocked image `[1, c·b, h, w]`. */
type Axis = 2 | 3

/** An attribute of a window: `own` along one axis of an image, `other` along the other. */
const along = (axis: Axis, own: number, other: number) => (axis === 2 ? [own, other] : [other, own])

/** A blocked image as `[outer, length, inner]` around an axis. */
const around = (ctx: Context, x: Value, axis: Axis): Value => {
  const [, channels, height, width] = Shape.ofRank(4)(x.shape)
  const outer = channels / ctx.block
  return E.reshape(ctx.b, x, axis === 2 ? [outer, height, width * ctx.block] : [outer * height, width, ctx.block])
}

const withLength = (shape: Shape.Shape, axis: Axis, length: number) => shape.map((n, i) => (i === axis ? length : n))

/** `count` maxima along an axis. */
const pooled = (ctx: Context, x: Value, axis: Axis, { after, before, kernel, stride }: Sliding, count: number): Value =>
  blocked(
    ctx,
    "MaxPool",
    [x],
    {
      kernel_shape: along(axis, kernel, 1),
      strides: along(axis, stride, 1),
      pads: [...along(axis, before, 0), ...along(axis, after, 0)]
    },
    withLength(x.shape, axis, count)
  )

/** Less than any number that can win. */
const lowest = -3.4e38

/** The gradient of a sliding maximum along one axis: each result's gradient goes to the first of its window's largest elements. */
const maximumGradient = (ctx: Context, x: Value, dy: Value, axis: Axis, window: Sliding, count: number): Value => {
  const length = Arr.getUnsafe(x.shape, axis)
  if (window.kernel === 3 && window.before === 1) {
    if (window.stride === 1 && count === length) return gradientOfThree(ctx, x, dy, axis)
    if (window.stride === 2 && 2 * count === length) return gradientOfEverySecond(ctx, x, dy, axis, window)
  }
  const { b } = ctx
  const split = around(ctx, x, axis)
  const dx = gradientBySlices(ctx, split, around(ctx, dy, axis), { ...window, count })
  return E.reshape(b, dx, x.shape)
}

const mask = (ctx: Context, condition: Value): Value => E.unary(ctx.b, "Cast", condition, { to: 1 })

/** An image convolved with a kernel of three taps along an axis, plus another image. */
const threeTaps = (ctx: Context, x: Value, axis: Axis, taps: readonly [number, number, number], sum: Value): Value => {
  const groups = Arr.getUnsafe(x.shape, 1)
  const weight = ctx.b.constant(threeTapsOf(ctx.block, groups, taps), [groups, 1, ...along(axis, 3, 1)])
  return blocked(
    ctx,
    "Conv",
    [x, weight, undefined, sum],
    {
      kernel_shape: along(axis, 3, 1),
      strides: [1, 1],
      pads: [...along(axis, 1, 0), ...along(axis, 1, 0)],
      group: groups
    },
    x.shape
  )
}

/** A kernel of three taps, the same for all channels, in blocks. */
const threeTapsOf = (block: number, groups: number, taps: readonly [number, number, number]): Float32Array =>
  once(`three ${block} ${groups} ${taps.join()}`, () =>
    Float32Array.from({ length: 3 * groups }, (_, i) => Arr.getUnsafe(taps, Math.floor(i / block) % 3))
  )

/** For windows of three elements, the first, the middle and the last: the shares of the window's gradient that the first and the last get. */
const sharesOf = (ctx: Context, dy: Value, firstWins: Value, lastWins: Value) => ({
  first: E.mul(ctx.b, dy, E.reshape(ctx.b, mask(ctx, firstWins), dy.shape)),
  last: E.mul(ctx.b, dy, E.reshape(ctx.b, mask(ctx, lastWins), dy.shape))
})

/** Windows of three at every element, extending one beyond either end. What the middle does not keep goes to its neighbours. */
const gradientOfThree = (ctx: Context, x: Value, dy: Value, axis: Axis): Value => {
  const { b } = ctx
  const length = Arr.getUnsafe(x.shape, axis)
  const three = { kernel: 3, stride: 1 }
  const maxima = pooled(ctx, x, axis, { ...three, before: 1, after: 1 }, length)
  // The windows in which an element comes first begin at it; from the window's middle that is one further.
  const next = pooled(ctx, x, axis, { ...three, before: 0, after: 2 }, length)
  const isFirst = around(ctx, E.binary(b, "GreaterOrEqual", x, next), axis)
  const firstWins = E.pad(b, isFirst, [0, 1, 0], [0, -1, 0], false)
  // The last element only wins if it is greater than both before it; a tie is not enough.
  const others = pooled(ctx, x, axis, { kernel: 2, stride: 1, before: 1, after: 0 }, length)
  const { first, last } = sharesOf(ctx, dy, firstWins, E.binary(b, "Greater", maxima, others))
  return threeTaps(ctx, last, axis, [1, -1, 0], threeTaps(ctx, first, axis, [0, -1, 1], dy))
}

/** Windows of three at every second element. The middles are the even elements, the ends the odd ones. */
const gradientOfEverySecond = (ctx: Context, x: Value, dy: Value, axis: Axis, window: Sliding): Value => {
  const { b } = ctx
  const count = Arr.getUnsafe(dy.shape, axis)
  const maxima = pooled(ctx, x, axis, window, count)
  const others = pooled(ctx, x, axis, { kernel: 2, stride: 2, before: 1, after: 0 }, count)
  const [outer, , inner] = Shape.ofRank(3)(around(ctx, x, axis).shape)
  const pairs = E.reshape(b, x, [outer, count, 2 * inner])
  const firsts = E.pad(b, pairs, [0, 1, -inner], [0, -1, 0], lowest)
  const firstWins = E.binary(b, "GreaterOrEqual", firsts, around(ctx, maxima, axis))
  const { first, last } = sharesOf(ctx, dy, firstWins, E.binary(b, "Greater", maxima, others))
  const even = E.sub(b, E.sub(b, dy, first), last)
  const odd = threeTaps(ctx, first, axis, [0, 0, 1], last)
  return E.reshape(b, E.concat(b, [around(ctx, even, axis), around(ctx, odd, axis)], 2), x.shape)
}

/** Any window, along the middle axis of `[outer, length, inner]`. */
const gradientBySlices = (
  ctx: Context,
  x: Value,
  dy: Value,
  { before: padding, count, kernel, stride }: Sliding & { readonly count: number }
): Value => {
  const { b } = ctx
  const [outer, length, inner] = Shape.ofRank(3)(x.shape)
  // Extended so that every window is whole and the axis divides into strides.
  const phases = Math.ceil(Math.max(padding + length, (count - 1) * stride + kernel) / stride)
  const padded = E.pad(b, x, [0, padding, 0], [0, phases * stride - length - padding, 0], lowest)
  const split = E.reshape(b, padded, [outer, phases, stride * inner])
  // Element k of every window, `[outer, count, inner]`.
  const element = (k: number) =>
    E.slice(b, split, [
      { axis: 1, start: Math.floor(k / stride), end: Math.floor(k / stride) + count },
      { axis: 2, start: (k % stride) * inner, end: ((k % stride) + 1) * inner }
    ])
  const elements = Array.from({ length: kernel }, (_, k) => element(k))
  const zero = b.scalar(0)
  // Element k gets what the elements before it have left, if nothing after it is larger.
  let rest = dy
  const shares: Array<Value> = []
  for (let k = 0; k < kernel; k++) {
    if (k === kernel - 1) {
      shares.push(rest)
      break
    }
    const after = elements.slice(k + 1).reduce((m, e) => E.binary(b, "Max", m, e))
    const wins = E.binary(b, "GreaterOrEqual", Arr.getUnsafe(elements, k), after)
    const share = b.node("Where", [wins, rest, zero], {}, [rest.shape])[0]
    shares.push(share)
    rest = E.sub(b, rest, share)
  }
  // Back to their positions: the elements of one phase add up, shifted by whole strides.
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
