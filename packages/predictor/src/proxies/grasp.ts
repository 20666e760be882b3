import { gradient, Op, Tensor } from "@uninet/graph"
import * as Result from "effect/Result"
import { substitute } from "../internal/substitute.ts"
import { paired, total } from "../internal/sums.ts"
import * as Proxy from "../Proxy.ts"

/** How far the weights are moved along the gradient, as a share of their own norm: small against curvature, large against float32's rounding. */
const step = 1e-2

const norm = (tensors: ReadonlyArray<Tensor.Tensor>) => Op.sqrt(total(tensors.map((t) => Op.sum(Op.mul(t, t)))))

/**
 * −Σ θ · (H g) over all weights, H being the Hessian of the batch's loss and g its gradient: how much taking weights away would slow the loss's descent.
 *
 * H g is the central difference of gradients at θ ± ε g, ε = 0.01 ‖θ‖ / ‖g‖, in one program: exact for a loss of third order, and within rounding for the others. That is our choice; the authors differentiate twice.
 *
 * **Source.** C. Wang, G. Zhang and R. Grosse, "Picking Winning Tickets Before Training by Preserving Gradient Flow", ICLR 2020, equation 8; as a score of networks, Abdelfattah et al., ICLR 2021.
 * **Assumes** a loss that is smooth along the gradient.
 */
export const grasp = Proxy.make({
  name: "grasp",
  source: "Wang et al., ICLR 2020",
  assumes: "a loss on a batch, smooth along its gradient",
  lay: ({ whole: { loss, weights } }) => {
    const pairs = paired(weights, gradient(loss, weights))
    const epsilon = Op.scale(Op.div(norm(pairs.map(([w]) => w)), norm(pairs.map(([, g]) => g))), step)
    const at = (sign: number) => {
      const moved = new Map<string, Tensor.Tensor>(
        pairs.map(([w, g]) => [w.attributes.name, Op.add(w, Op.mul(g, Op.scale(epsilon, sign)))])
      )
      const there = substitute([loss], (node) =>
        Tensor.is("variable")(node) ? moved.get(node.attributes.name) : undefined
      )(loss)
      const targets = [...moved.values()]
      return new Map([...moved.keys()].map((name, i) => [name, gradient(there, targets)[i]]))
    }
    const [ahead, behind] = [at(1), at(-1)]
    const products = pairs.flatMap(([w]) => {
      const [a, b] = [ahead.get(w.attributes.name), behind.get(w.attributes.name)]
      return a === undefined || b === undefined ? [] : [Op.sum(Op.mul(w, Op.sub(a, b)))]
    })
    return Result.succeed({
      outputs: { product: Op.div(total(products), Op.scale(epsilon, -2)) },
      score: ({ product }) => product?.[0] ?? Number.NaN
    })
  }
})
