/**
 * Which epoch's weights were best so far, and whether it is time to stop.
 *
 * @example
 * ```ts
 * import { Selection } from "@uninet/trainer"
 *
 * console.log(Selection.initial)
 * ```
 */
import { type Recipe, Task } from "@uninet/model-space"
import * as Schema from "effect/Schema"

/** The result of an evaluation: measures by name, and the number of examples. */
export const Score = Schema.Struct({
  measures: Schema.Record(Schema.String, Schema.Finite),
  examples: Schema.Int
})
export type Score = typeof Score.Type

/** The best validation so far. */
export const Best = Schema.Struct({
  epoch: Schema.Int,
  /** Whether it belongs to the averaged weights. */
  averaged: Schema.Boolean,
  validation: Score
})
export type Best = typeof Best.Type

/** Which weights are the best so far, as data. */
export const Selection = Schema.Struct({
  best: Schema.NullOr(Best),
  /** Epochs since the deciding measure last improved by more than early stopping requires, and its value then; larger is better. */
  waited: Schema.Int,
  mark: Schema.Finite
})
export type Selection = typeof Selection.Type

/** The selection at the start of a training: nothing has been validated. */
export const initial: Selection = { best: null, waited: 0, mark: 0 }

/** The weights at the end of an epoch, raw or averaged, and their score on the validation split. */
export interface Candidate {
  readonly averaged: boolean
  readonly validation: Score
}

/** The value of a score by the deciding measure; larger is better. */
export const worthOf =
  <M extends string>({ decides, measures }: Task.Task<M>) =>
  (score: Score): number =>
    Task.worth(measures[decides])(score.measures[decides] ?? 0)

/** Compares by the deciding measure, then by the lower loss, if there is one. */
export const isBetter =
  (task: Task.Task) =>
  (a: Score, b: Score): boolean => {
    const [mine, its] = [worthOf(task)(a), worthOf(task)(b)]
    return mine === its ? (a.measures["loss"] ?? 0) < (b.measures["loss"] ?? 0) : mine > its
  }

/**
 * The selection after an epoch. If there is nothing to validate on, the last epoch's weights are the best (the averaged ones, if there are
 * averages).
 *
 * @example
 * ```ts
 * import { Classification } from "@uninet/model-space"
 * import { Selection } from "@uninet/trainer"
 *
 * const task = Classification.make({ classes: 10 })
 * const rule = { patience: 2, improvement: 0 }
 * let selection = Selection.initial
 * for (const [epoch, accuracy] of [0.9, 0.93, 0.92, 0.93, 0.94].entries()) {
 *   const validation = { measures: { accuracy, loss: 1 - accuracy }, examples: 1000 }
 *   selection = Selection.next(task, epoch, [{ averaged: false, validation }])(selection)
 *   if (Selection.stops(rule)(selection)) break
 * }
 * // Two epochs without anything better ended it: the 94% of the fifth was never reached.
 * console.log(selection.best?.epoch, selection.best?.validation.measures["accuracy"]) // 1 0.93
 * const worse = { measures: { accuracy: 0.9, loss: 0.3 }, examples: 1000 }
 * console.log(selection.best !== null && Selection.isBetter(task)(selection.best.validation, worse), Selection.worthOf(task)(worse))
 * ```
 */
export const next =
  (task: Task.Task, epoch: number, candidates: ReadonlyArray<Candidate>, improvement = 0) =>
  (selection: Selection): Selection => {
    let { best } = selection
    for (const { averaged, validation } of candidates)
      if (best === null || validation.examples === 0 || isBetter(task)(validation, best.validation))
        best = { epoch, averaged, validation }
    const reached = Math.max(...candidates.map(({ validation }) => worthOf(task)(validation)))
    return reached > selection.mark + improvement || selection.best === null
      ? { best, waited: 0, mark: reached }
      : { best, waited: selection.waited + 1, mark: selection.mark }
  }

/** Whether early stopping ends the training after the epoch that led to this selection. Without a rule (`null`) it never does. */
export const stops =
  (rule: Recipe.EarlyStopping | null) =>
  ({ waited }: Selection): boolean =>
    rule !== null && waited >= rule.patience
