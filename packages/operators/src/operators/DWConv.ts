/** MBConv with its norms first, as in the released PyTorch code: the inverted residual of MobileNetV2 with squeeze-and-excitation. */
import { Nn, Scope } from "@uninet/nn"
import { flow, identity } from "effect/Function"
import { type Config, hidden, type Operator, type Size } from "../Operator.ts"
import * as pytorch from "./pytorch.ts"
import { area, shortcut, shortcutCount, squeezeExcitationCount } from "./shared.ts"

/** The 1×1 convolution to the hidden channels is left out if there is nothing to expand. */
const expands = (config: Config) => hidden(config) !== config.inChannels

/** [BN → 1×1 to e·c → BN → GELU] → depthwise 3×3 → BN → GELU → SE → 1×1 to c → BN (initially 0); + the input. */
export const DWConv: Operator = {
  widens: true,
  // A norm follows, in the block or after it.
  idle: ["b1.0.bias", "b2.4.bias", "b2.5.bias", "residual.1.bias"],
  growth: {},
  pytorch: pytorch.DWConv,
  layer: (scope, config) => {
    const at = (name: string) => Scope.at(name)(scope)
    const expand = expands(config)
      ? flow(
          Nn.batchNorm(at("b1.0")),
          Nn.pointwise(at("b1.1"), { out: hidden(config), bias: false }),
          Nn.batchNorm(at("b1.2")),
          Nn.gelu(at("b1.3"))
        )
      : identity
    const branch = flow(
      expand,
      Nn.depthwise(at("b2.0")),
      Nn.batchNorm(at("b2.1")),
      Nn.gelu(at("b2.2")),
      Nn.squeezeExcitation(at("b2.3")),
      Nn.pointwise(at("b2.4"), { out: config.channels }),
      Nn.batchNorm(at("b2.5"), { zero: true }),
      Nn.stochasticDepth(scope, config.stochasticDepth)
    )
    return Nn.residual(scope, { shortcut: shortcut(scope, config), branch })
  },
  count: (config: Config, size: Size) => {
    const { inChannels, channels } = config
    const inner = hidden(config)
    const se = squeezeExcitationCount(inner)
    const short = shortcutCount(config, size)
    const expand = expands(config) ? inChannels * inner : 0
    const norms = (expands(config) ? 2 * inChannels + 2 * inner : 0) + 2 * inner + 2 * channels
    return {
      parameters: expand + 9 * inner + se.parameters + inner * channels + channels + norms + short.parameters,
      macs: area(size) * (expand + 9 * inner + inner * channels) + se.macs + short.macs
    }
  }
}
