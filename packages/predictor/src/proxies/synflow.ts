import { gradient } from "@uninet/graph"
import { Elementary } from "@uninet/search-space"
import * as Result from "effect/Result"
import { logSum, positive } from "../internal/positive.ts"
import { dot, row } from "../internal/sums.ts"
import { NotApplicable } from "../PredictorError.ts"
import * as Proxy from "../Proxy.ts"

/**
 * log Σ |θ| · ∂R/∂|θ| over all weights, where R is the sum of the outputs, for an input of ones, of the network with the absolute values of all parameters and without norms: the synaptic flow, which needs no data.
 *
 * R exceeds float32 in deep networks. So its logarithm is computed and differentiated, |θ| · ∂log R/∂|θ|, and log R is added: the order of networks is that of the authors' score, which is e to the power of this one. Nonlinear parts pass on positive numbers
 * unchanged (ReLU, GELU, SiLU), gates let everything through, and attention attends equally to all tokens: our choices where the paper has convolutions with ReLU only.
 *
 * **Source.** H. Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow", NeurIPS 2020 (arXiv 2006.05467), equation 1; as a score for networks, without batch norms, Abdelfattah et al., ICLR 2021.
 */
export const synflow = Proxy.make({
  name: "synflow",
  source: "Tanaka et al., NeurIPS 2020",
  assumes: "convolutions, linear layers, and additions and multiplications of them",
  lay: ({ single }) => {
    const { answers, order, weights } = single()
    const at = positive(order)
    if (typeof at === "string")
      return Result.fail(new NotApplicable({ proxy: "synflow", reason: `${at} has no linear form` }))
    const flow = logSum(answers.flatMap((answer) => at(answer) ?? []))
    const all = weights.flatMap((weight) => at(weight)?.value ?? [])
    const gradients = gradient(flow, all)
    const shares = all.flatMap((leaf, i) => {
      const g = gradients[i]
      return g === undefined ? [] : [{ leaf, g }]
    })
    return Result.succeed({
      outputs: { flow, share: dot(row(shares.map(({ leaf }) => leaf)), row(shares.map(({ g }) => g))) },
      score: ({ flow: sum, share }) => (sum?.[0] ?? Number.NaN) + Elementary.log(share?.[0] ?? Number.NaN)
    })
  }
})
