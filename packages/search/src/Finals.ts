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
  readonly onProgress?: (candidate: Candidate, progress: Progress, what: "compare" | "retrain") => Effect.Effect<void>
  /** A training on all images that ran ahead was not needed and has been stopped. */
  readonly onStopped?: (candidate: Candidate) => Effect.Effect<void>
}

/** Killed in the middle, such a training goes on where it was. */
const kept = (what: "final" | "retrain", trial: number) => ({ keep: `${what}-${trial}`, keepWeights: true })

/** A candidate after its training for the comparison. */
interface Compared {
  readonly candidate: Scored
  readonly result: Result.Result<Evaluated, TrialFailed | EvaluatorLost>
}

/** Those that could be trained, best first. */
const leaders = (compared: ReadonlyArray<Compared>, reward: Reward.Reward): ReadonlyArray<Scored> =>
  compared
    .flatMap(({ candidate, result }) =>
      Result.isSuccess(result)
        ? [{ candidate, reward: Reward.of(reward, { accuracy: result.success.accuracy, macs: candidate.costs.macs }) }]
        : []
    )
    .toSorted((x, y) => y.reward - x.reward || x.candidate.trial - y.candidate.trial)
    .map(({ candidate }) => candidate)

/**
 * Compares the candidates and tests the best one. Everything is journalled; if that was done before, the journal's entries stay.
 *
 * Fails with `NothingFound` where no finalist could be trained, a `TrainError` of the test, `EvaluatorLost`, or a `JournalError`.
 */
export const run = (
  options: Options
): Effect.Effect<Finished, NothingFound | TrainError | JournalError | EvaluatorLost, Evaluator | Journal | Trainer> =>
  Effect.scoped(decide(options))

const decide = Effect.fn("Finals.run")(function* (
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
  const compared: Array<Compared> = []
  /** Workers that the comparison leaves idle train its leaders, then those that have not been compared yet. */
  const useIdle = Effect.suspend(() => {
    if (options.ahead === false || options.retrain === false) return Effect.void
    const left = candidates.filter((candidate) => compared.every((one) => one.candidate !== candidate))
    // The decision follows at once.
    if (left.length === 0) return Effect.void
    const idle = Math.max(0, evaluator.concurrency - left.length)
    return retraining.on([...leaders(compared, reward), ...left].slice(0, idle))
  })
  const compare = (candidate: Scored) => {
    const { architecture, trial } = candidate
    const finalist = { index: trial, architecture, seed: `${seed}/final/${trial}`, epochs, ...kept("final", trial) }
    return evaluator
      .evaluate(finalist, (progress) => options.onProgress?.(candidate, progress, "compare") ?? Effect.void)
      .pipe(
        Effect.result,
        Effect.map((result): Compared => ({ candidate, result })),
        Effect.tap((one) => {
          compared.push(one)
          return useIdle
        })
      )
  }
  // What is left over at the start is given away after the comparison has what it needs.
  const [trained] = yield* Effect.all(
    [Effect.forEach(candidates, compare, { concurrency: evaluator.concurrency }), useIdle],
    { concurrency: 2 }
  )

  const finalists: Array<Finalist> = []
  let last = "there was no candidate"
  for (const { candidate, result } of trained) {
    if (Result.isFailure(result)) {
      if (result.failure._tag === "EvaluatorLost") return yield* result.failure
      last = result.failure.message
      continue
    }
    const { weights, ...evaluation } = result.success
    if (weights === undefined) {
      last = "the evaluator gives no weights"
      continue
    }
    yield* append({ _tag: "Compared", trial: candidate.trial, evaluation })
    const { architecture, costs, hash, trial } = candidate
    const final = Reward.of(reward, { accuracy: evaluation.accuracy, macs: costs.macs })
    finalists.push({ trial, hash, architecture, costs, evaluation, reward: final, weights })
  }
  finalists.sort((a, b) => b.reward - a.reward || a.trial - b.trial)
  const [winner] = finalists
  if (winner === undefined) return yield* new NothingFound({ trials: candidates.length, last })
  const chosen = candidates.find((candidate) => candidate.trial === winner.trial)
  let { weights } = winner
  if (options.retrain !== false && chosen !== undefined) {
    const again = yield* Effect.catchTag(
      retraining.result(chosen),
      "TrialFailed",
      (error) => new NothingFound({ trials: candidates.length, last: error.message })
    )
    yield* options.onProgress?.(chosen, { done: 1 }, "retrain") ?? Effect.void
    yield* append({ _tag: "Retrained", trial: chosen.trial, epochs })
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
    finalists
  }
})
