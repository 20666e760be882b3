/** Transformer blocks: self-attention over the whole image (`SA`) and inside windows (`LSA`). */
import { type Layer, Nn, Scope } from "@uninet/nn"
import { flow } from "effect/Function"
import type { Config, Count, Growth, Operator, Size } from "../Operator.ts"
import * as pytorch from "./pytorch.ts"
import { area, feedForward, feedForwardCount, overTokens, tokenResidual } from "./shared.ts"

/** Height and width of LSA's windows. */
const windowSize = 7

/** x ← x + depthwise 3×3 of x; x ← x + γ₁·attention(LN(x)); x ← x + γ₂·FFN(LN(x)). */
const transformer =
  (attention: (scope: Scope.Scope, config: Config, size: Size) => Layer.Layer): Operator["layer"] =>
  (scope, config) => {
    const position = Scope.at("pos_embed")(scope)
    return flow(
      Nn.residual(position, { branch: Nn.depthwise(position, { bias: true }) }),
      overTokens(scope, (size) =>
        flow(
          tokenResidual(scope, { norm: "norm1", scale: "gamma_1", branch: "attn" }, config, (at) =>
            attention(at, config, size)
          ),
          feedForward(scope, config)
        )
      )
    )
  }

const growth: Growth = {
  parts: { "attn.qkv": 3 },
  silent: ["gamma_1", "gamma_2", "pos_embed.weight", "pos_embed.bias"],
  normsChannels: true
}

/** `scores` are the query-key pairs of one image, padding included. */
const count = (config: Config, size: Size, scores: number): Count => {
  const c = config.channels
  const ffn = feedForwardCount(config, size)
  const position = { parameters: 10 * c, macs: 9 * c * area(size) }
  // qkv and output projection, norm and LayerScale.
  const attention = { parameters: 4 * c * c + 4 * c + 3 * c, macs: 4 * c * c * area(size) + 2 * c * scores }
  return {
    parameters: position.parameters + attention.parameters + ffn.parameters,
    macs: position.macs + attention.macs + ffn.macs
  }
}

/** Multi-head self-attention of every position to every other, with a depthwise convolution for position encoding, as in the released PyTorch code. */
export const SA: Operator = {
  heads: true,
  // A norm may follow.
  idle: ["mlp.fc2.bias"],
  growth,
  pytorch: pytorch.SA,
  layer: transformer((scope, { headDim }) => Nn.selfAttention(scope, { headDim })),
  count: (config, size) => count(config, size, area(size) * area(size))
}

/** Query-key pairs along one axis: those of every window, including the padding of the last. */
const pairs = (length: number) => {
  const window = Math.min(windowSize, length)
  return Math.ceil(length / window) * window * window
}

/** Like `SA`, but with attention inside non-overlapping, unshifted windows of 7×7, as in sibling networks of the same authors; padding and masks are our choice. */
export const LSA: Operator = {
  heads: true,
  // A norm may follow.
  idle: ["mlp.fc2.bias"],
  growth,
  pytorch: pytorch.LSA,
  layer: transformer((scope, { headDim }, size) => Nn.windowAttention(scope, { headDim, window: windowSize, ...size })),
  count: (config, size) => {
    return count(config, size, pairs(size.height) * pairs(size.width))
  }
}
