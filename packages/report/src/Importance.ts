/**
 * How much each choice matters for a measure: how much worse the predictions of trees become when the choice is shuffled (permutation
 * importance, Breiman 2001), on trials on which the trees were not grown. Half of what this adds to the squared error is the share of the
 * variance in which the choice has a part, alone or with others (Sobol's total index, as Gregorutti et al. 2017 show).
 *
 * Forests are grown on bootstrap samples of the trials, and every trial is predicted by the forests that have not seen it. The intervals
 * cover the choice of trials and of forests. If the forests predict no better than the mean, the choices say nothing about the measure, and
 * no importances are given.
 */
import { Prng } from "@uninet/search-space"
import * as Schema from "effect/Schema"
import type { Column, Table } from "./Table.ts"
import { number, numbers, ofRole } from "./Table.ts"

/** A mean with its 95% interval. */
const Interval = Schema.Struct({ mean: Schema.Finite, low: Schema.Finite, high: Schema.Finite })
/** An estimate with the ends of its interval. */
export type Interval = typeof Interval.Type

/** The result for one measure. */
export const Importance = Schema.Struct({
  measure: Schema.String,
  /** The number of trials it is based on, all after this many epochs. */
  trials: Schema.Int,
  epochs: Schema.NullOr(Schema.Finite),
  /** The share of the measure's variance that the forests explain in trials they have not seen; at most 1, below 0 if the mean is the better guess. */
  explained: Schema.NullOr(Interval),
  /** For each choice, the share of the variance in which it has a part, largest first. Empty if nothing can be said. */
  choices: Schema.Array(Schema.Struct({ name: Schema.String, ...Interval.fields })),
  /** Why there are no importances, in a sentence; empty if there are. */
  silent: Schema.String
})
export type Importance = typeof Importance.Type

/** How importance is estimated. */
export interface Options {
  /** Seeds the samples. Default `importance`. */
  readonly seed?: string
  /** The number of forests. Default 10. */
  readonly forests?: number
  /** Trees per forest. Default 8. */
  readonly trees?: number
  /** The most trials used, spread evenly over the search. Default 1,000; fewer if there are many choices, so that it takes a few seconds at most. */
  readonly most?: number
}

/** The minimum number of rows in a leaf: one in a hundred, which keeps trees small when they have much data to learn from. */
const leafOf = (n: number) => Math.max(3, Math.floor(n / 100))

/** Fewer trials say nothing. */
const least = 24
const bins = 24
const depth = 10

const square = (x: number): number => x * x

/** The middle 95% of a normal distribution are within this many standard deviations of its mean. */
const z = 1.96

const varianceOf = (values: ArrayLike<number>): number => {
  const all = Array.from(values)
  const mean = all.reduce((sum, value) => sum + value, 0) / Math.max(1, all.length)
  return all.reduce((sum, value) => sum + square(value - mean), 0) / Math.max(1, all.length - 1)
}

/** The values of each trial, over the forests that have not seen it. */
interface Tally {
  readonly sum: Float64Array
  /** The means of each forest; their spread is that between forests. */
  readonly means: Array<number>
}

const tally = (n: number): Tally => ({ sum: new Float64Array(n), means: [] })

/** Adds a forest's values for the trials that it has not seen. */
const add = (to: Tally, held: ReadonlyArray<number>, of: (i: number) => number) => {
  let all = 0
  for (const [i, row] of held.entries()) {
    const value = of(i)
    to.sum[row] = (to.sum[row] ?? 0) + value
    all += value
  }
  to.means.push(all / Math.max(1, held.length))
}

/** The mean over all trials with its interval, which covers the choice of trials and of forests. */
const intervalOf = ({ means, sum }: Tally, times: Float64Array): Interval => {
  const values = Array.from(sum, (value, i) => value / (times[i] ?? 0)).filter((value) => Number.isFinite(value))
  const mean = values.reduce((all, value) => all + value, 0) / Math.max(1, values.length)
  const half = z * Math.sqrt(varianceOf(values) / Math.max(1, values.length) + varianceOf(means) / means.length)
  return { mean, low: mean - half, high: mean + half }
}

/** A choice's codes in some rows, with at most `bins` different ones. */
const binned = (choice: Column, rows: ReadonlyArray<number>): Uint8Array => {
  const values = rows.map((row) => number(row)(choice))
  const different = [...new Set(values)].filter((value) => !Number.isNaN(value)).sort((a, b) => a - b)
  const place = new Map(
    different.map((value, i) => [
      value,
      different.length < bins ? i + 1 : 1 + Math.floor((i * (bins - 1)) / different.length)
    ])
  )
  return Uint8Array.from(values, (value) => place.get(value) ?? 0)
}

interface Node {
  /** −1 for a leaf. */
  readonly feature: number
  /** For each code, whether it goes to the left. */
  readonly left: ReadonlyArray<boolean>
  readonly below: readonly [Node, Node] | null
  readonly value: number
}

