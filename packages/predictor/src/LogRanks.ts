/** Combines several rankings into one: by the sum of the logarithms of the ranks, as AZ-NAS combines its four. */
import { Elementary } from "@uninet/search-space"
import { ranks } from "./Correlation.ts"

/**
 * Σ over scores of log(rank / n), rank n being the best: a network that is bad in one score is bad overall. Networks without a score rank last in it. Takes one list of scores per proxy, all for the same networks.
 *
 * **Source.** J. Lee and B. Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024 (arXiv 2403.19232), equation 8.
 *
 * @example
 * ```ts
 * import { LogRanks } from "@uninet/predictor"
 *
 * // Three networks by two proxies: the third is best by one and second by the other.
 * const combined = LogRanks.combine([
 *   [1, 2, 3],
 *   [3, 1, 2]
 * ])
 * console.log(combined.indexOf(Math.max(...combined))) // 2
 * ```
 */
export const combine = (scores: ReadonlyArray<ReadonlyArray<number | null>>): ReadonlyArray<number> => {
  const [first = []] = scores
  const each = scores.map(ranks)
  return first.map((_, i) => each.reduce((sum, places) => sum + Elementary.log((places[i] ?? 1) / first.length), 0))
}
