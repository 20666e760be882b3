/** Regression trees, boosted: each is fitted on what those before it leave over. */
import type { Prng } from "@uninet/search-space"

/** A leaf, or a question with what follows where the feature is at most the threshold, and where it is above. */
type Tree = number | { readonly feature: number; readonly most: number; readonly low: Tree; readonly high: Tree }

/** How trees are grown. */
export interface Options {
  readonly trees: number
  /** Questions in a row. */
  readonly depth: number
  /** The share of what a tree finds that is taken of it. */
  readonly rate: number
  /** Rows that a leaf has at least. */
  readonly leaf: number
  /** The share of the features that a tree may ask about. */
  readonly features: number
}

/** Rows by features, with the order of the rows by each feature: what all trees share. */
export interface Table {
  readonly columns: ReadonlyArray<Float64Array>
  readonly orders: ReadonlyArray<Uint32Array>
}

/** A table of rows that are all numbers. */
export const tableOf = (rows: ReadonlyArray<ArrayLike<number>>): Table => {
  const columns = Array.from({ length: rows[0]?.length ?? 0 }, (_, f) =>
    Float64Array.from(rows, (row) => row[f] ?? Number.NaN)
  )
  const orders = columns.map((column) => Uint32Array.from(column, (_, i) => i).sort((a, b) => column[a] - column[b]))
  return { columns, orders }
}

/** A tree on residuals, `counts` being how often each row counts. */
const grow = (
  { columns, orders }: Table,
  residuals: Float64Array,
  counts: Float64Array,
  asked: ReadonlyArray<number>,
  depth: number,
  leaf: number
): Tree => {
  let [sum, size] = [0, 0]
  for (let i = 0; i < counts.length; i++) {
    sum += counts[i] * residuals[i]
    size += counts[i]
  }
  const value = size === 0 ? 0 : sum / size
  if (depth === 0 || size < 2 * leaf) return value
  let best = { gain: 1e-12 * Math.abs(sum * value), feature: -1, most: 0 }
  for (const feature of asked) {
    const [column, order] = [columns[feature], orders[feature]]
    let [below, under, last] = [0, 0, Number.NaN]
    for (const i of order) {
      if (counts[i] === 0) continue
      if (column[i] > last && under >= leaf && size - under >= leaf) {
        const rest = sum - below
        const gain = (below * below) / under + (rest * rest) / (size - under) - sum * value
        if (gain > best.gain) best = { gain, feature, most: (last + column[i]) / 2 }
      }
      below += counts[i] * residuals[i]
      under += counts[i]
      last = column[i]
    }
  }
  if (best.feature < 0) return value
  const side = (isLow: boolean) =>
    grow(
      { columns, orders },
      residuals,
      counts.map((count, i) => (columns[best.feature][i] <= best.most === isLow ? count : 0)),
      asked,
      depth - 1,
      leaf
    )
  return { feature: best.feature, most: best.most, low: side(true), high: side(false) }
}

const leafOf = (tree: Tree, row: ArrayLike<number>): number => {
  let at: Tree = tree
  while (typeof at !== "number") at = row[at.feature] <= at.most ? at.low : at.high
  return at
}

/** Trees on targets, as a function of a row. */
export const boosted = (
  table: Table,
  rows: ReadonlyArray<ArrayLike<number>>,
  targets: Float64Array,
  counts: Float64Array,
  { depth, features, leaf, rate, trees }: Options,
  prng: Prng.Prng
): ((row: ArrayLike<number>) => number) => {
  const residuals = targets.slice()
  const kept = Math.ceil(features * table.columns.length)
  const grown = Array.from({ length: trees }, (): Tree => {
    const asked = [...prng.permutation(table.columns.length)].slice(0, kept)
    const tree = grow(table, residuals, counts, asked, depth, leaf)
    for (const [i, row] of rows.entries()) residuals[i] -= rate * leafOf(tree, row)
    return tree
  })
  return (row) => grown.reduce<number>((sum, tree) => sum + rate * leafOf(tree, row), 0)
}
