/** Pooling. */
import { flops } from "../Cost.ts"
import { apply, define, type Definitions } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"
import { halfPadding, outputSize, type Window } from "./convolution.ts"
import { broadcastTo, scale } from "./elementwise.ts"
import { reshape } from "./layout.ts"

/** A sliding window with its own height and width. */
export interface Pool extends Window {
  /** Height, width. */
  readonly kernel: readonly [number, number]
}

export interface Attributes {
  /** Padding never wins the maximum. */
  readonly maxPool2d: Pool
  /** Inputs `[x, dy]`: every window's gradient goes to the first of its largest elements, in row-major order. */
  readonly maxPool2dGrad: Pool
  /** `countPadding`: whether the zeros around an image count as elements of a window. */
  readonly averagePool2d: Pool & { readonly countPadding: boolean }
  /** Inputs `[dy]` → the gradient for an input of `inputShape`. */
  readonly averagePool2dGrad: Pool & { readonly countPadding: boolean; readonly inputShape: Shape.Shape }
  /** `[batch, channels, height, width]` → `[batch, channels]`. */
  readonly globalAveragePool: {}
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly maxPool2d: readonly [x: Tensor]
  readonly maxPool2dGrad: readonly [x: Tensor, dy: Tensor]
  readonly averagePool2d: readonly [x: Tensor]
  readonly averagePool2dGrad: readonly [dy: Tensor]
  readonly globalAveragePool: readonly [x: Tensor]
}

/** The shape of a pooled image, or what is wrong with the window. */
const pooled = (pool: Pool, [x]: Inputs["maxPool2d"]): Shape.Shape | string => {
  if (!Shape.hasRank(4)(x.shape)) return "the input must be [batch×channels×height×width]"
  const { kernel, padding } = pool
  const [batch, channels, height, width] = x.shape
  if (!kernel.every((n) => Number.isSafeInteger(n) && n > 0)) return "the window's sides must be positive whole numbers"
  const [top, left, bottom, right] = padding
  if (Math.max(top, bottom) >= kernel[0] || Math.max(left, right) >= kernel[1])
    return "no window may lie entirely in the padding"
  const size = outputSize([height, width], kernel, pool)
  return typeof size === "string" ? size : [batch, channels, ...size]
}

/** One operation per element of every window. */
const perWindow = (windows: Shape.Shape, { kernel: [height, width] }: Pool) =>
  flops(Shape.size(windows) * height * width)

export const definitions: Definitions<Attributes> = {
  maxPool2d: define("maxPool2d", {
    shape: pooled,
    cost: (y) => perWindow(y.shape, y.attributes),
    gradient: (y, dy) => [apply(definitions.maxPool2dGrad, y.attributes, [y.inputs[0], dy], y.path)]
  }),
  maxPool2dGrad: define("maxPool2dGrad", {
    shape: (_, [x]) => x.shape,
    cost: (y) => perWindow(y.inputs[1].shape, y.attributes),
    gradient: "unsupported"
  }),
  averagePool2d: define("averagePool2d", {
    shape: pooled,
    cost: (y) => perWindow(y.shape, y.attributes),
    gradient: (y, dy) => {
      const { kernel, stride, padding, countPadding } = y.attributes
      const attributes = { kernel, stride, padding, countPadding, inputShape: y.inputs[0].shape }
      return [apply(definitions.averagePool2dGrad, attributes, [dy], y.path)]
    }
  }),
  averagePool2dGrad: define("averagePool2dGrad", {
    shape: ({ inputShape }) => inputShape,
    cost: (y) => perWindow(y.inputs[0].shape, y.attributes),
    gradient: "unsupported"
  }),
  globalAveragePool: define("globalAveragePool", {
    shape: (_, [x]) => (x.shape.length === 4 ? x.shape.slice(0, 2) : "the input must be [batch×channels×height×width]"),
    cost: (y) => {
      const elements = Shape.size(y.inputs[0].shape)
      return { ...flops(elements), fvcore: { operator: "adaptive_avg_pool2d", count: elements } }
    },
    gradient: (y, dy) => {
      const shape = Shape.ofRank(4)(y.inputs[0].shape)
      const [batch, channels, height, width] = shape
      const each = scale(dy, 1 / (height * width), y.path)
      return [broadcastTo(reshape(each, [batch, channels, 1, 1], y.path), shape, y.path)]
    }
  })
}

/**
 * Maximum over a sliding window. Defaults: stride 1, the padding that keeps the size (none along an axis where the window is even). Padding never wins. At a tie the gradient
 * goes to the window's first element, in row-major order.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Op.maxPool2d(x, { kernel: [2, 2], stride: [2, 2] }).shape) // [ 8, 32, 8, 8 ]
 * ```
 */
export const maxPool2d = (
  x: Tensor,
  options: {
    readonly kernel: Pool["kernel"]
    readonly stride?: Window["stride"]
    readonly padding?: Window["padding"]
  },
  path = x.path
): Tensor<"maxPool2d"> => {
  const { kernel, stride = [1, 1], padding = halfPadding(kernel) } = options
  return apply(definitions.maxPool2d, { kernel, stride, padding }, [x], path)
}

/**
 * Mean over a sliding window, as in PyTorch's `avg_pool2d`: `[batch, channels, height, width]` → `[batch, channels, …, …]`.
 *
 * Defaults: stride 1, the padding that keeps the size (none along an axis where the window is even). `countPadding` (default true, PyTorch's `count_include_pad`) divides by the window's area everywhere; without it,
 * a window at the border is averaged over the image's own elements in it. A window that does not fit is a `ShapeError`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Op.averagePool2d(x, { kernel: [3, 3], countPadding: false }).shape) // of the size of x, as in NAS-Bench-201's cells
 * ```
 */
export const averagePool2d = (
  x: Tensor,
  options: {
    readonly kernel: Pool["kernel"]
    readonly stride?: Window["stride"]
    readonly padding?: Window["padding"]
    readonly countPadding?: boolean
  },
  path = x.path
): Tensor<"averagePool2d"> => {
  const { kernel, stride = [1, 1], padding = halfPadding(kernel), countPadding = true } = options
  return apply(definitions.averagePool2d, { kernel, stride, padding, countPadding }, [x], path)
}

/**
 * How many elements of an image of `[height, width]` each window covers, not counting padding, in row-major order: the divisor of a mean that does not count padding.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * console.log(Op.windowCounts([2, 2], { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] })) // 4, 4, 4, 4
 * ```
 */
export const windowCounts = (size: readonly [number, number], { kernel, padding, stride }: Pool): Float32Array => {
  const [top, left, bottom, right] = padding
  const along = (axis: 0 | 1, before: number, after: number) => {
    const windows = Math.floor((size[axis] + before + after - kernel[axis]) / stride[axis]) + 1
    return Array.from({ length: windows }, (_, i) => {
      const start = i * stride[axis] - before
      return Math.min(start + kernel[axis], size[axis]) - Math.max(start, 0)
    })
  }
  const columns = along(1, left, right)
  return Float32Array.from(along(0, top, bottom).flatMap((height) => columns.map((width) => height * width)))
}

/** Mean over height and width: `[batch, channels, height, width]` → `[batch, channels]`. */
export const globalAveragePool = (x: Tensor, path = x.path): Tensor<"globalAveragePool"> =>
  apply(definitions.globalAveragePool, {}, [x], path)
