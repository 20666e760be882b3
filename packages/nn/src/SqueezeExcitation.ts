/** Squeeze-and-excitation: a gate per channel, from the image's channel means, as in the released PyTorch code of UniNet (Sense-X/UniNet). */
import { Op } from "@uninet/graph"
import { flow } from "effect/Function"
import { pointwise } from "./Convolution.ts"
import type { Layer } from "./Layer.ts"
import * as Scope from "./Scope.ts"
import { ofImages } from "./internal/axes.ts"

/**
 * The multiple of `divisor` near `value`: at least `divisor`, and never more than a tenth below `value`.
 *
 * @example
 * ```ts
 * import { Nn } from "@uninet/nn"
 *
 * console.log([50, 30, 3].map((channels) => Nn.makeDivisible(channels, 8))) // [ 48, 32, 8 ]
 * ```
 */
export const makeDivisible = (value: number, divisor: number): number => {
  const near = Math.max(divisor, Math.floor((value + divisor / 2) / divisor) * divisor)
  return near < 0.9 * value ? near + divisor : near
}

/** Channels inside the squeeze-and-excitation of `channels`: a quarter, in multiples of 8. */
export const squeezeChannels = (channels: number): number => makeDivisible(Math.floor(channels / 4), 8)

/**
 * x · hardSigmoid(`fc2`(relu(`fc1`(mean of x over the image)))), in the shape of x: `[batch, channels, height, width]`. `fc1` and `fc2` are 1×1 convolutions with biases, `squeezeChannels(channels)` wide inside.
 */
export const squeezeExcitation = (scope: Scope.Scope): Layer =>
  ofImages(scope, "squeezeExcitation", ([batch, channels]) => {
    const { path } = scope
    const gate = flow(
      pointwise(Scope.at("fc1")(scope), { out: squeezeChannels(channels) }),
      (y) => Op.relu(y, path),
      pointwise(Scope.at("fc2")(scope), { out: channels }),
      (y) => Op.hardSigmoid(y, path)
    )
    return (x) => Op.mul(x, gate(Op.reshape(Op.globalAveragePool(x, path), [batch, channels, 1, 1], path)), path)
  })
