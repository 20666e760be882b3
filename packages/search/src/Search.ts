/**
 * The search as one program: a strategy proposes points of a space, an evaluator says how good they are, a journal remembers, until the trials are
 * used up.
 *
 * Trial i is proposed when the results of all trials up to i − `ahead` have been told, in the order of their indices, and its seed depends on the
 * search's seed and i alone. So the trials, their results and the journal are the same at any number of workers.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Evaluator, Journal, Search } from "@uninet/search"
 *
 * const program = Search.run(mine, { trials: 64, seed: "demo", reward: ({ mae, macs }) => -mae - macs * 1e-6 }).pipe(
 *   Effect.map(({ best }) => best.point), // of the space's own type
 *   Effect.provide([
 *     Random.layer(),
 *     Evaluator.fromFunction(mine, ({ width }) => Effect.succeed({ mae: 1 / width, mse: 1, rmse: 1, r2: 0, loss: 1 })),
 *     Journal.sqlite("runs/demo.db")
 *   ])
 * )
 * ```
 */
import { Pareto, SearchStrategy, type StrategyError, Told } from "@uninet/controller"
import { ModelSpace, Task } from "@uninet/model-space"
import { Constrained, Constraint, Digest, Prng, Space } from "@uninet/search-space"
import type { Surroundings } from "@uninet/trainer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Evaluators from "./Evaluator.ts"
import { Evaluator, type EvaluatorLost } from "./Evaluator.ts"
import * as Fidelity from "./Fidelity.ts"
import { type Entry, type EntryOf, type Identity, Journal, type Stored } from "./Journal.ts"
import { type JournalError, JournalForeign } from "./JournalError.ts"
import * as Reward from "./Reward.ts"
import { InvalidSearch, NothingFound, SearchStuck } from "./SearchError.ts"
import { type Evaluation, type Progress, type Reason, seedOf, TrialFailed, unsound } from "./Trial.ts"
import { detailOf } from "./internal/detail.ts"

/** What an evaluation found, its measures by the task's own names. */
export interface Measured<M extends string> extends Evaluation {
  readonly measures: { readonly [K in M]: number }
}

/** What came of a trial. */
export type Outcome<M extends string = string> =
  | { readonly _tag: "Scored"; readonly evaluation: Measured<M>; readonly reward: number }
  | { readonly _tag: "Failed"; readonly reason: Reason; readonly detail: string }
  | { readonly _tag: "Refused"; readonly why: string }

/** A point that was proposed. */
export interface Candidate<A, C extends string = string> {
  readonly trial: number
  readonly hash: string
  readonly point: A
  /** In a line, for people. */
  readonly line: string
  /** All costs of the space by name. */
  readonly costs: { readonly [K in C]: number }
}

/** A trial with what came of it. */
export interface Record<A, C extends string = string, M extends string = string> extends Candidate<A, C> {
  readonly outcome: Outcome<M>
}

/** A trial with a result, that of the most epochs it was trained for. */
export interface Scored<A, C extends string = string, M extends string = string> extends Candidate<A, C> {
  readonly outcome: Extract<Outcome<M>, { readonly _tag: "Scored" }>
}

/** What happens in a search, as it happens. */
export type SearchEvent<A, C extends string = string, M extends string = string> =
  /** The journal held trials of this search already; they are not evaluated again. */
  | { readonly _tag: "Resumed"; readonly trials: number }
  | { readonly _tag: "Started"; readonly candidate: Candidate<A, C>; readonly rung: number }
  | { readonly _tag: "Progress"; readonly candidate: Candidate<A, C>; readonly progress: Progress }
  /** It has a result, on one of several rungs where the search has them. */
  | { readonly _tag: "Finished"; readonly record: Scored<A, C, M>; readonly rung: number; readonly seconds: number }
  | {
      readonly _tag: "Failed"
      readonly candidate: Candidate<A, C>
      readonly failure: TrialFailed
      readonly rung: number
      readonly seconds: number
    }
  /** Refused before any training: invalid, or outside the constraints. */
  | { readonly _tag: "Refused"; readonly candidate: Candidate<A, C>; readonly why: string }
  /** Better than all trials before it of as many epochs, or the first of more epochs than any before. */
  | { readonly _tag: "Best"; readonly record: Scored<A, C, M> }
  | { readonly _tag: "Done"; readonly found: Found<A, C, M> }

