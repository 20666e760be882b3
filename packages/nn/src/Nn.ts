/**
 * Layers: functions of a tensor, made from their options and the scope that names their parameters.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 * import { flow } from "effect/Function"
 *
 * const scope = Scope.make("training")
 * const at = (name: string) => Scope.at(name)(scope)
 *
 * // The block of MobileNetV3: a wide depthwise convolution between two narrow ends.
 * const inverted = Nn.residual(scope, {
 *   branch: flow(
 *     Nn.pointwise(at("expand"), { out: 128, bias: false }),
 *     Nn.batchNorm(at("norm")),
 *     Nn.hardSwish(scope),
 *     Nn.depthwise(at("depthwise"), { kernel: 5 }),
 *     Nn.squeezeExcitation(at("gate")),
 *     Nn.pointwise(at("project"), { out: 32, bias: false })
 *   )
 * })
 * console.log(inverted(Op.input("image", [8, 32, 16, 16])).shape) // [ 8, 32, 16, 16 ]
 * console.log(Nn.squeezeChannels(128)) // 32: what the gate has inside
 *
 * // The block of a Swin transformer, over the tokens of an image of 14 × 14.
 * const branch = (name: string, layer: ReturnType<typeof Nn.layerNorm>) =>
 *   Nn.residual(scope, {
 *     branch: flow(Nn.layerNorm(at(`${name}.norm`)), layer, Nn.layerScale(scope, `${name}.gamma`))
 *   })
 * const swin = flow(
 *   branch("attn", Nn.windowAttention(at("attn"), { headDim: 32, window: 7, height: 14, width: 14 })),
 *   branch("mlp", Nn.feedForward(at("mlp"), { hidden: 384 }))
 * )
 * console.log(swin(Op.input("tokens", [8, 196, 96])).shape) // [ 8, 196, 96 ]
 * ```
 */
export { gelu, hardSwish, relu, silu } from "./Activation.ts"
export { attend, crossAttention, selfAttention, windowAttention } from "./Attention.ts"
export { convolution, type ConvolutionOptions, depthwise, pointwise } from "./Convolution.ts"
export { embedding } from "./Embedding.ts"
export { feedForward } from "./FeedForward.ts"
export { linear } from "./Linear.ts"
export { batchNorm, layerNorm } from "./Normalisation.ts"
export { averagePool2d, globalAveragePool, maxPool2d, type PoolOptions, resize } from "./Pooling.ts"
export { dropout, stochasticDepth } from "./Regularisation.ts"
export { layerScale, residual } from "./Residual.ts"
export { makeDivisible, squeezeChannels, squeezeExcitation } from "./SqueezeExcitation.ts"
