/** First values of variables. */
import { Shape, type Tensor } from "@uninet/graph"
import type { Prng } from "@uninet/search-space"

/**
 * Draws a variable's first value. Every variable draws from its own generator, split off by its name: it does not depend on which others
 * there are.
 */
export const value = (variable: Tensor.Tensor<"variable">, prng: Prng.Prng): Float32Array => {
  const { initialiser, name } = variable.attributes
  const data = new Float32Array(Shape.size(variable.shape))
  if (initialiser.kind === "constant") return data.fill(initialiser.value)
  const own = prng.split(name)
  const draw =
    initialiser.kind === "uniform"
      ? () => (2 * own.nextFloat() - 1) * initialiser.bound
      : () => initialiser.deviation * truncatedNormal(own)
  for (let i = 0; i < data.length; i++) data[i] = draw()
  return data
}

/** Standard normal, redrawn outside ±2. */
const truncatedNormal = (prng: Prng.Prng): number => {
  for (;;) {
    const z = prng.nextNormal()
    if (Math.abs(z) <= 2) return z
  }
}

/** First values of all variables, by name. */
export const values = (
  variables: ReadonlyArray<Tensor.Tensor<"variable">>,
  prng: Prng.Prng
): ReadonlyMap<string, Float32Array> => new Map(variables.map((v) => [v.attributes.name, value(v, prng)]))
