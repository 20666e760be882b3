/** The local-global downsampling module, as in the released PyTorch code. */
import { Scope } from "@uninet/nn"
import type { Dsm } from "../Dsm.ts"
import * as pytorch from "./pytorch.ts"
import { attending, attendingCount, branchCount, local, plus, shortcutCount } from "./shared.ts"

/** Queries from the local branch attend to every position of the input; + max-pool → 1×1. No LayerScale, no FFN. */
export const LG: Dsm = {
  heads: true,
  // A norm follows, in the module or after it.
  idle: ["q.0.bias", "kv_norm.bias", "kv.bias", "proj.bias", "residual.0.bias", "residual.1.bias"],
  growth: { parts: { kv: 2 }, normsChannels: true },
  pytorch: pytorch.LG,
  layer: (scope, config) => attending(scope, config, local(Scope.at("q")(scope), config)),
  count: (config, size) => plus(branchCount(config, size, 9), attendingCount(config, size), shortcutCount(config, size))
}
