/**
 * The end of a search: the best few are trained again from fresh weights, for longer; the best of them by validation is trained once more, on the
 * validation split's examples too, and tested once.
 *
 * Trials choose by a short training, and choosing the best of many noisy measures flatters it. So the choice is made anew on a longer training,
 * still on the validation split. Then nothing is left to choose, so the validation examples may be learned from as well; the number to report comes from
 * the test split, which no choice was made with.
 */
import type { Dataset } from "@uninet/data"
import { ModelSpace, Task } from "@uninet/model-space"
import { Space } from "@uninet/search-space"
import { type Evaluation as Tested, type TrainError, Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Evaluator, type EvaluatorLost } from "./Evaluator.ts"
import * as Ahead from "./internal/ahead.ts"
import { type Entry, Journal } from "./Journal.ts"
import type { JournalError } from "./JournalError.ts"
import * as Reward from "./Reward.ts"
import { type Candidate, type Measured, rewarded, type Scored } from "./Search.ts"
import { NothingFound } from "./SearchError.ts"
import type { Evaluated, Progress, TrialFailed, Weights } from "./Trial.ts"

/** What a training in the finals is for: the comparison of the finalists, or the winner's last weights. */
export type Purpose = "compare" | "retrain"

/** A finalist, trained. */
export interface Finalist<A, C extends string = string, M extends string = string> extends Candidate<A, C> {
  readonly evaluation: Measured<M>
  readonly reward: number
  readonly weights: Weights
}

export interface Finished<A, C extends string = string, M extends string = string> {
  /** With the weights that were tested. Its evaluation is that of the comparison, by which it was chosen. */
  readonly winner: Finalist<A, C, M>
  /** What the winner's weights were trained on at last. */
  readonly trainedOn: "train" | "train+validation"
  /** The winner on the test split. */
  readonly test: Tested
  /** All finalists, best first. */
  readonly finalists: ReadonlyArray<Finalist<A, C, M>>
}

export interface Options<A, C extends string, M extends string> {
  /** What to compare: `Search.ranking(mine, found.records).slice(0, k)`. */
  readonly candidates: ReadonlyArray<Scored<A, C, M>>
  /** Epochs of each training. */
  readonly epochs: number
  /** The search's seed. */
  readonly seed: string | number
  /** By which the finalists are ranked. Default: the measure that decides. */
  readonly reward?: Reward.Reward<C> | Reward.Own<A, C | M>
  /** The recipe's by which they are trained, where pictures are resized. Default: they are not. */
  readonly imageSize?: (point: A) => number | null
  /** Whether the winner is trained once more on training and validation examples. Default true. */
  readonly retrain?: boolean
  /** The split of the final figure. Default `test`. */
  readonly split?: Dataset.SplitName
  /**
   * Whether workers that the comparison leaves idle train its leaders on all examples before it is decided; what turns out not to be needed is stopped. The result
   * is the same, sooner. Default true; not where others wait for the workers.
   */
  readonly ahead?: boolean
  readonly onProgress?: (candidate: Candidate<A, C>, progress: Progress, what: Purpose) => Effect.Effect<void>
  /** A training on all examples that ran ahead was not needed and has been stopped. */
  readonly onStopped?: (candidate: Candidate<A, C>) => Effect.Effect<void>
}

/** Killed in the middle, such a training goes on where it was. */
const kept = (what: "final" | "retrain", trial: number) => ({ keep: `${what}-${trial}`, keepWeights: true })

/** A candidate as it was trained for the comparison, or why it is out of it. */
const finalistOf = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  { costs, hash, line, point, trial }: Scored<A, C, M>,
  result: Result.Result<Evaluated, TrialFailed | EvaluatorLost>,
  reward: NonNullable<Options<A, C, M>["reward"]>
): Result.Result<Finalist<A, C, M>, string> => {
  if (Result.isFailure(result))
    return Result.fail(result.failure._tag === "TrialFailed" ? result.failure.detail : result.failure.message)
  const { weights, ...evaluation } = result.success
  if (weights === undefined) return Result.fail("the evaluator gives no weights")
  const candidate = { trial, hash, point, line, costs }
  return Result.map(rewarded(of, reward, candidate, evaluation), ({ measures, reward }) => ({
    ...candidate,
    evaluation: { ...evaluation, measures },
    reward,
    weights
  }))
}

