import { gradient, Op } from "@uninet/graph"
import { Elementary } from "@uninet/search-space"
import * as Result from "effect/Result"
import { at } from "../internal/at.ts"
import { eigenvalues } from "../internal/eigenvalues.ts"
import { total } from "../internal/sums.ts"
import { NotApplicable } from "../PredictorError.ts"
import * as Proxy from "../Proxy.ts"

const k = 1e-5

/** −Σ (log(λ + k) + 1 / (λ + k)) over the eigenvalues λ of the correlation matrix of the Jacobian's `batch` rows. */
export const scoreOf = (jacobian: ArrayLike<number>, batch: number): number => {
  const features = jacobian.length / batch
  const rows = Array.from({ length: batch }, (_, i) => {
    const row = Float64Array.from({ length: features }, (_, j) => at(jacobian, i * features + j))
    const mean = row.reduce((a, b) => a + b, 0) / features
    const centred = row.map((x) => x - mean)
    const norm = Math.sqrt(centred.reduce((sum, x) => sum + x * x, 0))
    return centred.map((x) => x / norm)
  })
  const correlations = new Float64Array(batch * batch)
  for (const [i, row] of rows.entries())
    for (const [j, other] of rows.slice(0, i + 1).entries()) {
      const dot = row.reduce((sum, x, f) => sum + x * at(other, f), 0)
      correlations[i * batch + j] = correlations[j * batch + i] = dot
    }
  return -eigenvalues(correlations, batch).reduce((sum, value) => {
    const positive = Math.max(value, 0) + k
    return sum + Elementary.log(positive) + 1 / positive
  }, 0)
}

/**
 * How differently a network's outputs respond to different examples: −Σ (log(λᵢ + k) + 1 / (λᵢ + k)), k = 10⁻⁵, over the eigenvalues λᵢ of the correlation matrix of the rows ∂(Σ outputs)/∂xᵢ, one for each example
 * of the batch.
 *
 * **Source.** J. Mellor et al., "Neural Architecture Search without Training", arXiv 2006.04647 version 1; as `jacob_cov` in Abdelfattah et al., ICLR 2021. **Assumes** float inputs. If the Jacobian of an example vanishes,
 * there is no score.
 */
export const jacov = Proxy.make({
  name: "jacov",
  source: "Mellor et al., arXiv 2006.04647v1",
  assumes: "float32 inputs, and outputs that change with them",
  lay: ({ batch, whole: { answers, inputs } }) => {
    if (inputs.length === 0)
      return Result.fail(new NotApplicable({ proxy: "jacov", reason: "none of its inputs is float32" }))
    const rows = gradient(total(answers.map((y) => Op.sum(y))), inputs).flatMap((g) =>
      g === undefined ? [] : [Op.reshape(g, [batch, g.shape.reduce((n, axis) => n * axis, 1) / batch])]
    )
    const [first, ...rest] = rows
    return Result.succeed({
      outputs: first === undefined ? {} : { jacobian: Op.concat([first, ...rest], 1) },
      score: ({ jacobian }) => (jacobian === undefined ? Number.NaN : scoreOf(jacobian, batch))
    })
  }
})
