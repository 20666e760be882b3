/**
 * The end of a search: the best few are trained again from fresh weights, for longer; the best of them by validation is trained once more, on the
 * validation split's images too, and tested once.
 *
 * Trials choose by a short training, and choosing the highest of many noisy accuracies flatters it. So the choice is made anew on a longer training,
 * still on the validation split. Then nothing is left to choose, so the validation images may be learned from as well; the number to report comes from
 * the test split, which no choice was made with.
 */
import type { Dataset } from "@uninet/data"
import { type Evaluation as Tested, type TrainError, Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Evaluator, type EvaluatorLost } from "./Evaluator.ts"
import * as Ahead from "./internal/ahead.ts"
import { type Entry, Journal } from "./Journal.ts"
import type { JournalError } from "./JournalError.ts"
import * as Reward from "./Reward.ts"
import type { Candidate, Scored } from "./Search.ts"
import { NothingFound } from "./SearchError.ts"
import type { Evaluated, Evaluation, Progress, TrialFailed, Weights } from "./Trial.ts"

/** What a training in the finals is for: the comparison of the finalists, or the winner's last weights. */
export type Purpose = "compare" | "retrain"

/** A finalist, trained. */
export interface Finalist extends Candidate {
  readonly evaluation: Evaluation
  readonly reward: number
  readonly weights: Weights
}

export interface Finished {
  /** With the weights that were tested. Its evaluation is that of the comparison, by which it was chosen. */
  readonly winner: Finalist
  /** What the winner's weights were trained on at last. */
  readonly trainedOn: "train" | "train+validation"
  /** The winner on the test split. */
  readonly test: Tested.Evaluation
  /** All finalists, best first. */
  readonly finalists: ReadonlyArray<Finalist>
}

export interface Options {
  /** What to compare: `Search.ranking(found.records).slice(0, k)`. */
  readonly candidates: ReadonlyArray<Scored>
  /** Epochs of each training. */
  readonly epochs: number
  /** The search's seed. */
  readonly seed: string | number
  /** By which the finalists are ranked. Default: the accuracy alone. */
  readonly reward?: Reward.Reward
  /** Whether the winner is trained once more on training and validation images. Default true. */
  readonly retrain?: boolean
  /** The split of the final figure. Default `test`. */
  readonly split?: Dataset.SplitName
  /**
   * Whether workers that the comparison leaves idle train its leaders on all images before it is decided; what turns out not to be needed is stopped. The result
   * is the same, sooner. Default true; not where others wait for the workers.
   */
  readonly ahead?: boolean
  readonly onProgress?: (candidate: Candidate, progress: Progress, what: Purpose) => Effect.Effect<void>
  /** A training on all images that ran ahead was not needed and has been stopped. */
  readonly onStopped?: (candidate: Candidate) => Effect.Effect<void>
}

/** Killed in the middle, such a training goes on where it was. */
const kept = (what: "final" | "retrain", trial: number) => ({ keep: `${what}-${trial}`, keepWeights: true })

/** Who could be trained for the comparison, best first. */
const ranking = (
  compared: ReadonlyMap<Scored, Result.Result<Evaluated, TrialFailed | EvaluatorLost>>,
  reward: Reward.Reward
): ReadonlyArray<{ readonly candidate: Scored; readonly finalist: Finalist }> =>
  [...compared]
    .flatMap(([candidate, result]) => {
      if (Result.isFailure(result) || result.success.weights === undefined) return []
      const { weights, ...evaluation } = result.success
      const { architecture, costs, hash, trial } = candidate
      const final = Reward.of(reward, { accuracy: evaluation.accuracy, macs: costs.macs })
      return [{ candidate, finalist: { trial, hash, architecture, costs, evaluation, reward: final, weights } }]
    })
    .toSorted(({ finalist: x }, { finalist: y }) => y.reward - x.reward || x.trial - y.trial)

/**
 * Compares the candidates and tests the best one. Everything is journalled; if that was done before, the journal's entries stay.
 *
 * Fails with `NothingFound` where no finalist could be trained, a `TrainError` of the test, `EvaluatorLost`, or a `JournalError`.
 */
