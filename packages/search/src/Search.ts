/**
 * The search as one program: a strategy proposes points of a space, an evaluator evaluates them, and a journal records everything, until
 * the trials are used up.
 *
 * Trial i is proposed once the results of all trials up to i − `ahead` have been reported, in the order of their indices. Its seed depends
 * only on the search's seed and i. So the trials, their results and the journal are the same at any number of workers.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Evaluator, Journal, Search } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * // In place of training: every 3×3 convolution is worth something.
 * const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const program = Search.run(cells, { trials: 16, seed: "demo", reward: ({ accuracy, macs }) => accuracy - macs * 1e-9 }).pipe(
 *   Effect.flatMap(({ best }) => Console.log(NasBench201.print(best.point))), // of the space's own type
 *   Effect.provide([Random.layer(), evaluator, Journal.memory])
 * )
 * Effect.runPromise(program)
 * ```
 */
import { Lesson, Pareto, SearchStrategy, type Strategy, type StrategyError, Told } from "@uninet/controller"
import { ModelSpace, Task } from "@uninet/model-space"
import { Constrained, Constraint, Digest, Prng, Space } from "@uninet/search-space"
import { Span, type Surroundings } from "@uninet/trainer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Evaluators from "./Evaluator.ts"
import { Evaluator, type EvaluatorLost } from "./Evaluator.ts"
import * as Fidelity from "./Fidelity.ts"
import { type Entry, type EntryOf, type Identity, Journal, nextOf, type Stored } from "./Journal.ts"
import { type JournalError, JournalForeign } from "./JournalError.ts"
import * as Reward from "./Reward.ts"
import * as Screen from "./Screen.ts"
import { InvalidSearch, NothingFound, SearchStuck } from "./SearchError.ts"
import { type Evaluation, type Progress, type Reason, seedOf, TrialFailed, unsound } from "./Trial.ts"
import { detailOf } from "./internal/detail.ts"
import * as Instruments from "./internal/instruments.ts"

/** The result of an evaluation, with its measures under the task's names. */
export interface Measured<M extends string> extends Evaluation {
  readonly measures: { readonly [K in M]: number }
}

/** How a trial ended: with a result, without one, or refused before any training. */
export type Outcome<M extends string = string> =
  | { readonly _tag: "Scored"; readonly evaluation: Measured<M>; readonly reward: number }
  | { readonly _tag: "Failed"; readonly reason: Reason; readonly detail: string }
  /** `expected`: the reward expected of it, if the screen left it out. */
  | { readonly _tag: "Refused"; readonly why: string; readonly expected?: number }

/** A point that was proposed. */
export interface Candidate<A, C extends string = string> {
  /** The trial's number, from 0. */
  readonly trial: number
  readonly hash: string
  readonly point: A
  /** On one line, for people. */
  readonly line: string
  /** All costs of the space by name. */
  readonly costs: { readonly [K in C]: number }
  /** The trial that failed before, if this is a retry. */
  readonly again?: number
}

/** A trial and its outcome. */
export interface Record<A, C extends string = string, M extends string = string> extends Candidate<A, C> {
  readonly outcome: Outcome<M>
}

/** A trial with a result: the one after the most epochs. */
export interface Scored<A, C extends string = string, M extends string = string> extends Candidate<A, C> {
  readonly outcome: Extract<Outcome<M>, { readonly _tag: "Scored" }>
}

/** The events of a search, as they happen. */
export type SearchEvent<A, C extends string = string, M extends string = string> =
  /** The journal already held trials of this search; they are not evaluated again. */
  | { readonly _tag: "Resumed"; readonly trials: number }
  | { readonly _tag: "Started"; readonly candidate: Candidate<A, C>; readonly rung: number }
  | { readonly _tag: "Progress"; readonly candidate: Candidate<A, C>; readonly progress: Progress }
  /** It has a result; on one of several rungs, if the search has them. */
  | { readonly _tag: "Finished"; readonly record: Scored<A, C, M>; readonly rung: number; readonly seconds: number }
  | {
      readonly _tag: "Failed"
      readonly candidate: Candidate<A, C>
      readonly failure: TrialFailed
      readonly rung: number
      readonly seconds: number
    }
  /** Refused before any training: invalid, outside the constraints, or left out by the screen, with the reward expected of it. */
  | { readonly _tag: "Refused"; readonly candidate: Candidate<A, C>; readonly why: string; readonly expected?: number }
  /** A verdict on the screen's predictor: the first one, and whenever its trust is lost or regained. */
  | { readonly _tag: "Screening"; readonly verdict: Screen.Verdict }
  /** Better than all earlier trials of as many epochs, or the first of more epochs than any before. */
  | { readonly _tag: "Best"; readonly record: Scored<A, C, M> }
  | { readonly _tag: "Done"; readonly found: Found<A, C, M> }

/** A trial believed to be best: the estimated reward without noise, and its 90% interval. */
export interface Believed<A, C extends string = string, M extends string = string> extends Omit<
  Strategy.Believed,
  "trial"
> {
  readonly record: Scored<A, C, M>
}

/** The result of a search. */
export interface Found<A, C extends string = string, M extends string = string> {
  /** Every proposal that has an outcome, by index. */
  readonly records: ReadonlyArray<Record<A, C, M>>
  /** The trial with the highest reward among those with the most epochs. */
  readonly best: Scored<A, C, M>
  /**
   * What the strategy's model believes best, if it has a model (`Strategy.believed`): results are noisy, and the best one measured is often
   * just the luckiest.
   */
  readonly believed?: Believed<A, C, M>
  /** Whether the search ended because the strategy had nothing left to propose. */
  readonly exhausted: boolean
  /** Whether anything was left undone because a budget was used up or `until` said so. */
  readonly over: boolean
}

/** One of several goals of a search: a cost or a measure by its name, or a custom function. */
export type Objective<A, X extends string = string> = X | OwnObjective<A, X>

/** A custom objective. */
export interface OwnObjective<A, X extends string = string> {
  readonly name: string
  readonly direction: Task.Direction
  readonly of: (values: { readonly [K in X]: number }, point: A) => number
}

/** What can be known of a point before any training, such as proxy scores. */
export interface Known<in A> {
  /** Identifies the numbers in the journal. */
  readonly name: string
  /**
   * The same number of values for every point, NaN for unknown ones. It is called once for each point that is proposed or has a result, and
   * again when the search is resumed, and has to return the same values.
   */
  readonly of: (point: A) => Effect.Effect<ReadonlyArray<number>>
}

