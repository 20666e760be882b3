/** The local downsampling module, as in the released PyTorch code. */
import { Nn, Scope } from "@uninet/nn"
import type { Dsm } from "../Dsm.ts"
import * as pytorch from "./pytorch.ts"
import { branchCount, local, plus, shortcut, shortcutCount } from "./shared.ts"

/** Depthwise 3×3 with the stride → BN → 1×1; + max-pool → 1×1. */
export const L: Dsm = {
  // A norm follows, in the module or after it.
  idle: ["downsample.0.bias", "downsample.1.bias", "downsample.2.bias", "residual.0.bias", "residual.1.bias"],
  growth: {},
  pytorch: pytorch.L,
  layer: (scope, config) =>
    Nn.residual(scope, {
      shortcut: shortcut(scope, config),
      branch: local(Scope.at("downsample")(scope), config)
    }),
  count: (config, size) => plus(branchCount(config, size, 9), shortcutCount(config, size))
}
