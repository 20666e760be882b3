/**
 * A Gaussian process over the choices that learns how much each of them matters: the kernel is exp(−Σ wᵢ·dᵢ), dᵢ being how far two points are apart in choice i (for a number: the square of the
 * distance), and the weights w and the noise are those under which the targets are likeliest, weights being held to a common one by a prior (maximum a posteriori). The process's variance is the likeliest
 * in closed form. Numbers of a point that are known beside its choices (costs, proxies) are further dimensions.
 */
import { Cholesky, Elementary, Site } from "@uninet/search-space"
import * as Kernel from "./kernel.ts"

/** A point as the process sees it: a token for every site, and what is known beside. */
export interface Row {
  readonly vector: Int32Array
  readonly extra: ReadonlyArray<number>
}

/** What the process is made with. */
export interface Fit {
  /** For every site, and every number beside. */
  readonly weights: Float64Array
  /** The variance of a result around what the network is worth, as a share of the process's own. */
  readonly noise: number
}

/** Of a network: what it is expected to be worth, and the deviation of that; the noise of a measurement comes on top. */
export interface Belief {
  readonly mean: number
  readonly deviation: number
}

export interface Surrogate {
  /** What each is expected to be worth. */
  readonly expect: (rows: ReadonlyArray<Row>) => ReadonlyArray<number>
  readonly believe: (rows: ReadonlyArray<Row>) => ReadonlyArray<Belief>
  /** The place of the row that is worth most by a function of its mean and deviation that only rises or only falls with the deviation; −1 where there is no row. */
  readonly most: (rows: ReadonlyArray<Row>, worth: (mean: number, deviation: number) => number) => number
}

const noises = [0.001, 0.01, 0.03, 0.1, 0.3, 1]
const steps = [0.25, 0.5, 2, 4]
/** The deviation of a weight's logarithm from the common one, beforehand. */
const spread = 1
/** The common weight, as ℓ of exp(−d / ℓ), d the share of the choices that differ. */
const length = 0.35
const leastDeviation = 1e-6
/** Deviations that are worked out at once. */
const together = 16
/** Rows that the weights are looked for with. */
const fitted = 100

const square = (x: number) => x * x

/** How far two points are apart in every dimension. */
export const apart = (sites: ReadonlyArray<Site.Site>, i: number, a: Row, b: Row): number => {
  const site = sites[i]
  if (site === undefined) return square(a.extra[i - sites.length]! - b.extra[i - sites.length]!)
  const [x, y] = [a.vector[i]!, b.vector[i]!]
  return x === y ? 0 : Kernel.apart(site, x, y)
}

const lower = (n: number) => (n * (n - 1)) / 2

/** What the process is made with at first. */
export const begin = (sites: ReadonlyArray<Site.Site>, extra: number): Fit => ({
  weights: new Float64Array(sites.length + extra).fill(1 / (length * sites.length)),
  noise: 0.03
})

/** The likeliest fit near another one. */
export const fit = (
  sites: ReadonlyArray<Site.Site>,
  rows: ReadonlyArray<Row>,
  targets: ArrayLike<number>,
  from: Fit
): Fit => {
  const first = Math.max(0, rows.length - fitted)
  const n = rows.length - first
  const y = Float64Array.from({ length: n }, (_, i) => targets[first + i]!)
  const dimensions = from.weights.length
  const usual = Elementary.log(1 / (length * sites.length))
  const distances = Array.from({ length: dimensions }, (_, d) => {
    const out = new Float64Array(lower(n))
    for (let i = 0; i < n; i++)
      for (let j = 0; j < i; j++) out[lower(i) + j] = apart(sites, d, rows[first + i]!, rows[first + j]!)
    return out
  })
  const posterior = (sum: Float64Array, weights: Float64Array, noise: number) => {
    const factor = Cholesky.make()
    const row = new Float64Array(n)
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < i; j++) row[j] = Elementary.exp(-sum[lower(i) + j]!)
      factor.append(row.subarray(0, i), 1 + noise)
    }
    const solved = y.slice()
    factor.forward([solved])
    let fits = 0
    for (const v of solved) fits += v * v
    let prior = 0
    for (const w of weights) prior += square((Elementary.log(w) - usual) / spread)
    return -(n / 2) * Elementary.log(fits / n) - factor.halfLogDeterminant() - prior / 2
  }
  let { noise } = from
  let weights = from.weights
  let sum = new Float64Array(lower(n))
  for (const [d, column] of distances.entries())
    for (let k = 0; k < sum.length; k++) sum[k]! += weights[d]! * column[k]!
  let highest = posterior(sum, weights, noise)
  for (const other of noises) {
    const here = posterior(sum, weights, other)
    if (here > highest) [highest, noise] = [here, other]
  }
  for (let d = 0; d < dimensions; d++) {
    const column = distances[d]!
    const start = weights[d]!
    for (const step of steps) {
      const changed = weights.slice()
      changed[d] = start * step
      const moved = sum.slice()
      const by = changed[d]! - weights[d]!
      for (let k = 0; k < moved.length; k++) moved[k]! += by * column[k]!
      const here = posterior(moved, changed, noise)
      if (here > highest) {
        highest = here
        weights = changed
        sum = moved
      }
    }
  }
  return { weights, noise }
}