/** How many points are tried, how they are judged, within which bounds, and what happens on the way. */
export interface Options<A, C extends string, M extends string> {
  /** Points to evaluate. Refused proposals are not counted. */
  readonly trials: number
  /** Seeds everything random: the trials' seeds, and the strategy's proposals. */
  readonly seed: string | number
  /** What is maximised: data, or a function of all costs and measures by name. Default: the deciding measure. */
  readonly reward?: Reward.Reward<C> | Reward.Own<A, C | M>
  /** Bounds on costs by name. Default: none. */
  readonly within?: { readonly [K in C]?: Constraint.Window }
  /** Other bounds on what may be proposed: the strategy starts within them, and a point outside is refused before any training. Default: none. */
  readonly constraints?: ReadonlyArray<Constraint.Constraint<A>>
  /** How long trials are trained. Default: all to the end. */
  readonly fidelity?: Fidelity.Fidelity
  /**
   * Two or more to search for a Pareto front: the strategy is told their values, and rungs are ranked by fronts instead of the reward.
   * Default: the reward alone.
   */
  readonly objectives?: ReadonlyArray<Objective<A, C | M>>
  /** Ends the search when trainings have used `most`, where `of` gives the amount for a complete training of a point. Default: no limit. */
  readonly budget?: { readonly most: number; readonly of: (costs: { readonly [K in C]: number }, point: A) => number }
  /**
   * Run before each new proposal, and again before it would be started: `true` ends the search once the running evaluations have finished.
   * A proposal that is waiting for an evaluator is not started, and is not in the journal. Default: never.
   */
  readonly until?: Effect.Effect<boolean>
  /**
   * How many proposals may be pending at the same time: trial i is proposed knowing the results up to i − ahead. It is a part of the
   * search, not of the machine, so results do not depend on the number of workers; workers beyond this number stay idle. Use a small value
   * for a strategy that should learn from few trials: with 8 ahead, four trials would all be proposed without knowing any result. Default
   * 8.
   */
  readonly ahead?: number
  /**
   * Only this share of the strategy's proposals is trained: the better ones, as judged by a predictor that is fitted on the results so far.
   * 0.25 asks for four and trains one. What is left out is journalled with its expected reward, which is also reported to the strategy.
   * While the predictor is not certified to be better than multiply-accumulates alone, everything is trained (`Screen`). Cannot be combined
   * with `objectives`. Default: everything is trained.
   */
  readonly screen?: number
  /** What the screen's predictor knows of a point besides its choices and costs. Default: nothing. */
  readonly screenBy?: Known<A>
  /**
   * Points to try before any of the strategy's proposals: known networks, or the best of another search. The strategy is told their
   * results. They count as trials, in this order; points outside the bounds are refused as usual. Default: none.
   */
  readonly startWith?: ReadonlyArray<A>
  /**
   * What earlier searches found, on this space or one with choices in common (`lessonOf`): the strategy's prior. The lessons are kept in
   * the journal, so the search can be resumed without the earlier journals. Default: none.
   */
  readonly learnFrom?: ReadonlyArray<Lesson.Lesson>
  /**
   * Whether trials that failed in the journal are retried, each as a new trial with another seed, in addition to the `trials` asked for.
   * The journal records from which trial on. Default false.
   */
  readonly retryFailed?: boolean
  /** What else decides the results (data set, recipe, …), so that the journal can tell this search from others. Plain JSON. */
  readonly settings?: Identity["settings"]
  /** Kept in the journal along with the settings, but may differ when the search is resumed. Plain JSON. */
  readonly notes?: Identity["settings"]
  /**
   * What else decides the results (`Surroundings.here`): resuming a search under different ones is refused, or marked as a mixture if the
   * journal allows it. Default: not known, and not compared.
   */
  readonly surroundings?: Surroundings.Surroundings
  /** Called for every event. Default: nothing. */
  readonly onEvent?: (event: SearchEvent<A, C, M>) => Effect.Effect<void>
}

/** The errors of a search. */
export type SearchError =
  | JournalError
  | StrategyError.StrategyError
  | EvaluatorLost
  | InvalidSearch
  | SearchStuck
  | NothingFound
  | Constrained.Infeasible
  | Constrained.CostFailed
  | ModelSpace.CostFailed
  | ModelSpace.Untrainable

/** What a search needs. */
export type Services = SearchStrategy | Evaluator | Journal

/** How many proposals may be waiting for results at the same time, unless a search says otherwise (`ahead`). */
export const defaultAhead = 8

/** Consecutive refusals after which a search gives up. */
const patience = 10_000

const constraintsOf = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  { constraints = [], within }: Pick<Options<A, C, M>, "constraints" | "within">
): ReadonlyArray<Constraint.Constraint<A>> => [
  ...(within === undefined ? [] : ModelSpace.within<C>(within)(of)),
  ...constraints
]

/** An objective by name and direction, with its function. */
const named = <A, X extends string>(objective: Objective<A, X>, directions: ReadonlyMap<string, Task.Direction>) =>
  typeof objective === "string"
    ? { name: objective, direction: directions.get(objective) ?? "higher" }
    : { name: objective.name, direction: objective.direction, text: Digest.of(String(objective.of)) }

/** The names of costs and measures, and the direction in which each measure is better: from a space, or from a journal's description of one. */
export interface Named<C extends string = string, M extends string = string> {
  readonly costs: Readonly<globalThis.Record<C, unknown>>
  readonly task: { readonly measures: Readonly<globalThis.Record<M, Task.Direction>> }
}

/** The direction in which every cost and measure is better. */
const directionsOf = (of: Named): ReadonlyMap<string, Task.Direction> =>
  new Map<string, Task.Direction>([
    ...Object.keys(of.costs).map((cost) => [cost, "lower"] as const),
    ...Object.entries(Task.directions(of.task))
  ])

/** What tells this search from others in a journal: the space's fingerprint, the seed, and all settings that decide its results. */
export const identity = Effect.fnUntraced(function* <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  options: Options<A, C, M>
) {
  const strategy = yield* SearchStrategy
  const {
    ahead = defaultAhead,
    learnFrom = [],
    notes = {},
    reward = Reward.measure,
    seed,
    settings = {},
    startWith = []
  } = options
  return {
    notes,
    ...(learnFrom.length === 0 ? {} : { lessons: learnFrom }),
    ...(options.surroundings === undefined ? {} : { surroundings: [options.surroundings] }),
    space: ModelSpace.fingerprint(of),
    seed: String(seed),
    settings: {
      ...settings,
      strategy: strategy.name,
      reward: Reward.identity(reward),
      fidelity: { ...(options.fidelity ?? Fidelity.full) },
      objectives: (options.objectives ?? []).map((objective) => named(objective, directionsOf(of))),
      ahead,
      constraints: constraintsOf(of, options).map(bounds),
      // Absent in journals from before they existed.
      ...(options.screen === undefined ? {} : { screen: options.screen }),
      ...(options.screenBy === undefined ? {} : { screenBy: options.screenBy.name }),
      ...(startWith.length === 0 ? {} : { startWith: startWith.map((point) => ModelSpace.write(point)(of)) }),
      ...(learnFrom.length === 0 ? {} : { learnFrom: Digest.of(JSON.stringify(learnFrom)) })
    }
  } satisfies Identity
})

