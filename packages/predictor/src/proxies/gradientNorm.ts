import { gradient, Op } from "@uninet/graph"
import * as Result from "effect/Result"
import { paired, total } from "../internal/sums.ts"
import * as Proxy from "../Proxy.ts"

/**
 * The sum over weights W of ‖∂L/∂W‖₂, L being the loss of the batch.
 *
 * **Source.** M. S. Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021 (arXiv 2101.08134), section 3.1. **Assumes** a loss, and first values as training has them.
 */
export const gradientNorm = Proxy.make({
  name: "grad-norm",
  source: "Abdelfattah et al., ICLR 2021",
  assumes: "a loss on a batch",
  lay: ({ whole: { loss, weights } }) =>
    Result.succeed({
      outputs: {
        norm: total(paired(weights, gradient(loss, weights)).map(([, g]) => Op.sqrt(Op.sum(Op.mul(g, g)))))
      },
      score: ({ norm }) => norm?.[0] ?? Number.NaN
    })
})
