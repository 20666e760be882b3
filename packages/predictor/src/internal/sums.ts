import { Op, Shape, type Tensor } from "@uninet/graph"

/** The sum of scalars; 0 if there are none. */
export const total = (scalars: ReadonlyArray<Tensor.Tensor>): Tensor.Tensor =>
  scalars.length === 0 ? Op.fill(0) : scalars.reduce((sum, each) => Op.add(sum, each))

/** The elements of all tensors in one row; a single zero if there are none. Summing it takes an engine fewer operators than summing each, and the cost of a program that runs once is its number of operators. */
export const row = (tensors: ReadonlyArray<Tensor.Tensor>): Tensor.Tensor => {
  const [first, ...rest] = tensors.map((tensor) => Op.reshape(tensor, [Shape.size(tensor.shape)]))
  return first === undefined ? Op.fill(0, [1]) : Op.concat([first, ...rest], 0)
}

/** Σ a · b of two tensors of the same shape. */
export const dot = (a: Tensor.Tensor, b: Tensor.Tensor): Tensor.Tensor => Op.sum(Op.mul(a, b))

/** The pairs that have a gradient. */
export const paired = (
  weights: ReadonlyArray<Tensor.Tensor<"variable">>,
  gradients: ReadonlyArray<Tensor.Tensor | undefined>
): ReadonlyArray<readonly [weight: Tensor.Tensor<"variable">, gradient: Tensor.Tensor]> =>
  weights.flatMap((weight, i) => {
    const gradient = gradients[i]
    return gradient === undefined ? [] : [[weight, gradient] as const]
  })