const bounds = ({ max, min, name }: Constraint.Constraint<never>) => ({
  name,
  min: Number.isFinite(min) ? min : null,
  max: Number.isFinite(max) ? max : null
})

const counted = (option: string, given: number) =>
  Number.isSafeInteger(given) && given >= 1
    ? Effect.void
    : new InvalidSearch({ option, given: String(given), expected: "a whole number of 1 or more" })

/** The reward of a trial with the epochs after which it was found, for `Fidelity.compare`. */
export const scoreOf = ({ outcome }: { readonly outcome: Scored<unknown>["outcome"] }): Fidelity.Score => ({
  epochs: outcome.evaluation.epochs,
  reward: outcome.reward
})

const isScored = <A, C extends string, M extends string>(record: Record<A, C, M>): record is Scored<A, C, M> =>
  record.outcome._tag === "Scored"

/** Names that a search asks for and nothing provides. */
const unknownName = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  { objectives = [], reward, within = {} }: Options<A, C, M>
): InvalidSearch | undefined => {
  const directions = directionsOf(of)
  const costs = `one of ${ModelSpace.costNames(of).join(", ")}`
  const unbound = Object.keys(within).find((name) => !Object.hasOwn(of.costs, name))
  if (unbound !== undefined) return new InvalidSearch({ option: "a cost of within", given: unbound, expected: costs })
  const both = ModelSpace.costNames(of).find((name) => Object.hasOwn(Task.directions(of.task), name))
  if (both !== undefined)
    return new InvalidSearch({
      option: "a cost of the space",
      given: `${both}, which is a measure of its task, too`,
      expected: "the cost another name"
    })
  if (objectives.length === 1)
    return new InvalidSearch({ option: "objectives", given: "a single one", expected: "two or more, or a reward" })
  const expected = `one of ${[...directions.keys()].join(", ")}`
  const names = objectives.map((objective) => (typeof objective === "string" ? objective : objective.name))
  const wrong = objectives.find((objective) => typeof objective === "string" && !directions.has(objective))
  if (typeof wrong === "string") return new InvalidSearch({ option: "an objective", given: wrong, expected })
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined)
    return new InvalidSearch({ option: "an objective", given: `${twice} twice`, expected: "every objective once" })
  return typeof reward === "object" && reward._tag !== "Measure" && !Object.hasOwn(of.costs, reward.cost)
    ? new InvalidSearch({ option: "the reward's cost", given: reward.cost, expected: costs })
    : undefined
}

/** Everything known of a trial, by name. */
const valuesOf = <A, C extends string, M extends string>(
  { costs }: Pick<Candidate<A, C>, "costs">,
  measures: { readonly [K in M]: number }
): { readonly [K in C | M]: number } => ({ ...costs, ...measures }) as { readonly [K in C | M]: number } // the names of both

/** The reward of an evaluation and its measures by name. Fails with a sentence if one of the task's measures is missing or a number is not finite. */
export const rewarded = <A, C extends string, M extends string>(
  { task }: ModelSpace.ModelSpace<A, C, M>,
  reward: Reward.Reward<C> | Reward.Own<A, C | M>,
  candidate: Pick<Candidate<A, C>, "costs" | "point">,
  evaluation: Pick<Evaluation, "epochs" | "measures">
): Result.Result<{ readonly measures: { readonly [K in M]: number }; readonly reward: number }, string> => {
  const { measures } = evaluation
  const missing = Object.keys(Task.directions(task)).find((name) => !Object.hasOwn(measures, name))
  if (missing !== undefined) return Result.fail(`its evaluator returned no ${missing}`)
  const wrong = unsound(evaluation)
  if (wrong !== undefined) return Result.fail(wrong)
  const all = measures as { readonly [K in M]: number } // none is missing
  return Result.flatMap(
    Result.try({
      try: () =>
        typeof reward === "function"
          ? reward(valuesOf(candidate, all), candidate.point)
          : Reward.of(task, { measures, costs: candidate.costs })(reward),
      catch: (cause) => `its reward failed: ${detailOf(cause)}`
    }),
    (value) =>
      Number.isFinite(value) ? Result.succeed({ measures: all, reward: value }) : Result.fail(`its reward is ${value}`)
  )
}

/** A trial's value in each objective; larger is better. With one objective or none it is the reward. */
const worthOf = <A, C extends string, M extends string>(of: Named, wanted: ReadonlyArray<Objective<A, C | M>>) => {
  const directions = directionsOf(of)
  return (record: Scored<A, C, M>): Fidelity.Entrant => {
    const { outcome, point, trial } = record
    if (wanted.length < 2) return { trial, objectives: [outcome.reward] }
    const values = valuesOf(record, outcome.evaluation.measures)
    return {
      trial,
      objectives: wanted.map((objective) =>
        typeof objective === "string"
          ? Task.worth(directions.get(objective) ?? "higher")(values[objective])
          : Task.worth(objective.direction)(objective.of(values, point))
      )
    }
  }
}

/**
 * The trials with a result, those with the most epochs first, and among equal epochs the best first (by front and crowding, if there are
 * several objectives). Of equal trials, the earlier one comes first.
 */
export const ranking =
  <C extends string, M extends string, A = unknown>(
    of: Named<C, M>,
    wanted: ReadonlyArray<Objective<A, NoInfer<C | M>>> = []
  ) =>
  <B extends A>(records: ReadonlyArray<Record<B, C, M>>): ReadonlyArray<Scored<B, C, M>> => {
    const worth = worthOf<B, C, M>(of, wanted)
    return Fidelity.levels(scoreOf)(records.filter(isScored)).flatMap(({ members }) =>
      Fidelity.order(members.map((record) => ({ record, ...worth(record) }))).map(({ record }) => record)
    )
  }

/**
 * The Pareto front of the trials with the most epochs: those that no other beats in every objective.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Evaluator, Journal, Search } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const objectives = ["accuracy", "macs"] as const
 * const program = Search.run(cells, { trials: 32, seed: "demo", objectives }).pipe(
 *   Effect.flatMap(({ records }) => {
 *     const rows = Search.front(cells, objectives)(records).map(({ costs, outcome }) => ({
 *       accuracy: outcome.evaluation.measures.accuracy,
 *       macs: costs.macs,
 *       ...Search.scoreOf({ outcome })
 *     }))
 *     return Effect.andThen(Console.table(rows), Console.log(Search.ranking(cells, objectives)(records)[0]?.line))
 *   }),
 *   Effect.provide([Random.layer(), evaluator, Journal.memory])
 * )
 * Effect.runPromise(program)
 * ```
 */
