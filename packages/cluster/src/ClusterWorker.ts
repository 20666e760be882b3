/** A machine's share of the work: takes trials of any search from the database and evaluates them until it is stopped. */
import { Evaluator, Training, Trial, WorkerEvaluator } from "@uninet/search"
import { Span } from "@uninet/trainer"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { SqlClient } from "effect/sql"
import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { isAbsolute, join, relative, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { DatabaseUnavailable, VersionMismatch, WorkerUnable } from "./ClusterError.ts"
import { Database } from "./Database.ts"
import { forBytes, once, shortly } from "./internal/attempt.ts"
import * as Checkpoints from "./internal/checkpoints.ts"
import { persistently } from "./internal/patience.ts"
import * as Pulse from "./internal/pulse.ts"
import { Timing } from "./internal/timing.ts"
import * as tables from "./internal/tables.ts"
import * as trials from "./internal/trials.ts"
import { version as own } from "./version.ts"

/** How a search wants its trials evaluated. */
export type Description = tables.Description

/** What a worker reports: a trial taken, ended, withdrawn or left to others; the database unavailable and back. */
export type WorkerEvent =
  | { readonly _tag: "Taken"; readonly search: string; readonly trial: Trial.Trial }
  | {
      readonly _tag: "Done"
      readonly search: string
      readonly trial: Trial.Trial
      readonly outcome: trials.Outcome
      readonly seconds: number
    }
  /** Its search was stopped, or another worker was faster. */
  | { readonly _tag: "Withdrawn"; readonly search: string; readonly trial: Trial.Trial }
  /** This machine could not evaluate it, through no fault of the network: it is left to other machines. */
  | { readonly _tag: "Unable"; readonly search: string; readonly trial: Trial.Trial; readonly problem: string }
  | { readonly _tag: "Away"; readonly problem: string }
  | { readonly _tag: "Back" }

/** How many trials a worker evaluates at a time, and how. */
export interface Options {
  /** Trials at a time. */
  readonly slots: number
  /**
   * The evaluator that a search describes. It is called with the folder for this search's checkpoints, if there is one.
   *
   * If it fails with `EvaluatorLost`, this machine cannot evaluate at the moment: a full disk, a data set that cannot be read. The trial is
   * left to other machines, and after three such failures in a row this worker ends. Any other failure is the trial's own result.
   */
  readonly evaluator: (
    description: Description,
    checkpoints: string | undefined
  ) => Layer.Layer<Evaluator.Evaluator, { readonly message: string }>
  /**
   * A folder, used by this worker only, for trainings that are to be continued (`Trial.keep`). What the evaluator leaves in its search's
   * folder under that name is stored in the database with the outcome, and restored wherever the trial continues. Default: such trials are
   * trained from the start.
   */
  readonly checkpoints?: string
  /** This machine's name: trials that it cannot evaluate go to machines with other names. Default: its host name. */
  readonly host?: string
  /** Called for every event. Default: nothing. */
  readonly onEvent?: (event: WorkerEvent) => Effect.Effect<void>
  /** Called about once a second for as long as the worker runs, with whether the database answered: for liveness and readiness checks. Default: nothing. */
  readonly onBeat?: (isAnswered: boolean) => Effect.Effect<void>
  /** The version of uninet; searches with another version are refused. Default: this package's version. */
  readonly version?: string
}

/** A trial fails after this many workers were lost while evaluating it: it may be the cause. */
const mostLost = 10

/** After this many trials in a row that this machine could not evaluate, it takes no more. */
const mostInARow = 3

interface Running {
  progress: Trial.Progress | undefined
  readonly claim: string
  /** Withdrawn by its search, or settled by another worker. */
  readonly over: Deferred.Deferred<void>
}

/** The result of a trial: an outcome, or a problem of this machine. */
type Result =
  | { readonly _tag: "Settled"; readonly what: trials.Outcome; readonly weights: Trial.Weights | undefined }
  | { readonly _tag: "Unable"; readonly problem: string; readonly isFinal: boolean }
  | { readonly _tag: "Over" }

const failed = (reason: Trial.Reason, detail: string, training?: Training.Training): Result => ({
  _tag: "Settled",
  what: trials.Outcome.cases.Failed.make({ reason, detail, ...(training === undefined ? {} : { training }) }),
  weights: undefined
})

const isTraining = Schema.is(Training.Training)

const unable = (problem: string, isFinal = false): Result => ({ _tag: "Unable", problem, isFinal })

const over: Result = { _tag: "Over" }

/**
 * Evaluates trials of all searches in the database, `slots` at a time. It ends only with a failure or when it is interrupted; its current
 * trials are then given back at once.
 *
 * A trial that fails, crashes or diverges is a result. Fails with `WorkerUnable` if it cannot make a search's evaluator or could not
 * evaluate three trials in a row (they are left to others), with `VersionMismatch` while a search with another version runs, and with
 * `DatabaseUnavailable` when the database has been unavailable for longer than its patience.
 *
 * @example
 * ```ts
 * import { ClusterWorker, Database } from "@uninet/cluster"
 * import { Effect, Redacted } from "effect"
 *
 * const database = Database.layer({ url: Redacted.make("postgresql://localhost/uninet") })
 * export const worker = ClusterWorker.run({ slots: 2, evaluator: ClusterWorker.pool({ slots: 2 }) }).pipe(
 *   Effect.scoped,
 *   Effect.provide(database)
 * )
 * ```
 */
export const run = Effect.fnUntraced(function* ({
  checkpoints,
  evaluator,
  host = hostname(),
  onBeat = () => Effect.void,
  onEvent = () => Effect.void,
  slots,
  version = own
}: Options): Effect.fn.Return<
  never,
  WorkerUnable | VersionMismatch | DatabaseUnavailable,
  Database | SqlClient.SqlClient | Scope.Scope
> {
  const database = yield* Database
  const { interval, poll, silence } = yield* Timing
  const other = yield* persistently(tables.otherDriver(version))
  if (other !== undefined)
    return yield* new VersionMismatch({
      role: "worker",
      version,
      other: `the search ${other.id}`,
      otherVersion: other.version
    })
  yield* persistently(tables.tidyWorkers)

  const me = { id: randomUUID(), version, host, pid: process.pid, slots }
  const running = new Map<string, Running>()
  const ended = yield* Deferred.make<never, WorkerUnable | DatabaseUnavailable>()
  /** The name under which the next trial is taken. */
  let claim = randomUUID()
  let problem: string | null = null
  let inARow = 0

  // Registered first, so it runs last, when nothing is being evaluated any more. A worker that cannot evaluate leaves the reason behind.
  const claims = new Set<string>()
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() =>
      once(trials.giveBack([...claims, claim]), shortly).pipe(
        Effect.andThen(
          once(problem === null ? tables.leaveWorker(me.id) : tables.workerBeat({ ...me, problem }), shortly)
        ),
        Effect.ignore
      )
    )
  )
  const scope = yield* Effect.scope
  /** Runs concurrently with everything else; a failure ends the whole worker, not just a part of it. */
  const tended = <R>(effect: Effect.Effect<unknown, WorkerUnable | DatabaseUnavailable, R>) =>
    effect.pipe(
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.asVoid(Deferred.failCause(ended, cause))
      ),
      Effect.forkIn(scope)
    )

  /** Where a search's trainings are kept while this worker has them. */
  const keepsOf = (search: string) =>
    checkpoints === undefined ? undefined : join(checkpoints, trials.folderOf(search))

  const evaluators = yield* RcMap.make({
    idleTimeToLive: "1 minute",
    lookup: Effect.fnUntraced(function* (told: string) {
      const { description, search } = toldOf(told)
      const described = tables.decodeDescription(description)
      if (Option.isNone(described))
        return yield* Effect.fail(new Error("this version cannot read how it is evaluated."))
      const context = yield* Layer.build(Layer.fresh(evaluator(described.value, keepsOf(search))))
      return Context.get(context, Evaluator.Evaluator)
    })
  })

  const evaluated = Effect.fnUntraced(function* (
    { description, key, search, traceparent }: trials.Item,
    trial: Trial.Trial,
    state: Running
  ): Effect.fn.Return<Result, DatabaseUnavailable, Database | SqlClient.SqlClient | Scope.Scope> {
    if (description === null) {
      // Its search no longer exists, so nobody is waiting.
      yield* persistently(trials.withdraw([key]))
      return over
    }
    const found = yield* Effect.result(RcMap.get(evaluators, told(search, description)))
    if (found._tag === "Failure") return unable(database.problemOf(found.failure), true)
    const report = (progress: Trial.Progress) => Effect.sync(() => void (state.progress = progress))
    const begun = Date.now()
    /** As the evaluator reports it, with the name that this machine has here; if it reports nothing, it trained in this process. */
    const trained = (given: Training.Training | undefined): Training.Training =>
      isTraining(given)
        ? { ...given, place: { ...given.place, host } }
        : { place: { host, process: process.pid }, begun, ended: Date.now() }
    const evaluating = Evaluator.evaluate(trial, report)(found.success)
    return yield* evaluating.pipe(
      Span.within("ClusterWorker.evaluate", () => ({
        "uninet.search": search,
        "uninet.trial": trial.index,
        "uninet.host": host
      })),
      Span.below(traceparent),
      Effect.map(({ training: given, weights, ...evaluation }): Result => {
        const training = trained(given)
        const wrong = Trial.unsound(evaluation)
        return wrong === undefined
          ? {
              _tag: "Settled",
              what: trials.Outcome.cases.Evaluated.make({ evaluation, training, weights: weights !== undefined }),
              weights
            }
          : failed("Failed", wrong, training)
      }),
      Effect.catchTags({
        TrialFailed: ({ detail, reason, training }) => Effect.succeed(failed(reason, detail, trained(training))),
        EvaluatorLost: ({ message }) => Effect.succeed(unable(message))
      }),
      Effect.catchDefect((defect) =>
        Effect.succeed(failed("Crashed", defect instanceof Error ? defect.message : String(defect), trained(undefined)))
      )
    )
  })

  /** Runs an evaluation with what the trial has kept of its training, and stores it in the database again with what was added. */
  const goingOn = Effect.fnUntraced(function* (item: trials.Item, trial: Trial.Trial, state: Running) {
    const { key, lost, search } = item
    const { keep } = trial
    if (lost >= mostLost) return failed("Crashed", `${mostLost} workers were lost while evaluating it`)
    const keeps = keepsOf(search)
    if (keep !== undefined && !Checkpoints.isPlain(keep))
      return failed(
        "Failed",
        `its checkpoints would be kept as ${JSON.stringify(keep)}, which is not a valid folder name`
      )
    if (keeps === undefined || keep === undefined) return yield* evaluated(item, trial, state)
    const folder = join(keeps, keep)
    const bytes = yield* persistently(tables.checkpointBytes(search, keep))
    const filled = yield* Effect.result(
      Checkpoints.fill(folder, yield* persistently(tables.checkpointOf(search, keep), forBytes(bytes)))
    )
    if (filled._tag === "Failure")
      return unable(`its folder for checkpoints cannot be written: ${database.problemOf(filled.failure)}.`)
    const result = yield* evaluated(item, trial, state)
    const files = yield* Checkpoints.empty(folder)
    const size = [...files.values()].reduce((sum, { byteLength }) => sum + byteLength, 0)
    if (result._tag === "Settled" && files.size > 0)
      yield* persistently(tables.storeCheckpoint(search, key, keep, files), forBytes(size))
    return result
  }, Effect.scoped)

  const end = (search: string, why: string) =>
    Effect.suspend(() => {
      const error = new WorkerUnable({ search, problem: why })
      problem = error.message
      return Effect.asVoid(Deferred.fail(ended, error))
    })

  const handle = Effect.fnUntraced(function* (item: trials.Item, state: Running) {
    const { key, search } = item
    if (Option.isNone(item.trial)) {
      const problem = "this version cannot read the trial's description."
      yield* persistently(trials.strike(item, { host, problem }))
      return
    }
    const trial = item.trial.value
    yield* onEvent({ _tag: "Taken", search, trial })
    const began = performance.now()
    const untilOver = Effect.as(Deferred.await(state.over), over)
    const result = yield* Effect.raceFirst(goingOn(item, trial, state), untilOver)
    if (result._tag === "Unable") {
      yield* persistently(trials.strike(item, { host, problem: result.problem }))
      yield* onEvent({ _tag: "Unable", search, trial, problem: result.problem })
      inARow++
      if (result.isFinal || inARow >= mostInARow) yield* end(search, result.problem)
      return
    }
    if (result._tag === "Over") return yield* onEvent({ _tag: "Withdrawn", search, trial })
    inARow = 0
    // It counts as running until its outcome is stored: its heartbeats continue.
    const settlement = trials.settlementOf(key, result.what, result.weights)
    const limit = forBytes(settlement.weights?.byteLength ?? 0)
    const stored = persistently(trials.settle(settlement), limit)
    yield* stored
    const seconds = (performance.now() - began) / 1000
    yield* onEvent({ _tag: "Done", search, trial, outcome: result.what, seconds })
  })

  /** Who has which trial, to detect those that go silent. */
  let holders: Pulse.Pulse<trials.Held> = Pulse.none

  /** Reports that the worker is alive and how far it has got, and learns what has been settled and who is silent. */
  const beat = Effect.gen(function* () {
    yield* once(tables.workerBeat({ ...me, problem }))
    const mine = [...running]
    if (mine.length > 0) {
      const wanted = yield* once(trials.beat(mine.map(([key, { claim, progress }]) => ({ key, claim, progress }))))
      for (const [key, state] of mine) if (!wanted.has(key)) yield* Deferred.succeed(state.over, undefined)
    }
    const held = yield* once(trials.held(version))
    holders = Pulse.hear(
      performance.now(),
      held.flatMap((each) => (running.has(each.key) ? [] : [[`${each.claim} ${each.key}`, each] as const])),
      Duration.toMillis(silence) / 2
    )(holders)
  })
  // Measured from the first failure, not from the last answer, so that a machine that was asleep tries again first.
  let since: number | undefined
  yield* beat.pipe(
    Effect.matchCauseEffect({
      onSuccess: () =>
        Effect.suspend(() => {
          if (since === undefined) return onBeat(true)
          since = undefined
          return Effect.andThen(onEvent({ _tag: "Back" }), onBeat(true))
        }),
      onFailure: (cause) =>
        Effect.suspend(() => {
          holders = Pulse.none
          const isNew = since === undefined
          const silent = performance.now() - (since ??= performance.now())
          const said = database.problemOf(cause)
          if (silent >= Duration.toMillis(database.patience))
            return Effect.fail(
              new DatabaseUnavailable({ database: database.name, seconds: silent / 1000, problem: said })
            )
          return Effect.andThen(isNew ? onEvent({ _tag: "Away", problem: said }) : Effect.void, onBeat(false))
        })
    }),
    Effect.andThen(Effect.sleep(interval)),
    Effect.forever,
    tended
  )

  /** A waiting trial, or one whose holder has gone silent. */
  const find = Effect.gen(function* () {
    const taker = { claim, worker: me.id, host, version }
    const free = yield* once(trials.take(taker))
    if (free !== undefined) return free
    for (const silent of Pulse.silent(Duration.toSeconds(silence))(holders)) {
      if (running.has(silent.key)) continue
      const found = yield* once(trials.takeOver(taker, silent))
      if (found !== undefined) return found
    }
    return undefined
  })

  const free = yield* Semaphore.make(slots)
  yield* Effect.gen(function* () {
    yield* free.take(1)
    // The heartbeats find out what is wrong with the database.
    let item: trials.Item | undefined
    while ((item = yield* Effect.orElseSucceed(find, () => undefined)) === undefined) yield* Effect.sleep(poll)
    const { key } = item
    const state: Running = { progress: undefined, claim, over: yield* Deferred.make<void>() }
    claims.add(claim)
    claim = randomUUID()
    running.set(key, state)
    yield* tended(
      Effect.onExit(handle(item, state), (exit) => {
        running.delete(key)
        // What was interrupted is given back at the end.
        if (Exit.isSuccess(exit)) claims.delete(state.claim)
        return free.release(1)
      })
    )
  }).pipe(Effect.forever, tended)

  return yield* Deferred.await(ended)
}, Effect.scoped)

