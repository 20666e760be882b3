/**
 * The end of a search: the best few networks are trained again from fresh weights, for longer. The best of them by validation is trained
 * once more, on the validation split's examples too, and tested once.
 *
 * Trials choose by a short training, and choosing the best of many noisy measures flatters it. So the choice is made again after a longer
 * training, still on the validation split. Then nothing is left to choose, so the network may learn from the validation examples as well.
 * The number to report comes from the test split, on which no choice was based.
 */
import type { Dataset } from "@uninet/data"
import { ModelSpace, type Recipe } from "@uninet/model-space"
import { Span, type Evaluation as Tested, type TrainError, Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Evaluators from "./Evaluator.ts"
import { Evaluator, type EvaluatorLost } from "./Evaluator.ts"
import * as Ahead from "./internal/ahead.ts"
import { type EntryOf, Journal } from "./Journal.ts"
import type { JournalError } from "./JournalError.ts"
import * as Reward from "./Reward.ts"
import { type Candidate, type Measured, rewarded, type Scored } from "./Search.ts"
import { InvalidSearch, NothingFound, NotReproduced } from "./SearchError.ts"
import type { Training } from "./Training.ts"
import { type Evaluation, type Progress, TrialFailed, type Weights } from "./Trial.ts"

/** What a training in the finals is for: comparing the finalists, or the winner's final weights. */
export type Purpose = "compare" | "retrain"

/** A trained finalist. */
export interface Finalist<A, C extends string = string, M extends string = string> extends Candidate<A, C> {
  readonly evaluation: Measured<M>
  /** In the finals, after the longer training. */
  readonly reward: number
}

/** The best finalist, with the weights that were tested. Its evaluation is the one from the comparison, by which it was chosen. */
export interface Winner<A, C extends string = string, M extends string = string> extends Finalist<A, C, M> {
  readonly weights: Weights
}

/** The winner, and all finalists' results. */
export interface Finished<A, C extends string = string, M extends string = string> {
  readonly winner: Winner<A, C, M>
  /** The data on which the winner's final weights were trained, and for how many epochs; `null` if its evaluator does not say. */
  readonly trainedOn: "train" | "train+validation"
  readonly epochs: number | null
  /** The winner on the test split; without test examples there are no measures. For a winner that earlier finals tested, the journal has only the measures. */
  readonly test: Pick<Tested, "measures"> & Partial<Tested>
  /** All finalists, best first. */
  readonly finalists: ReadonlyArray<Finalist<A, C, M>>
}

/** What is compared, and how. */
export interface Options<A, C extends string, M extends string> {
  /** The candidates to compare: `Finals.candidates(k)(Search.ranking(mine)(found.records))`. */
  readonly candidates: ReadonlyArray<Scored<A, C, M>>
  /** Epochs of each training. */
  readonly epochs: number
  /** The search's seed. */
  readonly seed: string | number
  /** Ranks the finalists. Default: the deciding measure. */
  readonly reward?: Reward.Reward<C> | Reward.Own<A, C | M>
  /** The parts of the recipe they are trained by that say how they are judged. Default: pictures as they are. */
  readonly recipe?: (point: A) => Pick<Recipe.Recipe, "imageSize" | "views">
  /** Whether the winner is trained once more on training and validation examples together. Default true. */
  readonly retrain?: boolean
  /** The split of the final figure. Default `test`. */
  readonly split?: Dataset.SplitName
  /**
   * Whether workers that the comparison leaves idle may train its leaders on all examples before it is decided. Trainings that turn out not
   * to be needed are stopped. The result is the same, only sooner. Default true; turn it off if others are waiting for the workers.
   */
  readonly ahead?: boolean
  /**
   * The weights, if they were kept, of a trial that earlier finals on this journal chose and tested. Such a winner is neither trained nor
   * tested again. Default: none were kept.
   */
  readonly kept?: (candidate: Candidate<A, C>) => Effect.Effect<Weights | undefined>
  readonly onProgress?: (candidate: Candidate<A, C>, progress: Progress, what: Purpose) => Effect.Effect<void>
  /** Called when a training on all examples that ran ahead was not needed and has been stopped. */
  readonly onStopped?: (candidate: Candidate<A, C>) => Effect.Effect<void>
}

/** Such a training continues from where it was if the process is killed in the middle. */
const kept = (what: "final" | "retrain", trial: number) => ({ keep: `${what}-${trial}`, keepWeights: true })

/** What the journal holds from finals, by trial. */
const recorded = Effect.fnUntraced(function* () {
  const journal = yield* Journal
  const compared = new Map<number, EntryOf<"Compared">>()
  const retrained = new Map<number, EntryOf<"Retrained">>()
  const tested = new Map<number, EntryOf<"Tested">>()
  for (const { entry } of yield* journal.entries) {
    if (entry._tag === "Compared") compared.set(entry.trial, entry)
    if (entry._tag === "Retrained") retrained.set(entry.trial, entry)
    if (entry._tag === "Tested") tested.set(entry.trial, entry)
  }
  return { compared, retrained, tested }
})

/**
 * The trials to compare: the first `count` of a ranking, and those that were compared before on this journal, so that the new choice is
 * never worse than the earlier one.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Evaluator, Finals, Journal, Search } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const program = Effect.gen(function* () {
 *   const { records } = yield* Search.run(cells, { trials: 16, seed: "demo" })
 *   // The three that `Finals.run` shall train longer, and compare.
 *   const candidates = yield* Finals.candidates(3)(Search.ranking(cells)(records))
 *   for (const { line, outcome, trial } of candidates) yield* Console.log(trial, outcome.reward.toFixed(2), line)
 * })
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide([Random.layer(), evaluator, Journal.memory])))
 * ```
 */
export const candidates = (count: number) =>
  Effect.fnUntraced(function* <A, C extends string, M extends string>(
    ranking: ReadonlyArray<Scored<A, C, M>>
  ): Effect.fn.Return<ReadonlyArray<Scored<A, C, M>>, JournalError, Journal> {
    const { compared } = yield* recorded()
    return ranking.filter(({ trial }, place) => place < count || compared.has(trial))
  })

/** An evaluation as it counts in the comparison, and whether its weights are there. */
interface Compared {
  readonly evaluation: Evaluation
  readonly training?: Training | undefined
  readonly weights: Weights | undefined
}

type Outcome = Result.Result<Compared, TrialFailed | EvaluatorLost>

/** A candidate as it was trained for the comparison, or the reason why it is not part of it. */
const finalistOf = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  { costs, hash, line, point, trial }: Scored<A, C, M>,
  outcome: Outcome,
  reward: NonNullable<Options<A, C, M>["reward"]>
): Result.Result<Finalist<A, C, M>, string> => {
  if (Result.isFailure(outcome))
    return Result.fail(outcome.failure._tag === "TrialFailed" ? outcome.failure.detail : outcome.failure.message)
  const { evaluation } = outcome.success
  const candidate = { trial, hash, point, line, costs }
  return Result.map(rewarded(of, reward, candidate, evaluation), ({ measures, reward }) => ({
    ...candidate,
    evaluation: { ...evaluation, measures },
    reward
  }))
}