export const front =
  <C extends string, M extends string, A = unknown>(
    of: Named<C, M>,
    wanted: ReadonlyArray<Objective<A, NoInfer<C | M>>>
  ) =>
  <B extends A>(records: ReadonlyArray<Record<B, C, M>>): ReadonlyArray<Scored<B, C, M>> => {
    const [highest] = Fidelity.levels(scoreOf)(records.filter(isScored))
    const worth = worthOf<B, C, M>(of, wanted)
    return Pareto.of((highest?.members ?? []).map((record) => ({ record, ...worth(record) }))).members.map(
      ({ record }) => record
    )
  }

/**
 * What a search found, as a lesson for another search, possibly on another space: choices with the same name and option are the same. Each
 * trial counts with its result after the most epochs; failed trials count as worse than any other.
 *
 * @example
 * ```ts
 * import { Random, RegularizedEvolution } from "@uninet/controller"
 * import { Evaluator, Journal, Search } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Result } from "effect"
 *
 * const models = (options: NasBench201.Options) => {
 *   const cells = Result.getOrThrow(NasBench201.models(options))
 *   const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *     Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 *   )
 *   return { cells, evaluator }
 * }
 * const small = models({ channels: 3, height: 16, width: 16, classes: 10 })
 * const large = models({ channels: 3, height: 32, width: 32, classes: 100 })
 *
 * const program = Effect.gen(function* () {
 *   const earlier = yield* Search.run(small.cells, { trials: 40, seed: "earlier" }).pipe(
 *     Effect.provide([Random.layer(), small.evaluator, Journal.memory])
 *   )
 *   // What the small one taught of these choices: the large one begins with what it thinks well of.
 *   const lesson = Search.lessonOf(large.cells.space, small.cells.space)(
 *     earlier.records.map(({ outcome, point }) => ({ point, reward: outcome._tag === "Scored" ? outcome.reward : null }))
 *   )
 *   const { best } = yield* Search.run(large.cells, { trials: 8, seed: "demo", learnFrom: [lesson] }).pipe(
 *     Effect.provide([RegularizedEvolution.layer(), large.evaluator, Journal.memory])
 *   )
 *   yield* Console.log(best.outcome.reward.toFixed(2), best.line)
 * })
 * Effect.runPromise(program)
 * ```
 */
export const lessonOf =
  <A, B>(to: Space.Space<A>, from: Space.Space<B>) =>
  (results: ReadonlyArray<{ readonly point: B; readonly reward: number | null }>): Lesson.Lesson => ({
    results: results.flatMap(({ point, reward }) => {
      const tokens = Space.encode(point)(from)
      if (Result.isFailure(tokens)) return []
      const vector = Space.toVector(tokens.success)(from)
      if (Result.isFailure(vector)) return []
      return [{ vector: Lesson.translated(Lesson.chosen(vector.success)(from))(to), reward }]
    })
  })

/** A trial's entries in the journal. */
interface Recorded {
  readonly proposal: EntryOf<"Proposed" | "Refused" | "Repeated"> | undefined
  /** By rung. */
  readonly outcomes: ReadonlyMap<number, EntryOf<"Finished" | "Failed">>
}

const recordedOf = (stored: ReadonlyArray<Stored>): ReadonlyMap<number, Recorded> => {
  const out = new Map<number, Recorded>()
  for (const { entry } of stored) {
    const known = out.get(entry.trial) ?? { proposal: undefined, outcomes: new Map() }
    if (entry._tag === "Finished" || entry._tag === "Failed")
      out.set(entry.trial, { ...known, outcomes: new Map(known.outcomes).set(entry.rung ?? 0, entry) })
    else if (entry._tag === "Proposed" || entry._tag === "Refused" || entry._tag === "Repeated")
      out.set(entry.trial, { ...known, proposal: entry })
  }
  return out
}

const outcomeOf = <M extends string>(entry: EntryOf<"Finished" | "Failed">, fidelity: Fidelity.Fidelity): Outcome<M> =>
  entry._tag === "Finished"
    ? {
        _tag: "Scored",
        // Only evaluations with all of the task's measures are journalled, and only this search's journal is read.
        evaluation: Fidelity.trained(entry.evaluation as Measured<M>)(fidelity),
        reward: entry.reward
      }
    : { _tag: "Failed", reason: entry.reason, detail: entry.detail }

/** How many trials were started, according to the entries. A failed trial that is retried counts once. */
export const begunIn = (stored: ReadonlyArray<Stored>): number =>
  stored.filter(({ entry }) => entry._tag === "Proposed" && entry.again === undefined).length

/** The trials whose points are given to the strategy: those of the previous strategy, and failed ones that are retried. */
const givenIn = Effect.fnUntraced(function* (
  journal: Journal["Service"],
  stored: ReadonlyArray<Stored>,
  retryFailed: boolean
) {
  let handedOver: EntryOf<"HandedOver"> | undefined
  const retries = new Map<number, number>()
  const failed = new Map<number, boolean>()
  for (const { entry } of stored) {
    if (entry._tag === "HandedOver") handedOver = entry
    if (entry._tag === "Retrying") for (const [i, of] of entry.of.entries()) retries.set(entry.trial + i, of)
    if (entry._tag === "Finished" || entry._tag === "Failed") failed.set(entry.trial, entry._tag === "Failed")
  }
  const before = new Set(retries.values())
  const of = [...failed].flatMap(([trial, isFailed]) => (isFailed && !before.has(trial) ? [trial] : []))
  if (!retryFailed || of.length === 0) return { handedOver, retries }
  // Retries that are waiting to start come first.
  const trial = Math.max(nextOf(stored).trial, ...[...retries.keys()].map((each) => each + 1))
  yield* journal.append({ _tag: "Retrying", trial, of })
  for (const [i, each] of of.entries()) retries.set(trial + i, each)
  return { handedOver, retries }
})

/** It was never started: the search ended before its turn. */
interface Dropped {
  readonly _tag: "Dropped"
}

/** The screen's verdict on a point that is not trained. */
interface LeftOut {
  readonly expected: number
  readonly why: string
}

interface Proposed<A> extends Pick<Strategy.Proposal<A>, "hash" | "value"> {
  readonly left?: LeftOut
}

/** The screen's verdict on it, if it was left out. */
const leftOutOf = (entry: Entry): LeftOut | undefined =>
  entry._tag === "Refused" && entry.expected !== undefined ? { expected: entry.expected, why: entry.why } : undefined

/** A trial on a rung: jobs are started in order, and reported in that order. */
interface Job<A, C extends string, M extends string> {
  readonly candidate: Candidate<A, C>
  readonly rung: number
  readonly outcome: Deferred.Deferred<Outcome<M> | Dropped, JournalError | EvaluatorLost>
}