/** A search and how it is evaluated, as one key: it changes when the search's limits change. */
const told = (search: string, description: string) => JSON.stringify([search, description])

const toldOf = (key: string): { readonly search: string; readonly description: string } => {
  const [search = "", description = ""]: ReadonlyArray<string> = JSON.parse(key)
  return { search, description }
}

/** The size of a pool, its modules, and its time limit. */
export interface PoolOptions {
  /** Worker processes: trials at a time. */
  readonly slots: number
  /** Modules by the names that searches use for them. Any other name is a path relative to this process's folder, and must not lead out of it. */
  readonly modules?: Readonly<Record<string, URL>>
  /** Time limit of one trial, after which it fails. Default: none. */
  readonly timeLimit?: Duration.Input
}

/** The usual evaluator of a worker: the module that a search names, in a pool of processes, so that no trial can bring down the worker. */
export const pool =
  ({ modules = {}, slots, timeLimit }: PoolOptions): Options["evaluator"] =>
  ({ module, options }) => {
    const known = Object.hasOwn(modules, module) ? modules[module] : undefined
    const path = relative(process.cwd(), resolve(module))
    // Anyone who can write to the database can name the module.
    if (known === undefined && (isAbsolute(path) || /^\.\.(?:[/\\]|$)/.test(path)))
      return Layer.effect(
        Evaluator.Evaluator,
        Effect.fail(new Error(`it needs the module ${module}, which is not inside this worker's folder.`))
      )
    return WorkerEvaluator.layer({
      module: known ?? pathToFileURL(resolve(module)),
      options,
      workers: slots,
      ...(timeLimit === undefined ? {} : { timeLimit })
    })
  }
