import { gradient, Shape } from "@uninet/graph"
import * as Result from "effect/Result"
import { at } from "../internal/at.ts"
import { paired, row } from "../internal/sums.ts"
import * as Proxy from "../Proxy.ts"

/**
 * The sum over weights W of ‖∂L/∂W‖₂, where L is the loss on the batch.
 *
 * **Source.** M. S. Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021 (arXiv 2101.08134), section 3.1. **Assumes** a loss, and initial weights as in training.
 */
export const gradientNorm = Proxy.make({
  name: "grad-norm",
  source: "Abdelfattah et al., ICLR 2021",
  assumes: "a loss on a batch",
  lay: ({ whole: { loss, weights } }) => {
    const gradients = paired(weights, gradient(loss, weights)).map(([, g]) => g)
    return Result.succeed({
      outputs: { gradients: row(gradients) },
      score: ({ gradients: elements = [] }) => {
        let i = 0
        return gradients.reduce((norms, { shape }) => {
          let square = 0
          for (const end = i + Shape.size(shape); i < end; i++) square += at(elements, i) * at(elements, i)
          return norms + Math.sqrt(square)
        }, 0)
      }
    })
  }
})
