/** Two-dimensional convolution and its two gradients. Depthwise is `groups = channels`, pointwise a 1×1 kernel. */
import { macs } from "../Cost.ts"
import { apply, define, type Definitions } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"
import { sum } from "./reduction.ts"

/** Geometry of a sliding window over the last two axes. */
export interface Window {
  /** Vertical, horizontal. */
  readonly stride: readonly [number, number]
  /** Zeros added at the top, left, bottom, right. */
  readonly padding: readonly [number, number, number, number]
}

/** Geometry of a convolution. */
export interface Convolution extends Window {
  /** Number of groups that the channels are divided into, each convolved by itself: 1 connects all channels, as many groups as channels is a depthwise convolution. */
  readonly groups: number
  /** Rows and columns from one tap of the kernel to the next; 1 for adjacent taps. */
  readonly dilation: readonly [number, number]
}

export interface Attributes {
  /** Inputs `[x, weight, bias?]`: `[batch, in, h, w]`, `[out, in/groups, kh, kw]`, `[out]`. */
  readonly conv2d: Convolution
  /** Inputs `[dy, weight]` → the gradient for an input of `inputShape`. */
  readonly conv2dGradInput: Convolution & { readonly inputShape: Shape.Shape }
  /** Inputs `[dy, x]` → the gradient for a weight of `weightShape`. */
  readonly conv2dGradWeight: Convolution & { readonly weightShape: Shape.Shape }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly conv2d: readonly [x: Tensor, weight: Tensor, ...bias: ReadonlyArray<Tensor>]
  readonly conv2dGradInput: readonly [dy: Tensor, weight: Tensor]
  readonly conv2dGradWeight: readonly [dy: Tensor, x: Tensor]
}

/**
 * The rows and columns of an image that a kernel spans.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * console.log(Op.kernelExtent([3, 3], [2, 1])) // [ 5, 3 ]
 * ```
 */
export const kernelExtent = (
  [height, width]: readonly [number, number],
  [down, across]: Convolution["dilation"]
): readonly [number, number] => [(height - 1) * down + 1, (width - 1) * across + 1]

/** Height and width of a sliding window's result, or what is wrong with the window. */
export const outputSize = (
  [height, width]: readonly [number, number],
  [kernelHeight, kernelWidth]: readonly [number, number],
  { stride: [sh, sw], padding: [top, left, bottom, right] }: Window
): readonly [number, number] | string => {
  if (![sh, sw].every((n) => Number.isInteger(n) && n > 0)) return "strides must be positive whole numbers"
  if (![top, left, bottom, right].every((n) => Number.isInteger(n) && n >= 0))
    return "paddings must be whole numbers of 0 or more"
  const h = Math.floor((height + top + bottom - kernelHeight) / sh) + 1
  const w = Math.floor((width + left + right - kernelWidth) / sw) + 1
  return h > 0 && w > 0 ? [h, w] : "the window is larger than the padded image"
}

/** Multiply-accumulates: one per output element, input channel of its group, and kernel position. */
const cost = (output: Shape.Shape, weight: Shape.Shape) => {
  const [, perGroup, height, width] = Shape.ofRank(4)(weight)
  return Shape.size(output) * perGroup * height * width
}

export const definitions: Definitions<Attributes> = {
  conv2d: define("conv2d", {
    shape: (attributes, [x, weight, bias]) => {
      const { dilation, groups } = attributes
      if (!Shape.hasRank(4)(x.shape)) return "the input must be [batch×channels×height×width]"
      if (!Shape.hasRank(4)(weight.shape)) return "the weight must be [out×in/groups×height×width]"
      const [batch, channels, height, width] = x.shape
      const [out, perGroup, kernelHeight, kernelWidth] = weight.shape
      if (!Number.isInteger(groups)) return "the number of groups must be a whole number"
      if (perGroup * groups !== channels)
        return `the weight expects ${perGroup * groups} input channels in ${groups} groups`
      if (out % groups !== 0) return `${out} output channels do not divide evenly into ${groups} groups`
      if (bias !== undefined && !Shape.equals(bias.shape, [out])) return `the bias must be [${out}]`
      if (!dilation.every((n) => Number.isSafeInteger(n) && n > 0)) return "dilations must be positive whole numbers"
      const size = outputSize([height, width], kernelExtent([kernelHeight, kernelWidth], dilation), attributes)
      return typeof size === "string" ? size : [batch, out, ...size]
    },
    cost: (y) => macs(cost(y.shape, y.inputs[1].shape), "conv"),
    gradient: (y, dy) => {
      const [x, weight, bias] = y.inputs
      const dx = apply(definitions.conv2dGradInput, { ...y.attributes, inputShape: x.shape }, [dy, weight], y.path)
      const dw = apply(definitions.conv2dGradWeight, { ...y.attributes, weightShape: weight.shape }, [dy, x], y.path)
      return bias === undefined ? [dx, dw] : [dx, dw, sum(dy, [0, 2, 3], false, y.path)]
    }
  }),
  conv2dGradInput: define("conv2dGradInput", {
    shape: ({ inputShape }) => inputShape,
    cost: (y) => macs(cost(y.inputs[0].shape, y.inputs[1].shape)),
    gradient: "unsupported"
  }),
  conv2dGradWeight: define("conv2dGradWeight", {
    shape: ({ weightShape }) => weightShape,
    cost: (y) => macs(cost(y.inputs[0].shape, y.attributes.weightShape)),
    gradient: "unsupported"
  })
}

/**
 * The default padding of a window: half of what an odd kernel spans on either side, which keeps an image's size, and none for an even kernel, which cannot keep the size
 * with symmetric padding.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * console.log(Op.halfPadding([3, 2])) // [ 1, 0, 1, 0 ]
 * ```
 */
export const halfPadding = (
  kernel: readonly [number, number],
  dilation: Convolution["dilation"] = [1, 1]
): Window["padding"] => {
  const along = (axis: 0 | 1) => (kernel[axis] % 2 === 1 ? (dilation[axis] * (kernel[axis] - 1)) / 2 : 0)
  return [along(0), along(1), along(0), along(1)]
}

/**
 * Two-dimensional cross-correlation, as PyTorch's `conv2d`: `[batch, in, h, w]` and a weight `[out, in/groups, kh, kw]` → `[batch, out, …, …]`.
 *
 * Defaults: stride 1, the padding that keeps the size (none along an axis where the kernel is even), one group, dilation 1 (adjacent taps), no bias.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const x = Op.input("x", [8, 32, 16, 16])
 * const weight = Op.input("weight", [64, 32, 3, 3])
 * console.log(Op.conv2d(x, weight, { stride: [2, 2], dilation: [2, 2] }).shape)
 * ```
 */
export const conv2d = (
  x: Tensor,
  weight: Tensor,
  options: {
    readonly stride?: Window["stride"]
    readonly padding?: Window["padding"]
    readonly groups?: number
    readonly dilation?: Convolution["dilation"]
    readonly bias?: Tensor | undefined
  } = {},
  path = x.path
): Tensor<"conv2d"> => {
  const { stride = [1, 1], groups = 1, dilation = [1, 1], bias } = options
  // A weight without height and width is rejected.
  const [, , height = 1, width = 1] = weight.shape
  const { padding = halfPadding([height, width], dilation) } = options
  return apply(
    definitions.conv2d,
    { stride, padding, groups, dilation },
    bias === undefined ? [x, weight] : [x, weight, bias],
    path
  )
}