/** What most of the trials without a result have in common, in words; `undefined` if all have one. */
const commonest = (records: ReadonlyArray<Record<unknown>>): string | undefined => {
  const counts = new Map<string, number>()
  for (const { outcome } of records) {
    const cause =
      outcome._tag === "Failed" ? outcome.detail : outcome._tag === "Refused" ? `refused, ${outcome.why}` : undefined
    if (cause !== undefined) counts.set(cause, (counts.get(cause) ?? 0) + 1)
  }
  const [first] = [...counts].sort(([, a], [, b]) => b - a)
  return first === undefined ? undefined : `${first[0]} (${first[1]} of ${records.length})`
}

/** A run as a span, which ends together with everything it started. */
const watched = <A, E, R>(self: Effect.Effect<A, E, R>) => Span.within("Search.run")(Effect.scoped(self))

/**
 * Runs a search, or resumes the one in the journal, and returns what it found.
 *
 * A trial that fails is recorded and reported to the strategy as a failure; it does not end the search. Interrupting the search stops the
 * running evaluations; the journal keeps everything else.
 *
 * Fails with `InvalidSearch` (a setting that makes no sense), `Infeasible` (no point meets the constraints), `Unbuildable`,
 * `OutputsMismatch` or `MeasuresMissing` (the seed point's network), `CostFailed`, a `JournalError`, a `StrategyError`, `EvaluatorLost`,
 * `SearchStuck`, or `NothingFound` if no trial gave a result.
 */
