/** Convolutions over images `[batch, channels, height, width]`. */
import { Op } from "@uninet/graph"
import * as Initialiser from "./Initialiser.ts"
import type { Layer } from "./Layer.ts"
import { parameter } from "./Parameter.ts"
import type { Scope } from "./Scope.ts"

export interface ConvolutionOptions {
  /** Channels out. */
  readonly out: number
  /** Height and width of the kernel, or one number for both. */
  readonly kernel: number | readonly [number, number]
  /** Default: 1. */
  readonly stride?: number | readonly [number, number]
  /** Zeros at the top, left, bottom, right. Default: half the kernel. */
  readonly padding?: readonly [number, number, number, number]
  /** Default: 1. */
  readonly groups?: number
  /** Default: true. */
  readonly bias?: boolean
}

const pair = (n: number | readonly [number, number]) => (typeof n === "number" ? ([n, n] as const) : n)

/** A convolution. Parameters `weight` `[out, in / groups, height, width]` and `bias` `[out]`, both uniform in ±1/√fan-in. */
export const convolution =
  (scope: Scope, options: ConvolutionOptions): Layer =>
  (x) => {
    const { out, groups = 1, bias = true, padding } = options
    const [height, width] = pair(options.kernel)
    const perGroup = x.shape[1] / groups
    const initialiser = Initialiser.convolution(perGroup * height * width)
    const weight = parameter(scope, "weight", [out, perGroup, height, width], initialiser, true)
    const geometry = { stride: pair(options.stride ?? 1), groups, ...(padding === undefined ? {} : { padding }) }
    return Op.conv2d(
      x,
      weight,
      { ...geometry, bias: bias ? parameter(scope, "bias", [out], initialiser, false) : undefined },
      scope.path
    )
  }

/** A 1×1 convolution: a linear layer at every position. */
export const pointwise = (scope: Scope, options: { readonly out: number; readonly bias?: boolean }): Layer =>
  convolution(scope, { ...options, kernel: 1 })

/** A convolution of every channel by itself. Kernel 3 and no bias by default. */
export const depthwise =
  (scope: Scope, options: Omit<Partial<ConvolutionOptions>, "out" | "groups"> = {}): Layer =>
  (x) =>
    convolution(scope, { kernel: 3, bias: false, ...options, out: x.shape[1], groups: x.shape[1] })(x)
