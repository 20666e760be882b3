import { Op, type Tensor } from "@uninet/graph"

/** The sum of scalars; 0 of none. */
export const total = (scalars: ReadonlyArray<Tensor.Tensor>): Tensor.Tensor =>
  scalars.length === 0 ? Op.fill(0) : scalars.reduce((sum, each) => Op.add(sum, each))

/** Of pairs, those that have a gradient. */
export const paired = (
  weights: ReadonlyArray<Tensor.Tensor<"variable">>,
  gradients: ReadonlyArray<Tensor.Tensor | undefined>
): ReadonlyArray<readonly [weight: Tensor.Tensor<"variable">, gradient: Tensor.Tensor]> =>
  weights.flatMap((weight, i) => {
    const gradient = gradients[i]
    return gradient === undefined ? [] : [[weight, gradient] as const]
  })
