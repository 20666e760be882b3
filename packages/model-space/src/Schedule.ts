/** Learning-rate schedules over the steps of a run. A schedule is data; `rate` evaluates it. */
import { Elementary } from "@uninet/search-space"
import * as Schema from "effect/Schema"
import { Rate } from "./internal/schema.ts"

/**
 * - `cosine`: linear from `from` to the peak over the warm-up, then half a cosine down to `to`; the paper's schedule.
 * - `step`: the peak times `factor` to the power of the number of `milestones` (in epochs) that have passed.
 * - `constant`: always the peak.
 *
 * `warmup` is in epochs and may be a fraction.
 */
export const Schedule = Schema.TaggedUnion({
  Cosine: { warmup: Rate, from: Rate, to: Rate },
  Step: { warmup: Rate, milestones: Schema.Array(Rate), factor: Rate },
  Constant: { warmup: Rate }
})
export type Schedule = typeof Schedule.Type

/** Where in a run a step is. */
export interface Position {
  /** Steps taken before this one. */
  readonly step: number
  /** Batches per epoch. */
  readonly stepsPerEpoch: number
  /** Total epochs. */
  readonly epochs: number
}

/**
 * The learning rate at a step.
 *
 * @example
 * ```ts
 * import { Schedule } from "@uninet/model-space"
 *
 * const schedule = Schedule.Schedule.cases.Cosine.make({ warmup: 5, from: 1e-6, to: 1e-5 })
 * console.log(Schedule.rate(1e-3, { step: 0, stepsPerEpoch: 100, epochs: 300 })(schedule)) // 0.000001
 * ```
 */
export const rate =
  (peak: number, { step, stepsPerEpoch, epochs }: Position) =>
  (schedule: Schedule): number => {
    const warmup = Math.round(schedule.warmup * stepsPerEpoch)
    if (step < warmup) {
      const from = schedule._tag === "Cosine" ? schedule.from : 0
      // Schedules without a start value begin one step above zero.
      return schedule._tag === "Cosine" ? from + ((peak - from) * step) / warmup : (peak * (step + 1)) / warmup
    }
    switch (schedule._tag) {
      case "Cosine": {
        const total = Math.max(1, epochs * stepsPerEpoch - warmup)
        const progress = Math.min(1, (step - warmup) / total)
        return schedule.to + ((peak - schedule.to) * (1 + Elementary.cos(Math.PI * progress))) / 2
      }
      case "Step":
        return (
          peak *
          Elementary.pow(schedule.factor, schedule.milestones.filter((epoch) => step >= epoch * stepsPerEpoch).length)
        )
      case "Constant":
        return peak
    }
  }
