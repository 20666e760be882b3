import * as Result from "effect/Result"
import * as Proxy from "../Proxy.ts"

/**
 * AZ-NAS's complexity: floating-point operations of an evaluation; here multiply-accumulates, which give the same order of networks.
 *
 * **Source.** J. Lee and B. Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024 (arXiv 2403.19232), section 3.1.
 */
export const complexity = Proxy.make({
  name: "complexity",
  source: "Lee and Ham, CVPR 2024",
  assumes: "that networks with more computation are better",
  lay: ({ costs }) => Result.succeed({ outputs: {}, score: () => costs.macs })
})
