/** A machine's share of the work: takes trials of any search off the database and evaluates them, until it is stopped. */
import { Evaluator, Trial, WorkerEvaluator } from "@uninet/search"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { SqlClient } from "effect/sql"
import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { DatabaseUnavailable, VersionMismatch, WorkerUnable } from "./ClusterError.ts"
import { backoff, Database } from "./Database.ts"
import * as Checkpoints from "./internal/checkpoints.ts"
import * as tables from "./internal/tables.ts"
import * as trials from "./internal/trials.ts"
import { version as own } from "./version.ts"

/** How a search wants its trials evaluated. */
export type Description = tables.Description

export type WorkerEvent =
  | { readonly _tag: "Taken"; readonly search: string; readonly trial: Trial.Trial }
  | {
      readonly _tag: "Done"
      readonly search: string
      readonly trial: Trial.Trial
      readonly outcome: trials.Outcome
      readonly seconds: number
    }
  /** Its search was stopped. */
  | { readonly _tag: "Withdrawn"; readonly search: string; readonly trial: Trial.Trial }
  | { readonly _tag: "Away"; readonly problem: string }
  | { readonly _tag: "Back" }

export interface Options {
  /** Trials at a time. */
  readonly slots: number
  /** The evaluator that a search describes; where there is a folder for checkpoints, with the one for this search's. */
  readonly evaluator: (
    description: Description,
    checkpoints: string | undefined
  ) => Layer.Layer<Evaluator.Evaluator, { readonly message: string }>
  /**
   * A folder of this worker's own for trainings that are to be gone on with (`Trial.keep`). What the evaluator leaves in its search's folder under that name goes to the
   * database with the outcome, and is there again wherever the trial is gone on with. Default: such trials are trained from their start.
   */
  readonly checkpoints?: string
  /** Told of what happens. Default: nothing. */
  readonly onEvent?: (event: WorkerEvent) => Effect.Effect<void>
  /** The version of uninet; searches of another one are refused. Default: that of this package. */
  readonly version?: string
}

/** After so many workers were lost over a trial it has failed: it may be what they were lost to. */
const mostTries = 10

/** How often the worker says that it is there and how far it is. */
const interval = Duration.seconds(1)

interface Running {
  progress: Trial.Progress | undefined
  readonly search: string
  readonly withdrawn: Deferred.Deferred<void>
}

/** Carries on until the database has it: what was evaluated is not lost to a moment's absence. */
const persistently = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.sandbox,
    Effect.retry({ schedule: backoff, while: (cause) => !Cause.hasInterruptsOnly(cause) }),
    // What is left is an interruption.
    Effect.catch(() => Effect.interrupt)
  )

const failed = (reason: Trial.Reason, detail: string) => ({
  what: trials.Outcome.cases.Failed.make({ reason, detail }),
  weights: undefined
})

/**
 * Evaluates trials of all searches on the database, `slots` at a time, and ends only with a failure or when it is interrupted: then what it was at is given
 * back at once.
 *
 * A trial that fails, crashes or diverges is a result. Fails with `WorkerUnable` where it cannot make a search's evaluator (its trials are left to
 * others), with `VersionMismatch` while a search of another version runs, and with `DatabaseUnavailable` when the database has been away for longer than its
 * patience.
 */
