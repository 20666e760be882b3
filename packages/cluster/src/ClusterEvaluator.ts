/**
 * An evaluator whose evaluations run on other machines: every trial is a row in PostgreSQL, which any worker may take (`ClusterWorker`).
 *
 * Workers come and go; when one is lost, others take over its trials. The driver may die: when the search is resumed, a trial that finished
 * in the meantime has its outcome, and one that is still running is waited for.
 */
import { Evaluator, Trial } from "@uninet/search"
import { Span } from "@uninet/trainer"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql"
import { randomUUID } from "node:crypto"
import { type DatabaseUnavailable, type SearchForeign, type SearchTaken, VersionMismatch } from "./ClusterError.ts"
import { Database } from "./Database.ts"
import { forBytes, once, shortly } from "./internal/attempt.ts"
import { persistently } from "./internal/patience.ts"
import * as Pulse from "./internal/pulse.ts"
import { Timing } from "./internal/timing.ts"
import * as tables from "./internal/tables.ts"
import * as trials from "./internal/trials.ts"
import { version as own } from "./version.ts"

/** An active worker, and how many trials it evaluates at a time. */
export type Worker = tables.WorkerRow

/** The search that uses the workers, and what it sends them. */
export interface Options {
  /**
   * The name of the search in the database. Using the same name again continues with what was evaluated under it; trials of different names
   * never mix.
   */
  readonly search: string
  /**
   * What makes the evaluator, in terms that every worker understands: a name for which the worker was given a module, or a module's path
   * relative to the folder in which the worker was started.
   */
  readonly module: string
  /** Passed to the module. Plain JSON. Default `null`. */
  readonly options?: Schema.Json
  /** Also passed to the module, but may differ when the search is resumed: limits on time and memory. Plain JSON. Default: nothing. */
  readonly limits?: Schema.Json
  /** Called with the active workers whenever they change. Default: nothing. */
  readonly onWorkers?: (workers: ReadonlyArray<Worker>) => Effect.Effect<void>
  /** How long a trial that no active machine can evaluate waits for one that can, before the search ends. Default 30 seconds. */
  readonly grace?: Duration.Input
  /** The version of uninet; workers with another version are refused. Default: this package's version. */
  readonly version?: string
}

/** The search stops after this many machines could not evaluate a trial for reasons of their own. */
const mostStrikes = 3

/** An evaluation whose result is being waited for. */
interface Waiting {
  readonly key: string
  readonly trial: Trial.Trial
  readonly traceparent: string | undefined
  readonly report: Evaluator.Report
  done: number
  readonly found: Deferred.Deferred<Found, Evaluator.EvaluatorLost>
}

interface Found {
  readonly outcome: trials.Outcome
  readonly bytes: number
}

/**
 * The evaluator that gives trials to the workers of a database.
 *
 * It offers the trials it is waiting for, and checks four times a second for results. It does not depend on any message: whatever was lost
 * on the way, the trial is found when the database answers again. Interrupting an evaluation removes its trial from the queue, and the
 * worker that has it stops. If the database becomes unavailable, the evaluator waits; when its patience runs out, the search ends with
 * `EvaluatorLost`, and continues from the same place when it is resumed. The same happens when a trial cannot be evaluated for reasons that
 * lie in the machines and not in the trial: on three of them, or on all that there are.
 *
 * Fails with `SearchTaken` while another process drives this search, with `SearchForeign` if its name belongs to another search, and with
 * `VersionMismatch` while workers with another version are active.
 *
 * @example
 * ```ts
 * import { ClusterEvaluator, Database } from "@uninet/cluster"
 * import { Layer, Redacted } from "effect"
 *
 * export const evaluator = ClusterEvaluator.layer({ search: "demo", module: "./evaluator.ts" }).pipe(
 *   Layer.provide(Database.layer({ url: Redacted.make("postgresql://localhost/uninet") }))
 * )
 * ```
 */
