/**
 * How far two orders of the same things agree. Anything that is not a number ranks last, tied with all others of that kind.
 *
 * @example
 * ```ts
 * import { Correlation } from "@uninet/predictor"
 *
 * const [a, b] = [[1, 2, 3], [1, 3, 2]]
 * console.log(Correlation.ranks(a), Correlation.spearman(a, b), Correlation.kendall(a, b))
 * ```
 */
import { at } from "./internal/at.ts"

/** Ranks from 1 for the smallest; equal numbers share the mean of their ranks, and anything that is not a number ranks below all numbers. */
export const ranks = (numbers: ReadonlyArray<number | null>): ReadonlyArray<number> => {
  const known = numbers.map((x) => (x === null || Number.isNaN(x) ? -Infinity : x))
  const order = known.map((_, i) => i).sort((i, j) => ascending(at(known, i), at(known, j)))
  const out = known.map(() => 0)
  let start = 0
  for (const [place, i] of order.entries()) {
    const next = order[place + 1]
    if (next !== undefined && known[next] === known[i]) continue
    for (const same of order.slice(start, place + 1)) out[same] = (start + place) / 2 + 1
    start = place + 1
  }
  return out
}

// Not by their difference: that of two infinities is NaN.
const ascending = (a: number, b: number) => (a < b ? -1 : a > b ? 1 : 0)

const mean = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0) / numbers.length

/** Pearson's correlation; NaN if either side is constant. */
const pearson = (x: ReadonlyArray<number>, y: ReadonlyArray<number>): number => {
  const [mx, my] = [mean(x), mean(y)]
  let [xx, yy, xy] = [0, 0, 0]
  for (const [i, a] of x.entries()) {
    const [dx, dy] = [a - mx, at(y, i) - my]
    xx += dx * dx
    yy += dy * dy
    xy += dx * dy
  }
  return xx === 0 || yy === 0 ? Number.NaN : xy / Math.sqrt(xx * yy)
}

/** Spearman's ρ: Pearson's correlation of the ranks, with tied ranks averaged. NaN if either side is constant. */
export const spearman = (a: ReadonlyArray<number | null>, b: ReadonlyArray<number | null>): number =>
  pearson(ranks(a), ranks(b))

/** Counts the pairs that a merge sort of `numbers` swaps: those in the wrong order. */
const inversions = (numbers: Float64Array, spare: Float64Array, from: number, to: number): number => {
  if (to - from < 2) return 0
  const middle = (from + to) >> 1
  let count = inversions(numbers, spare, from, middle) + inversions(numbers, spare, middle, to)
  let [i, j] = [from, middle]
  for (let k = from; k < to; k++) {
    if (j >= to || (i < middle && at(numbers, i) <= at(numbers, j))) spare[k] = at(numbers, i++)
    else {
      count += middle - i
      spare[k] = at(numbers, j++)
    }
  }
  numbers.set(spare.subarray(from, to), from)
  return count
}

/** Pairs of equal numbers in a sorted list. */
const tiedPairs = (length: number, same: (i: number) => boolean): number => {
  let [pairs, run] = [0, 0]
  for (let i = 1; i < length; i++) {
    run = same(i) ? run + 1 : 0
    pairs += run
  }
  return pairs
}

/**
 * Kendall's τ-b: pairs in the same order minus pairs in opposite order, over the geometric mean of the pairs that each side distinguishes; in n log n (W. R. Knight, 1966). NaN if either side is constant.
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
  const order = x.map((_, i) => i).sort((i, j) => at(x, i) - at(x, j) || at(y, i) - at(y, j))
  const inOrder = Float64Array.from(order, (i) => at(x, i))
  const sorted = Float64Array.from(order, (i) => at(y, i))
  const pairs = (n * (n - 1)) / 2
  const inX = tiedPairs(n, (i) => inOrder[i] === inOrder[i - 1])
  const inBoth = tiedPairs(n, (i) => inOrder[i] === inOrder[i - 1] && sorted[i] === sorted[i - 1])
  const swaps = inversions(sorted, new Float64Array(n), 0, n)
  const inY = tiedPairs(n, (i) => sorted[i] === sorted[i - 1])
  const told = Math.sqrt((pairs - inX) * (pairs - inY))
  return told === 0 ? Number.NaN : (pairs - inX - inY + inBoth - 2 * swaps) / told
}
