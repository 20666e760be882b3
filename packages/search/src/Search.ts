/**
 * The search as one program: a strategy proposes networks, an evaluator says how good they are, a journal remembers, until the trials are
 * used up.
 *
 * Trial i is proposed when the results of all trials up to i − `ahead` have been told, in the order of their indices, and its seed depends on the
 * search's seed and i alone. So the trials, their results and the journal are the same at any number of workers.
 *
 * @example
 * ```ts
 * const program = Search.run({ trials: 64, seed: "demo" }).pipe(
 *   Effect.provide([
 *     Random.layer(),
 *     UniNetSpace.layer({ image: 28, channels: 1, classes: 10 }),
 *     Operators.standard,
 *     Dsms.only("L", "LG"),
 *     Evaluator.fromFunction((architecture) => Effect.succeed(1 / architecture.stages.length)),
 *     Journal.sqlite("runs/demo.db")
 *   ])
 * )
 * ```
 */
import { Pareto, SearchStrategy, type StrategyError, Told } from "@uninet/controller"
import { Dsms } from "@uninet/dsm"
import { Network, NetworkCosts } from "@uninet/network"
import { Operators } from "@uninet/operators"
import { type Architecture, Constrained, Constraint, Prng, SearchSpace, Space } from "@uninet/search-space"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { Evaluator, type EvaluatorLost } from "./Evaluator.ts"
import * as Fidelity from "./Fidelity.ts"
import { type Entry, type EntryOf, type Identity, Journal, type Stored } from "./Journal.ts"
import { type JournalError, JournalForeign } from "./JournalError.ts"
import * as Reward from "./Reward.ts"
import { InvalidSearch, SearchStuck } from "./SearchError.ts"
import { type Evaluation, type Progress, type Reason, seedOf, TrialFailed } from "./Trial.ts"

/** What came of a trial. */
export type Outcome =
  | { readonly _tag: "Scored"; readonly evaluation: Evaluation; readonly reward: number }
  | { readonly _tag: "Failed"; readonly reason: Reason; readonly detail: string }
  | { readonly _tag: "Refused"; readonly why: string }

export interface Costs {
  /** Multiply-accumulates for one image. */
  readonly macs: number
  readonly parameters: number
}

/** A network that was proposed. */
export interface Candidate {
  readonly trial: number
  readonly hash: string
  readonly architecture: Architecture.Architecture
  readonly costs: Costs
}

/** A trial with what came of it. */
export interface Record extends Candidate {
  readonly outcome: Outcome
}

/** A trial with a result, that of the most epochs it was trained for. */
export interface Scored extends Candidate {
  readonly outcome: Extract<Outcome, { readonly _tag: "Scored" }>
}

/** What happens in a search, as it happens. */
export type SearchEvent =
  /** The journal held trials of this search already; they are not evaluated again. */
  | { readonly _tag: "Resumed"; readonly trials: number }
  | { readonly _tag: "Started"; readonly candidate: Candidate; readonly rung: number }
  | { readonly _tag: "Progress"; readonly candidate: Candidate; readonly progress: Progress }
  /** It has a result, on one of several rungs where the search has them. */
  | { readonly _tag: "Finished"; readonly record: Scored; readonly rung: number; readonly seconds: number }
  | { readonly _tag: "Failed"; readonly failure: TrialFailed; readonly rung: number; readonly seconds: number }
  /** Refused before any training: invalid, or outside the constraints. */
  | { readonly _tag: "Refused"; readonly candidate: Candidate; readonly why: string }
  /** Better than all trials before it of as many epochs, or the first of more epochs than any before. */
  | { readonly _tag: "Best"; readonly record: Scored }
  | { readonly _tag: "Done"; readonly found: Found }

/** What a search found. */
export interface Found {
  /** Every proposal, by index. */
  readonly records: ReadonlyArray<Record>
  /** The trial with the highest reward among those of the most epochs. `undefined` where none has a result. */
  readonly best: Scored | undefined
  /** Whether the search ended because the strategy had nothing left to propose. */
  readonly exhausted: boolean
  /** Whether it ended because a budget was used up, or `until` said so. */
  readonly over: boolean
}

