/**
 * How far along the coefficients' direction a network must go to reach the requested cost.
 *
 * Sizes between two roundings get a cost between theirs: every quantity takes its lower value with some probability and its upper value
 * otherwise, such that the mean is the wanted size. This makes the cost continuous and increasing in t, so bisection finds t.
 */
import type { Scaling } from "@uninet/model-space"
import { Elementary } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Q from "./quantities.ts"

/** Multiply-accumulates of a chain's parts. */
export type Macs = Scaling.Chain<never>["macs"]

type Mixture = ReadonlyArray<readonly [value: number, probability: number]>

const mixture = (quantity: Q.Quantity, least: number, t: number): Mixture => {
  const wanted = Q.ideal(quantity, t)
  const [low, high] = Q.around(quantity, wanted, least, 1)
  if (high === undefined || wanted <= low) return [[low, 1]]
  const share = Math.min(1, (wanted - low) / (high - low))
  return [
    [low, 1 - share],
    [high, share]
  ]
}

/** The mean of `of` over independent values. */
const mean = (of: (value: number) => number, mix: Mixture): number =>
  mix.reduce((sum, [value, probability]) => sum + probability * of(value), 0)

/** The cost at t, with no quantity below `least`. */
export const cost = (quantities: Q.Quantities, macs: Macs, least: Scaling.Sizes, t: number): number => {
  const { head, resolution, stem, tied } = quantities
  const start = mixture(stem, least.stem, t)
  const stages = quantities.widths.map((quantity, i) => ({
    width: mixture(quantity, Arr.getUnsafe(least.widths, i), t),
    depth: Math.max(Arr.getUnsafe(least.depths, i), Q.ideal(Arr.getUnsafe(quantities.depths, i), t)),
    isTied: tied[i] === true
  }))
  const headMix = mixture(head, least.head, t)
  return mean(
    (edge) => {
      let sum = mean((c) => macs.stem(edge, c), start)
      let entries = start
      for (const [i, { depth, isTied, width }] of stages.entries()) {
        const of = (entry: number, c: number) => {
          const { first, further } = macs.stage(edge, i, entry, c)
          return first + (depth - 1) * further
        }
        sum += isTied ? mean((c) => of(c, c), width) : mean((entry) => mean((c) => of(entry, c), width), entries)
        entries = width
      }
      return sum + mean((entry) => mean((c) => macs.head(edge, entry, c), headMix), entries)
    },
    mixture(resolution, least.resolution, t)
  )
}

/** The quantity that reaches its limit first, and the t where it does. */
export const end = (quantities: Q.Quantities): { readonly t: number; readonly quantity: Q.Quantity | undefined } => {
  let t = Infinity
  let first: Q.Quantity | undefined
  for (const quantity of Q.all(quantities)) {
    const { base, factor, limit } = quantity
    const at = limit <= base ? 0 : factor === 1 ? Infinity : Elementary.log(limit / base) / Elementary.log(factor)
    if (factor > 1 && at < t) {
      t = at
      first = quantity
    }
  }
  return { t, quantity: first }
}

const precision = 1e-4

/** The t below `most` where the cost is `target`; `undefined` if there is none. */
export const length = (of: (t: number) => number, target: number, most: number): number | undefined => {
  let low = 0
  let high = Math.min(0.5, most)
  while (of(high) < target) {
    if (high >= most) return undefined
    low = high
    high = Math.min(2 * high, most)
  }
  while (high - low > precision) {
    const middle = (low + high) / 2
    if (of(middle) < target) low = middle
    else high = middle
  }
  return high
}