const meanOf = (rows: ReadonlyArray<number>, y: Float64Array) =>
  rows.reduce((sum, row) => sum + (y[row] ?? 0), 0) / Math.max(1, rows.length)

/**
 * The best split of some rows by one feature: options are ordered by their mean and cut where the squared error shrinks most (exact for
 * squared errors, Fisher 1958).
 */
const cut = (rows: ReadonlyArray<number>, codes: Uint8Array, y: Float64Array, leaf: number) => {
  const count = new Float64Array(bins + 1)
  const sum = new Float64Array(bins + 1)
  for (const row of rows) {
    const code = codes[row] ?? 0
    count[code] = (count[code] ?? 0) + 1
    sum[code] = (sum[code] ?? 0) + (y[row] ?? 0)
  }
  const order: Array<number> = []
  for (let code = 0; code <= bins; code++) if ((count[code] ?? 0) > 0) order.push(code)
  if (order.length < 2) return undefined
  order.sort((a, b) => (sum[a] ?? 0) / (count[a] ?? 1) - (sum[b] ?? 0) / (count[b] ?? 1) || a - b)
  const total = sum.reduce((all, each) => all + each, 0)
  let [n, s, best, at] = [0, 0, 0, -1]
  for (let i = 0; i + 1 < order.length; i++) {
    n += count[order[i] ?? 0] ?? 0
    s += sum[order[i] ?? 0] ?? 0
    const rest = rows.length - n
    if (n < leaf || rest < leaf) continue
    const gain = (s * s) / n + ((total - s) * (total - s)) / rest - (total * total) / rows.length
    if (gain > best + 1e-12) [best, at] = [gain, i]
  }
  if (at < 0) return undefined
  const left = Array.from({ length: bins + 1 }, () => false)
  for (const code of order.slice(0, at + 1)) left[code] = true
  return { gain: best, left }
}

const grow = (
  rows: ReadonlyArray<number>,
  features: ReadonlyArray<Uint8Array>,
  y: Float64Array,
  prng: Prng.Prng,
  level: number
): Node => {
  const leaf = leafOf(y.length)
  const end: Node = { feature: -1, left: [], below: null, value: meanOf(rows, y) }
  if (level >= depth || rows.length < 2 * leaf) return end
  // Each cut considers a subset of the choices, so that the strongest does not hide the others.
  const tried = Math.max(1, Math.ceil(features.length / 2))
  const order = features.map((_, i) => i)
  let best: { readonly gain: number; readonly left: ReadonlyArray<boolean>; readonly feature: number } | undefined
  for (let i = 0; i < tried; i++) {
    const j = i + Math.floor(prng.nextFloat() * (order.length - i))
    const feature = order[j] ?? 0
    order[j] = order[i] ?? 0
    order[i] = feature
    const codes = features[feature]
    const found = codes === undefined ? undefined : cut(rows, codes, y, leaf)
    if (found !== undefined && found.gain > (best?.gain ?? 0)) best = { ...found, feature }
  }
  const codes = best === undefined ? undefined : features[best.feature]
  if (best === undefined || codes === undefined) return end
  const { left } = best
  const goesLeft = (row: number) => left[codes[row] ?? 0] === true
  const parts = [rows.filter(goesLeft), rows.filter((row) => !goesLeft(row))] as const
  return {
    feature: best.feature,
    left,
    value: end.value,
    below: [grow(parts[0], features, y, prng, level + 1), grow(parts[1], features, y, prng, level + 1)]
  }
}

/** A tree's prediction for a row, with `shuffled` in place of one feature's codes. */
const predict = (
  tree: Node,
  row: number,
  features: ReadonlyArray<Uint8Array>,
  feature: number,
  shuffled: number
): number => {
  let node = tree
  while (node.below !== null) {
    const code = node.feature === feature ? shuffled : (features[node.feature]?.[row] ?? 0)
    node = node.below[node.left[code] === true ? 0 : 1]
  }
  return node.value
}

const usedBy = (tree: Node, found: Set<number>) => {
  if (tree.below === null) return
  found.add(tree.feature)
  for (const below of tree.below) usedBy(below, found)
}

/** The squared error for each of some rows. */
const errorsOf = (
  trees: ReadonlyArray<Node>,
  rows: ReadonlyArray<number>,
  features: ReadonlyArray<Uint8Array>,
  y: Float64Array,
  feature = -1,
  codes: ReadonlyArray<number> = []
): Float64Array =>
  Float64Array.from(rows, (row, i) => {
    let sum = 0
    for (const tree of trees) sum += predict(tree, row, features, feature, codes[i] ?? 0)
    return square(sum / trees.length - (y[row] ?? 0))
  })

/** Codes in shuffled order, among the trials that have the choice: whether it exists at all is due to the choice that it depends on. */
const shuffled = (codes: ReadonlyArray<number>, prng: Prng.Prng): ReadonlyArray<number> => {
  const out = [...codes]
  const places = codes.map((_, i) => i).filter((i) => codes[i] !== 0)
  for (let i = places.length - 1; i > 0; i--) {
    const [a, b] = [places[i] ?? 0, places[Math.floor(prng.nextFloat() * (i + 1))] ?? 0]
    const other = out[b] ?? 0
    out[b] = out[a] ?? 0
    out[a] = other
  }
  return out
}

