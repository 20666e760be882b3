/** Pooling and resizing of images `[batch, channels, height, width]`. */
import { Op } from "@uninet/graph"
import type { Layer } from "./Layer.ts"
import type { Scope } from "./Scope.ts"
import { ofImages } from "./internal/axes.ts"
import { pair } from "./internal/pair.ts"

/** Window, stride and padding, along height and width. */
export interface PoolOptions {
  /** Height and width of the window, or one number for both. */
  readonly kernel: number | readonly [number, number]
  /** Default: 1. PyTorch's pools default to the window's size instead. */
  readonly stride?: number | readonly [number, number]
  /** Rows and columns added at the top, left, bottom, right. Default: the padding that keeps the size, none along an axis where the window is even. */
  readonly padding?: Op.Window["padding"]
}

const windowOf = ({ kernel, padding, stride = 1 }: PoolOptions) => ({
  kernel: pair(kernel),
  stride: pair(stride),
  ...(padding === undefined ? {} : { padding })
})

/**
 * Maximum over a sliding window; padding never wins.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Nn.maxPool2d(scope, { kernel: 2, stride: 2 })(x).shape) // [ 8, 32, 8, 8 ]
 * ```
 */
export const maxPool2d =
  (scope: Scope, options: PoolOptions): Layer =>
  (x) =>
    Op.maxPool2d(x, windowOf(options), scope.path)

/**
 * Mean over a sliding window. `countPadding` (default true) counts padding as zeros; without it, a window at the border is averaged over the image's own elements in it.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Nn.averagePool2d(scope, { kernel: 3, countPadding: false })(x).shape) // as in NAS-Bench-201's cells
 * ```
 */
export const averagePool2d =
  (scope: Scope, options: PoolOptions & { readonly countPadding?: boolean }): Layer =>
  (x) => {
    const { countPadding = true } = options
    return Op.averagePool2d(x, { ...windowOf(options), countPadding }, scope.path)
  }

/**
 * Mean over height and width: `[batch, channels, height, width]` → `[batch, channels]`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Nn.globalAveragePool(scope)(x).shape) // [ 8, 32 ]
 * ```
 */
export const globalAveragePool =
  (scope: Scope): Layer =>
  (x) =>
    Op.globalAveragePool(x, scope.path)

/**
 * Resizes an image to `size` `[height, width]`, or to `scale` times its height and width, rounded down. Default mode: `nearest`; `bilinear` is PyTorch's with `align_corners = false`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Nn.resize(scope, { scale: 2, mode: "bilinear" })(x).shape) // [ 8, 32, 32, 32 ]
 * ```
 */
export const resize = (
  scope: Scope,
  options: ({ readonly size: readonly [number, number] } | { readonly scale: number }) & {
    readonly mode?: Op.Interpolation
  }
): Layer =>
  ofImages(scope, "resize", ([, , height, width]) => {
    const { mode = "nearest" } = options
    const size =
      "size" in options
        ? options.size
        : ([Math.floor(height * options.scale), Math.floor(width * options.scale)] as const)
    return (x) => Op.resize(x, size, { mode }, scope.path)
  })
