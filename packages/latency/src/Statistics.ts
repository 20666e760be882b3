/**
 * Medians and their intervals.
 *
 * @example
 * ```ts
 * import { Statistics } from "@uninet/latency"
 *
 * // Milliseconds of ten turns of each of two networks.
 * const mine = [2.1, 2.0, 2.2, 2.1, 2.1, 2.3, 2.0, 2.1, 2.1, 2.2]
 * const theirs = mine.map((milliseconds) => 1.5 * milliseconds)
 * console.log(Statistics.median(mine), Statistics.quantile(0.1)(mine).toFixed(2), Statistics.spread(mine).toFixed(3))
 *
 * // How many times as long the other takes, with its interval.
 * const { high, low, value } = Statistics.ratio(Statistics.quantileOf()(theirs), Statistics.quantileOf()(mine))
 * console.log(`${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`)
 * ```
 */

/** A quantity with an interval that contains its true value with about 95% confidence, if nothing else disturbs it. */
export interface Interval {
  /** The estimate. */
  readonly value: number
  /** The lower end. */
  readonly low: number
  /** The upper end. */
  readonly high: number
}

/** The value below which a share of the numbers lies, interpolated between neighbours. NaN for no numbers. */
export const quantile =
  (share: number) =>
  (numbers: ArrayLike<number>): number => {
    const sorted = Float64Array.from(numbers).sort()
    const at = share * (sorted.length - 1)
    const below = Math.floor(at)
    const low = sorted[below] ?? Number.NaN
    const high = sorted[Math.min(sorted.length - 1, below + 1)] ?? low
    return low + (high - low) * (at - below)
  }

/** The middle number; for an even count, the mean of the two in the middle. */
export const median = (numbers: ArrayLike<number>): number => quantile(0.5)(numbers)

/** The distance between the quartiles, relative to the median. */
export const spread = (numbers: ArrayLike<number>): number =>
  (quantile(0.75)(numbers) - quantile(0.25)(numbers)) / median(numbers)

/**
 * A quantile (the median for 0.5), with its interval from the distance between the quartiles: 1.57 · IQR / √n to either side, McGill's notches (The American Statistician, 1978). `widened` is
 * the factor by which the interval is widened.
 */
export const quantileOf =
  (share = 0.5, widened = 1) =>
  (numbers: ArrayLike<number>): Interval => {
    const value = quantile(share)(numbers)
    const apart = quantile(0.75)(numbers) - quantile(0.25)(numbers)
    const half = (widened * 1.57 * apart) / Math.sqrt(Math.max(1, numbers.length))
    return { value, low: Math.max(0, value - half), high: value + half }
  }

/** The ratio of two quantities; its interval assumes that their errors are independent. */
export const ratio = (a: Interval, b: Interval): Interval => {
  const value = a.value / b.value
  const part = ({ high, low, value }: Interval) => (high - low) / 2 / value
  const half = value * Math.sqrt(part(a) * part(a) + part(b) * part(b))
  return { value, low: Math.max(0, value - half), high: value + half }
}
