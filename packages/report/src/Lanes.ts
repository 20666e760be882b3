/** Trials laid out in parallel lanes as they were trained: as many lanes as trials ran at once. */

/** A trial in its lane. */
export interface Placed {
  /** The row's index. */
  readonly row: number
  /** The lane's index, from 0. */
  readonly lane: number
  /** When it began, in milliseconds since 1970. */
  readonly from: number
  /** When it ended, in milliseconds since 1970. */
  readonly to: number
}

/** What was trained where and when, without overlap within a lane. */
export interface Lanes {
  readonly placed: ReadonlyArray<Placed>
  /** By lane: the share of the total time in which it was training. */
  readonly busy: ReadonlyArray<number>
}

/**
 * Puts every trial in the first lane that is free when it begins. A trial without times, such as a refused one, is left out; one that is
 * still running ends at `now`.
 *
 * @example
 * ```ts
 * import { Lanes } from "@uninet/report"
 *
 * // Three trainings, of which the first two overlapped: two lanes, and how busy each was.
 * const begun = Float64Array.of(0, 1, 5)
 * const seconds = Float64Array.of(4, 4, 5)
 * console.log(Lanes.of([0, 1, 2], begun, seconds, 10))
 * ```
 */
export const of = (rows: ArrayLike<number>, begun: Float64Array, seconds: Float64Array, now: number): Lanes => {
  const all = Array.from(rows)
    .map((row) => ({ row, from: begun[row] ?? NaN, took: seconds[row] ?? NaN }))
    .filter(({ from, took }) => !Number.isNaN(from) && took !== 0)
    .map(({ from, row, took }) => ({ row, from, to: Number.isNaN(took) ? Math.max(now, from) : from + took }))
    .sort((a, b) => a.from - b.from || a.row - b.row)
  const ends: Array<number> = []
  const busy: Array<number> = []
  const placed = all.map(({ from, row, to }) => {
    const free = ends.findIndex((end) => end <= from)
    const lane = free === -1 ? ends.length : free
    ends[lane] = to
    busy[lane] = (busy[lane] ?? 0) + (to - from)
    return { row, lane, from, to }
  })
  const first = all[0]?.from ?? 0
  const whole = Math.max(1e-9, ends.reduce((most, end) => Math.max(most, end), 0) - first)
  return { placed, busy: busy.map((time) => time / whole) }
}
