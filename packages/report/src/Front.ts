/** Pareto fronts and running bests of many rows at once. Runs in Node and in a browser page. */
import type { Info } from "./Run.ts"
import type { Numbers } from "./Table.ts"

/** Whether larger or smaller values are better. */
export type Direction = "higher" | "lower"

/** A measure or cost to optimise, and its direction. */
export interface Objective {
  readonly values: Numbers["values"]
  readonly direction: Direction
}

/** The direction in which a measure or a cost of a search is better. */
export const directionOf =
  (name: string) =>
  ({ measures, objectives }: Pick<Info, "measures" | "objectives">): Direction =>
    measures.find((each) => each.name === name)?.direction ??
    objectives.find((each) => each.name === name)?.direction ??
    (name === "reward" ? "higher" : "lower")

/** Rows with a number in every objective, among those trained for the most epochs: results after fewer epochs cannot be compared with them. */
export const comparable = (
  rows: ArrayLike<number>,
  objectives: ReadonlyArray<Pick<Objective, "values">>,
  epochs: Numbers["values"] | undefined
): { readonly rows: ReadonlyArray<number>; readonly epochs: number } => {
  const all = Array.from(rows)
  const level = all.reduce((most, row) => Math.max(most, epochs?.[row] || 0), 0)
  return {
    rows: all.filter(
      (row) => (epochs?.[row] || 0) === level && objectives.every(({ values }) => !Number.isNaN(values[row]))
    ),
    epochs: level
  }
}

const worth = ({ direction, values }: Objective, row: number) => {
  const value = values[row] ?? NaN
  return direction === "higher" ? value : -value
}

/**
 * The rows that no other dominates, in two or more objectives; rows without a number in one of them are left out. Sorted by ascending worth
 * in the last objective. Of rows that are equal in all objectives, all are kept. Takes n log n for two objectives, and n times the front's
 * length for more.
 */
export const of = (rows: ArrayLike<number>, objectives: ReadonlyArray<Objective>): ReadonlyArray<number> => {
  const kept = Array.from(rows).filter((row) => objectives.every((each) => !Number.isNaN(worth(each, row))))
  const worths = kept.map((row) => objectives.map((each) => worth(each, row)))
  const order = kept
    .map((_, i) => i)
    .sort((a, b) => {
      for (let m = 0; m < objectives.length; m++) {
        const difference = (worths[b]?.[m] ?? 0) - (worths[a]?.[m] ?? 0)
        if (difference !== 0) return difference
      }
      return a - b
    })
  const front: Array<number> = []
  for (const i of order) {
    const own = worths[i] ?? []
    // With two objectives, the last row of the front has the most of the second.
    const from = objectives.length <= 2 ? Math.max(0, front.length - 1) : 0
    let dominated = false
    for (let j = from; j < front.length && !dominated; j++) {
      const other = worths[front[j] ?? -1] ?? []
      let better = false
      let all = true
      for (let m = 0; m < own.length && all; m++) {
        if ((other[m] ?? 0) < (own[m] ?? 0)) all = false
        if ((other[m] ?? 0) > (own[m] ?? 0)) better = true
      }
      dominated = all && better
    }
    if (!dominated) front.push(i)
  }
  return front.map((i) => kept[i] ?? -1)
}

/** A row that was the best so far. */
export interface Best {
  /** The row's number. */
  readonly row: number
  /** In the column's unit. */
  readonly value: number
}

/**
 * The rows that were better than all before them, in order. Results after different numbers of epochs are not compared: one after more
 * epochs than any before it is the best, as in a search, and one after fewer is ignored.
 */
export const running = (
  rows: ArrayLike<number>,
  objective: Objective,
  epochs: Float64Array | undefined
): ReadonlyArray<Best> => {
  const found: Array<Best> = []
  let best = -Infinity
  let trained = -Infinity
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? -1
    const value = worth(objective, row)
    if (Number.isNaN(value)) continue
    const own = epochs?.[row] ?? NaN
    const level = Number.isNaN(own) ? 0 : own
    if (level < trained || (level === trained && value <= best)) continue
    trained = level
    best = value
    found.push({ row, value: objective.values[row] ?? NaN })
  }
  return found
}