/** The process that knows the targets of some rows. */
export const make = (
  sites: ReadonlyArray<Site.Site>,
  rows: ReadonlyArray<Row>,
  targets: ArrayLike<number>,
  how: Fit
): Surrogate => {
  const n = rows.length
  const { noise, weights } = how
  const tables = sites.map((site, i) =>
    Site.isNumeric(site)
      ? undefined
      : Float64Array.from({ length: square(site.count + 1) }, (_, k) => {
          const [x, y] = [Math.floor(k / (site.count + 1)) + Site.absent, (k % (site.count + 1)) + Site.absent]
          return x === y ? 1 : Elementary.exp(-weights[i]! * Kernel.apart(site, x, y))
        })
  )
  const rowOf = (row: Row, count: number) => {
    const out = new Float64Array(count).fill(1)
    for (let i = 0; i < weights.length; i++) {
      const table = tables[i]
      if (table === undefined) {
        for (let j = 0; j < count; j++) out[j]! *= Elementary.exp(-weights[i]! * apart(sites, i, row, rows[j]!))
        continue
      }
      const options = sites[i]!.count + 1
      const from = (row.vector[i]! - Site.absent) * options - Site.absent
      for (let j = 0; j < count; j++) out[j]! *= table[from + rows[j]!.vector[i]!]!
    }
    return out
  }
  const factor = Cholesky.make()
  for (const [i, row] of rows.entries()) factor.append(rowOf(row, i), 1 + noise)
  const weighted = factor.solve(targets)
  const variance = dot(weighted, targets) / n
  const meanOf = (k: Float64Array) => dot(weighted, k)
  /** Of rows of the kernel, which are overwritten. */
  const deviationsOf = (ks: ReadonlyArray<Float64Array>) => {
    factor.forward(ks)
    return ks.map((k) => Math.max(Math.sqrt(variance * Math.max(1 - dot(k, k), 0)), leastDeviation))
  }
  return {
    expect: (asked) => asked.map((row) => meanOf(rowOf(row, n))),
    believe: (asked) => {
      const ks = asked.map((row) => rowOf(row, n))
      const means = ks.map(meanOf)
      return deviationsOf(ks).map((deviation, i) => ({ mean: means[i]!, deviation }))
    },
    most: (asked, worth) => {
      const ks = asked.map((row) => rowOf(row, n))
      const means = ks.map(meanOf)
      // No deviation is larger than the process's own: what can be worth most is known before deviations are.
      const prior = Math.sqrt(variance)
      const bounds = means.map((mean) => Math.max(worth(mean, leastDeviation), worth(mean, prior)))
      const order = ks.map((_, i) => i).sort((a, b) => bounds[b]! - bounds[a]! || a - b)
      let [best, highest] = [-1, -Infinity]
      for (let from = 0; from < order.length && bounds[order[from]!]! > highest; from += together) {
        const some = order.slice(from, from + together)
        for (const [place, deviation] of deviationsOf(some.map((i) => ks[i]!)).entries()) {
          const i = some[place]!
          const here = worth(means[i]!, deviation)
          if (here > highest) [best, highest] = [i, here]
        }
      }
      return best
    }
  }
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}