export const run = Effect.fnUntraced(function* <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  options: Options<A, C, M>
): Effect.fn.Return<Found<A, C, M>, SearchError, Services | Scope.Scope> {
  const { ahead = defaultAhead, objectives = [], reward = Reward.measure, seed, trials } = options
  yield* counted("trials", trials)
  yield* counted("ahead", ahead)
  const { screen: share } = options
  if (share !== undefined && !(share > 0 && share < 1))
    return yield* new InvalidSearch({
      option: "screen",
      given: String(share),
      expected: "a share between 0 and 1, such as 0.25"
    })
  if (share !== undefined && objectives.length > 1)
    return yield* new InvalidSearch({
      option: "screen",
      given: `${share} with several objectives`,
      expected: "it only to a search for one reward, which is what its predictor predicts"
    })
  if (options.screenBy !== undefined && share === undefined)
    return yield* new InvalidSearch({
      option: "screenBy",
      given: `${options.screenBy.name} without a screen`,
      expected: "it together with screen, whose predictor it informs"
    })
  const unknown = unknownName(of, options)
  if (unknown !== undefined) return yield* unknown
  const { start } = yield* SearchStrategy
  const evaluator = yield* Evaluator
  const journal = yield* Journal
  const watch = yield* Instruments.make
  const { space } = of
  const constraints = constraintsOf(of, options)
  // Tell a space where no network can be built from one where only some cannot.
  if (of.isTrainable) yield* Effect.fromResult(ModelSpace.checked(Space.seedPoint(space))(of))
  yield* Effect.fromResult(ModelSpace.costsOf(Space.seedPoint(space))(of))
  const domain = yield* Effect.fromResult(Constrained.make(space, constraints))
  const strategy = yield* watch.strategy(start(domain, Prng.fromSeed(seed).split("strategy")))
  yield* Span.annotate(() => ({
    "uninet.search.strategy": strategy.name,
    "uninet.search.trials": trials,
    "uninet.search.seed": String(seed),
    "uninet.search.ahead": ahead,
    "uninet.search.space": ModelSpace.fingerprint(of)
  }))
  const emit = options.onEvent ?? (() => Effect.void)

  const stored = yield* watch.journal(journal.open(yield* identity(of, options)))
  const append: Journal["Service"]["append"] = (entry, training) => watch.journal(journal.append(entry, training))
  const recorded = recordedOf(stored)
  const begun = begunIn(stored)
  // With fewer, the best would be chosen from only a part of what was trained.
  if (trials < begun)
    return yield* new InvalidSearch({
      option: "trials",
      given: `${trials}, fewer than the journal holds`,
      expected: `${begun} or more: trials in the journal stay, and count`
    })
  const takesNone = new InvalidSearch({
    option: "a given point (startWith, retryFailed, or another strategy's)",
    given: `used with the strategy ${strategy.name}, which takes none`,
    expected: "a strategy that is made with Kit, or has adopt"
  })
  // Before the journal records it.
  if (options.retryFailed === true && strategy.adopt === undefined) return yield* takesNone
  const { handedOver, retries } = yield* givenIn(journal, stored, options.retryFailed ?? false)
  const { learnFrom = [], startWith = [] } = options
  if (learnFrom.length > 0 && handedOver === undefined && strategy.learn === undefined)
    return yield* new InvalidSearch({
      option: "learnFrom",
      given: `used with the strategy ${strategy.name}, which learns nothing`,
      expected: "a strategy that learns, such as gp"
    })
  if (learnFrom.length > 0) yield* watch.strategy(strategy.learn?.(learnFrom) ?? Effect.void)
  const resumed = [...recorded.values()].filter(
    ({ outcomes, proposal }) => outcomes.size > 0 && !(proposal?._tag === "Proposed" && proposal.again !== undefined)
  ).length
  if (resumed > 0) yield* emit({ _tag: "Resumed", trials: resumed })

  const slots = yield* Semaphore.make(Math.max(1, evaluator.concurrency))
  const jobs: Array<Job<A, C, M>> = []
  const records: Array<Record<A, C, M> | undefined> = []
  /** The last rung that each trial reached. */
  const reached = new Map<number, number>()
  /** The first job of every trial. */
  const first: Array<Job<A, C, M>> = []
  const firstWith = new Map<string, number>()
  /** Trials that the screen left out. */
  const leftOut = new Set<number>()
  let best: Scored<A, C, M> | undefined
  const count = { accepted: 0, refusals: 0 }
  let exhausted = false
  /** Nothing new is started any more, and whether that left anything undone. */
  let isAtEnd = false
  let over = false

  const fidelity = options.fidelity ?? Fidelity.full
  const rungs = Fidelity.rungsOf(fidelity)
  const total = rungs.at(-1)
  const ladder = Fidelity.ladder(fidelity)
  const worth = worthOf<A, C, M>(of, objectives)
  const screen = share === undefined ? undefined : Screen.make(of, seed)
  const alreadyKnown = new Map<string, ReadonlyArray<number>>()
  /** The candidate with what is known of it besides its costs. */
  const informed = Effect.fnUntraced(function* (
    hash: string,
    candidate: Screen.Candidate<A>
  ): Effect.fn.Return<Screen.Candidate<A>> {
    if (options.screenBy === undefined) return candidate
    const known = alreadyKnown.get(hash) ?? (yield* options.screenBy.of(candidate.point))
    alreadyKnown.set(hash, known)
    return { ...candidate, known }
  })
  let spent = 0
  const spend = (candidate: Candidate<A, C>, rung: number) => {
    if (options.budget !== undefined)
      spent += Fidelity.partOf(rung)(fidelity) * options.budget.of(candidate.costs, candidate.point)
  }
  const isSpent = () => options.budget !== undefined && spent >= options.budget.most
  let isUp = false
  /** Whether `until` has said so. */
  const timeIsUp = Effect.suspend(() =>
    isUp || options.until === undefined ? Effect.succeed(isUp) : Effect.map(options.until, (up) => (isUp = up))
  )
  const isOver = Effect.suspend(() => (isSpent() ? Effect.succeed(true) : timeIsUp))

  const refusalOf = ({ costs, point }: Candidate<A, C>): string | undefined => {
    // A network that cannot be built has infinite costs; if all costs are finite, its graph need not be built again.
    const look = () => (Object.values(costs).every(Number.isFinite) ? of.model(point) : ModelSpace.checked(point)(of))
    const network = of.isTrainable ? look() : undefined
    if (network !== undefined && Result.isFailure(network))
      return network.failure._tag === "Unbuildable" ? network.failure.reason : network.failure.message
    const [violation] = Constraint.violations(point)(constraints)
    return violation === undefined
      ? undefined
      : `it has ${violation.name} ${violation.value}, but the search allows ${Constraint.print(violation)}`
  }

  /** The result of an evaluation, or why it does not count as one. */
  const scored = (
    candidate: Candidate<A, C>,
    evaluation: Evaluation,
    until: number | undefined
  ): Result.Result<Scored<A, C, M>["outcome"], string> =>
    Result.gen(function* () {
      const { epochs, stoppedAfter } = evaluation
      const { measures, reward: value } = yield* rewarded(of, reward, candidate, evaluation)
      const outcome: Scored<A, C, M>["outcome"] = {
        _tag: "Scored",
        evaluation: Fidelity.trained({
          measures,
          // A rung's result counts as one after the rung's epochs, whether or not its evaluator says so.
          epochs: epochs ?? until ?? null,
          ...(stoppedAfter === undefined ? {} : { stoppedAfter })
        })(fidelity),
        reward: value
      }
      const worths = yield* Result.try({
        try: () => worth({ ...candidate, outcome }).objectives,
        catch: (cause) => `an objective failed: ${detailOf(cause)}`
      })
      const wrong = objectives[worths.findIndex((each) => !Number.isFinite(each))]
      if (wrong !== undefined)
        return yield* Result.fail(
          `its objective ${typeof wrong === "string" ? wrong : wrong.name} is not a finite number`
        )
      return outcome
    })

  const evaluate = Effect.fnUntraced(function* (candidate: Candidate<A, C>, rung: number) {
    const { trial } = candidate
    yield* emit({ _tag: "Started", candidate, rung })
    const started = performance.now()
    const until = rungs[rung]
    const asked = {
      index: trial,
      point: ModelSpace.write(candidate.point)(of),
      seed: seedOf(seed, trial),
      ...(until === undefined || total === undefined ? {} : { epochs: total, until, keep: `trial-${trial}` })
    }
    // Absent if there is only one rung.
    const on = rung === 0 ? {} : { rung }
    const failed = (reason: Reason, detail: string) => new TrialFailed({ trial, reason, detail })
    const evaluated = Evaluators.evaluate(asked, (progress) => emit({ _tag: "Progress", candidate, progress }))(
      evaluator
    ).pipe(
      Effect.flatMap((evaluation) =>
        Effect.fromResult(scored(candidate, evaluation, until)).pipe(
          Effect.mapError((problem) => failed("Failed", problem)),
          Effect.map((outcome) => ({ outcome, training: evaluation.training }))
        )
      ),
      Effect.catchDefect((defect) => Effect.fail(failed("Crashed", detailOf(defect))))
    )
    const result = yield* Instruments.trial(() => ({
      "uninet.trial": trial,
      "uninet.trial.hash": candidate.hash,
      "uninet.trial.seed": asked.seed,
      ...(rungs.length > 1 ? { "uninet.trial.rung": rung } : {}),
      ...Instruments.prefixed("uninet.cost", finite(candidate.costs))
    }))(evaluated, ({ outcome }) => ({
      "uninet.reward": outcome.reward,
      ...(outcome.evaluation.epochs === null ? {} : { "uninet.epochs": outcome.evaluation.epochs }),
      ...Instruments.prefixed("uninet.measure", outcome.evaluation.measures)
    })).pipe(watch.training, watch.running, Effect.result)
    const seconds = (performance.now() - started) / 1000
    if (Result.isFailure(result)) {
      if (result.failure._tag === "EvaluatorLost") return yield* result.failure
      const { detail, reason, training } = result.failure
      yield* append({ _tag: "Failed", trial, ...on, reason, detail }, training)
      yield* watch.failed(reason)
      yield* emit({ _tag: "Failed", candidate, failure: result.failure, rung, seconds })
      return { _tag: "Failed", reason, detail } satisfies Outcome<M>
    }
    const { outcome, training } = result.success
    yield* append({ _tag: "Finished", trial, ...on, evaluation: outcome.evaluation, reward: outcome.reward }, training)
    yield* watch.scored
    yield* emit({ _tag: "Finished", record: { ...candidate, outcome }, rung, seconds })
    return outcome
  })

  /** Starts a job: once its entry (if any) is stored, its evaluation runs concurrently with everything else. */
  const begin = Effect.fnUntraced(function* (
    candidate: Candidate<A, C>,
    rung: number,
    entry: Entry | undefined,
    act: Effect.Effect<Outcome<M> | Dropped, JournalError | EvaluatorLost>
  ) {
    const job: Job<A, C, M> = {
      candidate,
      rung,
      outcome: yield* Deferred.make<Outcome<M> | Dropped, JournalError | EvaluatorLost>()
    }
    jobs.push(job)
    yield* Effect.forkScoped(Deferred.into(entry === undefined ? act : Effect.andThen(append(entry), act), job.outcome))
    return job
  })

  /** Starts a training when its turn comes, after its entry (if any), unless time is up by then. */
  const inTurn = Effect.fnUntraced(function* (candidate: Candidate<A, C>, rung: number, entry: Entry | undefined) {
    if (yield* timeIsUp) {
      isAtEnd = over = true
      return { _tag: "Dropped" } satisfies Dropped
    }
    if (entry !== undefined) yield* append(entry)
    return yield* evaluate(candidate, rung)
  })

  /** A trial's training on a rung, or its outcome from the journal. */
  const trained = (
    candidate: Candidate<A, C>,
    rung: number,
    entry?: Entry
  ): Effect.Effect<Outcome<M> | Dropped, JournalError | EvaluatorLost> => {
    const known = recorded.get(candidate.trial)?.outcomes.get(rung)
    return known === undefined
      ? watch.pending(slots.withPermits(1)(inTurn(candidate, rung, entry)))
      : Effect.succeed(outcomeOf(known, fidelity))
  }

  /** A trial's point, if it does not come from the strategy: a retry, a proposal of the previous strategy, or a point to start with. */
  const given = (trial: number): Effect.Effect<A | undefined, JournalForeign> => {
    const again = retries.get(trial)
    const isBefore = handedOver !== undefined && trial < handedOver.trial && !handedOver.open.includes(trial)
    const of = again ?? (isBefore ? trial : undefined)
    if (of === undefined)
      return Effect.succeed(handedOver !== undefined && trial < handedOver.trial ? undefined : startWith[trial])
    return Effect.mapError(
      Effect.fromResult(readPoint(recorded.get(of)?.proposal?.point ?? null)),
      ({ message }) =>
        new JournalForeign({
          path: "of this search",
          field: `trial ${of}'s point`,
          journal: message,
          search: "a point"
        })
    )
  }
  const readPoint = (json: unknown) => ModelSpace.read(json)(of)

  /** The next proposals, up to this many: consecutive given ones, or the strategy's up to the next given one. */
  const proposalsOf = Effect.fnUntraced(function* (
    most: number
  ): Effect.fn.Return<ReadonlyArray<Proposed<A>>, SearchError> {
    const points: Array<A> = []
    for (let point; points.length < most && (point = yield* given(first.length + points.length)) !== undefined;)
      points.push(point)
    if (points.length > 0) {
      if (strategy.adopt === undefined) return yield* takesNone
      const tokens: Array<Space.Tokens> = []
      for (const point of points)
        tokens.push(
          yield* Effect.mapError(
            Effect.fromResult(Space.encode(point)(space)),
            ({ message }) => new InvalidSearch({ option: "startWith", given: message, expected: "points of the space" })
          )
        )
      return yield* watch.strategy(strategy.adopt(tokens))
    }
    const wanted = share !== undefined && screen?.verdict()?.trusted === true ? Math.ceil(most / share) : most
    let count = 1
    while (count < wanted && (yield* given(first.length + count)) === undefined) count++
    const proposals = yield* strategy.ask(count).pipe(
      Effect.catchTag("Exhausted", () => Effect.succeed([])),
      watch.strategy
    )
    exhausted = proposals.length < count
    return yield* screened(proposals, most)
  })

  /** Proposals; those that are left out come with their expected reward. */
  const screened = Effect.fnUntraced(function* (
    proposals: ReadonlyArray<Strategy.Proposal<A>>,
    most: number
  ): Effect.fn.Return<ReadonlyArray<Proposed<A>>> {
    const expected =
      proposals.length <= most
        ? undefined
        : screen?.expect(
            yield* Effect.forEach(proposals, ({ hash, value }) =>
              informed(hash, {
                point: value,
                costs: Result.getOrElse(ModelSpace.costsOf(value)(of), () => ModelSpace.unpriced(of))
              })
            )
          )
    if (expected === undefined) return proposals
    const worthOf = (i: number) => expected[i] ?? -Infinity
    const order = proposals.map((_, i) => i).sort((a, b) => worthOf(b) - worthOf(a) || a - b)
    const kept = new Set(order.slice(0, most))
    const least = worthOf(order[most - 1] ?? 0)
    return proposals.map(({ hash, value }, i) =>
      kept.has(i)
        ? { hash, value }
        : {
            hash,
            value,
            left: {
              expected: worthOf(i),
              why: `left out by the screen: its expected reward is ${worthOf(i).toPrecision(4)}, and that of the proposals trained in its place is ${least.toPrecision(4)} or more`
            }
          }
    )
  })

  const propose = Effect.fnUntraced(function* (point: A, hash: string, screenedNow: LeftOut | undefined) {
    const trial = first.length
    const again = retries.get(trial)
    const priced = ModelSpace.costsOf(point)(of)
    const candidate: Candidate<A, C> = {
      trial,
      hash,
      point,
      line: of.line(point),
      costs: Result.getOrElse(priced, () => ModelSpace.unpriced(of)),
      ...(again === undefined ? {} : { again })
    }
    const known = recorded.get(trial)?.proposal
    // The journal's record holds, whichever strategy proposes now.
    const left = known === undefined ? screenedNow : leftOutOf(known)
    if (known !== undefined && known.hash !== hash)
      return yield* new JournalForeign({
        path: "of this search",
        field: `trial ${trial}'s point`,
        journal: known.hash,
        search: hash
      })
    const settle = (entry: Entry | undefined, act: Effect.Effect<Outcome<M> | Dropped, JournalError | EvaluatorLost>) =>
      Effect.map(begin(candidate, 0, known === undefined ? entry : undefined, act), (job) => void first.push(job))
    const common = { trial, hash, point: ModelSpace.write(point)(of) }

    const same = again === undefined ? first[firstWith.get(hash) ?? -1] : undefined
    const refusal =
      same !== undefined
        ? undefined
        : Result.isFailure(priced)
          ? `the cost ${priced.failure.cost} ${priced.failure.reason}`
          : refusalOf(candidate)
    if (refusal !== undefined || same !== undefined) {
      const why = refusal ?? "it was proposed before"
      if (++count.refusals >= patience)
        return yield* new SearchStuck({ strategy: strategy.name, proposals: count.refusals, why })
      yield* same === undefined ? watch.refused : watch.repeated
      if (same !== undefined)
        return yield* settle({ _tag: "Repeated", ...common, of: same.candidate.trial }, Deferred.await(same.outcome))
      yield* emit({ _tag: "Refused", candidate, why })
      return yield* settle({ _tag: "Refused", ...common, why }, Effect.succeed({ _tag: "Refused", why }))
    }
    if (left !== undefined) {
      const { expected, why } = left
      leftOut.add(trial)
      yield* watch.refused
      yield* emit({ _tag: "Refused", candidate, why, expected })
      return yield* settle(
        { _tag: "Refused", ...common, why, expected },
        Effect.succeed({ _tag: "Refused", why, expected })
      )
    }
    count.refusals = 0
    if (again === undefined) {
      count.accepted++
      firstWith.set(hash, trial)
    }
    ladder.enter(0)
    spend(candidate, 0)
    const entry: Entry = {
      _tag: "Proposed",
      ...common,
      line: candidate.line,
      costs: finite(candidate.costs),
      seed: seedOf(seed, trial),
      ...(again === undefined ? {} : { again })
    }
    return yield* settle(undefined, trained(candidate, 0, known === undefined ? entry : undefined))
  })

  /** Whether it is the best so far. */
  const compare = Effect.fnUntraced(function* (record: Scored<A, C, M>) {
    const { epochs } = scoreOf(record)
    const better = best === undefined ? 1 : Fidelity.compare(scoreOf(record), scoreOf(best))
    if (better === undefined ? (epochs ?? 0) <= (best?.outcome.evaluation.epochs ?? 0) : better <= 0) return
    best = record
    yield* watch.best(record.outcome.reward)
    yield* emit({ _tag: "Best", record })
  })

  /** Reports a result to the screen, and emits an event if that changes the verdict. */
  const learned = Effect.fnUntraced(function* (candidate: Candidate<A, C>, reward: number) {
    if (screen === undefined) return
    const before = screen.verdict()
    screen.told(yield* informed(candidate.hash, candidate), reward)
    const verdict = screen.verdict()
    if (verdict !== undefined && verdict.trusted !== before?.trusted) yield* emit({ _tag: "Screening", verdict })
  })

  for (let told = 0; ; told++) {
    // A proposal that was left out waits for nothing, and does not take up a place.
    const out = () => jobs.slice(told).filter(({ candidate }) => !leftOut.has(candidate.trial)).length
    while (out() < ahead) {
      const isAgain = retries.has(first.length)
      const closed = !isAgain && (count.accepted >= trials || exhausted)
      const promoted = ladder.next({ closed, idle: jobs.length === told })
      if (closed && promoted === undefined) break
      isAtEnd ||= yield* isOver
      if (promoted !== undefined) {
        // What the journal holds is taken over, whatever the budget is now.
        if (isAtEnd && recorded.get(promoted.trial)?.outcomes.has(promoted.rung) !== true) {
          over = true
          continue
        }
        const job = first[promoted.trial]
        // The ladder only knows trials that were started.
        if (job === undefined) break
        const { candidate } = job
        ladder.enter(promoted.rung)
        spend(candidate, promoted.rung)
        yield* begin(candidate, promoted.rung, undefined, trained(candidate, promoted.rung))
        continue
      }
      if (isAtEnd && !recorded.has(first.length)) {
        over = true
        break
      }
      const room = ahead - out()
      const proposals = yield* proposalsOf(isAgain ? room : Math.min(room, trials - count.accepted))
      for (const { hash, left, value } of proposals) {
        isAtEnd ||= isSpent()
        if (!isAtEnd || recorded.has(first.length)) yield* propose(value, hash, left)
        else over = true
      }
    }
    const next = jobs[told]
    if (next === undefined) break
    const { candidate, rung } = next
    const { trial } = candidate
    const outcome = yield* Deferred.await(next.outcome)
    // The search is ending: no later proposal would use this.
    if (outcome._tag === "Dropped") continue
    const record = { ...candidate, outcome }
    records[trial] = record
    reached.set(trial, rung)
    const isFirstOfItsKind = retries.has(trial) || firstWith.get(candidate.hash) === trial
    if (isScored(record)) {
      const { objectives } = worth(record)
      const ended = record.outcome.evaluation.stoppedAfter !== undefined
      if (isFirstOfItsKind) ladder.told(rung, { trial, objectives, ended })
      // Once per trial, after the first rung, so that all reported results have the same fidelity.
      if (rung === 0)
        yield* watch.strategy(
          strategy.tell([
            objectives.length > 1
              ? Told.scored(trial, record.outcome.reward, objectives)
              : Told.scored(trial, record.outcome.reward)
          ])
        )
      yield* compare(record)
      if (rung === 0 && isFirstOfItsKind) yield* learned(candidate, record.outcome.reward)
    } else {
      if (isFirstOfItsKind && outcome._tag === "Failed") ladder.told(rung, undefined)
      const expected = outcome._tag === "Refused" ? outcome.expected : undefined
      if (rung === 0)
        yield* watch.strategy(
          strategy.tell([expected === undefined ? Told.failed(trial) : Told.scored(trial, expected)])
        )
    }
  }
  // With more trials, different ones may go on to a rung than before. The results already found on it stay, and count.
  for (const [trial, { outcomes }] of recorded) {
    const known = records[trial]
    const entry = [...outcomes.values()].findLast(
      ({ _tag, rung = 0 }) => _tag === "Finished" && rung > (reached.get(trial) ?? 0)
    )
    if (known === undefined || entry === undefined) continue
    const record = { ...known, outcome: outcomeOf<M>(entry, fidelity) }
    records[trial] = record
    if (isScored(record)) yield* compare(record)
  }
  const ended = records.filter((record) => record !== undefined)
  if (best === undefined)
    return yield* new NothingFound({
      trials: ended.length,
      cause: commonest(ended) ?? (over ? "the search was stopped before any trial" : "the strategy proposed none")
    })
  const beliefs = strategy.believed === undefined ? [] : yield* watch.strategy(strategy.believed)
  // A proposal that the screen left out has no result.
  const [believed] = beliefs.flatMap(({ high, low, reward: worth, trial }): ReadonlyArray<Believed<A, C, M>> => {
    const record = records[trial]
    return record !== undefined && isScored(record) ? [{ record, reward: worth, low, high }] : []
  })
  const found: Found<A, C, M> = {
    records: ended,
    best,
    ...(believed === undefined ? {} : { believed }),
    exhausted,
    over
  }
  const { hash, outcome, trial } = best
  yield* Span.annotate(() => ({
    "uninet.search.best": trial,
    "uninet.search.best.hash": hash,
    "uninet.search.best.reward": outcome.reward,
    "uninet.search.exhausted": exhausted,
    "uninet.search.over": over
  }))
  yield* emit({ _tag: "Done", found })
  return found
}, watched)

