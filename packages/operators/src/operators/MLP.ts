/** MLP-Mixer's block, as in sibling networks of UniNet's authors: a feed-forward network over the tokens of each channel, then one over the channels of each token. */
import { Op } from "@uninet/graph"
import { Nn } from "@uninet/nn"
import { flow } from "effect/Function"
import type { Operator } from "../Operator.ts"
import * as pytorch from "./pytorch.ts"
import { area, feedForward, feedForwardCount, overTokens, tokenResidual } from "./shared.ts"

/**
 * x ← x + γ₁·TokenMLP(LN(x)), N → 2N → N over the N tokens; x ← x + γ₂·FFN(LN(x)). No position encoding.
 *
 * The shape of its token weights depends on the image's size: a network with this operator runs at one resolution only.
 */
export const MLP: Operator = {
  // A norm may follow.
  idle: ["mlp.fc2.bias"],
  growth: {
    positions: { "mix.fc1": 1, "mix.fc2": 0 },
    silent: ["gamma_1", "gamma_2"],
    normsChannels: true
  },
  pytorch: pytorch.MLP,
  layer: (scope, config) =>
    overTokens(scope, (size) =>
      flow(
        tokenResidual(scope, { norm: "norm1", scale: "gamma_1", branch: "mix" }, config, (at) =>
          flow(
            (x) => Op.transpose(x, [0, 2, 1], at.path),
            Nn.feedForward(at, { hidden: 2 * area(size) }),
            (x) => Op.transpose(x, [0, 2, 1], at.path)
          )
        ),
        feedForward(scope, config)
      )
    ),
  count: (config, size) => {
    const tokens = area(size)
    const ffn = feedForwardCount(config, size)
    return {
      parameters: 4 * tokens * tokens + 3 * tokens + 3 * config.channels + ffn.parameters,
      macs: 4 * tokens * tokens * config.channels + ffn.macs
    }
  }
}