/** What a search found. */
export interface Found<A, C extends string = string, M extends string = string> {
  /** Every proposal that came to anything, by index. */
  readonly records: ReadonlyArray<Record<A, C, M>>
  /** The trial with the highest reward among those of the most epochs. */
  readonly best: Scored<A, C, M>
  /** Whether the search ended because the strategy had nothing left to propose. */
  readonly exhausted: boolean
  /** Whether anything was left undone because a budget was used up, or `until` said so. */
  readonly over: boolean
}

/** What a search looks for beside others: a cost or a measure by its name, or a function of one's own. */
export type Objective<A, X extends string = string> = X | OwnObjective<A, X>

/** An objective of one's own. */
export interface OwnObjective<A, X extends string = string> {
  readonly name: string
  readonly direction: Task.Direction
  readonly of: (values: { readonly [K in X]: number }, point: A) => number
}

export interface Options<A, C extends string, M extends string> {
  /** Points to evaluate. Refused proposals are not counted. */
  readonly trials: number
  /** Decides everything random: the trials' seeds, and what the strategy proposes. */
  readonly seed: string | number
  /** What is maximised: data, or a function of all costs and measures by name. Default: the measure that decides. */
  readonly reward?: Reward.Reward<C> | Reward.Own<A, C | M>
  /** Bounds on costs by name. Default: none. */
  readonly within?: { readonly [K in C]?: Constraint.Window }
  /** Other bounds on what may be proposed: the strategy is begun within them, and a point outside is refused before any training. Default: none. */
  readonly constraints?: ReadonlyArray<Constraint.Constraint<A>>
  /** How long trials are trained. Default: all to their end. */
  readonly fidelity?: Fidelity.Fidelity
  /**
   * Two or more for a search for a Pareto front: the strategy is told them, and rungs are ranked by fronts instead of the reward. Default: the
   * reward is all there is.
   */
  readonly objectives?: ReadonlyArray<Objective<A, C | M>>
  /** Ends the search when trainings have taken `most`, by `of` for a whole training of a point. Default: any. */
  readonly budget?: { readonly most: number; readonly of: (costs: { readonly [K in C]: number }, point: A) => number }
  /**
   * Asked before anything new is proposed, and again when it would be begun: `true` ends the search when what is running has come to its end. What was proposed and waits for an
   * evaluator is not begun, and is not in the journal. Default: never.
   */
  readonly until?: Effect.Effect<boolean>
  /**
   * How many proposals may be out at the same time: trial i is proposed knowing the results up to i − ahead. It is a part of the search and not of
   * the machine, so results do not depend on the number of workers; more workers than this stay idle. A strategy that is to learn from few trials wants it small: of four
   * trials with 8 ahead all are proposed knowing nothing. Default 8.
   */
  readonly ahead?: number
  /** What else decides the results (data set, recipe, …), for the journal to tell this search from others. Plain JSON. */
  readonly settings?: Identity["settings"]
  /** Kept in the journal beside the settings, but free to differ when the search is resumed. Plain JSON. */
  readonly notes?: Identity["settings"]
  /**
   * What else decides the results (`Surroundings.here`): a search that is gone on with under others is refused, or marked as a mixture where the journal allows it. Default: not known, and
   * not compared.
   */
  readonly surroundings?: Surroundings.Surroundings
  /** Told of every event. Default: nothing. */
  readonly onEvent?: (event: SearchEvent<A, C, M>) => Effect.Effect<void>
}

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

/** Proposals that may be out at the same time, unless a search says otherwise. */
export const defaultAhead = 8

/** Refusals in a row after which a search gives up. */
const patience = 10_000

const constraintsOf = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  { constraints = [], within }: Pick<Options<A, C, M>, "constraints" | "within">
): ReadonlyArray<Constraint.Constraint<A>> => [
  ...(within === undefined ? [] : ModelSpace.within<C>(within)(of)),
  ...constraints
]

