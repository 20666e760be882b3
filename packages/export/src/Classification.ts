/**
 * Logits in a form that people can read.
 *
 * @example
 * ```ts
 * import { Classification, Comparison } from "@uninet/export"
 *
 * const logits = Float32Array.of(1, 3, 2)
 * console.log(Classification.top(["cat", "dog", "bird"], 2)(logits)) // dog, then bird
 * console.log(Classification.probabilities(logits).length, Comparison.argMax(logits)) // 3 1
 * ```
 */
import * as Elementary from "@uninet/search-space/elementary"

/** A class, and how likely it is. */
export interface Likely {
  readonly label: string
  /** Between 0 and 1. */
  readonly probability: number
}

/** The softmax of logits. */
export const probabilities = (logits: Float32Array): Float64Array => {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const powers = Float64Array.from(logits, (x) => Elementary.exp(x - largest))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((x) => x / sum)
}

/** The `top` most likely classes of one image, most likely first. */
export const top =
  (classes: ReadonlyArray<string>, count: number) =>
  (logits: Float32Array): ReadonlyArray<Likely> =>
    Array.from(probabilities(logits), (probability, i) => ({ label: classes[i] ?? String(i), probability }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, count)
