/** Pareto fronts and running bests of many rows at once. Runs in Node and in a page. */
import type { Info } from "./Run.ts"
import type { Numbers } from "./Table.ts"

/** Whether more or less of it is better. */
export type Direction = "higher" | "lower"

/** A measure or cost that is looked for, and which way it is better. */
export interface Objective {
  readonly values: Numbers["values"]
  readonly direction: Direction
}

/** Which way a measure or a cost of a search is better. */
export const directionOf =
  (name: string) =>
  ({ measures, objectives }: Pick<Info, "measures" | "objectives">): Direction =>
    measures.find((each) => each.name === name)?.direction ??
    objectives.find((each) => each.name === name)?.direction ??
    (name === "reward" ? "higher" : "lower")

/** Rows with a number in every objective that were trained for as many epochs as any that is given: results of fewer say nothing against others. */
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
 * The rows that no other dominates, in two or more objectives; rows that have no number in one of them are left out. By rising worth in the last objective. Of rows that are equal
 * in all objectives all are kept. In n log n for two objectives, in n times the front's length for more.
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
    // Of two objectives the last of the front has the most of the second.
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

/** A row that was the best by then. */
export interface Best {
  /** The row's number. */
  readonly row: number
  /** In the column's unit. */
  readonly value: number
}

/**
 * The rows that were better than all before them, in their order. Results of different epochs say nothing of one another: one of more epochs than any before it is the best, as in a
 * search, and one of fewer is not looked at.
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
