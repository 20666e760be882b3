/**
 * Compares the arms of an experiment with one reference arm: differences paired by seed, with Student's intervals, and significance
 * corrected for the number of comparisons (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979).
 *
 * Pure: its inputs are figures by seed.
 */
import type { Task } from "@uninet/model-space"
import * as Student from "./internal/student.ts"

/** A mean with its standard error and its 95% confidence interval; `null` for fewer than two values. */
export interface Estimate {
  /** In the values' unit. */
  readonly mean: number
  readonly error: number | null
  readonly low: number | null
  readonly high: number | null
  /** The number of values. */
  readonly count: number
}

/** An arm's difference from the reference arm; above 0 if the arm is better. */
export interface Contrast extends Estimate {
  readonly arm: string
  readonly against: string
  /** Two-sided, by the paired t-test; `null` for fewer than two pairs, and if all pairs differ by the same amount. */
  readonly p: number | null
  /** After Holm's correction for all contrasts of the experiment. */
  readonly adjusted: number | null
  /** `better` or `worse` if `adjusted` is below 0.05. */
  readonly verdict: "better" | "worse" | "open"
}

/** An arm's figures, such as its test accuracies, by the seed of each run. */
export type Figures = ReadonlyMap<string, number>

/** The mean of some values, with its standard error and its 95% interval by Student's t distribution. */
export const estimate = (values: ReadonlyArray<number>): Estimate => {
  const count = values.length
  const mean = values.reduce((a, b) => a + b, 0) / count
  if (count < 2) return { mean, error: null, low: null, high: null, count }
  const variance = values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / (count - 1)
  const error = Math.sqrt(variance / count)
  const reach = Student.quantile(count - 1, 0.025) * error
  return { mean, error, low: mean - reach, high: mean + reach, count }
}

/** Holm's p values, in the order of the input: the smallest times the number of values, the next times one fewer, and so on, none below the one before it. */
export const holm = (values: ReadonlyArray<number>): ReadonlyArray<number> => {
  const out = values.map(() => 1)
  let least = 0
  for (const [place, { i, p }] of values
    .map((p, i) => ({ p, i }))
    .toSorted((a, b) => a.p - b.p)
    .entries()) {
    least = Math.max(least, Math.min(1, p * (values.length - place)))
    out[i] = least
  }
  return out
}

/**
 * Compares every arm with the reference arm, by the seeds that both have.
 *
 * @example
 * ```ts
 * import { Contrast } from "@uninet/search"
 *
 * // Accuracies of three arms by seed: as it was, with a new operator, and without attention.
 * const figures = (values: ReadonlyArray<number>) => new Map(values.map((value, seed) => [`seed ${seed}`, value]))
 * const arms = new Map([
 *   ["plain", figures([0.931, 0.929, 0.933, 0.93])],
 *   ["with mine", figures([0.941, 0.938, 0.944, 0.94])],
 *   ["without attention", figures([0.93, 0.931, 0.932, 0.928])]
 * ])
 * for (const { adjusted, arm, high, low, mean, verdict } of Contrast.of(arms, "plain", "higher"))
 *   console.log(`${arm}: ${mean.toFixed(4)} (${low?.toFixed(4)} to ${high?.toFixed(4)}), p ${adjusted?.toFixed(3)}, ${verdict}`)
 *
 * console.log(Contrast.estimate([0.931, 0.929, 0.933, 0.93]).mean.toFixed(4)) // 0.9307, of one arm by itself
 * console.log(Contrast.holm([0.01, 0.04, 0.03])) // [ 0.03, 0.06, 0.06 ]
 * ```
 */
export const of = (
  arms: ReadonlyMap<string, Figures>,
  against: string,
  direction: Task.Direction
): ReadonlyArray<Contrast> => {
  const base = arms.get(against) ?? new Map<string, number>()
  const sign = direction === "higher" ? 1 : -1
  const found = [...arms].flatMap(([arm, figures]) => {
    if (arm === against) return []
    const pairs = [...figures].flatMap(([seed, value]) => {
      const other = base.get(seed)
      return other === undefined ? [] : [sign * (value - other)]
    })
    if (pairs.length === 0) return []
    const difference = estimate(pairs)
    const { count, error, mean } = difference
    // Where all pairs differ by the same amount, the measure is too coarse to say anything about chance.
    const isConstant = error !== null && mean !== 0 && error <= 1e-12 * Math.abs(mean)
    const p = error === null || isConstant ? null : error === 0 ? 1 : Student.beyond(count - 1, Math.abs(mean) / error)
    return [{ arm, difference, p }]
  })
  const tested = found.flatMap(({ p }) => (p === null ? [] : [p]))
  const corrected = holm(tested)
  let next = 0
  return found.map(({ arm, difference, p }) => {
    const adjusted = p === null ? null : (corrected[next++] ?? null)
    const isTold = adjusted !== null && adjusted < 0.05
    return {
      arm,
      against,
      ...difference,
      p,
      adjusted,
      verdict: isTold ? (difference.mean > 0 ? "better" : "worse") : "open"
    }
  })
}