/** Costs in a form that JSON can hold: infinite ones are left out. */
const finite = (costs: Readonly<globalThis.Record<string, number>>): Readonly<globalThis.Record<string, number>> =>
  Object.fromEntries(Object.entries(costs).filter(([, value]) => Number.isFinite(value)))

/**
 * Like `run`, as a stream of events; the last one is `Done`. Interrupting the stream stops the search.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Evaluator, Journal, Search } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Result, Stream } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const program = Search.events(cells, { trials: 16, seed: "demo" }).pipe(
 *   Stream.filter((event) => event._tag === "Best"),
 *   Stream.runForEach(({ record }) => Console.log(record.outcome.reward, record.line)),
 *   Effect.provide([Random.layer(), evaluator, Journal.memory])
 * )
 * Effect.runPromise(program)
 * ```
 */
export const events = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  options: Options<A, C, M>
): Stream.Stream<SearchEvent<A, C, M>, SearchError, Services> =>
  Stream.callback<SearchEvent<A, C, M>, SearchError, Services>((queue) =>
    run(of, {
      ...options,
      onEvent: (event) =>
        Effect.andThen(options.onEvent?.(event) ?? Effect.void, Effect.asVoid(Queue.offer(queue, event)))
    }).pipe(
      Effect.andThen(Queue.end(queue)),
      Effect.catch((error) => Queue.fail(queue, error))
    )
  )
