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
 *   Effect.provide(Random.layer({ seed: "demo" })),
 *   Effect.provide([
 *     UniNetSpace.layer({ image: 28, channels: 1, classes: 10 }),
 *     Operators.standard,
 *     Dsms.only("L", "LG"),
 *     Evaluator.fromFunction((architecture) => Effect.succeed(1 / architecture.stages.length)),
 *     Journal.sqlite("runs/demo.db")
 *   ])
 * )
 * ```
 */
import { SearchStrategy, type StrategyError, Told } from "@uninet/controller"
import { Dsms } from "@uninet/dsm"
import { Network, NetworkCosts } from "@uninet/network"
import { Operators } from "@uninet/operators"
import { type Architecture, Constrained, Constraint, SearchSpace, Space } from "@uninet/search-space"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { Evaluator, type EvaluatorLost } from "./Evaluator.ts"
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

/** A trial with a result. */
export interface Scored extends Candidate {
  readonly outcome: Extract<Outcome, { readonly _tag: "Scored" }>
}

/** What happens in a search, as it happens. */
export type SearchEvent =
  /** The journal held trials of this search already; they are not evaluated again. */
  | { readonly _tag: "Resumed"; readonly trials: number }
  | { readonly _tag: "Started"; readonly candidate: Candidate }
  | { readonly _tag: "Progress"; readonly candidate: Candidate; readonly progress: Progress }
  | { readonly _tag: "Finished"; readonly record: Scored; readonly seconds: number }
  | { readonly _tag: "Failed"; readonly failure: TrialFailed; readonly seconds: number }
  /** Refused before any training: invalid, or outside the constraints. */
  | { readonly _tag: "Refused"; readonly candidate: Candidate; readonly why: string }
  /** Better than all trials before it. */
  | { readonly _tag: "Best"; readonly record: Scored }
  | { readonly _tag: "Done"; readonly found: Found }

/** What a search found. */
export interface Found {
  /** Every proposal, by index. */
  readonly records: ReadonlyArray<Record>
  /** The trial with the highest reward. `undefined` where none has a result. */
  readonly best: Scored | undefined
  /** Whether the search ended because the strategy had nothing left to propose. */
  readonly exhausted: boolean
}

export interface Options {
  /** Networks to evaluate. Refused proposals are not counted. */
  readonly trials: number
  /** Decides the trials' seeds. The strategy has its own seed: give it the same. */
  readonly seed: string | number
  /** What is maximised. Default: the accuracy alone. */
  readonly reward?: Reward.Reward
  /** Networks outside these are refused before any training. Default: none. */
  readonly constraints?: ReadonlyArray<Constraint.Constraint<Architecture.Architecture>>
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

/** The trials with a result, best first; the earlier one where rewards are equal. */
export const ranking = (records: ReadonlyArray<Record>): ReadonlyArray<Scored> =>
  records
    .filter((record): record is Scored => record.outcome._tag === "Scored")
    .toSorted((a, b) => b.outcome.reward - a.outcome.reward || a.trial - b.trial)

/** What the journal holds of a trial. */
interface Recorded {
  readonly proposal: EntryOf<"Proposed" | "Refused" | "Repeated"> | undefined
  readonly outcome: EntryOf<"Finished" | "Failed"> | undefined
}

const recordedOf = (stored: ReadonlyArray<Stored>): ReadonlyMap<number, Recorded> => {
  const trials = new Map<number, Recorded>()
  for (const { entry } of stored) {
    const known = trials.get(entry.trial) ?? { proposal: undefined, outcome: undefined }
    if (entry._tag === "Finished" || entry._tag === "Failed") trials.set(entry.trial, { ...known, outcome: entry })
    else if (entry._tag === "Proposed" || entry._tag === "Refused" || entry._tag === "Repeated")
      trials.set(entry.trial, { ...known, proposal: entry })
  }
  return trials
}

const outcomeOf = (entry: EntryOf<"Finished" | "Failed">): Outcome =>
  entry._tag === "Finished"
    ? { _tag: "Scored", evaluation: entry.evaluation, reward: entry.reward }
    : { _tag: "Failed", reason: entry.reason, detail: entry.detail }

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
  const strategy = yield* SearchStrategy
  const evaluator = yield* Evaluator
  const journal = yield* Journal
  const sets: Network.Sets = { operators: yield* Operators, dsms: yield* Dsms }
  const cost = NetworkCosts.forSpace(sets)
  yield* Effect.fromResult(Constrained.make(space, constraints))
  const emit = options.onEvent ?? (() => Effect.void)

  const recorded = recordedOf(yield* journal.open(yield* identity(options)))
  const resumed = [...recorded.values()].filter(({ outcome }) => outcome !== undefined).length
  if (resumed > 0) yield* emit({ _tag: "Resumed", trials: resumed })

  const slots = yield* Semaphore.make(Math.max(1, evaluator.concurrency))
  const records: Array<Record> = []
  const proposed: Array<{
    readonly candidate: Candidate
    readonly outcome: Deferred.Deferred<Outcome, JournalError | EvaluatorLost>
  }> = []
  const firstWith = new Map<string, number>()
  let best: Scored | undefined
  const count = { accepted: 0, refusals: 0 }
  let exhausted = false

  const refusalOf = (architecture: Architecture.Architecture): string | undefined => {
    const network = Network.make(architecture, sets)
    if (Result.isFailure(network)) return network.failure.message
    const [violation] = Constraint.violations(architecture)(constraints)
    return violation === undefined
      ? undefined
      : `it has ${violation.name} ${violation.value}, where the search allows ${Constraint.print(violation)}`
  }

  const evaluate = Effect.fnUntraced(function* (candidate: Candidate) {
    const { architecture, trial } = candidate
    yield* emit({ _tag: "Started", candidate })
    const started = performance.now()
    const result = yield* evaluator
      .evaluate({ index: trial, architecture, seed: seedOf(seed, trial) }, (progress) =>
        emit({ _tag: "Progress", candidate, progress })
      )
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
      yield* journal.append({ _tag: "Failed", trial, reason, detail })
      yield* emit({ _tag: "Failed", failure: result.failure, seconds })
      return { _tag: "Failed", reason, detail } satisfies Outcome
    }
    const { accuracy, epochs, metrics } = result.success
    const evaluation = { accuracy, metrics, epochs }
    const outcome = {
      _tag: "Scored",
      evaluation,
      reward: Reward.of(reward, { accuracy, macs: candidate.costs.macs })
    } as const
    yield* journal.append({ _tag: "Finished", trial, evaluation, reward: outcome.reward })
    yield* emit({ _tag: "Finished", record: { ...candidate, outcome }, seconds })
    return outcome satisfies Outcome
  })

  const propose = Effect.fnUntraced(function* (value: Architecture.Architecture, hash: string) {
    const trial = proposed.length
    const { macs, parameters } = cost.of(value)
    const candidate: Candidate = { trial, hash, architecture: value, costs: { macs, parameters } }
    const known = recorded.get(trial)
    if (known?.proposal !== undefined && known.proposal.hash !== hash)
      return yield* new JournalForeign({
        path: "of this search",
        field: `trial ${trial}'s network`,
        journal: known.proposal.hash,
        search: hash
      })
    // Stored first, then acted on; not waited for here, so that entries of several trials share a commit.
    const settle = (entry: Entry | undefined, act: Effect.Effect<Outcome, JournalError | EvaluatorLost>) =>
      Effect.forkScoped(
        Deferred.into(
          entry === undefined || known?.proposal !== undefined ? act : Effect.andThen(journal.append(entry), act),
          outcome
        )
      )
    const outcome = yield* Deferred.make<Outcome, JournalError | EvaluatorLost>()
    proposed.push({ candidate, outcome })
    const common = { trial, hash, architecture: value }

    const refusal = refusalOf(value)
    const first = firstWith.get(hash)
    if (refusal !== undefined || first !== undefined) {
      const why = refusal ?? "it was proposed before"
      if (++count.refusals >= patience)
        return yield* new SearchStuck({ strategy: strategy.name, proposals: count.refusals, why })
      if (first !== undefined)
        return yield* settle({ _tag: "Repeated", ...common, of: first }, Deferred.await(proposed[first].outcome))
      yield* emit({ _tag: "Refused", candidate, why })
      return yield* settle({ _tag: "Refused", ...common, why }, Effect.succeed({ _tag: "Refused", why }))
    }
    count.refusals = 0
    count.accepted++
    firstWith.set(hash, trial)
    return yield* known?.outcome === undefined
      ? settle(
          { _tag: "Proposed", ...common, costs: candidate.costs, seed: seedOf(seed, trial) },
          slots.withPermits(1)(evaluate(candidate))
        )
      : settle(undefined, Effect.succeed(outcomeOf(known.outcome)))
  })

  for (let told = 0; ; told++) {
    while (count.accepted < trials && !exhausted && proposed.length < told + ahead) {
      const wanted = Math.min(told + ahead - proposed.length, trials - count.accepted)
      const proposals = yield* strategy.ask(wanted).pipe(Effect.catchTag("Exhausted", () => Effect.succeed([])))
      exhausted = proposals.length < wanted
      for (const { hash, value } of proposals) yield* propose(value, hash)
    }
    const next = proposed[told]
    if (next === undefined) break
    const outcome = yield* Deferred.await(next.outcome)
    const record = { ...next.candidate, outcome }
    records.push(record)
    if (outcome._tag === "Scored") {
      yield* strategy.tell([Told.scored(told, outcome.reward)])
      if (best === undefined || outcome.reward > best.outcome.reward) {
        best = { ...next.candidate, outcome }
        yield* emit({ _tag: "Best", record: best })
      }
    } else yield* strategy.tell([Told.failed(told)])
  }
  const found: Found = { records, best, exhausted }
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
