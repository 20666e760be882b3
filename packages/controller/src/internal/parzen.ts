/**
 * Kernel density estimates on the unit interval (Parzen's estimator), as Bergstra et al. (2011) use them for numbers: normal kernels truncated at the
 * ends, each as wide as the distance to the farther of its two neighbours, plus a uniform one.
 */
import { Elementary, type Prng } from "@uninet/search-space"
import * as Normal from "./normal.ts"

export interface Density {
  readonly at: (u: number) => number
  readonly draw: (prng: Prng.Prng) => number
}

/** A position on the unit interval, and the number of results there. */
export interface Mass {
  readonly u: number
  readonly weight: number
}

/** The minimum width of kernels, however many results there are. */
const narrowest = 0.01

const root2pi = Math.sqrt(2 * Math.PI)

/** @param masses in order of `u`; `prior`: the weight of the uniform density, in results. */
export const make = (masses: ReadonlyArray<Mass>, prior: number): Density => {
  const total = masses.reduce((sum, { weight }) => sum + weight, prior)
  const least = Math.max(narrowest, 1 / (total + 1))
  const kernels = masses.map(({ u, weight }, i) => {
    const [left, right] = [u - (masses[i - 1]?.u ?? 0), (masses[i + 1]?.u ?? 1) - u]
    const width = Math.min(1, Math.max(least, left, right))
    const inside = Normal.cdf((1 - u) / width) - Normal.cdf(-u / width)
    return { centre: u, weight, precision: 1 / width, height: weight / (total * inside * width * root2pi) }
  })
  return {
    at: (u) => {
      let sum = prior / total
      for (const { centre, height, precision } of kernels) {
        const z = (u - centre) * precision
        sum += height * Elementary.exp(-0.5 * z * z)
      }
      return sum
    },
    draw: (prng) => {
      let rest = prng.nextFloat() * total
      for (const { centre, precision, weight } of kernels) {
        rest -= weight
        if (rest >= 0) continue
        // at least half, or nearly half, of a kernel that is no wider than the interval lies inside it, so few draws are rejected
        for (let tries = 0; tries < 100; tries++) {
          const drawn = centre + prng.nextNormal() / precision
          if (drawn >= 0 && drawn <= 1) return drawn
        }
        return centre
      }
      return prng.nextFloat()
    }
  }
}
