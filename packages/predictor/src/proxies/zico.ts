import { gradient, Op } from "@uninet/graph"
import * as Result from "effect/Result"
import { paired, total } from "../internal/sums.ts"
import * as Proxy from "../Proxy.ts"

/**
 * Σ over weights W of log Σ_θ E|∇θ| / √Var(∇θ), mean and variance being those of the loss's gradients on two batches: the halves of the one that is given. Elements whose gradient is the same on both say nothing.
 *
 * Of two gradients a and b that is (|a| + |b|) / |a − b|.
 *
 * **Source.** G. Li et al., "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients", ICLR 2023 (arXiv 2301.11300), equation 17; two batches as in the authors' code. **Assumes** a loss.
 */
export const zico = Proxy.make({
  name: "zico",
  source: "Li et al., ICLR 2023",
  assumes: "a loss on two batches",
  lay: ({ halves }) => {
    const [first, second] = halves().map(
      ({ loss, weights }) =>
        new Map(paired(weights, gradient(loss, weights)).map(([w, g]) => [w.attributes.name, g] as const))
    )
    const sums = [...(first ?? [])].flatMap(([name, a]) => {
      const b = second?.get(name)
      if (b === undefined) return []
      const apart = Op.abs(Op.sub(a, b))
      const differs = Op.greater(apart, Op.fill(0))
      // What is the same is divided by 1 and does not count.
      const ratio = Op.div(Op.add(Op.abs(a), Op.abs(b)), Op.add(apart, Op.sub(Op.fill(1), differs)))
      const sum = Op.sum(Op.mul(ratio, differs))
      // A weight that nothing moves adds nothing, as in the authors' code.
      const moves = Op.greater(sum, Op.fill(0))
      return [Op.log(Op.add(sum, Op.sub(Op.fill(1), moves)))]
    })
    return Result.succeed({
      outputs: { sum: total(sums) },
      score: ({ sum }) => (sums.length === 0 ? Number.NaN : (sum?.[0] ?? Number.NaN))
    })
  }
})