const sampleOf = (n: number, prng: Prng.Prng) => Array.from({ length: n }, () => Math.floor(prng.nextFloat() * n))

/** The rows of the level with the most epochs that has enough of them, otherwise of the fullest level. */
const levelOf = (
  table: Table,
  values: Float64Array
): { readonly epochs: number | null; readonly rows: ReadonlyArray<number> } => {
  const epochs = numbers("epochs")(table)
  const levels = new Map<number, Array<number>>()
  for (let row = 0; row < table.size; row++) {
    if (!Number.isFinite(values[row])) continue
    const own = epochs?.[row] ?? NaN
    const level = Number.isNaN(own) ? -1 : own
    const known = levels.get(level)
    if (known === undefined) levels.set(level, [row])
    else known.push(row)
  }
  const sorted = [...levels].sort(([a], [b]) => b - a)
  const [level, rows] = sorted.find(([, own]) => own.length >= 4 * least) ??
    sorted.toSorted(([, a], [, b]) => b.length - a.length)[0] ?? [-1, []]
  return { epochs: level < 0 ? null : level, rows }
}

/** How much each choice matters for a column of numbers. */
export const of =
  (measure: string, options: Options = {}) =>
  (table: Table): Importance => {
    const { forests = 10, seed = "importance", trees = 8 } = options
    const choices = ofRole("choice")(table)
    const values = numbers(measure)(table) ?? new Float64Array(table.size).fill(NaN)
    const level = levelOf(table, values)
    const most = Math.min(options.most ?? 1000, Math.max(200, Math.floor(40_000 / Math.max(1, choices.length))))
    const n = Math.min(most, level.rows.length)
    // Spread evenly over the search, because its proposals at the end differ from those at the beginning.
    const rows = Array.from({ length: n }, (_, i) => level.rows[Math.floor((i * level.rows.length) / n)] ?? 0)
    const silent = (why: string, explained: Interval | null = null): Importance => ({
      measure,
      trials: n,
      epochs: level.epochs,
      explained,
      choices: [],
      silent: why
    })
    if (choices.length === 0) return silent("All trials have the same choices, so nothing can be said about them.")
    if (n < least)
      return silent(
        `There are ${n} trials with comparable results, and fewer than ${least} say nothing about ${measure}.`
      )
    const y = Float64Array.from(rows, (row) => values[row] ?? 0)
    const mean = meanOf(
      rows.map((_, i) => i),
      y
    )
    for (let i = 0; i < n; i++) y[i] = (y[i] ?? 0) - mean
    const variance = y.reduce((sum, value) => sum + value * value, 0) / n
    if (!(variance > 0)) return silent(`All trials have the same ${measure}.`)
    const prng = Prng.fromSeed(seed).split(measure)
    const times = new Float64Array(n)
    const unexplained = tally(n)
    const bins = choices.map((choice) => ({ name: choice.name, codes: binned(choice, rows), lost: tally(n) }))
    const features = bins.map(({ codes }) => codes)
    for (let f = 0; f < forests; f++) {
      const own = prng.split(`forest ${f}`)
      const sample = sampleOf(n, own)
      const known = new Set(sample)
      const held = rows.map((_, i) => i).filter((i) => !known.has(i))
      for (const row of held) times[row] = (times[row] ?? 0) + 1
      const grown = Array.from({ length: trees }, (_, k) =>
        grow(
          sampleOf(n, own.split(`tree ${k}`)).map((i) => sample[i] ?? 0),
          features,
          y,
          own.split(`cuts ${k}`),
          0
        )
      )
      const errors = errorsOf(grown, held, features, y)
      add(unexplained, held, (i) => (errors[i] ?? 0) / variance)
      const used = new Set<number>()
      for (const tree of grown) usedBy(tree, used)
      for (const [feature, { codes, lost }] of bins.entries()) {
        const mixed = used.has(feature)
          ? errorsOf(
              grown,
              held,
              features,
              y,
              feature,
              shuffled(
                held.map((row) => codes[row] ?? 0),
                own.split(`shuffle ${feature}`)
              )
            )
          : errors
        add(lost, held, (i) => ((mixed[i] ?? 0) - (errors[i] ?? 0)) / (2 * variance))
      }
    }
    const rest = intervalOf(unexplained, times)
    const whole: Interval = { mean: 1 - rest.mean, low: 1 - rest.high, high: 1 - rest.low }
    if (whole.low <= 0)
      return silent(
        `From ${n} trials, nothing can be said about ${measure}: as far as can be told, the choices predict it no better than its mean does.`,
        whole
      )
    const found = bins.map(({ lost, name }) => ({ name, ...intervalOf(lost, times) })).sort((a, b) => b.mean - a.mean)
    return { measure, trials: n, epochs: level.epochs, explained: whole, choices: found, silent: "" }
  }
