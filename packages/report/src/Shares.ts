/**
 * How often each option of a choice was proposed, over time.
 *
 * @example
 * ```ts
 * import { Shares } from "@uninet/report"
 *
 * console.log(Shares.wilson(9, 10)) // a share of 0.9 with its interval
 * ```
 */
import type { Category } from "./Table.ts"

/** A share with its 95% interval. */
export interface Share {
  /** Between 0 and 1. */
  readonly share: number
  /** The lower end of its interval. */
  readonly low: number
  /** The upper end of its interval. */
  readonly high: number
}

/** Some consecutive rows, and the shares in them. */
export interface Window {
  /** The first row. */
  readonly from: number
  /** The last row. */
  readonly to: number
  /** By option, in the order of the column's labels; the last is for rows without a value. */
  readonly shares: ReadonlyArray<Share>
}

/** The share `count` / `of` with Wilson's 95% score interval. */
export const wilson = (count: number, of: number): Share => {
  if (of === 0) return { share: NaN, low: 0, high: 1 }
  const z = 1.96
  const share = count / of
  const middle = share + (z * z) / (2 * of)
  const half = z * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of))
  const scale = 1 + (z * z) / of
  return { share, low: Math.max(0, (middle - half) / scale), high: Math.min(1, (middle + half) / scale) }
}

/** The shares in `windows` stretches of rows of about equal length. Where a strategy samples from a policy, they estimate its probabilities. */
export const of = (rows: ArrayLike<number>, { codes, labels }: Category, windows = 24): ReadonlyArray<Window> => {
  const n = Math.min(windows, Math.max(1, Math.floor(rows.length / 5)))
  if (rows.length === 0) return []
  return Array.from({ length: n }, (_, w) => {
    const [from, to] = [Math.floor((w * rows.length) / n), Math.floor(((w + 1) * rows.length) / n) - 1]
    const counts = Array.from({ length: labels.length + 1 }, () => 0)
    for (let i = from; i <= to; i++) {
      const code = codes[rows[i] ?? -1] ?? 0
      const at = code === 0 ? labels.length : code - 1
      counts[at] = (counts[at] ?? 0) + 1
    }
    return { from, to, shares: counts.map((count) => wilson(count, to - from + 1)) }
  })
}