/** What a search may look for at once: accuracy, and costs, of which less is better. */
export const objectives = ["accuracy", "macs", "parameters"] as const
export type Objective = (typeof objectives)[number]

export interface Options {
  /** Networks to evaluate. Refused proposals are not counted. */
  readonly trials: number
  /** Decides everything random: the trials' seeds, and what the strategy proposes. */
  readonly seed: string | number
  /** What is maximised. Default: the accuracy alone. */
  readonly reward?: Reward.Reward
  /** Bounds on what may be proposed: the strategy is begun within them, and a network outside is refused before any training. Default: none. */
  readonly constraints?: ReadonlyArray<Constraint.Constraint<Architecture.Architecture>>
  /** How long trials are trained. Default: all to their end. */
  readonly fidelity?: Fidelity.Fidelity
  /**
   * Two or more for a search for a Pareto front: the strategy is told them, and rungs are ranked by fronts instead of the reward. Default: the
   * reward is all there is.
   */
  readonly objectives?: ReadonlyArray<Objective>
  /** Ends the search when trainings have taken so many multiply-accumulates, by `of` for a whole training of a network. Default: any. */
  readonly budget?: { readonly macs: number; readonly of: (costs: Costs) => number }
  /** Asked before anything new is begun: `true` ends the search when what is running has come to its end. Default: never. */
  readonly until?: Effect.Effect<boolean>
  /**
   * How many proposals may be out at the same time: trial i is proposed knowing the results up to i − ahead. It is a part of the search and not of
   * the machine, so results do not depend on the number of workers; more workers than this stay idle. Default 8.
   */
  readonly ahead?: number
  /** What else decides the results (data set, recipe, …), for the journal to tell this search from others. Plain JSON. */
  readonly settings?: Identity["settings"]
  /** Kept in the journal beside the settings, but free to differ when the search is resumed. Plain JSON. */
  readonly notes?: Identity["settings"]
  /** Told of every event. Default: nothing. */
  readonly onEvent?: (event: SearchEvent) => Effect.Effect<void>
}

export type SearchError =
  | JournalError
  | StrategyError.StrategyError
  | EvaluatorLost
  | InvalidSearch
  | SearchStuck
  | Constrained.Infeasible

/** What a search needs. */
export type Services = SearchSpace | SearchStrategy | Evaluator | Journal | Operators | Dsms

/** Proposals that may be out at the same time, unless a search says otherwise. */
export const defaultAhead = 8

/** Refusals in a row after which a search gives up. */
const patience = 10_000

