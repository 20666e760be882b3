import { Op, Shape, Tensor } from "@uninet/graph"
import * as Result from "effect/Result"
import { logDeterminant } from "../internal/logDeterminant.ts"
import { total } from "../internal/sums.ts"
import { NotApplicable } from "../PredictorError.ts"
import * as Proxy from "../Proxy.ts"

/** Activation functions that pass a number on or hold it back depending on its sign. */
const gates = new Set<Op.ActivationFunction>(["relu", "gelu", "silu"])

/**
 * log |det K| of the batch's codes. Every unit of an activation function is one bit of an example's code, 1 if its input is positive; for two examples, K contains the number of units on which they agree.
 *
 * For two codes of signs s, s′ = ±1 that is (s·s′ + units) / 2. **GELU and SiLU** have no kink, but the same two sides: they pass on what is positive and hold back the rest, so their bit is the sign of their
 * input as well. That is our choice; the paper has ReLUs only. The units of every layer count, even if several layers take the same tensor, as in the authors' code.
 *
 * **Source.** J. Mellor, J. Turner, A. Storkey and E. Crowley, "Neural Architecture Search without Training", ICML 2021 (arXiv 2006.04647), equation 2. **Assumes** ReLU, GELU or SiLU; no labels.
 */
export const naswot = Proxy.make({
  name: "naswot",
  source: "Mellor et al., ICML 2021",
  assumes: "ReLU, GELU or SiLU",
  lay: ({ batch, whole: { order } }) => {
    const found = order
      .filter(Tensor.is("activation"))
      .filter(({ attributes, shape }) => gates.has(attributes.fn) && shape[0] === batch)
    if (found.length === 0)
      return Result.fail(new NotApplicable({ proxy: "naswot", reason: "it has no ReLU, GELU or SiLU" }))
    const sizeOf = ({ shape }: Tensor.Tensor) => Shape.size(shape) / batch
    const units = found.reduce((sum, node) => sum + sizeOf(node), 0)
    const agreement = total(
      found.map(({ inputs: [x] }) => {
        const codes = Op.reshape(Op.greater(x, Op.fill(0)), [batch, sizeOf(x)])
        const signs = Op.sub(Op.scale(codes, 2), Op.fill(1))
        return Op.matmul(signs, signs, { transposeB: true })
      })
    )
    return Result.succeed({
      outputs: { agreement },
      score: ({ agreement: dots }) =>
        dots === undefined
          ? Number.NaN
          : logDeterminant(
              Float64Array.from(dots, (dot) => (dot + units) / 2),
              batch
            )
    })
  }
})
