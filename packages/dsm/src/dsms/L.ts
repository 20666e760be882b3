/** The local downsampling module [code]. */
import { Nn, Scope } from "@uninet/nn"
import type { Dsm } from "../Dsm.ts"
import { branchCount, local, plus, shortcut, shortcutCount } from "./shared.ts"

/** Depthwise 3×3 with the stride → BN → 1×1; + max-pool → 1×1. */
export const L: Dsm = {
  layer: (scope, config) =>
    Nn.residual(scope, {
      shortcut: shortcut(scope, config),
      branch: local(Scope.at(scope, "downsample"), config)
    }),
  count: (config, size) => plus(branchCount(config, size, 9), shortcutCount(config, size))
}