/** The candidates that could be trained for the comparison, best first. */
const ranking = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  compared: ReadonlyMap<Scored<A, C, M>, Outcome>,
  reward: NonNullable<Options<A, C, M>["reward"]>
): ReadonlyArray<{ readonly candidate: Scored<A, C, M>; readonly finalist: Finalist<A, C, M> }> =>
  [...compared]
    .flatMap(([candidate, result]) => {
      const finalist = finalistOf(of, candidate, result, reward)
      return Result.isFailure(finalist) ? [] : [{ candidate, finalist: finalist.success }]
    })
    .toSorted(({ finalist: x }, { finalist: y }) => y.reward - x.reward || x.trial - y.trial)

/** The finals as a span, which ends together with everything they started. */
const watched = <A, E, R>(self: Effect.Effect<A, E, R>) => Span.within("Finals.run")(Effect.scoped(self))

/** One of their trainings as a span. */
const spanned = ({ hash, trial }: Pick<Scored<unknown>, "hash" | "trial">, purpose: "compare" | "retrain") =>
  Span.within("Finals.trial", () => ({
    "uninet.trial": trial,
    "uninet.trial.hash": hash,
    "uninet.finals.purpose": purpose
  }))

/**
 * Compares the candidates and tests the best one. Everything is journalled, and nothing that the journal holds is done again: a candidate
 * that was compared keeps its evaluation, and a winner that was tested keeps its figure. So the test split is looked at once for each
 * winner, and never in order to choose.
 *
 * Fails with `InvalidSearch` if the journal's comparisons used other epochs, `NothingFound` if no finalist could be trained,
 * `NotReproduced` if a tested winner's weights were not kept and training it again gives different ones, a `TrainError` of the test,
 * `EvaluatorLost`, or a `JournalError`.
 */
