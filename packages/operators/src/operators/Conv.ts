/** FusedMBConv, as in sibling networks of UniNet's authors: MBConv with its first 1×1 and its depthwise convolution fused into one full 3×3 convolution. */
import { Nn, Scope } from "@uninet/nn"
import { flow } from "effect/Function"
import { hidden, type Operator } from "../Operator.ts"
import * as pytorch from "./pytorch.ts"
import { area, shortcut, shortcutCount, squeezeExcitationCount } from "./shared.ts"

/** BN → 3×3 to e·c → BN → GELU → SE → 1×1 to c → BN (initially 0); + the input. */
export const Conv: Operator = {
  widens: true,
  // A norm follows, in the block or after it.
  idle: ["project.bias", "norm3.bias", "residual.1.bias"],
  growth: {},
  pytorch: pytorch.Conv,
  layer: (scope, config) => {
    const at = (name: string) => Scope.at(name)(scope)
    const branch = flow(
      Nn.batchNorm(at("norm1")),
      Nn.convolution(at("conv"), { out: hidden(config), kernel: 3, bias: false }),
      Nn.batchNorm(at("norm2")),
      Nn.gelu(at("act")),
      Nn.squeezeExcitation(at("se")),
      Nn.pointwise(at("project"), { out: config.channels }),
      Nn.batchNorm(at("norm3"), { zero: true }),
      Nn.stochasticDepth(scope, config.stochasticDepth)
    )
    return Nn.residual(scope, { shortcut: shortcut(scope, config), branch })
  },
  count: (config, size) => {
    const { inChannels, channels } = config
    const inner = hidden(config)
    const se = squeezeExcitationCount(inner)
    const short = shortcutCount(config, size)
    const norms = 2 * inChannels + 2 * inner + 2 * channels
    return {
      parameters: 9 * inChannels * inner + se.parameters + inner * channels + channels + norms + short.parameters,
      macs: area(size) * (9 * inChannels * inner + inner * channels) + se.macs + short.macs
    }
  }
}
