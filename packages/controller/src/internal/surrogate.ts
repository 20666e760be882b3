/**
 * A Gaussian process over the choices that learns how much each of them matters. The kernel is exp(−Σ wᵢ·dᵢ), where dᵢ is the distance of two points in choice i.
 * The weights w and the noise are maximum a posteriori estimates, with a prior that pulls the weights towards a common one. The process's variance has its maximum-likelihood value,
 * in closed form. Other known numbers of a point (its costs) are further dimensions, in which d is the squared difference. Each of them also has a linear term: a reward that falls with a
 * cost keeps falling with it where nothing has been tried yet.
 */
import { Cholesky, Elementary, Site } from "@uninet/search-space"
import * as Arr from "effect/Array"
import { dot } from "./dot.ts"
import * as Kernel from "./kernel.ts"

/** A point as the process sees it: a token for every site, and other known numbers (`extra`). */
export interface Row {
  readonly vector: Int32Array
  readonly extra: ReadonlyArray<number>
}

/** The process's hyperparameters. */
export interface Fit {
  /** One for every site, and then one for every extra number. */
  readonly weights: Float64Array
  /** The variance of a result around the network's true value, as a share of the process's own variance. */
  readonly noise: number
  /** The variance of the linear terms' slopes (for standardised numbers), as a share of the process's own variance. */
  readonly slope: number
}

/** A network's expected value and its standard deviation, without the noise of a measurement. */
export interface Belief {
  readonly mean: number
  readonly deviation: number
}

export interface Surrogate {
  /** The expected value of each row. */
  readonly expect: (rows: ReadonlyArray<Row>) => ReadonlyArray<number>
  readonly believe: (rows: ReadonlyArray<Row>) => ReadonlyArray<Belief>
  /** The position of the row that maximises `worth`, a function of mean and deviation that is monotonic in the deviation; −1 if there are no rows. */
  readonly most: (rows: ReadonlyArray<Row>, worth: (mean: number, deviation: number) => number) => number
}

const noises = [0.001, 0.01, 0.03, 0.1, 0.3, 1]
const steps = [0.25, 0.5, 2, 4]
const slopes = [0, 0.25, 1, 4]
/** The prior standard deviation of a weight's logarithm around that of the common weight. */
const spread = 1
/** The common weight, given as the ℓ of exp(−d / ℓ), where d is the share of the choices that differ. */
const length = 0.35
const leastDeviation = 1e-6
/** The number of deviations that are computed at once. */
const together = 16
/** The number of rows that the weights are fitted to. */
const fitted = 100

const square = (x: number) => x * x

/** A choice or an extra number: its value at a point (`of`), and the distance between two values (`apart`). */
interface Dimension {
  /** The choice's site, if it is a choice. */
  readonly site: Site.Site | undefined
  readonly of: (row: Row) => number
  readonly apart: (x: number, y: number) => number
}

const dimensionsOf = (sites: ReadonlyArray<Site.Site>, extra: number): ReadonlyArray<Dimension> => [
  ...sites.map((site) => ({
    site,
    of: ({ vector }: Row) => Kernel.tokenOf(site, vector),
    apart: (x: number, y: number) => Kernel.apart(site, x, y)
  })),
  ...Array.from({ length: extra }, (_, i) => ({
    site: undefined,
    of: ({ extra }: Row) => extra[i] ?? Number.NaN,
    apart: (x: number, y: number) => square(x - y)
  }))
]

/** A function of each item with each of those before it. */
const pairs = <A>(items: ReadonlyArray<A>, of: (a: A, b: A) => number): Float64Array => {
  const out = new Float64Array((items.length * (items.length - 1)) / 2)
  let pair = 0
  for (const [i, a] of items.entries()) for (const b of items.slice(0, i)) out[pair++] = of(a, b)
  return out
}

/** `sum` plus `times` · `column`. */
const plus = (sum: Float64Array, column: Float64Array, times: number): Float64Array => {
  const out = new Float64Array(sum.length)
  for (let k = 0; k < out.length; k++) out[k] = (sum[k] ?? Number.NaN) + times * (column[k] ?? Number.NaN)
  return out
}

/** Multiplies each number by the table's entry at its place. */
const multiply = (out: Float64Array, table: Float64Array, places: Int32Array) => {
  for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? Number.NaN) * (table[places[i] ?? 0] ?? Number.NaN)
}

/** Standardises a row's extra numbers by their means and standard deviations over some rows. */
const standard = (rows: ReadonlyArray<Row>): ((row: Row) => ReadonlyArray<number>) => {
  const n = Math.max(rows.length, 1)
  const moments = (rows[0]?.extra ?? []).map((_, i) => {
    const column = rows.map(({ extra }) => extra[i] ?? Number.NaN)
    const mean = column.reduce((sum, x) => sum + x, 0) / n
    const deviation = Math.sqrt(column.reduce((sum, x) => sum + square(x - mean), 0) / n)
    return { mean, deviation: deviation > 0 ? deviation : 1 }
  })
  return ({ extra }) => moments.map(({ deviation, mean }, i) => ((extra[i] ?? Number.NaN) - mean) / deviation)
}

/** The initial hyperparameters. */
export const begin = (sites: ReadonlyArray<Site.Site>, extra: number): Fit => ({
  weights: new Float64Array(sites.length + extra).fill(1 / (length * sites.length)),
  noise: 0.03,
  slope: extra === 0 ? 0 : 1
})