/** An objective by its name and direction, and what it is of. */
const named = <A, X extends string>(objective: Objective<A, X>, directions: ReadonlyMap<string, Task.Direction>) =>
  typeof objective === "string"
    ? { name: objective, direction: directions.get(objective) ?? "higher" }
    : { name: objective.name, direction: objective.direction, text: Digest.of(String(objective.of)) }

/** The names of costs and measures, and which way the measures are better: a space, or what a journal says of one. */
export interface Named {
  readonly costs: Readonly<globalThis.Record<string, unknown>>
  readonly task: { readonly measures: Readonly<globalThis.Record<string, Task.Direction>> }
}

/** Which way every cost and measure is better. */
const directionsOf = (of: Named): ReadonlyMap<string, Task.Direction> =>
  new Map<string, Task.Direction>([
    ...Object.keys(of.costs).map((cost) => [cost, "lower"] as const),
    ...Object.entries(of.task.measures)
  ])

/** How the journal knows this search. */
export const identity = Effect.fnUntraced(function* <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  options: Options<A, C, M>
) {
  const strategy = yield* SearchStrategy
  const { ahead = defaultAhead, notes = {}, reward = Reward.measure, seed, settings = {} } = options
  return {
    notes,
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
      constraints: constraintsOf(of, options).map(bounds)
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

/** The result of a trial, with its fidelity. */
export const scoreOf = ({ outcome }: { readonly outcome: Scored<unknown>["outcome"] }): Fidelity.Score => ({
  epochs: outcome.evaluation.epochs,
  reward: outcome.reward
})

const isScored = <A, C extends string, M extends string>(record: Record<A, C, M>): record is Scored<A, C, M> =>
  record.outcome._tag === "Scored"

/** Names that a search asks for and nobody gives. */
const unknownName = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  { objectives = [], reward, within = {} }: Options<A, C, M>
): InvalidSearch | undefined => {
  const directions = directionsOf(of)
  const costs = `one of ${ModelSpace.costNames(of).join(", ")}`
  const unbound = Object.keys(within).find((name) => !Object.hasOwn(of.costs, name))
  if (unbound !== undefined) return new InvalidSearch({ option: "a cost of within", given: unbound, expected: costs })
  const both = ModelSpace.costNames(of).find((name) => Object.hasOwn(of.task.measures, name))
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

/** All that is known of a trial by name. */
const valuesOf = <A, C extends string, M extends string>(
  { costs }: Pick<Candidate<A, C>, "costs">,
  measures: { readonly [K in M]: number }
): { readonly [K in C | M]: number } => ({ ...costs, ...measures }) as { readonly [K in C | M]: number } // the names of both

/** The reward of an evaluation, whose measures all have to be there, or what is wrong with it. */
export const rewarded = <A, C extends string, M extends string>(
  { task }: ModelSpace.ModelSpace<A, C, M>,
  reward: Reward.Reward<C> | Reward.Own<A, C | M>,
  candidate: Pick<Candidate<A, C>, "costs" | "point">,
  evaluation: Pick<Evaluation, "epochs" | "measures">
): Result.Result<{ readonly measures: { readonly [K in M]: number }; readonly reward: number }, string> => {
  const { measures } = evaluation
  const missing = Task.measuresOf(task).find((name) => !Object.hasOwn(measures, name))
  if (missing !== undefined) return Result.fail(`its evaluator gave no ${missing}`)
  const wrong = unsound(evaluation)
  if (wrong !== undefined) return Result.fail(wrong)
  const all = measures as { readonly [K in M]: number } // none is missing
  return Result.flatMap(
    Result.try({
      try: () =>
        typeof reward === "function"
          ? reward(valuesOf(candidate, all), candidate.point)
          : Reward.of(reward, task, { measures, costs: candidate.costs }),
      catch: (cause) => `its reward failed: ${detailOf(cause)}`
    }),
    (value) =>
      Number.isFinite(value) ? Result.succeed({ measures: all, reward: value }) : Result.fail(`its reward is ${value}`)
  )
}

/** What a trial is worth in each objective; larger is better. Of one objective or none it is the reward. */
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
          ? Task.worth(directions.get(objective) ?? "higher", values[objective])
          : Task.worth(objective.direction, objective.of(values, point))
      )
    }
  }
}