/** How the journal knows this search. */
export const identity = Effect.fnUntraced(function* (options: Options) {
  const space = yield* SearchSpace
  const strategy = yield* SearchStrategy
  const { ahead = defaultAhead, constraints = [], notes = {}, reward = Reward.accuracy, seed, settings = {} } = options
  return {
    notes,
    space: Space.fingerprint(space),
    seed: String(seed),
    settings: {
      ...settings,
      strategy: strategy.name,
      reward: { ...reward },
      fidelity: { ...(options.fidelity ?? Fidelity.full) },
      objectives: [...(options.objectives ?? [])],
      ahead,
      constraints: constraints.map(bounds)
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
export const scoreOf = ({ outcome }: Scored): Fidelity.Score => ({
  epochs: outcome.evaluation.epochs,
  reward: outcome.reward
})

const isScored = (record: Record): record is Scored => record.outcome._tag === "Scored"

/** What a trial is worth in each objective; larger is better. */
const worthOf =
  (wanted: ReadonlyArray<Objective>) =>
  ({ costs, outcome, trial }: Scored): Fidelity.Entrant => {
    const worth = { accuracy: outcome.evaluation.accuracy, macs: -costs.macs, parameters: -costs.parameters }
    return { trial, objectives: wanted.length > 1 ? wanted.map((objective) => worth[objective]) : [outcome.reward] }
  }

/**
 * The trials with a result: those of the most epochs first, and among those of equally many the best first (by front and crowding, where there
 * are several objectives); the earlier one where they are equal.
 */
export const ranking = (records: ReadonlyArray<Record>, wanted: ReadonlyArray<Objective> = []): ReadonlyArray<Scored> =>
  Fidelity.levels(records.filter(isScored), scoreOf).flatMap(({ members }) =>
    Fidelity.order(members.map((record) => ({ record, ...worthOf(wanted)(record) }))).map(({ record }) => record)
  )

/** Of the trials of the most epochs, those that no other is better than in every objective. */
export const front = (records: ReadonlyArray<Record>, wanted: ReadonlyArray<Objective>): ReadonlyArray<Scored> => {
  const [highest] = Fidelity.levels(records.filter(isScored), scoreOf)
  const worth = worthOf(wanted)
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

const outcomeOf = (entry: EntryOf<"Finished" | "Failed">): Outcome =>
  entry._tag === "Finished"
    ? { _tag: "Scored", evaluation: entry.evaluation, reward: entry.reward }
    : { _tag: "Failed", reason: entry.reason, detail: entry.detail }

/** A trial on a rung: what is begun in order, and told in that order. */
interface Job {
  readonly candidate: Candidate
  readonly rung: number
  readonly outcome: Deferred.Deferred<Outcome, JournalError | EvaluatorLost>
}

/**
 * Runs a search, or goes on with the one in the journal, and gives what it found.
 *
 * A trial that fails is recorded, told to the strategy as such, and does not end the search. Interrupting the search stops the running
 * evaluations; the journal keeps everything else.
 *
 * Fails with `InvalidSearch` (a setting that makes no sense), `Infeasible` (constraints that nothing meets), a `JournalError`, a
 * `StrategyError`, `EvaluatorLost`, or `SearchStuck`.
 */
export const run = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Found, SearchError, Services | Scope.Scope> {
  const { ahead = defaultAhead, constraints = [], reward = Reward.accuracy, seed, trials } = options
  yield* counted("trials", trials)
  yield* counted("ahead", ahead)
  const space = yield* SearchSpace
  const { start } = yield* SearchStrategy
  const evaluator = yield* Evaluator
  const journal = yield* Journal
  const sets: Network.Sets = { operators: yield* Operators, dsms: yield* Dsms }
  const cost = NetworkCosts.forSpace(sets)
  const domain = yield* Effect.fromResult(Constrained.make(space, constraints))
  const strategy = yield* start(domain, Prng.fromSeed(seed).split("strategy"))
  const emit = options.onEvent ?? (() => Effect.void)

  const recorded = recordedOf(yield* journal.open(yield* identity(options)))
  const resumed = [...recorded.values()].filter(({ outcomes }) => outcomes.size > 0).length
  if (resumed > 0) yield* emit({ _tag: "Resumed", trials: resumed })

  const slots = yield* Semaphore.make(Math.max(1, evaluator.concurrency))
  const jobs: Array<Job> = []
  const records: Array<Record> = []
  /** The first job of every trial. */
  const first: Array<Job> = []
  const firstWith = new Map<string, number>()
  let best: Scored | undefined
  const count = { accepted: 0, refusals: 0 }
  let exhausted = false
  let over = false

  const fidelity = options.fidelity ?? Fidelity.full
  const rungs = Fidelity.rungsOf(fidelity)
  const total = rungs.at(-1)
  const ladder = Fidelity.ladder(fidelity)
  const worth = worthOf(options.objectives ?? [])
  let spent = 0
  const spend = (candidate: Candidate, rung: number) => {
    if (options.budget !== undefined) spent += Fidelity.partOf(fidelity, rung) * options.budget.of(candidate.costs)
  }
  const isSpent = () => options.budget !== undefined && spent >= options.budget.macs
  const isOver = Effect.suspend(() => (isSpent() ? Effect.succeed(true) : (options.until ?? Effect.succeed(false))))

  const refusalOf = (architecture: Architecture.Architecture): string | undefined => {
    const network = Network.make(architecture, sets)
    if (Result.isFailure(network)) return network.failure.message
    const [violation] = Constraint.violations(architecture)(constraints)
    return violation === undefined
      ? undefined
      : `it has ${violation.name} ${violation.value}, where the search allows ${Constraint.print(violation)}`
  }

  const evaluate = Effect.fnUntraced(function* (candidate: Candidate, rung: number) {
    const { architecture, trial } = candidate
    yield* emit({ _tag: "Started", candidate, rung })
    const started = performance.now()
    const until = rungs[rung]
    const asked = {
      index: trial,
      architecture,
      seed: seedOf(seed, trial),
      ...(until === undefined || total === undefined ? {} : { epochs: total, until, keep: `trial-${trial}` })
    }
    // Absent where there is one rung only.
    const on = rung === 0 ? {} : { rung }
    const result = yield* evaluator
      .evaluate(asked, (progress) => emit({ _tag: "Progress", candidate, progress }))
      .pipe(
        Effect.filterOrFail(
          ({ accuracy }) => Number.isFinite(accuracy),
          ({ accuracy }) => failure(candidate, "Failed", `its accuracy is ${accuracy}`)
        ),
        Effect.catchDefect((defect) =>
          Effect.fail(failure(candidate, "Crashed", defect instanceof Error ? defect.message : String(defect)))
        ),
        Effect.result
      )
    const seconds = (performance.now() - started) / 1000
    if (Result.isFailure(result)) {
      if (result.failure._tag === "EvaluatorLost") return yield* result.failure
      const { detail, reason } = result.failure
      yield* journal.append({ _tag: "Failed", trial, ...on, reason, detail })
      yield* emit({ _tag: "Failed", failure: result.failure, rung, seconds })
      return { _tag: "Failed", reason, detail } satisfies Outcome
    }
    const { accuracy, epochs, metrics } = result.success
    // A rung's result is one of that many epochs, whether its evaluator says so or not.
    const evaluation = { accuracy, metrics, epochs: epochs ?? until ?? null }
    const outcome = {
      _tag: "Scored",
      evaluation,
      reward: Reward.of(reward, { accuracy, macs: candidate.costs.macs })
    } as const
    yield* journal.append({ _tag: "Finished", trial, ...on, evaluation, reward: outcome.reward })
    yield* emit({ _tag: "Finished", record: { ...candidate, outcome }, rung, seconds })
    return outcome satisfies Outcome
  })

  /** Begins a job. An entry is stored first, then acted on; not waited for here, so that entries of several trials share a commit. */
  const begin = Effect.fnUntraced(function* (
    candidate: Candidate,
    rung: number,
    entry: Entry | undefined,
    act: Effect.Effect<Outcome, JournalError | EvaluatorLost>
  ) {
    const job: Job = { candidate, rung, outcome: yield* Deferred.make<Outcome, JournalError | EvaluatorLost>() }
    jobs.push(job)
    yield* Effect.forkScoped(
      Deferred.into(entry === undefined ? act : Effect.andThen(journal.append(entry), act), job.outcome)
    )
    return job
  })

  /** A trial's training on a rung, or what the journal has of it. */
  const trained = (candidate: Candidate, rung: number) => {
    const known = recorded.get(candidate.trial)?.outcomes.get(rung)
    return known === undefined
      ? slots.withPermits(1)(evaluate(candidate, rung))
      : Effect.succeed<Outcome>(outcomeOf(known))
  }

  const propose = Effect.fnUntraced(function* (value: Architecture.Architecture, hash: string) {
    const trial = first.length
    const { macs, parameters } = cost.of(value)
    const candidate: Candidate = { trial, hash, architecture: value, costs: { macs, parameters } }
    const known = recorded.get(trial)?.proposal
    if (known !== undefined && known.hash !== hash)
      return yield* new JournalForeign({
        path: "of this search",
        field: `trial ${trial}'s network`,
        journal: known.hash,
        search: hash
      })
    const settle = (entry: Entry, act: Effect.Effect<Outcome, JournalError | EvaluatorLost>) =>
      Effect.map(begin(candidate, 0, known === undefined ? entry : undefined, act), (job) => void first.push(job))
    const common = { trial, hash, architecture: value }

    const refusal = refusalOf(value)
    const same = firstWith.get(hash)
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
    return yield* settle(
      { _tag: "Proposed", ...common, costs: candidate.costs, seed: seedOf(seed, trial) },
      trained(candidate, 0)
    )
  })

  for (let told = 0; ; told++) {
    while (jobs.length < told + ahead) {
      over ||= yield* isOver
      if (over) break
      const closed = count.accepted >= trials || exhausted
      const promoted = ladder.next({ closed, idle: jobs.length === told })
      if (promoted !== undefined) {
        const { candidate } = first[promoted.trial]
        ladder.enter(promoted.rung)
        spend(candidate, promoted.rung)
        yield* begin(candidate, promoted.rung, undefined, trained(candidate, promoted.rung))
        continue
      }
      if (closed) break
      const wanted = Math.min(told + ahead - jobs.length, trials - count.accepted)
      const proposals = yield* strategy.ask(wanted).pipe(Effect.catchTag("Exhausted", () => Effect.succeed([])))
      exhausted = proposals.length < wanted
      for (const { hash, value } of proposals) {
        over ||= isSpent()
        if (!over) yield* propose(value, hash)
      }
    }
    const next = jobs[told]
    if (next === undefined) break
    const { candidate, rung } = next
    const { trial } = candidate
    const outcome = yield* Deferred.await(next.outcome)
    const record = { ...candidate, outcome }
    records[trial] = record
    const isFirstOfItsKind = firstWith.get(candidate.hash) === trial
    if (isScored(record)) {
      const { objectives } = worth(record)
      if (isFirstOfItsKind) ladder.told(rung, { trial, objectives })
      // Once a trial, after the first rung: what it is told is of one fidelity.
      if (rung === 0)
        yield* strategy.tell([
          objectives.length > 1
            ? Told.scored(trial, record.outcome.reward, objectives)
            : Told.scored(trial, record.outcome.reward)
        ])
      const { epochs } = scoreOf(record)
      const better = best === undefined ? 1 : Fidelity.compare(scoreOf(record), scoreOf(best))
      if (better === undefined ? (epochs ?? 0) > (best?.outcome.evaluation.epochs ?? 0) : better > 0) {
        best = record
        yield* emit({ _tag: "Best", record })
      }
    } else {
      if (isFirstOfItsKind && outcome._tag === "Failed") ladder.told(rung, undefined)
      if (rung === 0) yield* strategy.tell([Told.failed(trial)])
    }
  }
  const found: Found = { records, best, exhausted, over }
  yield* emit({ _tag: "Done", found })
  return found
}, Effect.scoped)

const failure = ({ architecture, trial }: Candidate, reason: Reason, detail: string) =>
  new TrialFailed({ trial, architecture, reason, detail })

/**
 * As `run`, as a stream of what happens; the last event is `Done`. Interrupting the stream stops the search.
 *
 * @example
 * ```ts
 * Search.events({ trials: 64, seed: "demo" }).pipe(
 *   Stream.filter((event) => event._tag === "Best"),
 *   Stream.runForEach(({ record }) => Console.log(record.outcome.reward))
 * )
 * ```
 */
export const events = (options: Options): Stream.Stream<SearchEvent, SearchError, Services> =>
  Stream.callback<SearchEvent, SearchError, Services>((queue) =>
    run({
      ...options,
      onEvent: (event) =>
        Effect.andThen(options.onEvent?.(event) ?? Effect.void, Effect.asVoid(Queue.offer(queue, event)))
    }).pipe(
      Effect.andThen(Queue.end(queue)),
      Effect.catch((error) => Queue.fail(queue, error))
    )
  )
