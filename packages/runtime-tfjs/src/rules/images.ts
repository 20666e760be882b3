/**
 * Convolution, pooling and their gradients, on images with channels last.
 *
 * If a backend has no kernels for the gradients, they are made from the kernels that it has. The input's gradient is a convolution of the
 * result's gradient, spread by the stride, with the flipped kernel. The weight's gradient is a convolution of the input with the result's
 * gradient as its kernel, with batch and channels exchanged; for a depthwise convolution, it is a product of shifted maps, summed.
 */
import { Op, Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import { type Context, last, type Lowered, physicalShape, plain, type Rules } from "../internal/context.ts"
import * as K from "../internal/kernels.ts"
import type { Value } from "../internal/plan.ts"
import { crossProduct, product, rows } from "./products.ts"

/** Four lengths: of an image, whose channels come second in a program and last here, or of a convolution's weight. */
type Image = Shape.OfRank<4>
const lengths = Shape.ofRank(4)

const fromRows = (ctx: Context, node: Tensor.Tensor, value: Value): Lowered =>
  last(K.reshape(ctx.b, value, physicalShape("last", node.shape)))

const isPointwise = (weight: Image, { groups, padding, stride }: Op.Convolution) =>
  groups === 1 && weight[2] * weight[3] === 1 && stride.every((s) => s === 1) && padding.every((p) => p === 0)

/** One kernel per channel, or several, each with one input channel. */
const isDepthwise = (weight: Image) => weight[1] === 1

const matrix = (ctx: Context, weight: Tensor.Tensor): Value =>
  K.reshape(ctx.b, ctx.plain(weight), weight.shape.slice(0, 2))

/** `[out, in, kh, kw]` in the form that kernels take, `[kh, kw, in, out]`. */
const kernelOf = (ctx: Context, weight: Value): Value => K.transpose(ctx.b, weight, [2, 3, 1, 0])

/** `[in · multiplier, 1, kh, kw]` in the form that depthwise kernels take, `[kh, kw, in, multiplier]`. */
const depthwiseKernel = (ctx: Context, weight: Value, channels: number): Value => {
  const [out, , kh, kw] = lengths(weight.shape)
  return K.reshape(ctx.b, K.transpose(ctx.b, weight, [2, 3, 0, 1]), [kh, kw, channels, out / channels])
}

interface Padded {
  readonly image: Value
  readonly pad: string | ReadonlyArray<ReadonlyArray<number>>
}

/** An image and the padding to pass to a kernel. */
const padded = (
  { b, traits }: Context,
  image: Value,
  [top, left, bottom, right]: Op.Window["padding"],
  value?: number
): Padded => {
  const [before, after] = [
    [0, top, left, 0],
    [0, bottom, right, 0]
  ]
  if (top + left + bottom + right === 0) return { image, pad: "valid" }
  return traits.explicitPadding
    ? { image, pad: Arr.zip(before, after) }
    : { image: K.pad(b, image, before, after, value), pad: "valid" }
}

const surrounded = ({ b }: Context, image: Value, [top, left, bottom, right]: Op.Window["padding"], value?: number) =>
  K.pad(b, image, [0, top, left, 0], [0, bottom, right, 0], value)

const outputShape = (
  image: Shape.Shape,
  kernel: Op.Pool["kernel"],
  window: Op.Window,
  channels: number,
  dilation: Op.Convolution["dilation"] = [1, 1]
) => {
  const [batch, height, width] = lengths(image)
  const [top, left, bottom, right] = window.padding
  const length = (n: number, around: number, axis: 0 | 1) =>
    Math.floor((n + around - ((kernel[axis] - 1) * dilation[axis] + 1)) / window.stride[axis]) + 1
  return [batch, length(height, top + bottom, 0), length(width, left + right, 1), channels]
}

/** A convolution; `filter` is `[kh, kw, in, out]`. */
const convolve = (
  ctx: Context,
  image: Value,
  filter: Value,
  window: Op.Window,
  dilations: Op.Convolution["dilation"] = [1, 1]
): Value => {
  const { image: x, pad } = padded(ctx, image, window.padding)
  const [kh, kw, , out] = lengths(filter.shape)
  const shape = outputShape(image.shape, [kh, kw], window, out, dilations)
  const attributes = { strides: [...window.stride], pad, dataFormat: "NHWC", dilations }
  return ctx.b.call(
    "Conv2D",
    [
      ["x", x],
      ["filter", filter]
    ],
    attributes,
    shape
  )
}

/** A depthwise convolution; `filter` is `[kh, kw, in, multiplier]`. */
const convolveDepthwise = (
  ctx: Context,
  image: Value,
  filter: Value,
  window: Op.Window,
  dilation: Op.Convolution["dilation"]
): Value => {
  // Kernels take either a stride or a dilation, not both.
  if ([window.stride, dilation].every((steps) => steps.some((n) => n > 1)))
    return sampled(ctx, convolveDepthwise(ctx, image, filter, { ...window, stride: [1, 1] }, dilation), window.stride)
  const { image: x, pad } = padded(ctx, image, window.padding)
  const [kh, kw, channels, multiplier] = lengths(filter.shape)
  const dilations = [...dilation]
  const shape = outputShape(image.shape, [kh, kw], window, channels * multiplier, dilation)
  const attributes = { strides: [...window.stride], pad, dataFormat: "NHWC", dilations }
  return ctx.b.call(
    "DepthwiseConv2dNative",
    [
      ["x", x],
      ["filter", filter]
    ],
    attributes,
    shape
  )
}

/** Inserts zeros after every row and column, as many as make the stride 1. */
const spread = ({ b }: Context, dy: Value, [sh, sw]: Op.Window["stride"]): Value => {
  const [batch, height, width, channels] = lengths(dy.shape)
  const columns = K.pad(b, K.reshape(b, dy, [batch * height * width, 1, channels]), [0, 0, 0], [0, sw - 1, 0])
  const row = width * sw * channels
  const both = K.pad(b, K.reshape(b, columns, [batch * height, 1, row]), [0, 0, 0], [0, sh - 1, 0])
  return K.reshape(b, both, [batch, height * sh, width * sw, channels])
}

/** Every element at a multiple of the stride: the inverse of `spread`. */
const sampled = ({ b }: Context, x: Value, [sh, sw]: Op.Window["stride"]): Value => {
  const [batch, height, width, channels] = lengths(x.shape)
  const [rows, columns] = [Math.ceil(height / sh), Math.ceil(width / sw)]
  const whole = K.pad(b, x, [0, 0, 0, 0], [0, rows * sh - height, columns * sw - width, 0])
  const line = columns * sw * channels
  const some = K.slice(b, K.reshape(b, whole, [batch * rows, sh * line]), 1, 0, line)
  const each = K.slice(b, K.reshape(b, some, [batch * rows * columns, sw * channels]), 1, 0, channels)
  return K.reshape(b, each, [batch, rows, columns, channels])
}

/** The spread gradient of a result, placed so that sliding the flipped kernel over it gives the gradient of the input. */
const slidingGradient = (
  ctx: Context,
  dy: Value,
  input: Shape.Shape,
  [kh, kw]: Op.Pool["kernel"],
  { padding: [top, left], stride }: Op.Window
) => {
  const [, height, width] = lengths(input)
  const wide = spread(ctx, dy, stride)
  const [, wideHeight, wideWidth] = lengths(wide.shape)
  const padding = [kh - 1 - top, kw - 1 - left, height - wideHeight + top, width - wideWidth + left] as const
  // Negative padding crops; positive padding is left to the kernel.
  const cut = unpadded(
    ctx,
    wide,
    sides(padding, (n) => Math.max(0, -n))
  )
  return { image: cut, window: { stride: [1, 1], padding: sides(padding, (n) => Math.max(0, n)) } as const }
}

const sides = ([top, left, bottom, right]: Op.Window["padding"], of: (n: number) => number): Op.Window["padding"] => [
  of(top),
  of(left),
  of(bottom),
  of(right)
]

/** The input without its padding. */
const unpadded = ({ b }: Context, x: Value, [top, left, bottom, right]: Op.Window["padding"]): Value =>
  K.fit(b, x, [0, -top, -left, 0], [0, -bottom, -right, 0])

/** The channels of one group, which come last. */
const channelsOf = ({ b }: Context, x: Value, index: number, groups: number): Value => {
  const size = Arr.getUnsafe(x.shape, 3) / groups
  return K.slice(b, x, 3, index * size, (index + 1) * size)
}

const kernelsOf = ({ b }: Context, weight: Value, index: number, groups: number): Value => {
  const size = Arr.getUnsafe(weight.shape, 0) / groups
  return K.slice(b, weight, 0, index * size, (index + 1) * size)
}

const eachGroup = (groups: number, one: (index: number) => Value): ReadonlyArray<Value> =>
  Array.from({ length: groups }, (_, index) => one(index))

/** TensorFlow.js's gradient kernels do not support dilation. */
const hasKernels = ({ traits }: Context, { dilation }: Op.Convolution) =>
  traits.gradientKernels && dilation.every((n) => n === 1)

const gradInput = (ctx: Context, dy: Value, weight: Value, inputShape: Shape.Shape, window: Op.Convolution): Value => {
  const { b } = ctx
  const [, channels, kh, kw] = lengths(weight.shape)
  const [batch, height, width] = lengths(inputShape)
  const [top, left, bottom, right] = window.padding
  if (hasKernels(ctx, window)) {
    const shape = [batch, height + top + bottom, width + left + right, channels]
    const attributes = { strides: [...window.stride], pad: "valid", dataFormat: "NHWC", inputShape: shape }
    const dx = b.call(
      "Conv2DBackpropInput",
      [
        ["dy", dy],
        ["filter", kernelOf(ctx, weight)]
      ],
      attributes,
      shape
    )
    return unpadded(ctx, dx, window.padding)
  }
  const placed = slidingGradient(ctx, dy, inputShape, Op.kernelExtent([kh, kw], window.dilation), window)
  const flipped = K.reverse(b, K.transpose(b, weight, [2, 3, 0, 1]), [0, 1])
  return convolve(ctx, placed.image, flipped, placed.window, window.dilation)
}

/** The gradient of `[out, in, kh, kw]`. */
const gradWeight = (
  ctx: Context,
  dy: Value,
  x: Value,
  [out, channels, kh, kw]: Image,
  window: Op.Convolution
): Value => {
  const { b } = ctx
  if (hasKernels(ctx, window)) {
    const filterShape = [kh, kw, channels, out]
    const attributes = { strides: [...window.stride], pad: "valid", dataFormat: "NHWC", filterShape }
    const image = surrounded(ctx, x, window.padding)
    const dw = b.call(
      "Conv2DBackpropFilter",
      [
        ["x", image],
        ["dy", dy]
      ],
      attributes,
      filterShape
    )
    return K.transpose(b, dw, [3, 2, 0, 1])
  }
  const full = convolve(
    ctx,
    K.transpose(b, x, [3, 1, 2, 0]),
    K.transpose(b, dy, [1, 2, 0, 3]),
    { stride: window.dilation, padding: window.padding },
    window.stride
  )
  const cut = K.slice(b, K.slice(b, full, 1, 0, kh), 2, 0, kw)
  return K.transpose(b, cut, [3, 0, 1, 2])
}

const gradInputDepthwise = (
  ctx: Context,
  dy: Value,
  weight: Value,
  inputShape: Shape.Shape,
  window: Op.Convolution
): Value => {
  const [channels, , kh, kw] = lengths(weight.shape)
  const placed = slidingGradient(ctx, dy, inputShape, Op.kernelExtent([kh, kw], window.dilation), window)
  const flipped = K.reverse(ctx.b, depthwiseKernel(ctx, weight, channels), [0, 1])
  return convolveDepthwise(ctx, placed.image, flipped, placed.window, window.dilation)
}

/**
 * The gradient of `[channels, 1, kh, kw]`: at every tap, the input's map, shifted, times the spread gradient. Both are on the same grid of rows, so a
 * shift is a number of rows; whatever reaches beyond an image meets zeros.
 */
const gradWeightDepthwise = (
  ctx: Context,
  dy: Value,
  x: Value,
  [channels, , kh, kw]: Image,
  window: Op.Convolution
): Value => {
  const { b } = ctx
  const [down, across] = window.dilation
  const image = surrounded(ctx, x, window.padding)
  const [batch, height, width] = lengths(image.shape)
  const wide = spread(ctx, dy, window.stride)
  const [, wideHeight, wideWidth] = lengths(wide.shape)
  const grid = K.fit(b, wide, [0, 0, 0, 0], [0, height - wideHeight, width - wideWidth, 0])
  const flat = (v: Value) => K.reshape(b, v, [batch * height * width, channels])
  const length = batch * height * width - (kh - 1) * down * width - (kw - 1) * across
  const gradient = K.slice(b, flat(grid), 0, 0, length)
  const taps = Array.from({ length: kh * kw }, (_, tap) => {
    const shift = Math.floor(tap / kw) * down * width + (tap % kw) * across
    const shifted = K.slice(b, flat(image), 0, shift, shift + length)
    return K.sum(b, K.mul(b, shifted, gradient), [0], true)
  })
  return K.reshape(b, K.transpose(b, K.concat(b, taps, 0), [1, 0]), [channels, 1, kh, kw])
}

const biased = (ctx: Context, y: Value, bias: Tensor.Tensor | undefined): Value =>
  bias === undefined ? y : K.add(ctx.b, y, ctx.plain(bias))

/** The maximum over windows of an image that is already padded. */
const pooled = (ctx: Context, image: Value, kernel: Op.Pool["kernel"], stride: Op.Window["stride"]): Value => {
  // Kernels reject a window of one element.
  if (isSingle(kernel)) return sampled(ctx, image, stride)
  const [batch, height, width, channels] = lengths(image.shape)
  const length = (n: number, axis: 0 | 1) => Math.floor((n - kernel[axis]) / stride[axis]) + 1
  const attributes = { filterSize: [...kernel], strides: [...stride], pad: "valid" }
  return ctx.b.call("MaxPool", [["x", image]], attributes, [batch, length(height, 0), length(width, 1), channels])
}

/**
 * The gradient of maxima `y` over `size` neighbours along one axis of an image: each goes to the first of its largest elements.
 *
 * On the grid of the image's rows, a neighbour is a shift. Results that the stride skips have a gradient of zero.
 */
const throughMaxima = (
  ctx: Context,
  image: Value,
  y: Value,
  dy: Value,
  axis: 1 | 2,
  size: number,
  stride: number
): Value => {
  const { b } = ctx
  const [batch, height, width, channels] = lengths(image.shape)
  const positions = batch * height * width
  const unit = axis === 1 ? width : 1
  const length = positions - (size - 1) * unit
  const onGrid = (v: Value) => {
    const wide = spread(ctx, v, axis === 1 ? [stride, 1] : [1, stride])
    const [, wideHeight, wideWidth] = lengths(wide.shape)
    const grid = K.fit(b, wide, [0, 0, 0, 0], [0, height - wideHeight, width - wideWidth, 0])
    return K.slice(b, K.reshape(b, grid, [positions, channels]), 0, 0, length)
  }
  const flat = K.reshape(b, image, [positions, channels])
  const [largest, gradient] = [onGrid(y), onGrid(dy)]
  const one = K.scalar(b, 1)
  let left: Value | undefined
  const parts = Array.from({ length: size }, (_, i) => {
    const shift = i * unit
    // Whatever no earlier neighbour took must go to the last one.
    const below = K.step(b, K.sub(b, largest, K.slice(b, flat, 0, shift, shift + length)))
    const wins = K.sub(b, one, below)
    const takes = i === size - 1 && left !== undefined ? left : left === undefined ? wins : K.mul(b, left, wins)
    left = left === undefined ? below : K.mul(b, left, below)
    return K.pad(b, K.mul(b, takes, gradient), [shift, 0], [positions - length - shift, 0])
  })
  return K.reshape(
    b,
    parts.reduce((sum, part) => K.add(b, sum, part)),
    image.shape
  )
}

/** The mean over windows of an image that is already padded, with its padding counted. */
const averaged = (ctx: Context, image: Value, kernel: Op.Pool["kernel"], stride: Op.Window["stride"]): Value => {
  if (isSingle(kernel)) return sampled(ctx, image, stride)
  const [, , , channels] = lengths(image.shape)
  const shape = outputShape(image.shape, kernel, { stride, padding: [0, 0, 0, 0] }, channels)
  return ctx.b.call("AvgPool", [["x", image]], { filterSize: [...kernel], strides: [...stride], pad: "valid" }, shape)
}

/** Turns a pooled image `[batch, h, w, channels]` whose padding was counted into one without it, or the reverse for its gradient: they differ by a factor per window. */
const withoutPadding = (
  { b }: Context,
  x: Value,
  { countPadding, kernel, padding, ...window }: Tensor.Attributes["averagePool2d"],
  size: readonly [number, number]
): Value => {
  if (countPadding || padding.every((n) => n === 0)) return x
  const counts = Op.windowCounts(size, { kernel, padding, ...window })
  const [, height, width] = lengths(x.shape)
  return K.mul(
    b,
    x,
    b.constant(
      counts.map((count) => (kernel[0] * kernel[1]) / count),
      [height, width, 1]
    )
  )
}

const isSingle = (kernel: ReadonlyArray<number>) => kernel.every((n) => n === 1)

/** Less than any number that a window may contain. */
const lowest = -3.4e38

export const rules = {
  conv2d: (node, ctx) => {
    const { b } = ctx
    const [x, weight, bias] = node.inputs
    const { dilation, groups } = node.attributes
    const image = ctx.last(x)
    if (isPointwise(lengths(weight.shape), node.attributes))
      return fromRows(
        ctx,
        node,
        biased(ctx, product(ctx, rows(ctx, image), matrix(ctx, weight), { transposeB: true }), bias)
      )
    const w = ctx.plain(weight)
    if (groups === 1) return last(biased(ctx, convolve(ctx, image, kernelOf(ctx, w), node.attributes, dilation), bias))
    if (isDepthwise(lengths(weight.shape))) {
      const kernels = depthwiseKernel(ctx, w, groups)
      return last(biased(ctx, convolveDepthwise(ctx, image, kernels, node.attributes, dilation), bias))
    }
    const parts = eachGroup(groups, (g) => {
      const kernels = kernelOf(ctx, kernelsOf(ctx, w, g, groups))
      return convolve(ctx, channelsOf(ctx, image, g, groups), kernels, node.attributes, dilation)
    })
    return last(biased(ctx, K.concat(b, parts, 3), bias))
  },
  conv2dGradInput: (node, ctx) => {
    const { b } = ctx
    const [dyNode, weight] = node.inputs
    const { groups } = node.attributes
    const dy = ctx.last(dyNode)
    if (isPointwise(lengths(weight.shape), node.attributes))
      return fromRows(ctx, node, product(ctx, rows(ctx, dy), matrix(ctx, weight)))
    const w = ctx.plain(weight)
    const shape = physicalShape("last", node.shape)
    if (groups === 1) return last(gradInput(ctx, dy, w, shape, node.attributes))
    if (isDepthwise(lengths(weight.shape)) && weight.shape[0] === groups)
      return last(gradInputDepthwise(ctx, dy, w, shape, node.attributes))
    const parts = eachGroup(groups, (g) =>
      gradInput(ctx, channelsOf(ctx, dy, g, groups), kernelsOf(ctx, w, g, groups), shape, node.attributes)
    )
    return last(K.concat(b, parts, 3))
  },
  conv2dGradWeight: (node, ctx) => {
    const { b } = ctx
    const [dyNode, xNode] = node.inputs
    const { groups } = node.attributes
    const weightShape = lengths(node.attributes.weightShape)
    const [dy, x] = [ctx.last(dyNode), ctx.last(xNode)]
    if (isPointwise(weightShape, node.attributes))
      return plain(K.reshape(b, crossProduct(ctx, rows(ctx, dy), rows(ctx, x)), weightShape))
    if (groups === 1) return plain(gradWeight(ctx, dy, x, weightShape, node.attributes))
    if (isDepthwise(weightShape) && weightShape[0] === groups)
      return plain(gradWeightDepthwise(ctx, dy, x, weightShape, node.attributes))
    const [out, ...rest] = weightShape
    const parts = eachGroup(groups, (g) =>
      gradWeight(
        ctx,
        channelsOf(ctx, dy, g, groups),
        channelsOf(ctx, x, g, groups),
        [out / groups, ...rest],
        node.attributes
      )
    )
    return plain(K.concat(b, parts, 0))
  },

  maxPool2d: (node, ctx) => {
    const { kernel, padding, stride } = node.attributes
    const image = ctx.last(node.inputs[0])
    if (isSingle(kernel)) return last(sampled(ctx, image, stride))
    const { image: x, pad } = padded(ctx, image, padding, lowest)
    const attributes = { filterSize: [...kernel], strides: [...stride], pad }
    return last(ctx.b.call("MaxPool", [["x", x]], attributes, physicalShape("last", node.shape)))
  },
  maxPool2dGrad: (node, ctx) => {
    const { b } = ctx
    const [x, dyNode] = node.inputs
    const { kernel, padding, stride } = node.attributes
    const [image, dy] = [surrounded(ctx, ctx.last(x), padding, lowest), ctx.last(dyNode)]
    if (ctx.traits.poolGradientKernel && !isSingle(kernel)) {
      const attributes = { filterSize: [...kernel], strides: [...stride], pad: "valid" }
      const operands = [
        ["dy", dy],
        ["input", image],
        ["output", pooled(ctx, image, kernel, stride)]
      ] as const
      return last(unpadded(ctx, b.call("MaxPoolGrad", operands, attributes, image.shape), padding))
    }
    // First the maximum of each row of the window, then the maximum of those, so that the first one in reading order wins.
    const across = pooled(ctx, image, [1, kernel[1]], [1, stride[1]])
    const down = pooled(ctx, across, [kernel[0], 1], [stride[0], 1])
    const dAcross = throughMaxima(ctx, across, down, dy, 1, kernel[0], stride[0])
    const dImage = throughMaxima(ctx, image, across, dAcross, 2, kernel[1], stride[1])
    return last(unpadded(ctx, dImage, padding))
  },
  averagePool2d: (node, ctx) => {
    const { kernel, padding, stride } = node.attributes
    const [x] = node.inputs
    const [, , height, width] = lengths(x.shape)
    const y = averaged(ctx, surrounded(ctx, ctx.last(x), padding), kernel, stride)
    return last(withoutPadding(ctx, y, node.attributes, [height, width]))
  },
  // The mean over windows of the spread gradient: every element gets the same share of each window that contains it.
  averagePool2dGrad: (node, ctx) => {
    const { inputShape, kernel } = node.attributes
    const [, , height, width] = lengths(inputShape)
    const dy = withoutPadding(ctx, ctx.last(node.inputs[0]), node.attributes, [height, width])
    const { image, window } = slidingGradient(ctx, dy, physicalShape("last", inputShape), kernel, node.attributes)
    return last(averaged(ctx, surrounded(ctx, image, window.padding), kernel, window.stride))
  },
  globalAveragePool: (node, ctx) => plain(K.average(ctx.b, ctx.last(node.inputs[0])))
} satisfies Partial<Rules>