export const run = Effect.fnUntraced(function* <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  options: Options<A, C, M>
): Effect.fn.Return<
  Finished<A, C, M>,
  InvalidSearch | NothingFound | NotReproduced | TrainError | JournalError | EvaluatorLost | ModelSpace.Untrainable,
  Evaluator | Journal | Trainer | Scope.Scope
> {
  const { candidates, epochs, reward = Reward.measure, seed } = options
  const evaluator = yield* Evaluator
  const journal = yield* Journal
  const trainer = yield* Trainer
  const known = yield* recorded()
  const other = [...known.compared.values()].find(({ asked = epochs }) => asked !== epochs)
  if (other !== undefined)
    return yield* new InvalidSearch({
      option: "epochs of the finals",
      given: String(epochs),
      expected: `${other.asked}, the number with which the journal's finalists were compared`
    })

  /** A finalist's point as JSON. The point is from the space, or has the same form, as a scaled-up one does. */
  const encoded = (point: A) => ModelSpace.write(point)(of)

  /** Trains on all examples outside the test split. Its end is reported once it is known to count. */
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
    return Evaluators.evaluate(again, (progress) =>
      progress.done < 1 ? (options.onProgress?.(candidate, progress, "retrain") ?? Effect.void) : Effect.void
    )(evaluator).pipe(spanned(candidate, "retrain"))
  }
  const retraining = yield* Ahead.make(trainOnAll, options.onStopped)
  const compared = new Map<Scored<A, C, M>, Outcome>()
  for (const candidate of candidates) {
    const before = known.compared.get(candidate.trial)
    if (before !== undefined)
      compared.set(candidate, Result.succeed({ evaluation: before.evaluation, weights: undefined }))
  }
  /** Workers that the comparison leaves idle train its leaders first, then the candidates that have not been compared yet. */
  const useIdle = Effect.suspend(() => {
    const left = candidates.filter((candidate) => !compared.has(candidate))
    // With no candidate left, the decision follows at once.
    if (options.ahead === false || options.retrain === false || left.length === 0) return Effect.void
    const leaders = ranking(of, compared, reward).map(({ candidate }) => candidate)
    const wanted = [...leaders, ...left].filter(({ trial }) => !known.tested.has(trial))
    return retraining.on(wanted.slice(0, Math.max(0, evaluator.concurrency - left.length)))
  })
  const trainAgain = (candidate: Scored<A, C, M>): Effect.Effect<Outcome> => {
    const { point, trial } = candidate
    const finalist = {
      index: trial,
      point: encoded(point),
      seed: `${seed}/final/${trial}`,
      epochs,
      ...kept("final", trial)
    }
    return Evaluators.evaluate(
      finalist,
      (progress) => options.onProgress?.(candidate, progress, "compare") ?? Effect.void
    )(evaluator).pipe(
      spanned(candidate, "compare"),
      Effect.flatMap(({ training, weights, ...evaluation }) =>
        weights === undefined
          ? new TrialFailed({ trial, reason: "Failed", detail: "the evaluator returned no weights" })
          : Effect.succeed({ evaluation, training, weights })
      ),
      Effect.result
    )
  }
  const compare = (candidate: Scored<A, C, M>) =>
    Effect.flatMap(trainAgain(candidate), (result) => {
      compared.set(candidate, result)
      return useIdle
    })
  // Workers left over at the start are used after the comparison has what it needs.
  yield* Effect.all(
    [
      Effect.forEach(
        candidates.filter((candidate) => !compared.has(candidate)),
        compare,
        { concurrency: evaluator.concurrency, discard: true }
      ),
      useIdle
    ],
    { concurrency: 2, discard: true }
  )

  let cause = "there was no candidate"
  for (const candidate of candidates) {
    const result = compared.get(candidate)
    if (result === undefined) continue
    if (Result.isFailure(result) && result.failure._tag === "EvaluatorLost") return yield* result.failure
    const finalist = finalistOf(of, candidate, result, reward)
    if (Result.isFailure(finalist)) cause = finalist.failure
    else if (!known.compared.has(candidate.trial)) {
      const { evaluation } = finalist.success
      const training = Result.isSuccess(result) ? result.success.training : undefined
      yield* journal.append({ _tag: "Compared", trial: candidate.trial, evaluation, asked: epochs }, training)
    }
  }
  const ranked = ranking(of, compared, reward)
  const [best] = ranked
  const nothing = (cause: string) => new NothingFound({ trials: candidates.length, cause })
  if (best === undefined) return yield* nothing(cause)
  const { candidate, finalist } = best
  const tested = known.tested.get(finalist.trial)
  const finished = (weights: Weights, epochs: number | null, test: Finished<A, C, M>["test"]) =>
    ({
      winner: { ...finalist, weights },
      trainedOn: options.retrain === false ? "train" : "train+validation",
      epochs,
      test,
      finalists: ranked.map(({ finalist }) => finalist)
    }) satisfies Finished<A, C, M>

  const before = tested === undefined ? undefined : yield* options.kept?.(candidate) ?? Effect.undefined
  if (tested !== undefined && before !== undefined)
    return finished(before, known.retrained.get(finalist.trial)?.epochs ?? finalist.evaluation.epochs, {
      measures: tested.measures
    })

  /** The weights to test, and the epochs they were trained for. */
  const last = Effect.gen(function* () {
    if (options.retrain !== false) {
      const again = yield* Effect.catchTag(retraining.result(candidate), "TrialFailed", ({ detail }) => nothing(detail))
      yield* options.onProgress?.(candidate, { done: 1 }, "retrain") ?? Effect.void
      if (again.weights === undefined) return yield* nothing("the evaluator returned no weights")
      return { weights: again.weights, epochs: again.stoppedAfter ?? again.epochs, training: again.training }
    }
    const outcome = compared.get(candidate)
    const trained =
      outcome !== undefined && Result.isSuccess(outcome) && outcome.success.weights !== undefined
        ? outcome.success
        : yield* trainAgain(candidate).pipe(
            Effect.flatMap((again) => Effect.fromResult(again)),
            Effect.catchTag("TrialFailed", ({ detail }) => nothing(detail))
          )
    const { evaluation, weights } = trained
    if (weights === undefined) return yield* nothing("the evaluator returned no weights")
    return { weights, epochs: evaluation.stoppedAfter ?? evaluation.epochs, training: undefined }
  })
  const { epochs: trainedFor, training, weights } = yield* last
  if (options.retrain !== false && !known.retrained.has(finalist.trial))
    yield* journal.append({ _tag: "Retrained", trial: finalist.trial, epochs: trainedFor ?? epochs }, training)
  const network = yield* Effect.fromResult(ModelSpace.trainable(finalist.point)(of))
  const test = yield* trainer.evaluate(network, weights, options.split ?? "test", {
    imageSize: null,
    ...options.recipe?.(finalist.point)
  })
  const { measures } = test
  if (tested === undefined) yield* journal.append({ _tag: "Tested", trial: finalist.trial, measures })
  const measure = Object.keys(tested?.measures ?? {}).find((name) => tested?.measures[name] !== measures[name])
  if (tested !== undefined && measure !== undefined)
    return yield* new NotReproduced({
      trial: finalist.trial,
      measure,
      journal: tested.measures[measure] ?? 0,
      now: measures[measure] ?? 0
    })
  return finished(weights, trainedFor, test)
}, watched)
