/** Custom ops, as someone outside would write them. */
import { Op } from "@uninet/graph"

/** relu(x)². */
export const squaredRelu = Op.composite({
  name: "squaredRelu",
  build: ([x]) => {
    const positive = Op.relu(x)
    return Op.mul(positive, positive)
  }
})

/** Rows as distributions, made sharper: softmax(power · x), each element's share of the row's squares. */
export const sharpened = Op.composite<{ readonly power: number }>({
  name: "sharpened",
  build: ([x], { power }) => {
    const p = Op.softmax(Op.scale(x, power))
    return Op.div(p, Op.sum(Op.mul(p, p), [p.shape.length - 1], true))
  }
})

/** −1 or 1, with the gradient of the identity where |x| ≤ 1: the straight-through estimator. */
export const binarise = Op.composite({
  name: "binarise",
  build: ([x]) => Op.sub(Op.scale(Op.greaterOrEqual(x, Op.fill(0)), 2), Op.fill(1)),
  gradient: ({ inputs: [x] }, dy) => [Op.mul(dy, Op.greaterOrEqual(Op.fill(1), Op.abs(x)))]
})

/** The identity, with its gradient reversed: what adversarial training of a domain classifier needs. */
export const reversed = Op.composite<{ readonly strength: number }>({
  name: "reversed",
  build: ([x]) => x,
  gradient: ({ parameters: { strength } }, dy) => [Op.scale(dy, -strength)]
})

/** The identity, no element of whose gradient is larger than so much. */
export const clipped = Op.composite<{ readonly most: number }>({
  name: "clipped",
  build: ([x]) => x,
  gradient: ({ parameters: { most } }, dy) => [Op.max(Op.min(dy, Op.fill(most)), Op.fill(-most))]
})
