/**
 * Layers: functions of a tensor, made from the scope that names their parameters and their options.
 *
 * @example
 * const scope = Scope.make("training")
 * const layer = flow(
 *   Nn.convolution(Scope.at(scope, "stem.0"), { out: 32, kernel: 3, stride: 2, bias: false }),
 *   Nn.batchNorm(Scope.at(scope, "stem.1")),
 *   Nn.gelu(scope)
 * )
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
