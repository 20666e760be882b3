/**
 * How far two orders of the same things agree. What is no number goes last, all of it together.
 *
 * @example
 * ```ts
 * import { Correlation } from "@uninet/predictor"
 *
 * const [a, b] = [[1, 2, 3], [1, 3, 2]]
 * console.log(Correlation.ranks(a), Correlation.spearman(a, b), Correlation.kendall(a, b))
 * ```
 */
import * as Arr from "effect/Array"

/** Places from 1 for the smallest; equal numbers share the mean of theirs, and what is no number goes below all. */
export const ranks = (numbers: ReadonlyArray<number | null>): ReadonlyArray<number> => {
  const known = numbers.map((x) => (x === null || Number.isNaN(x) ? -Infinity : x))
  const order = Array.from(known.entries()).sort(([, a], [, b]) => (a < b ? -1 : a > b ? 1 : 0))
  const out = Array.from(known, () => 0)
  let start = 0
  for (const same of runsOf(order, ([, a], [, b]) => a === b)) {
    const end = start + same.length
    for (const [i] of same) out[i] = (start + end + 1) / 2
    start = end
  }
  return out
}

/** Neighbours that are the same, together. */
const runsOf = <A>(sorted: ReadonlyArray<A>, same: (a: A, b: A) => boolean): ReadonlyArray<ReadonlyArray<A>> => {
  const runs: Array<Array<A>> = []
  let last: readonly [A] | undefined
  for (const value of sorted) {
    if (last !== undefined && same(last[0], value)) runs.at(-1)?.push(value)
    else runs.push([value])
    last = [value]
  }
  return runs
}

const mean = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0) / numbers.length

/** Pearson's: NaN where one of the two does not vary. */
const pearson = (x: ReadonlyArray<number>, y: ReadonlyArray<number>): number => {
  const [mx, my] = [mean(x), mean(y)]
  let [xx, yy, xy] = [0, 0, 0]
  for (const [a, b] of Arr.zip(x, y)) {
    const [dx, dy] = [a - mx, b - my]
    xx += dx * dx
    yy += dy * dy
    xy += dx * dy
  }
  return xx === 0 || yy === 0 ? Number.NaN : xy / Math.sqrt(xx * yy)
}

/** Spearman's ρ: Pearson's correlation of the ranks, ties at the mean of theirs. NaN where one of the two is constant. */
export const spearman = (a: ReadonlyArray<number | null>, b: ReadonlyArray<number | null>): number =>
  pearson(ranks(a), ranks(b))

/** Sorted, and the pairs that a merge sort swaps: those that stand in the wrong order. */
const inversions = (numbers: ReadonlyArray<number>): readonly [sorted: ReadonlyArray<number>, count: number] => {
  if (numbers.length < 2) return [numbers, 0]
  const middle = numbers.length >> 1
  const [left, inLeft] = inversions(numbers.slice(0, middle))
  const [right, inRight] = inversions(numbers.slice(middle))
  const merged: Array<number> = []
  let count = inLeft + inRight
  let taken = 0
  for (const [i, number] of left.entries()) {
    for (let next = right[taken]; next !== undefined && next < number; next = right[++taken]) {
      count += left.length - i
      merged.push(next)
    }
    merged.push(number)
  }
  return [[...merged, ...right.slice(taken)], count]
}

/** Pairs of those that are the same, in a sorted list. */
const tiedPairs = <A>(sorted: ReadonlyArray<A>, same: (a: A, b: A) => boolean): number =>
  runsOf(sorted, same).reduce((pairs, { length }) => pairs + (length * (length - 1)) / 2, 0)

/**
 * Kendall's τ-b: pairs in the same order less pairs in opposite ones, over the geometric mean of the pairs that each tells apart; in n log n (W. R. Knight, 1966). NaN where one of the two is constant.
 *
 * @example
 * ```ts
 * import { Correlation } from "@uninet/predictor"
 *
 * // Predicted and measured values: two of three pairs are in the right order.
 * const [predicted, measured] = [
 *   [1, 2, 3],
 *   [10, 30, 20]
 * ]
 * console.log(Correlation.kendall(predicted, measured), Correlation.spearman(predicted, measured)) // 0.333… 0.5
 * ```
 */
export const kendall = (a: ReadonlyArray<number | null>, b: ReadonlyArray<number | null>): number => {
  const [x, y] = [ranks(a), ranks(b)]
  const n = x.length
  const order = Arr.zip(x, y).sort(([a, b], [c, d]) => a - c || b - d)
  const pairs = (n * (n - 1)) / 2
  const inX = tiedPairs(order, ([a], [c]) => a === c)
  const inBoth = tiedPairs(order, ([a, b], [c, d]) => a === c && b === d)
  const [sorted, swaps] = inversions(order.map(([, b]) => b))
  const inY = tiedPairs(sorted, (b, d) => b === d)
  const told = Math.sqrt((pairs - inX) * (pairs - inY))
  return told === 0 ? Number.NaN : (pairs - inX - inY + inBoth - 2 * swaps) / told
}