/**
 * The trials with a result: those of the most epochs first, and among those of equally many the best first (by front and crowding, where there
 * are several objectives); the earlier one where they are equal.
 */
export const ranking = <A, C extends string, M extends string>(
  of: Named,
  records: ReadonlyArray<Record<A, C, M>>,
  wanted: ReadonlyArray<Objective<A, C | M>> = []
): ReadonlyArray<Scored<A, C, M>> => {
  const worth = worthOf<A, C, M>(of, wanted)
  return Fidelity.levels(records.filter(isScored), scoreOf).flatMap(({ members }) =>
    Fidelity.order(members.map((record) => ({ record, ...worth(record) }))).map(({ record }) => record)
  )
}

/** Of the trials of the most epochs, those that no other is better than in every objective. */
export const front = <A, C extends string, M extends string>(
  of: Named,
  records: ReadonlyArray<Record<A, C, M>>,
  wanted: ReadonlyArray<Objective<A, C | M>>
): ReadonlyArray<Scored<A, C, M>> => {
  const [highest] = Fidelity.levels(records.filter(isScored), scoreOf)
  const worth = worthOf<A, C, M>(of, wanted)
  return Pareto.of((highest?.members ?? []).map((record) => ({ record, ...worth(record) }))).members.map(
    ({ record }) => record
  )
}

/** What the journal holds of a trial. */
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
        // Only an evaluation with all of the task's measures is journalled, and only this search's journal is read.
        evaluation: Fidelity.trained(fidelity, entry.evaluation as Measured<M>),
        reward: entry.reward
      }
    : { _tag: "Failed", reason: entry.reason, detail: entry.detail }

/** It was never begun: the search came to its end before its turn. */
interface Dropped {
  readonly _tag: "Dropped"
}

/** A trial on a rung: what is begun in order, and told in that order. */
interface Job<A, C extends string, M extends string> {
  readonly candidate: Candidate<A, C>
  readonly rung: number
  readonly outcome: Deferred.Deferred<Outcome<M> | Dropped, JournalError | EvaluatorLost>
}

/** What most of the trials without a result have in common, in words; `undefined` where there are none. */
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

/**
 * Runs a search, or goes on with the one in the journal, and gives what it found.
 *
 * A trial that fails is recorded, told to the strategy as such, and does not end the search. Interrupting the search stops the running
 * evaluations; the journal keeps everything else.
 *
 * Fails with `InvalidSearch` (a setting that makes no sense), `Infeasible` (constraints that nothing meets), `Unbuildable`, `OutputsMismatch` or `MeasuresMissing` (the seed point's network), `CostFailed`, a
 * `JournalError`, a `StrategyError`, `EvaluatorLost`, `SearchStuck`, or `NothingFound` where no trial gave a result.
 */