export const run = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<
  Finished,
  NothingFound | TrainError | JournalError | EvaluatorLost,
  Evaluator | Journal | Trainer | Scope.Scope
> {
  const { candidates, epochs, reward = Reward.accuracy, seed } = options
  const evaluator = yield* Evaluator
  const journal = yield* Journal
  const trainer = yield* Trainer
  const known = new Set((yield* journal.entries).map(({ entry }) => `${entry._tag} ${entry.trial}`))
  const append = (entry: Entry) => (known.has(`${entry._tag} ${entry.trial}`) ? Effect.void : journal.append(entry))

  /** Trains on all images that are not for the test. Its end is told when it is known to count. */
  const trainOnAll = (candidate: Scored) => {
    const { architecture, trial } = candidate
    const again = {
      index: trial,
      architecture,
      seed: `${seed}/retrain/${trial}`,
      epochs,
      trainOn: "train+validation" as const,
      ...kept("retrain", trial)
    }
    return evaluator.evaluate(again, (progress) =>
      progress.done < 1 ? (options.onProgress?.(candidate, progress, "retrain") ?? Effect.void) : Effect.void
    )
  }
  const retraining = yield* Ahead.make(trainOnAll, options.onStopped)
  const compared = new Map<Scored, Result.Result<Evaluated, TrialFailed | EvaluatorLost>>()
  /** Workers that the comparison leaves idle train its leaders, then those that have not been compared yet. */
  const useIdle = Effect.suspend(() => {
    const left = candidates.filter((candidate) => !compared.has(candidate))
    // With nobody left the decision follows at once.
    if (options.ahead === false || options.retrain === false || left.length === 0) return Effect.void
    const leaders = ranking(compared, reward).map(({ candidate }) => candidate)
    return retraining.on([...leaders, ...left].slice(0, Math.max(0, evaluator.concurrency - left.length)))
  })
  const compare = (candidate: Scored) => {
    const { architecture, trial } = candidate
    const finalist = { index: trial, architecture, seed: `${seed}/final/${trial}`, epochs, ...kept("final", trial) }
    return evaluator
      .evaluate(finalist, (progress) => options.onProgress?.(candidate, progress, "compare") ?? Effect.void)
      .pipe(
        Effect.result,
        Effect.flatMap((result) => {
          compared.set(candidate, result)
          return useIdle
        })
      )
  }
  // What is left over at the start is given away after the comparison has what it needs.
  yield* Effect.all(
    [Effect.forEach(candidates, compare, { concurrency: evaluator.concurrency, discard: true }), useIdle],
    { concurrency: 2, discard: true }
  )

  let last = "there was no candidate"
  for (const candidate of candidates) {
    const result = compared.get(candidate)
    if (result === undefined) continue
    if (Result.isSuccess(result)) {
      const { weights, ...evaluation } = result.success
      if (weights === undefined) last = "the evaluator gives no weights"
      else yield* append({ _tag: "Compared", trial: candidate.trial, evaluation })
    } else if (result.failure._tag === "EvaluatorLost") return yield* result.failure
    else last = result.failure.message
  }
  const ranked = ranking(compared, reward)
  const [best] = ranked
  if (best === undefined) return yield* new NothingFound({ trials: candidates.length, last })
  const { candidate, finalist: winner } = best
  let { weights } = winner
  if (options.retrain !== false) {
    const again = yield* Effect.catchTag(
      retraining.result(candidate),
      "TrialFailed",
      (error) => new NothingFound({ trials: candidates.length, last: error.message })
    )
    yield* options.onProgress?.(candidate, { done: 1 }, "retrain") ?? Effect.void
    yield* append({ _tag: "Retrained", trial: candidate.trial, epochs })
    weights = again.weights ?? weights
  }
  const test = yield* trainer.evaluate(winner.architecture, weights, options.split ?? "test")
  yield* append({
    _tag: "Tested",
    trial: winner.trial,
    accuracy: test.top1,
    metrics: { loss: test.loss, top5: test.top5, calibrationError: test.calibrationError }
  })
  return {
    winner: { ...winner, weights },
    trainedOn: options.retrain === false ? "train" : "train+validation",
    test,
    finalists: ranked.map(({ finalist }) => finalist)
  }
}, Effect.scoped)
