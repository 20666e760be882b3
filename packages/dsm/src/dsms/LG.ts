/** The local-global downsampling module [code]. */
import { Scope } from "@uninet/nn"
import type { Dsm } from "../Dsm.ts"
import { attending, attendingCount, branchCount, local, plus, shortcutCount } from "./shared.ts"

/** Queries from the local branch attend to every position of the input; + max-pool → 1×1. No LayerScale, no FFN. */
export const LG: Dsm = {
  heads: true,
  layer: (scope, config) => attending(scope, config, local(Scope.at(scope, "q"), config)),
  count: (config, size) => plus(branchCount(config, size, 9), attendingCount(config, size), shortcutCount(config, size))
}
