import * as Result from "effect/Result"
import * as Proxy from "../Proxy.ts"

/**
 * Multiply-accumulates for evaluating one example.
 *
 * **Assumes** that larger is better. X. Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures" (NeurIPS 2021), found that few proxies beat it.
 */
export const macs = Proxy.make({
  name: "macs",
  source: "the usual baseline",
  assumes: "that networks with more computation are better",
  lay: ({ costs }) => Result.succeed({ outputs: {}, score: () => costs.macs })
})
