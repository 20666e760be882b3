import { gradient, Op, Tensor } from "@uninet/graph"
import * as Result from "effect/Result"
import { substitute } from "../internal/substitute.ts"
import { dot, paired, row } from "../internal/sums.ts"
import * as Proxy from "../Proxy.ts"

/** How far the weights are moved along the gradient, relative to their own norm: small against curvature, large against float32's rounding. */
const step = 1e-2

const norm = (all: Tensor.Tensor) => Op.sqrt(dot(all, all))

/**
 * −Σ θ · (H g) over all weights, where H is the Hessian of the batch's loss and g its gradient: how much removing weights would slow the descent of the loss.
 *
 * H g is the central difference of gradients at θ ± ε g, ε = 0.01 ‖θ‖ / ‖g‖, in one program: exact for a loss of third order, and accurate within rounding for others. That is our choice; the authors differentiate twice.
 *
 * **Source.** C. Wang, G. Zhang and R. Grosse, "Picking Winning Tickets Before Training by Preserving Gradient Flow", ICLR 2020, equation 8; as a score for networks, Abdelfattah et al., ICLR 2021.
 * **Assumes** a loss that is smooth along the gradient.
 */
export const grasp = Proxy.make({
  name: "grasp",
  source: "Wang et al., ICLR 2020",
  assumes: "a loss on a batch, smooth along its gradient",
  lay: ({ whole: { loss, weights } }) => {
    const pairs = paired(weights, gradient(loss, weights))
    const epsilon = Op.scale(Op.div(norm(row(pairs.map(([w]) => w))), norm(row(pairs.map(([, g]) => g)))), step)
    const at = (sign: number) => {
      const moved = new Map<string, Tensor.Tensor>(
        pairs.map(([w, g]) => [w.attributes.name, Op.add(w, Op.mul(g, Op.scale(epsilon, sign)))])
      )
      const there = substitute([loss], (node) =>
        Tensor.is("variable")(node) ? moved.get(node.attributes.name) : undefined
      )(loss)
      const gradients = gradient(there, [...moved.values()])
      return new Map([...moved.keys()].map((name, i) => [name, gradients[i]]))
    }
    const [ahead, behind] = [at(1), at(-1)]
    const found = pairs.flatMap(([w]) => {
      const [a, b] = [ahead.get(w.attributes.name), behind.get(w.attributes.name)]
      return a === undefined || b === undefined ? [] : [{ w, a, b }]
    })
    const change = Op.sub(row(found.map(({ a }) => a)), row(found.map(({ b }) => b)))
    return Result.succeed({
      outputs: { product: Op.div(dot(row(found.map(({ w }) => w)), change), Op.scale(epsilon, -2)) },
      score: ({ product }) => product?.[0] ?? Number.NaN
    })
  }
})
