/**
 * An evaluator whose evaluations run on other machines: every trial is a durable workflow on PostgreSQL, which any worker may carry out
 * (`ClusterWorker`).
 *
 * Workers come and go; a lost one's trials are taken over by others. The driver may die: a trial that was finished meanwhile has its outcome when the
 * search is resumed, and one that is running is waited for.
 */
import { Evaluator, Trial } from "@uninet/search"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import { SqlClient, SqlError } from "effect/sql"
import { WorkflowEngine } from "effect/workflow"
import { type SearchForeign, type SearchTaken, VersionMismatch } from "./ClusterError.ts"
import { backoff, Database } from "./Database.ts"
import * as tables from "./internal/tables.ts"
import * as trials from "./internal/trials.ts"
import { version as own } from "./version.ts"

/** A worker that is there, and how many trials it evaluates at a time. */
export type Worker = tables.WorkerRow

export interface Options {
  /**
   * The name of the search on the database. The same name goes on with what was evaluated under it; trials of different names never mix.
   */
  readonly search: string
  /**
   * What makes the evaluator, in words that every worker understands: a name that it was given a module for, or a module's path from the folder in which
   * the worker was started.
   */
  readonly module: string
  /** Handed to the module. Plain JSON. Default `null`. */
  readonly options?: Schema.Json
  /** Handed to the module too, but free to differ when the search is resumed: limits of time and memory. Plain JSON. Default: nothing. */
  readonly limits?: Schema.Json
  /** Told of the workers that are there, whenever that changes. Default: nothing. */
  readonly onWorkers?: (workers: ReadonlyArray<Worker>) => Effect.Effect<void>
  /** The version of uninet; workers of another one are refused. Default: that of this package. */
  readonly version?: string
}

/** How often the driver looks at progress and workers. */
const interval = Duration.seconds(1)

/** How often a trial that nobody seems to work on is put on the queue again, if it is not on it. */
const again = Duration.seconds(10)

interface Running {
  readonly report: Evaluator.Report
  done: number
}

/**
 * The evaluator that hands trials to the workers of a database.
 *
 * Interrupting an evaluation takes its trial from the queue; the worker that has it stops. A database that goes away is waited for; when the patience
 * is at its end, the search ends with `EvaluatorLost`, and goes on where it was when it is resumed.
 *
 * Fails with `SearchTaken` while another process drives this search, `SearchForeign` where its name is that of another one, and
 * `VersionMismatch` while workers of another version are there.
 *
 * @example
 * ```ts
 * const evaluator = ClusterEvaluator.layer({ search: "demo", module: "./evaluator.ts" }).pipe(
 *   Layer.provide(Database.layer({ url: Redacted.make("postgresql://localhost/uninet") }))
 * )
 * ```
 */
export const layer = ({
  limits,
  module,
  onWorkers = () => Effect.void,
  options = null,
  search,
  version = own
}: Options): Layer.Layer<
  Evaluator.Evaluator,
  SearchTaken | SearchForeign | VersionMismatch | Evaluator.EvaluatorLost,
  Database | SqlClient.SqlClient
