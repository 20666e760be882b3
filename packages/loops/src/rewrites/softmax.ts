/** Softmax, its gradient and its logarithm as sums, maxima and exponentials. */
import { Op, type Tensor } from "@uninet/graph"
import type { Rewrite } from "../Rewrite.ts"

const lastOf = (x: Tensor.Tensor) => [x.shape.length - 1]

/** A row minus its largest element, so that no exponential is infinite. */
const below = (x: Tensor.Tensor, path: string) => Op.sub(x, Op.reduceMax(x, lastOf(x), true, path), path)

/** The exponentials of a row minus its largest element, and the reciprocal of their sum: a softmax is their product. */
export const shares = (x: Tensor.Tensor, path: string) => {
  const powers = Op.exp(below(x, path), path)
  return { powers, share: Op.reciprocal(Op.sum(powers, lastOf(x), true, path), path) }
}

export const rewrite: Rewrite = {
  name: "softmax",
  summary: "softmax as maxima, exponentials and sums",
  rules: {
    softmax: ({ inputs: [x], path }) => {
      const { powers, share } = shares(x, path)
      return Op.mul(powers, share, path)
    },
    softmaxGrad: ({ inputs: [y, dy], path }) => {
      const along = Op.sum(Op.mul(y, dy, path), lastOf(y), true, path)
      return Op.mul(y, Op.sub(dy, along, path), path)
    },
    logSoftmax: ({ inputs: [x], path }) => {
      const lower = below(x, path)
      return Op.sub(lower, Op.log(Op.sum(Op.exp(lower, path), lastOf(x), true, path), path), path)
    }
  }
}