/** The fit of the highest posterior near another fit. */
export const fit = (
  sites: ReadonlyArray<Site.Site>,
  rows: ReadonlyArray<Row>,
  targets: ArrayLike<number>,
  from: Fit
): Fit => {
  const latest = rows.slice(-fitted)
  const n = latest.length
  const y = Float64Array.from(targets).slice(-fitted)
  const usual = Elementary.log(1 / (length * sites.length))
  const dimensions = Arr.zipWith(
    dimensionsOf(sites, from.weights.length - sites.length),
    from.weights,
    ({ apart, of }, weight) => ({ weight, distances: pairs(latest.map(of), apart) })
  )
  const lines = latest.map(standard(latest))
  const products = pairs(lines, dot)
  const posterior = (sum: Float64Array, weights: Float64Array, noise: number, slope: number) => {
    const factor = Cholesky.make()
    const kernel = new Float64Array(sum.length)
    for (let k = 0; k < kernel.length; k++)
      kernel[k] = Elementary.exp(-(sum[k] ?? Number.NaN)) + slope * (products[k] ?? Number.NaN)
    let start = 0
    for (const [i, line] of lines.entries()) {
      factor.append(kernel.subarray(start, start + i), 1 + slope * dot(line, line) + noise)
      start += i
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
  let sum: Float64Array = new Float64Array(products.length)
  for (const { distances, weight } of dimensions) sum = plus(sum, distances, weight)
  let highest = posterior(sum, weights, noise, slope)
  for (const other of noises) {
    const here = posterior(sum, weights, other, slope)
    if (here > highest) [highest, noise] = [here, other]
  }
  for (const other of weights.length === sites.length ? [] : slopes) {
    const here = posterior(sum, weights, noise, other)
    if (here > highest) [highest, slope] = [here, other]
  }
  for (const [d, { distances, weight }] of dimensions.entries()) {
    let own = weight
    for (const step of steps) {
      const other = weight * step
      const changed = weights.with(d, other)
      const moved = plus(sum, distances, other - own)
      const here = posterior(moved, changed, noise, slope)
      if (here > highest) {
        highest = here
        own = other
        weights = changed
        sum = moved
      }
    }
  }
  return { weights, noise, slope }
}

/** The process conditioned on the targets of some rows. */
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
  /** A row's prior variance, as a share of the process's own variance. */
  const priorOf = (row: Row) => {
    const line = lineOf(row)
    return 1 + slope * dot(line, line)
  }
  /** Each multiplies a row of the kernel by one dimension's factors between a point and each of `rows`. */
  const factors = Arr.zipWith(
    dimensionsOf(sites, weights.length - sites.length),
    weights,
    ({ apart, of, site }, weight) => {
      const between = (x: number, y: number) => Elementary.exp(-weight * apart(x, y))
      if (site === undefined || Site.isNumeric(site)) {
        const values = rows.map(of)
        return (out: Float64Array, row: Row) => {
          const x = of(row)
          for (let j = 0; j < out.length; j++) out[j] = (out[j] ?? Number.NaN) * between(x, values[j] ?? Number.NaN)
        }
      }
      // The tokens, starting with the absent one.
      const tokens = Array.from({ length: site.count + 1 }, (_, i) => i + Site.absent)
      const tables = tokens.map((x) => Float64Array.from(tokens.map((y) => between(x, y))))
      const places = Int32Array.from(rows.map((row) => of(row) - Site.absent))
      return (out: Float64Array, row: Row) => multiply(out, Arr.getUnsafe(tables, of(row) - Site.absent), places)
    }
  )
  const rowOf = (row: Row, count: number) => {
    const out = new Float64Array(count).fill(1)
    for (const factor of factors) factor(out, row)
    if (slope > 0) {
      const line = lineOf(row)
      for (let j = 0; j < count; j++) out[j] = (out[j] ?? Number.NaN) + slope * dot(line, lines[j] ?? [])
    }
    return out
  }
  const factor = Cholesky.make()
  for (const [i, row] of rows.entries()) factor.append(rowOf(row, i), priorOf(row) + noise)
  const weighted = factor.solve(targets)
  const variance = dot(weighted, targets) / n
  /** A row's position among those asked for, its row of the kernel, its expected value and its prior variance. */
  const askedOf = (row: Row, place: number) => {
    const k = rowOf(row, n)
    return { place, k, mean: dot(weighted, k), prior: priorOf(row) }
  }
  /** Adds deviations; overwrites the rows of the kernel. */
  const believed = (some: ReadonlyArray<ReturnType<typeof askedOf>>) => {
    factor.forward(some.map(({ k }) => k))
    return some.map(({ k, mean, place, prior }) => {
      const deviation = Math.max(Math.sqrt(variance * Math.max(prior - dot(k, k), 0)), leastDeviation)
      return { place, mean, deviation }
    })
  }
  return {
    expect: (asked) => asked.map((row) => dot(weighted, rowOf(row, n))),
    believe: (asked) => believed(asked.map(askedOf)),
    most: (asked, worth) => {
      const order = asked
        .map((row, place) => {
          const one = askedOf(row, place)
          // No deviation is larger than the prior one, so an upper bound of the worth is known without computing the deviation.
          const own = Math.sqrt(variance * one.prior)
          return { ...one, bound: Math.max(worth(one.mean, leastDeviation), worth(one.mean, own)) }
        })
        .sort((a, b) => b.bound - a.bound)
      let [best, highest] = [-1, -Infinity]
      for (const some of Arr.chunksOf(order, together)) {
        if (!(some[0].bound > highest)) break
        for (const { deviation, mean, place } of believed(some)) {
          const here = worth(mean, deviation)
          if (here > highest) [best, highest] = [place, here]
        }
      }
      return best
    }
  }
}