> =>
  Layer.effect(
    Evaluator.Evaluator,
    Effect.gen(function* () {
      const database = yield* Database
      const services = yield* Effect.context<SqlClient.SqlClient | WorkflowEngine.WorkflowEngine>()
      const lost = yield* Deferred.make<never, Evaluator.EvaluatorLost>()
      const lostBy = (cause: unknown, seconds = Duration.toSeconds(database.patience)) =>
        new Evaluator.EvaluatorLost({
          problem: `The database ${database.name} could not be used for ${Math.round(seconds)} s: ${database.problemOf(cause)}`,
          remedy: "Nothing is lost: bring it back, then resume the search"
        })

      /** A database that is away just now is waited for. */
      const patient = <A, E, R>(effect: Effect.Effect<A, E | SqlError.SqlError, R>) =>
        effect.pipe(
          Effect.retry({
            schedule: Schedule.upTo(backoff, { duration: database.patience }),
            while: SqlError.isSqlError
          }),
          Effect.catchIf(SqlError.isSqlError, (error) => Effect.fail(lostBy(error)))
        )
      const other = (yield* patient(tables.workers)).find((worker) => worker.version !== version)
      if (other !== undefined)
        return yield* new VersionMismatch({
          role: "search",
          version,
          other: `the worker on ${other.host} (process ${other.pid})`,
          otherVersion: other.version
        })
      yield* patient(
        tables.claimSearch(search, database.name, version, {
          module,
          options,
          ...(limits === undefined ? {} : { limits })
        })
      )
      yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(tables.leaveSearch(search), "2 seconds")))

      const workflow = trials.workflowOf(search)
      const running = new Map<string, Running>()
      let fleet = ""

      /** Looks at progress and workers, and shows that the driver is there. */
      const look = Effect.gen(function* () {
        yield* tables.driverBeat(search)
        const workers = yield* tables.workers
        const seen = JSON.stringify(workers)
        if (seen !== fleet) {
          fleet = seen
          yield* onWorkers(workers)
        }
        if (running.size === 0) return
        for (const { done, examples_per_second, key, loss } of yield* tables.progressOf(search)) {
          const trial = running.get(key)
          if (trial === undefined || trial.done === done) continue
          trial.done = done
          yield* trial.report({
            done,
            ...(loss === null ? {} : { loss }),
            ...(examples_per_second === null ? {} : { examplesPerSecond: examples_per_second })
          })
        }
      })
      // Counted from the first failure and not from the last answer, so that a machine that slept tries again first.
      let since: number | undefined
      yield* look.pipe(
        Effect.timeout("10 seconds"),
        Effect.matchCauseEffect({
          onSuccess: () => Effect.sync(() => void (since = undefined)),
          onFailure: (cause) =>
            Effect.suspend(() => {
              const silent = performance.now() - (since ??= performance.now())
              return silent < Duration.toMillis(database.patience)
                ? Effect.void
                : Deferred.fail(lost, lostBy(cause, silent / 1000))
            })
        }),
        Effect.repeat(Schedule.spaced(interval)),
        Effect.forkScoped
      )

      /** Carries on through failures of the database for as long as its patience lasts. */
      const persistently = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        effect.pipe(
          Effect.sandbox,
          Effect.retry({
            schedule: Schedule.spaced(interval).pipe(
              Schedule.upTo({ duration: Duration.sum(database.patience, Duration.seconds(30)) })
            ),
            while: (cause) => !Cause.hasInterruptsOnly(cause)
          }),
          Effect.catch((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.fail(lostBy(cause))))
        )

      return Evaluator.Evaluator.of({
        // The workers are as many as there are: what is not taken waits on the queue.
        concurrency: 1024,
        evaluate: (trial, report) => {
          const { index } = trial
          const failed = (reason: Trial.Reason, detail: string) =>
            new Trial.TrialFailed({ trial: index, reason, detail })
          const key = trials.keyOf(search, trial)
          const payload = { key, trial }
          return Effect.gen(function* () {
            running.set(key, { report, done: 0 })
            const executionId = yield* workflow.executionId(payload)
            const nudge = workflow
              .resume(executionId)
              .pipe(Effect.ignoreCause, Effect.andThen(Effect.sleep(again)), Effect.forever)
            const what = yield* persistently(workflow.execute(payload)).pipe(
              Effect.raceFirst(nudge),
              Effect.raceFirst(Deferred.await(lost))
            )
            if (what._tag === "Failed") return yield* failed(what.reason, what.detail)
            yield* report({ done: 1 })
            if (!what.weights) return what.evaluation
            const weights = yield* Effect.raceFirst(persistently(tables.weightsOf(key)), Deferred.await(lost))
            return Option.match(weights, {
              onNone: () => what.evaluation,
              onSome: (weights) => ({ ...what.evaluation, weights })
            })
          }).pipe(
            Effect.onInterrupt(() => Effect.ignore(Effect.timeout(trials.withdraw(version, key), "2 seconds"))),
            Effect.ensuring(Effect.sync(() => running.delete(key))),
            Effect.provideContext(services)
          )
        }
      })
    })
  ).pipe(
    Layer.provide(trials.workflowLayer(search, version)),
    Layer.provide(trials.queueLayer),
    Layer.provide(trials.driverEngine(search))
  )

/** Removes what is left of a search on the database: its outcomes, weights and messages. The journal has everything that matters. */
export const forget = (search: string): Effect.Effect<void, never, SqlClient.SqlClient> =>
  Effect.ignore(tables.forget(search))
