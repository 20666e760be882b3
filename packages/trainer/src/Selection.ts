/** Which epoch's weights were best so far, and whether it is time to stop. */
import * as Schema from "effect/Schema"
import type { Score } from "./Evaluation.ts"
import type { EarlyStopping } from "./Recipe.ts"

const ScoreSchema = Schema.Struct({
  top1: Schema.Finite,
  top5: Schema.Finite,
  loss: Schema.Finite,
  images: Schema.Finite
})

/** The best validation so far. */
export const Best = Schema.Struct({
  epoch: Schema.Int,
  /** Whether it was the averaged weights'. */
  averaged: Schema.Boolean,
  validation: ScoreSchema
})
export type Best = typeof Best.Type

export const Selection = Schema.Struct({
  best: Schema.NullOr(Best),
  /** Epochs since the accuracy last rose by more than the improvement that early stopping asks for, and that accuracy. */
  waited: Schema.Int,
  mark: Schema.Finite
})
export type Selection = typeof Selection.Type

export const initial: Selection = { best: null, waited: 0, mark: 0 }

/** One of the weights that an epoch ends with. */
export interface Candidate {
  readonly averaged: boolean
  readonly validation: Score
}

/** Higher accuracy, then lower loss. */
const better = (a: Score, b: Score): boolean => (a.top1 === b.top1 ? a.loss < b.loss : a.top1 > b.top1)

/**
 * The selection after an epoch. Where there is nothing to validate on, the last epoch's (averaged, where there are averages) is the best.
 */
export const next = (
  selection: Selection,
  epoch: number,
  candidates: ReadonlyArray<Candidate>,
  improvement = 0
): Selection => {
  let { best } = selection
  for (const { averaged, validation } of candidates)
    if (best === null || validation.images === 0 || better(validation, best.validation))
      best = { epoch, averaged, validation }
  const reached = Math.max(...candidates.map(({ validation }) => validation.top1))
  return reached > selection.mark + improvement || selection.best === null
    ? { best, waited: 0, mark: reached }
    : { best, waited: selection.waited + 1, mark: selection.mark }
}

/** Whether a training should end. */
export const stops = ({ waited }: Selection, rule: EarlyStopping | null): boolean =>
  rule !== null && waited >= rule.patience
