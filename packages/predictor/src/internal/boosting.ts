/** Boosted regression trees: each tree is fitted to the residuals of those before it. */
import type { Prng } from "@uninet/search-space"
import * as Arr from "effect/Array"
import { at } from "./at.ts"

/** A leaf, or a split with a subtree for features at most the threshold, and one for features above it. */
type Tree = number | { readonly feature: number; readonly most: number; readonly low: Tree; readonly high: Tree }

/** How trees are grown. */
export interface Options {
  readonly trees: number
  /** Maximum number of splits in a row. */
  readonly depth: number
  /** The learning rate: the share of each tree's prediction that is used. */
  readonly rate: number
  /** Minimum number of rows in a leaf. */
  readonly leaf: number
  /** The share of the features that a tree may split on. */
  readonly features: number
}

/** Rows by features, with the rows sorted by each feature: shared by all trees. */
export interface Table {
  readonly columns: ReadonlyArray<Column>
}

interface Column {
  readonly values: Float64Array
  /** Rows, sorted by their values. */
  readonly order: Uint32Array
}

/** A table of rows that contain only numbers. */
export const tableOf = (rows: ReadonlyArray<ArrayLike<number>>): Table => {
  const columns = Array.from({ length: rows[0]?.length ?? 0 }, (_, f) => {
    const values = Float64Array.from(rows, (row) => row[f] ?? Number.NaN)
    return { values, order: Uint32Array.from(values, (_, i) => i).sort((a, b) => at(values, a) - at(values, b)) }
  })
  return { columns }
}

/** A tree on residuals; `counts` says how often each row counts. */
const grow = (
  { columns }: Table,
  residuals: Float64Array,
  counts: Float64Array,
  asked: ReadonlyArray<number>,
  depth: number,
  leaf: number
): Tree => {
  let [sum, size] = [0, 0]
  for (const [i, count] of counts.entries()) {
    sum += count * at(residuals, i)
    size += count
  }
  const value = size === 0 ? 0 : sum / size
  if (depth === 0 || size < 2 * leaf) return value
  let most = 1e-12 * Math.abs(sum * value)
  let best: { readonly feature: number; readonly threshold: number; readonly values: Float64Array } | undefined
  for (const feature of asked) {
    const { order, values } = Arr.getUnsafe(columns, feature)
    let [below, under, last] = [0, 0, Number.NaN]
    for (const i of order) {
      const [count, own] = [counts[i] ?? 0, at(values, i)]
      if (count === 0) continue
      if (own > last && under >= leaf && size - under >= leaf) {
        const rest = sum - below
        const gain = (below * below) / under + (rest * rest) / (size - under) - sum * value
        if (gain > most) {
          most = gain
          best = { feature, values, threshold: (last + own) / 2 }
        }
      }
      below += count * at(residuals, i)
      under += count
      last = own
    }
  }
  if (best === undefined) return value
  const { feature, threshold, values } = best
  const side = (isLow: boolean) =>
    grow(
      { columns },
      residuals,
      counts.map((count, i) => (at(values, i) <= threshold === isLow ? count : 0)),
      asked,
      depth - 1,
      leaf
    )
  return { feature, most: threshold, low: side(true), high: side(false) }
}

const leafOf = (tree: Tree, row: ArrayLike<number>): number => {
  let here: Tree = tree
  while (typeof here !== "number") here = at(row, here.feature) <= here.most ? here.low : here.high
  return here
}

/** Fits boosted trees to targets; returns a function of a row. */
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
    for (const [i, row] of rows.entries()) residuals[i] = at(residuals, i) - rate * leafOf(tree, row)
    return tree
  })
  return (row) => grown.reduce<number>((sum, tree) => sum + rate * leafOf(tree, row), 0)
}
