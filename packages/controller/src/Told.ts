/**
 * The result of one trial, in the form in which you tell it to a strategy.
 *
 * @example
 * ```ts
 * import { Told } from "@uninet/controller"
 *
 * // Trial 3 reached 94%, trial 4 did not converge, and trial 5 is judged by accuracy and by its cost, too.
 * console.log([Told.scored(3, 0.94), Told.failed(4), Told.scored(5, 0.93, [0.93, -1.5e6])].map(({ _tag }) => _tag))
 * ```
 */
import * as Schema from "effect/Schema"

/**
 * - `Scored`: the trial's reward (larger is better) and, for strategies with several objectives, all of them (larger is better in each, so
 *   negate costs).
 * - `Failed`: the trial gave no reward (it diverged, ran out of memory or was refused). A strategy ranks it below every scored trial.
 */
export const Told = Schema.TaggedUnion({
  Scored: {
    trial: Schema.Number,
    reward: Schema.Number,
    objectives: Schema.optionalKey(Schema.Array(Schema.Number))
  },
  Failed: { trial: Schema.Number }
})
export type Told = typeof Told.Type

/** A trial's reward (larger is better), and its objectives if there are several. */
export const scored = (trial: number, reward: number, objectives?: ReadonlyArray<number>): Told =>
  objectives === undefined
    ? { _tag: "Scored", trial, reward }
    : { _tag: "Scored", trial, reward, objectives: [...objectives] }

/** A trial without a result. */
export const failed = (trial: number): Told => ({ _tag: "Failed", trial })