export const run = Effect.fnUntraced(function* ({
  checkpoints,
  evaluator,
  onEvent = () => Effect.void,
  slots,
  version = own
}: Options): Effect.fn.Return<
  never,
  WorkerUnable | VersionMismatch | DatabaseUnavailable,
  Database | SqlClient.SqlClient | Scope.Scope
> {
  const database = yield* Database
  const away = (cause: unknown, silent: number) =>
    new DatabaseUnavailable({ database: database.name, seconds: silent / 1000, problem: database.problemOf(cause) })
  const patient = Schedule.upTo(backoff, { duration: database.patience })

  const other = yield* Effect.mapError(Effect.retry(tables.otherDriver(version), patient), (error) =>
    away(error, Duration.toMillis(database.patience))
  )
  if (other !== undefined)
    return yield* new VersionMismatch({
      role: "worker",
      version,
      other: `the search ${other.id}`,
      otherVersion: other.version
    })

  const me = { id: randomUUID(), version, host: hostname(), pid: process.pid, slots }
  const running = new Map<string, Running>()
  const ended = yield* Deferred.make<never, WorkerUnable | DatabaseUnavailable>()

  /** Where a search's trainings are kept while they are at this worker. */
  const keepsOf = (search: string) =>
    checkpoints === undefined ? undefined : join(checkpoints, trials.groupOf(search))

  /** An evaluation with what the trial has kept of its training, which goes back to the database with what was added. */
  const goingOn = Effect.fnUntraced(function* <A, E, R>(
    { search, trial: { keep } }: trials.Item,
    evaluation: Effect.Effect<A | undefined, E, R>
  ) {
    const keeps = keepsOf(search)
    if (keeps === undefined || keep === undefined) return yield* evaluation
    const folder = join(keeps, keep)
    yield* Checkpoints.fill(folder, yield* persistently(tables.checkpointOf(search, keep)))
    const result = yield* evaluation
    const files = yield* Checkpoints.empty(folder)
    if (result !== undefined && files.size > 0) yield* persistently(tables.storeCheckpoint(search, keep, files))
    return result
  })

  const evaluators = yield* RcMap.make({
    idleTimeToLive: "1 minute",
    lookup: Effect.fnUntraced(function* (search: string) {
      const described = yield* Effect.retry(tables.describe(search), patient)
      if (Option.isNone(described)) return Option.none()
      const context = yield* Layer.build(Layer.fresh(evaluator(described.value, keepsOf(search))))
      return Option.some(Context.get(context, Evaluator.Evaluator))
    })
  })

  const evaluated = Effect.fnUntraced(function* (item: trials.Item, attempts: number, state: Running) {
    if (attempts > mostTries) return failed("Crashed", `${mostTries} workers were lost over it`)
    const found = yield* RcMap.get(evaluators, item.search).pipe(
      Effect.catch((error) =>
        Effect.gen(function* () {
          const unable = new WorkerUnable({ search: item.search, problem: database.problemOf(error) })
          yield* Effect.ignore(Effect.timeout(tables.workerBeat({ ...me, problem: unable.message }), "2 seconds"))
          yield* Deferred.fail(ended, unable)
          // The end of the worker gives the trial back.
          return yield* Effect.never
        })
      )
    )
    if (Option.isNone(found)) return undefined
    const report = (progress: Trial.Progress) => Effect.sync(() => void (state.progress = progress))
    const { evaluate } = found.value
    // One that throws before it gives an effect has a defect as well.
    return yield* Effect.suspend(() => evaluate(item.trial, report)).pipe(
      Effect.map(({ weights, ...evaluation }) => {
        const wrong = Trial.unsound(evaluation)
        return wrong === undefined
          ? { what: trials.Outcome.cases.Evaluated.make({ evaluation, weights: weights !== undefined }), weights }
          : failed("Failed", wrong)
      }),
      Effect.catchTags({
        TrialFailed: ({ detail, reason }) => Effect.succeed(failed(reason, detail)),
        EvaluatorLost: ({ message }) =>
          Effect.andThen(
            Deferred.fail(ended, new WorkerUnable({ search: item.search, problem: message })),
            Effect.never
          )
      }),
      Effect.catchDefect((defect) =>
        Effect.succeed(failed("Crashed", defect instanceof Error ? defect.message : String(defect)))
      )
    )
  }, Effect.scoped)

  const handle = Effect.fnUntraced(function* (item: trials.Item, attempts: number) {
    const { key, search, trial } = item
    // After a long absence of the database this worker may be given what it is at.
    while (running.has(key)) yield* Effect.sleep(interval)
    // A worker that was lost after it had finished leaves its outcome.
    const known = yield* persistently(tables.outcomeOf(key))
    if (Option.isSome(known)) return yield* persistently(trials.complete(item, known.value))
    const state: Running = { progress: undefined, search, withdrawn: yield* Deferred.make<void>() }
    running.set(key, state)
    yield* onEvent({ _tag: "Taken", search, trial })
    const began = performance.now()
    const withdrawn = Effect.as(Deferred.await(state.withdrawn), undefined)
    const result = yield* goingOn(item, Effect.raceFirst(evaluated(item, attempts, state), withdrawn)).pipe(
      Effect.ensuring(Effect.sync(() => running.delete(key)))
    )
    if (result === undefined) return yield* onEvent({ _tag: "Withdrawn", search, trial })
    yield* persistently(tables.storeOutcome(search, key, result.what, result.weights))
    yield* persistently(trials.complete(item, result.what))
    const seconds = (performance.now() - began) / 1000
    yield* onEvent({ _tag: "Done", search, trial, outcome: result.what, seconds })
  })

  /** Says that the worker is there and how far it is, and hears what has been withdrawn. */
  const beat = Effect.gen(function* () {
    yield* tables.workerBeat({ ...me, problem: null })
    for (const [key, state] of running) {
      if (state.progress === undefined) continue
      const { progress } = state
      state.progress = undefined
      yield* tables.storeProgress(state.search, me.id, key, progress)
    }
    const keys = [...running.keys()]
    if (keys.length === 0) return
    const queued = new Set((yield* trials.stillQueued(version, keys)).map(({ id }) => id))
    for (const key of keys) {
      const state = running.get(key)
      if (state !== undefined && !queued.has(key)) yield* Deferred.succeed(state.withdrawn, undefined)
    }
  })
  // Counted from the first failure and not from the last answer, so that a machine that slept tries again first.
  let since: number | undefined
  yield* beat.pipe(
    Effect.timeout("10 seconds"),
    Effect.matchCauseEffect({
      onSuccess: () =>
        Effect.suspend(() => {
          if (since === undefined) return Effect.void
          since = undefined
          return onEvent({ _tag: "Back" })
        }),
      onFailure: (cause) =>
        Effect.suspend(() => {
          const isNew = since === undefined
          const silent = performance.now() - (since ??= performance.now())
          if (silent >= Duration.toMillis(database.patience)) return Deferred.fail(ended, away(cause, silent))
          return isNew ? onEvent({ _tag: "Away", problem: database.problemOf(cause) }) : Effect.void
        })
    }),
    Effect.repeat(Schedule.spaced(interval)),
    Effect.forkScoped
  )
  yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(tables.leaveWorker(me.id), "2 seconds")))

  const slot = Effect.gen(function* () {
    const queue = yield* trials.queueOf(version)
    yield* queue
      .take((item, { attempts }) => handle(item, attempts))
      .pipe(
        // The item is given back; what is wrong with the database, the heartbeat finds out.
        Effect.catchCause((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.sleep(interval))),
        Effect.forever
      )
  })
  return yield* Effect.all(
    Array.from({ length: slots }, () => slot),
    { concurrency: "unbounded", discard: true }
  ).pipe(
    Effect.andThen(Effect.never),
    Effect.raceFirst(Deferred.await(ended)),
    Effect.provide(Layer.mergeAll(trials.workerEngine, trials.queueLayer))
  )
}, Effect.scoped)

export interface PoolOptions {
  /** Worker processes: trials at a time. */
  readonly slots: number
  /** Modules by the names that searches call them. Any other name is a path from the folder of this process. */
  readonly modules?: Readonly<Record<string, URL>>
  /** Longest time for one trial, after which it has failed. Default: none. */
  readonly timeLimit?: Duration.Input
}

/** The usual evaluator of a worker: the module that a search names, in a pool of processes, so that no trial can take the worker with it. */
export const pool =
  ({ modules = {}, slots, timeLimit }: PoolOptions): Options["evaluator"] =>
  ({ module, options }) =>
    WorkerEvaluator.layer({
      module: modules[module] ?? pathToFileURL(resolve(module)),
      options,
      workers: slots,
      ...(timeLimit === undefined ? {} : { timeLimit })
    })
