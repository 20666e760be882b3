/**
 * Arms of an experiment held against one of them: differences paired by seed, with Student's intervals, and significance with the number of comparisons accounted for (Holm, "A Simple
 * Sequentially Rejective Multiple Test Procedure", 1979).
 *
 * Pure: what it is given are figures by seed.
 */
import type { Task } from "@uninet/model-space"
import * as Student from "./internal/student.ts"

/** A mean with its standard error and the interval that holds the true mean in 95 of 100 cases; `null` for fewer than two values. */
export interface Estimate {
  /** In the values' unit. */
  readonly mean: number
  readonly error: number | null
  readonly low: number | null
  readonly high: number | null
  /** How many values there are. */
  readonly count: number
}

/** An arm's difference from the one that all are held against; above 0 where it is better. */
export interface Contrast extends Estimate {
  readonly arm: string
  readonly against: string
  /** Two-sided, by the paired t-test; `null` for fewer than two pairs, and for pairs that all differ by the same. */
  readonly p: number | null
  /** As it is after Holm's correction for all contrasts of the experiment. */
  readonly adjusted: number | null
  /** `better` or `worse` where `adjusted` is below 0.05. */
  readonly verdict: "better" | "worse" | "open"
}

/** Figures of an arm by seed. */
export type Figures = ReadonlyMap<string, number>

/** The mean of some values, by Student's distribution. */
export const estimate = (values: ReadonlyArray<number>): Estimate => {
  const count = values.length
  const mean = values.reduce((a, b) => a + b, 0) / count
  if (count < 2) return { mean, error: null, low: null, high: null, count }
  const variance = values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / (count - 1)
  const error = Math.sqrt(variance / count)
  const reach = Student.quantile(count - 1, 0.025) * error
  return { mean, error, low: mean - reach, high: mean + reach, count }
}

/** Holm's p values, in the order of what is given: the smallest times how many there are, the next times one fewer, and none below one before it. */
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
 * Every arm against one of them, by the seeds that both have.
 *
 * @example
 * const [contrast] = Contrast.of(new Map([["plain", plain], ["mine", mine]]), "plain", "higher")
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
    // Pairs that all differ by the same are too coarse a measure to tell of chance.
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
