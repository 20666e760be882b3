import { gradient, Shape } from "@uninet/graph"
import { Elementary } from "@uninet/search-space"
import * as Result from "effect/Result"
import { at } from "../internal/at.ts"
import { paired, row } from "../internal/sums.ts"
import * as Proxy from "../Proxy.ts"

/**
 * Σ over weights W of log Σ_θ E|∇θ| / √Var(∇θ), with mean and variance of the loss's gradients on two batches, the halves of the given one. Elements whose gradient is the same on both do not count.
 *
 * For two gradients a and b that is (|a| + |b|) / |a − b|.
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
    const pairs = [...(first ?? [])].flatMap(([name, a]) => {
      const b = second?.get(name)
      return b === undefined ? [] : [{ a, b, size: Shape.size(a.shape) }]
    })
    return Result.succeed({
      outputs: { first: row(pairs.map(({ a }) => a)), second: row(pairs.map(({ b }) => b)) },
      score: ({ first: a = [], second: b = [] }) => {
        if (pairs.length === 0) return Number.NaN
        let i = 0
        return pairs.reduce((total, { size }) => {
          let sum = 0
          for (const end = i + size; i < end; i++) {
            const [x, y] = [at(a, i), at(b, i)]
            if (x !== y) sum += (Math.abs(x) + Math.abs(y)) / Math.abs(x - y)
          }
          // A weight without any such element adds nothing, as in the authors' code.
          return sum === 0 ? total : total + Elementary.log(sum)
        }, 0)
      }
    })
  }
})
