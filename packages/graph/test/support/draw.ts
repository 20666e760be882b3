/** What property tests draw: shapes, numbers, and graphs of both. */
import { type Shape } from "@uninet/graph"
import fc from "fast-check"

/** Checks a property on cases that are the same at every run. */
export const check = <A>(cases: fc.Arbitrary<A>, property: (a: A) => void, numRuns = 100): void =>
  fc.assert(fc.property(cases, property), { seed: 20_220_705, numRuns })

/** The length of an axis. */
export const length = (max = 4) => fc.integer({ min: 1, max })

/** A shape of so many axes. */
export const shape = (minRank: number, maxRank: number, maxLength = 4): fc.Arbitrary<Shape.Shape> =>
  fc.array(length(maxLength), { minLength: minRank, maxLength: maxRank })

/** Two or more shapes that broadcast to one. */
export const broadcasting = (count: number): fc.Arbitrary<ReadonlyArray<Shape.Shape>> =>
  shape(0, 4, 3).chain((full) => {
    const part = fc
      .tuple(fc.integer({ min: 0, max: full.length }), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }))
      .map(([lead, ones]) => full.slice(lead).map((n, axis) => (ones[axis] ? 1 : n)))
    return fc.array(part, { minLength: count, maxLength: count })
  })

/** Numbers spread over intervals, the same ones at every run. */
export type Domain = (unit: number) => number

/** Evenly over some intervals. */
export const among =
  (...intervals: ReadonlyArray<readonly [number, number]>): Domain =>
  (unit) => {
    const [low, high] = intervals[Math.floor(unit * intervals.length)]
    return low + ((unit * intervals.length) % 1) * (high - low)
  }

/** Anything moderate. */
export const anywhere = among([-2, 2])

/** The `i`-th of a sequence of numbers in [0, 1) that looks random. */
const noise = (seed: number, i: number): number => {
  const x = Math.sin(seed * 12.9898 + (i + 1) * 78.233) * 43_758.5453
  return x - Math.floor(x)
}

/** `count` numbers of a domain. */
export const numbers = (seed: number, count: number, domain: Domain = anywhere): Float64Array =>
  Float64Array.from({ length: count }, (_, i) => domain(noise(seed, i)))

/** `count` numbers in no order, any two of them a tenth or more apart. */
export const distinct = (seed: number, count: number): Float64Array => {
  const order = Array.from({ length: count }, (_, i) => i).sort((a, b) => noise(seed, a) - noise(seed, b))
  return Float64Array.from(order, (rank) => (rank - count / 2) / 10)
}

export const seed = fc.integer({ min: 0, max: 9999 })
