/**
 * A Gaussian process over the choices that learns how much each of them matters: the kernel is exp(−Σ wᵢ·dᵢ), dᵢ being how far two points are apart in choice i (for a number: the square of the
 * distance), and the weights w and the noise are those under which the targets are likeliest, weights being held to a common one by a prior (maximum a posteriori). The process's variance is the likeliest
 * in closed form. Numbers of a point that are known beside its choices (costs) are further dimensions, and have a straight line each besides: a reward that falls with a
 * cost goes on falling with it where nothing has been tried yet.
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
  /** The variance of the lines' slopes, by standard deviations of their numbers, as a share of the process's own. */
  readonly slope: number
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
const slopes = [0, 0.25, 1, 4]
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

/** What is known of a row beside its choices, by means and standard deviations of some rows. */
const standard = (rows: ReadonlyArray<Row>): ((row: Row) => ReadonlyArray<number>) => {
  const n = Math.max(rows.length, 1)
  const moments = (rows[0]?.extra ?? []).map((_, i) => {
    const mean = rows.reduce((sum, { extra }) => sum + extra[i]!, 0) / n
    const deviation = Math.sqrt(rows.reduce((sum, { extra }) => sum + square(extra[i]! - mean), 0) / n)
    return { mean, deviation: deviation > 0 ? deviation : 1 }
  })
  return ({ extra }) => moments.map(({ deviation, mean }, i) => (extra[i]! - mean) / deviation)
}

/** What the process is made with at first. */
export const begin = (sites: ReadonlyArray<Site.Site>, extra: number): Fit => ({
  weights: new Float64Array(sites.length + extra).fill(1 / (length * sites.length)),
  noise: 0.03,
  slope: extra === 0 ? 0 : 1
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
  const lines = rows.slice(first).map(standard(rows.slice(first)))
  const posterior = (sum: Float64Array, weights: Float64Array, noise: number, slope: number) => {
    const factor = Cholesky.make()
    const row = new Float64Array(n)
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < i; j++) {
        row[j] = Elementary.exp(-sum[lower(i) + j]!)
        if (slope > 0) row[j]! += slope * dot(lines[i]!, lines[j]!)
      }
      factor.append(row.subarray(0, i), 1 + slope * dot(lines[i]!, lines[i]!) + noise)
    }
    const solved = y.slice()
    factor.forward([solved])
    let fits = 0
    for (const v of solved) fits += v * v
    let prior = 0
    for (const w of weights) prior += square((Elementary.log(w) - usual) / spread)
    return -(n / 2) * Elementary.log(fits / n) - factor.halfLogDeterminant() - prior / 2
  }
  let { noise, slope } = from
  let weights = from.weights
  let sum = new Float64Array(lower(n))
  for (const [d, column] of distances.entries())
    for (let k = 0; k < sum.length; k++) sum[k]! += weights[d]! * column[k]!
  let highest = posterior(sum, weights, noise, slope)
  for (const other of noises) {
    const here = posterior(sum, weights, other, slope)
    if (here > highest) [highest, noise] = [here, other]
  }
  for (const other of dimensions === sites.length ? [] : slopes) {
    const here = posterior(sum, weights, noise, other)
    if (here > highest) [highest, slope] = [here, other]
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
      const here = posterior(moved, changed, noise, slope)
      if (here > highest) {
        highest = here
        weights = changed
        sum = moved
      }
    }
  }
  return { weights, noise, slope }
}

/** The process that knows the targets of some rows. */
export const make = (
  sites: ReadonlyArray<Site.Site>,
  rows: ReadonlyArray<Row>,
  targets: ArrayLike<number>,
  how: Fit
): Surrogate => {
  const n = rows.length
  const { noise, slope, weights } = how
  const lineOf = standard(rows)
  const lines = rows.map(lineOf)
  /** A row's variance before anything is known, as a share of the process's. */
  const priorOf = (row: Row) => {
    const line = lineOf(row)
    return 1 + slope * dot(line, line)
  }
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
    if (slope > 0) {
      const line = lineOf(row)
      for (let j = 0; j < count; j++) out[j]! += slope * dot(line, lines[j]!)
    }
    return out
  }
  const factor = Cholesky.make()
  for (const [i, row] of rows.entries()) factor.append(rowOf(row, i), priorOf(row) + noise)
  const weighted = factor.solve(targets)
  const variance = dot(weighted, targets) / n
  const meanOf = (k: Float64Array) => dot(weighted, k)
  /** Of rows of the kernel, which are overwritten, with what the variance was beforehand. */
  const deviationsOf = (ks: ReadonlyArray<Float64Array>, priors: ReadonlyArray<number>) => {
    factor.forward(ks)
    return ks.map((k, i) => Math.max(Math.sqrt(variance * Math.max(priors[i]! - dot(k, k), 0)), leastDeviation))
  }
  return {
    expect: (asked) => asked.map((row) => meanOf(rowOf(row, n))),
    believe: (asked) => {
      const ks = asked.map((row) => rowOf(row, n))
      const means = ks.map(meanOf)
      return deviationsOf(ks, asked.map(priorOf)).map((deviation, i) => ({ mean: means[i]!, deviation }))
    },
    most: (asked, worth) => {
      const ks = asked.map((row) => rowOf(row, n))
      const means = ks.map(meanOf)
      // No deviation is larger than the process's own: what can be worth most is known before deviations are.
      const priors = asked.map(priorOf)
      const bounds = means.map((mean, i) =>
        Math.max(worth(mean, leastDeviation), worth(mean, Math.sqrt(variance * priors[i]!)))
      )
      const order = ks.map((_, i) => i).sort((a, b) => bounds[b]! - bounds[a]! || a - b)
      let [best, highest] = [-1, -Infinity]
      for (let from = 0; from < order.length && bounds[order[from]!]! > highest; from += together) {
        const some = order.slice(from, from + together)
        const deviations = deviationsOf(
          some.map((i) => ks[i]!),
          some.map((i) => priors[i]!)
        )
        for (const [place, deviation] of deviations.entries()) {
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