export const run = Effect.fnUntraced(function* <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  options: Options<A, C, M>
): Effect.fn.Return<Found<A, C, M>, SearchError, Services | Scope.Scope> {
  const { ahead = defaultAhead, objectives = [], reward = Reward.measure, seed, trials } = options
  yield* counted("trials", trials)
  yield* counted("ahead", ahead)
  const unknown = unknownName(of, options)
  if (unknown !== undefined) return yield* unknown
  const { start } = yield* SearchStrategy
  const evaluator = yield* Evaluator
  const journal = yield* Journal
  const { space } = of
  const constraints = constraintsOf(of, options)
  // A space whose networks cannot be built at all is told from one with some that cannot.
  if (of.isTrainable) yield* Effect.fromResult(ModelSpace.checked(of)(Space.seedPoint(space)))
  yield* Effect.fromResult(ModelSpace.costsOf(of)(Space.seedPoint(space)))
  const domain = yield* Effect.fromResult(Constrained.make(space, constraints))
  const strategy = yield* start(domain, Prng.fromSeed(seed).split("strategy"))
  const emit = options.onEvent ?? (() => Effect.void)

  const recorded = recordedOf(yield* journal.open(yield* identity(of, options)))
  const begun = [...recorded.values()].filter(({ proposal }) => proposal?._tag === "Proposed").length
  // With fewer the best of them would be looked for among a part of what was trained.
  if (trials < begun)
    return yield* new InvalidSearch({
      option: "trials",
      given: `${trials}, fewer than the journal holds`,
      expected: `${begun} or more: what was trained stays, and counts`
    })
  const resumed = [...recorded.values()].filter(({ outcomes }) => outcomes.size > 0).length
  if (resumed > 0) yield* emit({ _tag: "Resumed", trials: resumed })

  const slots = yield* Semaphore.make(Math.max(1, evaluator.concurrency))
  const jobs: Array<Job<A, C, M>> = []
  const records: Array<Record<A, C, M> | undefined> = []
  /** The last rung that each came to. */
  const reached = new Map<number, number>()
  /** The first job of every trial. */
  const first: Array<Job<A, C, M>> = []
  /** Every trial's point as JSON. */
  const written: Array<Schema.Json> = []
  const firstWith = new Map<string, number>()
  let best: Scored<A, C, M> | undefined
  const count = { accepted: 0, refusals: 0 }
  let exhausted = false
  /** Nothing new is begun any more; whether anything was left undone by that. */
  let isAtEnd = false
  let over = false

  const fidelity = options.fidelity ?? Fidelity.full
  const rungs = Fidelity.rungsOf(fidelity)
  const total = rungs.at(-1)
  const ladder = Fidelity.ladder(fidelity)
  const worth = worthOf<A, C, M>(of, objectives)
  let spent = 0
  const spend = (candidate: Candidate<A, C>, rung: number) => {
    if (options.budget !== undefined)
      spent += Fidelity.partOf(fidelity, rung) * options.budget.of(candidate.costs, candidate.point)
  }
  const isSpent = () => options.budget !== undefined && spent >= options.budget.most
  let isUp = false
  /** Whether `until` has said so. */
  const timeIsUp = Effect.suspend(() =>
    isUp || options.until === undefined ? Effect.succeed(isUp) : Effect.map(options.until, (up) => (isUp = up))
  )
  const isOver = Effect.suspend(() => (isSpent() ? Effect.succeed(true) : timeIsUp))

  const refusalOf = ({ costs, point }: Candidate<A, C>): string | undefined => {
    // What cannot be built costs infinitely much; where all costs are known, its graph need not be made once more.
    const look = Object.values(costs).every(Number.isFinite) ? of.model : ModelSpace.checked(of)
    const network = of.isTrainable ? look(point) : undefined
    if (network !== undefined && Result.isFailure(network))
      return network.failure._tag === "Unbuildable" ? network.failure.reason : network.failure.message
    const [violation] = Constraint.violations(point)(constraints)
    return violation === undefined
      ? undefined
      : `it has ${violation.name} ${violation.value}, where the search allows ${Constraint.print(violation)}`
  }

  /** What came of an evaluation, or why it is no result. */
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
        evaluation: Fidelity.trained(fidelity, {
          measures,
          // A rung's result is one of that many epochs, whether its evaluator says so or not.
          epochs: epochs ?? until ?? null,
          ...(stoppedAfter === undefined ? {} : { stoppedAfter })
        }),
        reward: value
      }
      const worths = yield* Result.try({
        try: () => worth({ ...candidate, outcome }).objectives,
        catch: (cause) => `an objective failed: ${detailOf(cause)}`
      })
      const wrong = objectives[worths.findIndex((each) => !Number.isFinite(each))]
      if (wrong !== undefined)
        return yield* Result.fail(`its objective ${typeof wrong === "string" ? wrong : wrong.name} is no finite number`)
      return outcome
    })

  const evaluate = Effect.fnUntraced(function* (candidate: Candidate<A, C>, rung: number) {
    const { trial } = candidate
    yield* emit({ _tag: "Started", candidate, rung })
    const started = performance.now()
    const until = rungs[rung]
    const asked = {
      index: trial,
      point: written[trial],
      seed: seedOf(seed, trial),
      ...(until === undefined || total === undefined ? {} : { epochs: total, until, keep: `trial-${trial}` })
    }
    // Absent where there is one rung only.
    const on = rung === 0 ? {} : { rung }
    const failed = (reason: Reason, detail: string) => new TrialFailed({ trial, reason, detail })
    const result = yield* Evaluators.evaluate(evaluator, asked, (progress) =>
      emit({ _tag: "Progress", candidate, progress })
    ).pipe(
      Effect.flatMap((evaluation) =>
        Effect.fromResult(scored(candidate, evaluation, until)).pipe(
          Effect.mapError((problem) => failed("Failed", problem)),
          Effect.map((outcome) => ({ outcome, training: evaluation.training }))
        )
      ),
      Effect.catchDefect((defect) => Effect.fail(failed("Crashed", detailOf(defect)))),
      Effect.result
    )
    const seconds = (performance.now() - started) / 1000
    if (Result.isFailure(result)) {
      if (result.failure._tag === "EvaluatorLost") return yield* result.failure
      const { detail, reason, training } = result.failure
      yield* journal.append({ _tag: "Failed", trial, ...on, reason, detail }, training)
      yield* emit({ _tag: "Failed", candidate, failure: result.failure, rung, seconds })
      return { _tag: "Failed", reason, detail } satisfies Outcome<M>
    }
    const { outcome, training } = result.success
    yield* journal.append(
      { _tag: "Finished", trial, ...on, evaluation: outcome.evaluation, reward: outcome.reward },
      training
    )
    yield* emit({ _tag: "Finished", record: { ...candidate, outcome }, rung, seconds })
    return outcome
  })

  /** Begins a job: its outcome is worked out beside everything else, after its entry (if it has one) is stored. */
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
    yield* Effect.forkScoped(
      Deferred.into(entry === undefined ? act : Effect.andThen(journal.append(entry), act), job.outcome)
    )
    return job
  })

  /** Begins a training when its turn has come, its entry (if it has one) before it; not if time is up by then. */
  const inTurn = Effect.fnUntraced(function* (candidate: Candidate<A, C>, rung: number, entry: Entry | undefined) {
    if (yield* timeIsUp) {
      isAtEnd = over = true
      return { _tag: "Dropped" } satisfies Dropped
    }
    if (entry !== undefined) yield* journal.append(entry)
    return yield* evaluate(candidate, rung)
  })

  /** A trial's training on a rung, or what the journal has of it. */
  const trained = (
    candidate: Candidate<A, C>,
    rung: number,
    entry?: Entry
  ): Effect.Effect<Outcome<M> | Dropped, JournalError | EvaluatorLost> => {
    const known = recorded.get(candidate.trial)?.outcomes.get(rung)
    return known === undefined
      ? slots.withPermits(1)(inTurn(candidate, rung, entry))
      : Effect.succeed(outcomeOf(known, fidelity))
  }

  const propose = Effect.fnUntraced(function* (point: A, hash: string) {
    const trial = first.length
    const priced = ModelSpace.costsOf(of)(point)
    const candidate: Candidate<A, C> = {
      trial,
      hash,
      point,
      line: of.line(point),
      costs: Result.getOrElse(priced, () => ModelSpace.unpriced(of))
    }
    const known = recorded.get(trial)?.proposal
    if (known !== undefined && known.hash !== hash)
      return yield* new JournalForeign({
        path: "of this search",
        field: `trial ${trial}'s point`,
        journal: known.hash,
        search: hash
      })
    const settle = (entry: Entry | undefined, act: Effect.Effect<Outcome<M> | Dropped, JournalError | EvaluatorLost>) =>
      Effect.map(begin(candidate, 0, known === undefined ? entry : undefined, act), (job) => void first.push(job))
    const json = ModelSpace.write(of)(point)
    written[trial] = json
    const common = { trial, hash, point: json }

    const same = firstWith.get(hash)
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
      if (same !== undefined)
        return yield* settle({ _tag: "Repeated", ...common, of: same }, Deferred.await(first[same].outcome))
      yield* emit({ _tag: "Refused", candidate, why })
      return yield* settle({ _tag: "Refused", ...common, why }, Effect.succeed({ _tag: "Refused", why }))
    }
    count.refusals = 0
    count.accepted++
    firstWith.set(hash, trial)
    ladder.enter(0)
    spend(candidate, 0)
    const entry: Entry = {
      _tag: "Proposed",
      ...common,
      line: candidate.line,
      costs: finite(candidate.costs),
      seed: seedOf(seed, trial)
    }
    return yield* settle(undefined, trained(candidate, 0, known === undefined ? entry : undefined))
  })

  /** Whether it is the best by now. */
  const compare = Effect.fnUntraced(function* (record: Scored<A, C, M>) {
    const { epochs } = scoreOf(record)
    const better = best === undefined ? 1 : Fidelity.compare(scoreOf(record), scoreOf(best))
    if (better === undefined ? (epochs ?? 0) <= (best?.outcome.evaluation.epochs ?? 0) : better <= 0) return
    best = record
    yield* emit({ _tag: "Best", record })
  })

  for (let told = 0; ; told++) {
    while (jobs.length < told + ahead) {
      const closed = count.accepted >= trials || exhausted
      const promoted = ladder.next({ closed, idle: jobs.length === told })
      if (closed && promoted === undefined) break
      isAtEnd ||= yield* isOver
      if (promoted !== undefined) {
        // What the journal holds is taken over, whatever the budget is by now.
        if (isAtEnd && recorded.get(promoted.trial)?.outcomes.has(promoted.rung) !== true) {
          over = true
          continue
        }
        const { candidate } = first[promoted.trial]
        ladder.enter(promoted.rung)
        spend(candidate, promoted.rung)
        yield* begin(candidate, promoted.rung, undefined, trained(candidate, promoted.rung))
        continue
      }
      if (isAtEnd && !recorded.has(first.length)) {
        over = true
        break
      }
      const wanted = Math.min(told + ahead - jobs.length, trials - count.accepted)
      const proposals = yield* strategy.ask(wanted).pipe(Effect.catchTag("Exhausted", () => Effect.succeed([])))
      exhausted = proposals.length < wanted
      for (const { hash, value } of proposals) {
        isAtEnd ||= isSpent()
        if (!isAtEnd || recorded.has(first.length)) yield* propose(value, hash)
        else over = true
      }
    }
    const next = jobs[told]
    if (next === undefined) break
    const { candidate, rung } = next
    const { trial } = candidate
    const outcome = yield* Deferred.await(next.outcome)
    // The search is at its end: nothing is proposed any more that would want to know.
    if (outcome._tag === "Dropped") continue
    const record = { ...candidate, outcome }
    records[trial] = record
    reached.set(trial, rung)
    const isFirstOfItsKind = firstWith.get(candidate.hash) === trial
    if (isScored(record)) {
      const { objectives } = worth(record)
      const ended = record.outcome.evaluation.stoppedAfter !== undefined
      if (isFirstOfItsKind) ladder.told(rung, { trial, objectives, ended })
      // Once a trial, after the first rung: what it is told is of one fidelity.
      if (rung === 0)
        yield* strategy.tell([
          objectives.length > 1
            ? Told.scored(trial, record.outcome.reward, objectives)
            : Told.scored(trial, record.outcome.reward)
        ])
      yield* compare(record)
    } else {
      if (isFirstOfItsKind && outcome._tag === "Failed") ladder.told(rung, undefined)
      if (rung === 0) yield* strategy.tell([Told.failed(trial)])
    }
  }
  // With more trials others may go on to a rung than before: what was found on it stays, and counts.
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
      cause: commonest(ended) ?? (over ? "it was ended before any" : "the strategy proposed none")
    })
  const found: Found<A, C, M> = { records: ended, best, exhausted, over }
  yield* emit({ _tag: "Done", found })
  return found
}, Effect.scoped)

/** Costs as JSON has them: what is infinite is left out. */
const finite = (costs: Readonly<globalThis.Record<string, number>>): Readonly<globalThis.Record<string, number>> =>
  Object.fromEntries(Object.entries(costs).filter(([, value]) => Number.isFinite(value)))

/**
 * As `run`, as a stream of what happens; the last event is `Done`. Interrupting the stream stops the search.
 *
 * @example
 * ```ts
 * Search.events(mine, { trials: 64, seed: "demo" }).pipe(
 *   Stream.filter((event) => event._tag === "Best"),
 *   Stream.runForEach(({ record }) => Console.log(record.outcome.reward, record.point))
 * )
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