export const layer = ({
  grace: given = "30 seconds",
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
      const { interval, poll } = yield* Timing
      const grace = Duration.fromInputUnsafe(given)
      const services = yield* Effect.context<SqlClient.SqlClient | Database>()
      const me: tables.Driver = { search, driver: randomUUID() }
      /** Anything that ends the search ends all evaluations, including those still to come. */
      const lost = yield* Deferred.make<never, Evaluator.EvaluatorLost>()
      const lose = (problem: string, remedy: string) =>
        Deferred.fail(lost, new Evaluator.EvaluatorLost({ problem, remedy }))
      const away = (seconds: number, problem: string) =>
        new Evaluator.EvaluatorLost({
          problem: `The database ${database.name} could not be used for ${Math.round(seconds)} s: ${problem}`,
          remedy: "Nothing is lost: bring it back up, then resume the search"
        })
      const unavailable = ({ problem, seconds }: DatabaseUnavailable) => Effect.fail(away(seconds, problem))
      const workers = yield* persistently(tables.workers).pipe(Effect.catchTag("DatabaseUnavailable", unavailable))
      const other = workers.find((worker) => worker.fresh && worker.version !== version)
      if (other !== undefined)
        return yield* new VersionMismatch({
          role: "search",
          version,
          other: `the worker on ${other.host} (process ${other.pid})`,
          otherVersion: other.version
        })

      const claim = {
        ...me,
        database: database.name,
        version,
        description: { module, options, ...(limits === undefined ? {} : { limits }) }
      }
      let rival = yield* persistently(tables.claimSearch(claim)).pipe(
        Effect.catchTag("DatabaseUnavailable", unavailable)
      )
      // An active driver shows within a second or two that it is there.
      for (let since = performance.now(); rival !== undefined;) {
        yield* Effect.sleep(interval)
        const isGone = performance.now() - since >= 1000 * tables.aliveSeconds
        const now = yield* persistently(tables.claimSearch(claim, isGone ? rival : undefined)).pipe(
          Effect.catchTag("DatabaseUnavailable", unavailable)
        )
        if (now !== undefined && now.beat !== rival.beat) return yield* tables.taken(search, now)
        rival = now
      }
      yield* Effect.addFinalizer(() => Effect.ignore(once(tables.leaveSearch(me), shortly)))

      const waiting = new Set<Waiting>()
      /** Interrupted while the database was unavailable. */
      const withdrawn = new Set<string>()
      /** Opened when there is something new to offer. */
      const news = yield* Latch.make(false)
      let fleet: Pulse.Pulse<tables.WorkerRow & { readonly beat: number; readonly fresh: boolean }> = Pulse.none
      let shown = ""
      /** Since when no machine has been able to evaluate the pending trials. */
      let stuck: number | undefined

      /** The active workers. */
      const present = (): ReadonlyArray<Worker> =>
        Pulse.living(tables.aliveSeconds)(fleet).map(({ host, id, pid, problem, slots, version: theirs }) => ({
          id,
          version: theirs,
          host,
          pid,
          slots,
          problem
        }))

      /** Shows that the driver is alive, and checks who else is. */
      const greet = Effect.gen(function* () {
        if (!(yield* once(tables.driverBeat(me))))
          yield* lose(
            `The search ${search} on the database ${database.name} has been taken over or removed by another process`,
            "Its journal is kept: resume it when no other process drives it"
          )
        const rows = yield* once(tables.workers)
        fleet = Pulse.hear(
          performance.now(),
          rows.map((row) => [row.id, row] as const)
        )(fleet)
        const there = present()
        const seen = JSON.stringify(there)
        if (seen === shown) return
        shown = seen
        yield* onWorkers(there)
      })

      /** Stops the search with a message when machines cannot evaluate a trial. */
      const stop = ({ trial }: Waiting, strikes: ReadonlyArray<trials.Strike>) => {
        const problems = [
          ...new Set(strikes.map(({ host, problem }) => `${host}: ${problem.replace(/\.$/, "")}`))
        ].join("; ")
        return lose(
          `Trial ${trial.index} could not be evaluated, which is not the network's fault (${problems})`,
          "Nothing is lost: fix that or start a worker on another machine, then resume the search"
        )
      }

      /** Deals with trials that were given back by machines that cannot evaluate them, so that others can. */
      const reconsider = Effect.fnUntraced(function* (struck: ReadonlyMap<Waiting, trials.Standing>) {
        const hosts = new Set(present().flatMap(({ host, problem }) => (problem === null ? [host] : [])))
        for (const [each, { strikes }] of struck) if (strikes.length >= mostStrikes) yield* stop(each, strikes)
        const nowhere = [...struck].filter(([, { avoid }]) => [...hosts].every((host) => avoid.includes(host)))
        const [first] = nowhere
        if (first === undefined || hosts.size > 0) stuck = undefined
        else if (performance.now() - (stuck ??= performance.now()) >= Duration.toMillis(grace))
          yield* stop(first[0], first[1].strikes)
        // There are no other machines; perhaps the problem was temporary.
        if (hosts.size > 0 && nowhere.length > 0) yield* once(trials.reopen(nowhere.map(([{ key }]) => key)))
      })

      /** Offers pending trials, and collects results. */
      const look = Effect.gen(function* () {
        if (withdrawn.size > 0) {
          const gone = [...withdrawn]
          yield* once(trials.withdraw(gone))
          for (const key of gone) withdrawn.delete(key)
        }
        if (waiting.size === 0) return
        const asked = [...waiting]
        const rows = new Map(
          (yield* once(trials.look(new Set(asked.map(({ key }) => key))))).map((row) => [row.key, row])
        )
        const missing = new Map(
          asked.flatMap(({ key, traceparent, trial }) =>
            rows.has(key) ? [] : [[key, traceparent === undefined ? trial : { ...trial, traceparent }] as const]
          )
        )
        if (missing.size > 0) yield* once(trials.offer(search, version, missing))
        const struck = new Map<Waiting, trials.Standing>()
        for (const each of asked) {
          const row = rows.get(each.key)
          if (row === undefined) continue
          const { bytes, isTaken, outcome, progress, strikes } = row
          if (outcome === undefined) {
            if (strikes.length > 0 && !isTaken) struck.set(each, row)
            if (progress.done > 0 && progress.done !== each.done) {
              each.done = progress.done
              yield* each.report(progress)
            }
          } else
            yield* Option.match(outcome, {
              onNone: () =>
                lose(
                  `The outcome of trial ${each.trial.index} on the database ${database.name} cannot be read`,
                  "Delete its row from uninet_trial, then resume the search"
                ),
              onSome: (outcome) => Deferred.succeed(each.found, { outcome, bytes })
            })
        }
        yield* reconsider(struck)
      })

      // Measured from the first failure, not from the last answer, so that a machine that was asleep tries again first.
      let since: number | undefined
      let greeted = Number.NEGATIVE_INFINITY
      const round = Effect.gen(function* () {
        yield* Latch.close(news)
        if (performance.now() - greeted >= Duration.toMillis(interval)) {
          greeted = performance.now()
          yield* greet
        }
        yield* look
      }).pipe(
        Effect.matchCauseEffect({
          onSuccess: () => Effect.sync(() => void (since = undefined)),
          onFailure: (cause) =>
            Effect.suspend(() => {
              // Nobody can tell who was silent in the meantime.
              fleet = Pulse.none
              greeted = Number.NEGATIVE_INFINITY
              const silent = performance.now() - (since ??= performance.now())
              return silent < Duration.toMillis(database.patience)
                ? Effect.void
                : Deferred.fail(lost, away(silent / 1000, database.problemOf(cause)))
            })
        }),
        Effect.andThen(Effect.raceFirst(Effect.sleep(poll), Latch.await(news))),
        Effect.forever
      )
      yield* Effect.forkScoped(round)

      return Evaluator.Evaluator.of({
        // No limit is needed here: a trial that no worker has taken yet waits in the queue.
        concurrency: 1024,
        evaluate: (trial, report) => {
          const key = trials.keyOf(search, trial)
          return Effect.gen(function* () {
            const each: Waiting = {
              key,
              trial,
              traceparent: yield* Span.traceparent,
              report,
              done: 0,
              found: yield* Deferred.make<Found, Evaluator.EvaluatorLost>()
            }
            const found = yield* Effect.suspend(() => {
              withdrawn.delete(key)
              waiting.add(each)
              return Effect.andThen(Latch.open(news), Deferred.await(each.found))
            }).pipe(
              Effect.raceFirst(Deferred.await(lost)),
              Effect.onExit(() => Effect.sync(() => void waiting.delete(each))),
              Effect.onInterrupt(() =>
                Effect.suspend(() => {
                  if ([...waiting].some((other) => other.key === key)) return Effect.void
                  withdrawn.add(key)
                  return once(trials.withdraw([key]), shortly).pipe(
                    Effect.andThen(Effect.sync(() => void withdrawn.delete(key))),
                    Effect.ignore
                  )
                })
              )
            )
            const { bytes, outcome } = found
            if (outcome._tag === "Failed")
              return yield* new Trial.TrialFailed({
                trial: trial.index,
                reason: outcome.reason,
                detail: outcome.detail,
                ...(outcome.training === undefined ? {} : { training: outcome.training })
              })
            yield* report({ done: 1 })
            const { training } = outcome
            const evaluated = training === undefined ? outcome.evaluation : { ...outcome.evaluation, training }
            if (!outcome.weights) return evaluated
            const weights = yield* persistently(trials.weightsOf(key), forBytes(bytes)).pipe(
              Effect.catchTag("DatabaseUnavailable", unavailable)
            )
            return Option.match(weights, {
              onNone: () => evaluated,
              onSome: (weights) => ({ ...evaluated, weights })
            })
          }).pipe(Effect.provideContext(Span.without(services)))
        }
      })
    })
  )

/** Removes what is left of a search in the database: its outcomes, weights and checkpoints. The journal has everything that matters. */
export const forget = (search: string): Effect.Effect<void, never, SqlClient.SqlClient> =>
  once(tables.forget(search)).pipe(Effect.retry({ times: 3 }), Effect.ignore)
