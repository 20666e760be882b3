/** Random graphs of smooth ops, for laws that hold for every graph. */
import { Op, type Tensor } from "@uninet/graph"
import fc from "fast-check"

type Grow = (a: Tensor.Tensor, b: Tensor.Tensor, weight: Tensor.Tensor) => Tensor.Tensor

/** Ways to make a `[2, 3]` tensor of small numbers from two of them and a `[3, 3]` weight. */
const ways: ReadonlyArray<Grow> = [
  (a, b) => Op.add(Op.scale(a, 0.5), Op.scale(b, 0.5)),
  (a, b) => Op.sub(a, Op.tanh(b)),
  (a, b) => Op.tanh(Op.mul(a, b)),
  (a) => Op.gelu(a),
  (a, b) => Op.div(a, Op.add(Op.exp(b), Op.fill(1))),
  (a) => Op.softmax(a),
  (a, _, weight) => Op.tanh(Op.linear(a, weight)),
  (a, b) => Op.tanh(Op.matmul(Op.matmul(a, b, { transposeB: true }), a)),
  (a) => Op.sub(a, Op.mean(a, [1], true)),
  (a, b) => Op.slice(Op.concat([a, b], 1), 1, 2, 5),
  (a) => Op.transpose(Op.reshape(a, [3, 2]), [1, 0]),
  (a) => Op.mul(a, Op.constant(Float32Array.of(0.5, -1, 0.25), [3])),
  (a, b) => Op.mul(Op.sum(Op.mul(a, b), [1], true), Op.fill(0.1, [3]))
]

/** One step of growing: which way, and which two of the tensors so far. */
export interface Step {
  readonly way: number
  readonly left: number
  readonly right: number
}

/** Steps of a random graph. Few choices, so that equal subexpressions come up often. */
export const graph: fc.Arbitrary<ReadonlyArray<Step>> = fc.array(
  fc.record({ way: fc.nat(ways.length - 1), left: fc.nat(4), right: fc.nat(4) }),
  { minLength: 1, maxLength: 12 }
)

/** Every tensor on the way of growing a graph from `[2, 3]`, `[2, 3]` and `[3, 3]` leaves. */
export const growAll = (
  steps: ReadonlyArray<Step>,
  [a, b, weight]: ReadonlyArray<Tensor.Tensor>
): ReadonlyArray<Tensor.Tensor> => {
  const grown: Array<Tensor.Tensor> = [a, b]
  // Counted from the newest, so that graphs grow deep as well as wide.
  const pick = (n: number) => grown[grown.length - 1 - (n % grown.length)]
  for (const { way, left, right } of steps) grown.push(ways[way](pick(left), pick(right), weight))
  return grown
}

/** The last tensor of it, with every leaf added so that all of them matter. */
export const grow = (steps: ReadonlyArray<Step>, leaves: ReadonlyArray<Tensor.Tensor>): Tensor.Tensor => {
  const [a, b, weight] = leaves
  const grown = growAll(steps, leaves)
  return [Op.mul(a, b), Op.linear(b, weight)].reduce((sum, t) => Op.add(sum, t), grown[grown.length - 1])
}
