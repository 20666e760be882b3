import { gradient, Op } from "@uninet/graph"
import * as Result from "effect/Result"
import { paired, row } from "../internal/sums.ts"
import * as Proxy from "../Proxy.ts"

/**
 * Σ |θ · ∂L/∂θ| over all weights: how much the loss on the batch changes, to first order, when weights are removed one by one.
 *
 * **Source.** N. Lee et al., "SNIP: Single-shot Network Pruning based on Connection Sensitivity", ICLR 2019; as a score for networks, Abdelfattah et al., ICLR 2021. **Assumes** a loss.
 */
export const snip = Proxy.make({
  name: "snip",
  source: "Lee et al., ICLR 2019",
  assumes: "a loss on a batch",
  lay: ({ whole: { loss, weights } }) => {
    const pairs = paired(weights, gradient(loss, weights))
    return Result.succeed({
      outputs: { sum: Op.sum(Op.abs(Op.mul(row(pairs.map(([w]) => w)), row(pairs.map(([, g]) => g))))) },
      score: ({ sum }) => sum?.[0] ?? Number.NaN
    })
  }
})
