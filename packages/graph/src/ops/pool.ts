/** Pooling. */
import { flops } from "../Cost.ts"
import { apply, define, type Definitions } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"
import { halfPadding, outputSize, type Window } from "./convolution.ts"
import { broadcastTo, scale } from "./elementwise.ts"
import { reshape } from "./layout.ts"

export interface Attributes {
  /** Padding never wins. */
  readonly maxPool2d: Window & { readonly kernel: readonly [number, number] }
  /** Inputs `[x, dy]`: every window's gradient goes to the first of its largest elements, in row-major order. */
  readonly maxPool2dGrad: Window & { readonly kernel: readonly [number, number] }
  /** `[batch, channels, height, width]` → `[batch, channels]`. */
  readonly globalAveragePool: {}
}

export const definitions: Definitions<Attributes> = {
  maxPool2d: define("maxPool2d", {
    shape: (attributes, [x]) => {
      if (x.shape.length !== 4) return "the input must be [batch×channels×height×width]"
      const { kernel, padding } = attributes
      const [batch, channels, height, width] = x.shape
      if (padding.some((n, side) => n >= kernel[side % 2])) return "a window may not lie in the padding alone"
      const size = outputSize([height, width], kernel, attributes)
      return typeof size === "string" ? size : [batch, channels, ...size]
    },
    cost: (y) => flops(Shape.size(y.shape) * y.attributes.kernel[0] * y.attributes.kernel[1]),
    gradient: (y, dy) => [apply(definitions.maxPool2dGrad, y.attributes, [y.inputs[0], dy], y.path)]
  }),
  maxPool2dGrad: define("maxPool2dGrad", {
    shape: (_, [x]) => x.shape,
    cost: (y) => flops(Shape.size(y.inputs[1].shape) * y.attributes.kernel[0] * y.attributes.kernel[1]),
    gradient: "unsupported"
  }),
  globalAveragePool: define("globalAveragePool", {
    shape: (_, [x]) => (x.shape.length === 4 ? x.shape.slice(0, 2) : "the input must be [batch×channels×height×width]"),
    cost: (y) => {
      const elements = Shape.size(y.inputs[0].shape)
      return { ...flops(elements), fvcore: { operator: "adaptive_avg_pool2d", count: elements } }
    },
    gradient: (y, dy) => {
      const { shape } = y.inputs[0]
      const each = scale(dy, 1 / (shape[2] * shape[3]), y.path)
      return [broadcastTo(reshape(each, [shape[0], shape[1], 1, 1], y.path), shape, y.path)]
    }
  })
}

/** Maximum over a sliding window. Defaults: stride 1, padding of half the kernel (which never wins). */
export const maxPool2d = (
  x: Tensor,
  options: {
    readonly kernel: readonly [number, number]
    readonly stride?: Window["stride"]
    readonly padding?: Window["padding"]
  },
  path = x.path
): Tensor<"maxPool2d"> => {
  const { kernel, stride = [1, 1], padding = halfPadding(kernel) } = options
  return apply(definitions.maxPool2d, { kernel, stride, padding }, [x], path)
}

/** Mean over height and width: `[batch, channels, height, width]` → `[batch, channels]`. */
export const globalAveragePool = (x: Tensor, path = x.path): Tensor<"globalAveragePool"> =>
  apply(definitions.globalAveragePool, {}, [x], path)
