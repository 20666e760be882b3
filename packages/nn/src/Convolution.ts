/** Convolutions over images `[batch, channels, height, width]`. */
import { Op } from "@uninet/graph"
import * as Initialiser from "./Initialiser.ts"
import type { Layer } from "./Layer.ts"
import { parameter } from "./Parameter.ts"
import type { Scope } from "./Scope.ts"
import { alongChannels, ofImages } from "./internal/axes.ts"
import { pair } from "./internal/pair.ts"

/** Channels, kernel, stride, groups and bias. */
export interface ConvolutionOptions {
  /** Output channels. */
  readonly out: number
  /** Height and width of the kernel, or one number for both. */
  readonly kernel: number | readonly [number, number]
  /** Default: 1. */
  readonly stride?: number | readonly [number, number]
  /** Zeros at the top, left, bottom, right. Default: the padding that keeps the size, none along an axis where the kernel is even. */
  readonly padding?: readonly [number, number, number, number]
  /** Rows and columns from one tap of the kernel to the next, or one number for both. Default: 1, adjacent taps. */
  readonly dilation?: number | readonly [number, number]
  /** Default: 1. */
  readonly groups?: number
  /** Default: true. */
  readonly bias?: boolean
}

/**
 * A convolution. Parameters `weight` `[out, in / groups, height, width]` and `bias` `[out]`, both uniform in ±1/√fan-in.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * const stem = Nn.convolution(Scope.at("stem")(scope), { out: 64, kernel: 3, stride: 2, bias: false })
 * console.log(stem(x).shape) // [ 8, 64, 8, 8 ]
 * ```
 */
export const convolution = (scope: Scope, options: ConvolutionOptions): Layer =>
  ofImages(scope, "conv2d", ([, channels]) => {
    const { out, groups = 1, bias = true, padding } = options
    const [height, width] = pair(options.kernel)
    const perGroup = channels / groups
    const initialiser = Initialiser.convolution(perGroup * height * width)
    const weight = parameter(scope, "weight", [out, perGroup, height, width], initialiser, true)
    const geometry = {
      stride: pair(options.stride ?? 1),
      dilation: pair(options.dilation ?? 1),
      groups,
      ...(padding === undefined ? {} : { padding })
    }
    const shift = bias ? parameter(scope, "bias", [out], initialiser, false) : undefined
    return (x) => Op.conv2d(x, weight, { ...geometry, bias: shift }, scope.path)
  })

/** A 1×1 convolution, a linear layer at every position: `[batch, in, height, width]` → `[batch, out, height, width]`. Parameters as in `convolution`; `bias` is on by default. */
export const pointwise = (scope: Scope, options: { readonly out: number; readonly bias?: boolean }): Layer =>
  convolution(scope, { ...options, kernel: 1 })

/** Convolves each channel of `[batch, channels, height, width]` separately and keeps their number. Defaults: kernel 3, no bias, the rest as in `convolution`. */
export const depthwise = (scope: Scope, options: Omit<Partial<ConvolutionOptions>, "out" | "groups"> = {}): Layer =>
  alongChannels(scope, "conv2d", (channels) =>
    convolution(scope, { kernel: 3, bias: false, ...options, out: channels, groups: channels })
  )