/** Who could be trained for the comparison, best first. */
const ranking = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  compared: ReadonlyMap<Scored<A, C, M>, Result.Result<Evaluated, TrialFailed | EvaluatorLost>>,
  reward: NonNullable<Options<A, C, M>["reward"]>
): ReadonlyArray<{ readonly candidate: Scored<A, C, M>; readonly finalist: Finalist<A, C, M> }> =>
  [...compared]
    .flatMap(([candidate, result]) => {
      const finalist = finalistOf(of, candidate, result, reward)
      return Result.isFailure(finalist) ? [] : [{ candidate, finalist: finalist.success }]
    })
    .toSorted(({ finalist: x }, { finalist: y }) => y.reward - x.reward || x.trial - y.trial)

/**
 * Compares the candidates and tests the best one. Everything is journalled; if that was done before, the journal's entries stay.
 *
 * Fails with `NothingFound` where no finalist could be trained, a `TrainError` of the test, `EvaluatorLost`, or a `JournalError`.
 */
export const run = Effect.fnUntraced(function* <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  options: Options<A, C, M>
): Effect.fn.Return<
  Finished<A, C, M>,
  NothingFound | TrainError | JournalError | EvaluatorLost | ModelSpace.Unbuildable | Task.OutputsMismatch,
  Evaluator | Journal | Trainer | Scope.Scope
> {
  const { candidates, epochs, reward = Reward.measure, seed } = options
  const evaluator = yield* Evaluator
  const journal = yield* Journal
  const trainer = yield* Trainer
  const known = new Set((yield* journal.entries).map(({ entry }) => `${entry._tag} ${entry.trial}`))
  const append = (entry: Entry) => (known.has(`${entry._tag} ${entry.trial}`) ? Effect.void : journal.append(entry))

  /** A finalist's point as JSON; each is one of the space. */
  const encoded = (point: A): Schema.Json =>
    Result.getOrElse(
      Result.flatMap(Space.encodeJson(point)(of.space), (json): Result.Result<Schema.Json, unknown> =>
        Schema.decodeUnknownResult(Schema.Json)(json)
      ),
      () => null
    )

  /** Trains on all examples that are not for the test. Its end is told when it is known to count. */
  const trainOnAll = (candidate: Scored<A, C, M>) => {
    const { point, trial } = candidate
    const again = {
      index: trial,
      point: encoded(point),
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
  const compared = new Map<Scored<A, C, M>, Result.Result<Evaluated, TrialFailed | EvaluatorLost>>()
  /** Workers that the comparison leaves idle train its leaders, then those that have not been compared yet. */
  const useIdle = Effect.suspend(() => {
    const left = candidates.filter((candidate) => !compared.has(candidate))
    // With nobody left the decision follows at once.
    if (options.ahead === false || options.retrain === false || left.length === 0) return Effect.void
    const leaders = ranking(of, compared, reward).map(({ candidate }) => candidate)
    return retraining.on([...leaders, ...left].slice(0, Math.max(0, evaluator.concurrency - left.length)))
  })
  const compare = (candidate: Scored<A, C, M>) => {
    const { point, trial } = candidate
    const finalist = {
      index: trial,
      point: encoded(point),
      seed: `${seed}/final/${trial}`,
      epochs,
      ...kept("final", trial)
    }
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

  let cause = "there was no candidate"
  for (const candidate of candidates) {
    const result = compared.get(candidate)
    if (result === undefined) continue
    if (Result.isFailure(result) && result.failure._tag === "EvaluatorLost") return yield* result.failure
    const finalist = finalistOf(of, candidate, result, reward)
    if (Result.isFailure(finalist)) cause = finalist.failure
    else yield* append({ _tag: "Compared", trial: candidate.trial, evaluation: finalist.success.evaluation })
  }
  const ranked = ranking(of, compared, reward)
  const [best] = ranked
  if (best === undefined) return yield* new NothingFound({ trials: candidates.length, cause })
  const { candidate, finalist: winner } = best
  let { weights } = winner
  if (options.retrain !== false) {
    const again = yield* Effect.catchTag(
      retraining.result(candidate),
      "TrialFailed",
      (error) => new NothingFound({ trials: candidates.length, cause: error.detail })
    )
    yield* options.onProgress?.(candidate, { done: 1 }, "retrain") ?? Effect.void
    yield* append({ _tag: "Retrained", trial: candidate.trial, epochs })
    weights = again.weights ?? weights
  }
  const network = yield* Effect.fromResult(ModelSpace.trainable(of)(winner.point))
  const test = yield* trainer.evaluate(network, weights, options.split ?? "test", {
    imageSize: options.imageSize?.(winner.point) ?? null
  })
  yield* append({ _tag: "Tested", trial: winner.trial, measures: test.measures })
  return {
    winner: { ...winner, weights },
    trainedOn: options.retrain === false ? "train" : "train+validation",
    test,
    finalists: ranked.map(({ finalist }) => finalist)
  }
}, Effect.scoped)
