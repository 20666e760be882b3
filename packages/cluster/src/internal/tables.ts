/** What searches and workers tell one another besides trials: who is there, and how far it is. */
import { Safetensors } from "@uninet/nn"
import type { Trial } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql"
import { hostname } from "node:os"
import { SearchForeign, SearchTaken } from "../ClusterError.ts"
import type { Files } from "./checkpoints.ts"
import { groupOf, Outcome } from "./trials.ts"

/** After this long without a heartbeat (seconds) a driver or a worker counts as gone. */
export const aliveSeconds = 15

/** How a search's trials are evaluated, as data that any machine can resolve. */
export const Description = Schema.Struct({
  /** What makes the evaluator; the worker knows what is meant by it. */
  module: Schema.String,
  options: Schema.Json,
  /** What does not decide results, such as limits of time and memory, and may be others when the search is resumed. */
  limits: Schema.optionalKey(Schema.Json)
})
export type Description = typeof Description.Type

const DescriptionText = Schema.fromJsonString(Description)
const encodeDescription = Schema.encodeSync(DescriptionText)
const decodeDescription = Schema.decodeOption(DescriptionText)

/** What decides results. */
const deciding = ({ module, options }: Description) => encodeDescription({ module, options })

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    // It is there, and another user's.
    return cause instanceof Error && "code" in cause && cause.code === "EPERM"
  }
}

/** Takes the search for this process. One that went away without a word is replaced at once on its own machine, elsewhere after 15 s. */
export const claimSearch = Effect.fnUntraced(function* (
  id: string,
  database: string,
  version: string,
  description: Description
) {
  const sql = yield* SqlClient.SqlClient
  const text = encodeDescription(description)
  yield* sql`insert into uninet_search (id, version, description) values (${id}, ${version}, ${text}) on conflict do nothing`
  return yield* sql.withTransaction(
    Effect.gen(function* () {
      const [row] = yield* sql<{
        readonly description: string
        readonly host: string | null
        readonly pid: number | null
        readonly alive: boolean | null
      }>`select description, host, pid, seen_at > now() - make_interval(secs => ${aliveSeconds}) as alive
         from uninet_search where id = ${id} for update`
      const stored = Option.map(decodeDescription(row?.description ?? ""), deciding)
      if (row === undefined || Option.getOrUndefined(stored) !== deciding(description))
        return yield* new SearchForeign({ search: id, database })
      const { alive, host, pid } = row
      if (
        alive === true &&
        host !== null &&
        pid !== null &&
        pid !== process.pid &&
        (host !== hostname() || isAlive(pid))
      )
        return yield* new SearchTaken({ search: id, pid, host })
      yield* sql`update uninet_search set version = ${version}, description = ${text}, host = ${hostname()}, pid = ${process.pid}, seen_at = now() where id = ${id}`
    })
  )
})

/** The driver is there. */
export const driverBeat = (id: string) =>
  SqlClient.SqlClient.use((sql) => sql`update uninet_search set seen_at = now() where id = ${id}`)

/** The driver goes. */
export const leaveSearch = (id: string) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql`update uninet_search set seen_at = null where id = ${id} and pid = ${process.pid} and host = ${hostname()}`
  )

/** How a search is evaluated; nothing where it is not on this database. */
export const describe = (id: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql<{ readonly description: string }>`select description from uninet_search where id = ${id}`
  ).pipe(Effect.map(([row]) => (row === undefined ? Option.none() : decodeDescription(row.description))))

/** A driver that is there with another version. */
export const otherDriver = (version: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql<{ readonly id: string; readonly version: string }>`select id, version from uninet_search
      where version <> ${version} and seen_at > now() - make_interval(secs => ${aliveSeconds}) limit 1`
  ).pipe(Effect.map(([row]) => row))

export interface WorkerRow {
  readonly id: string
  readonly version: string
  readonly host: string
  readonly pid: number
  /** How many trials it evaluates at a time. */
  readonly slots: number
  /** Why it cannot evaluate, where it cannot. */
  readonly problem: string | null
}

/** The workers that are there. */
export const workers = SqlClient.SqlClient.use(
  (sql) => sql<WorkerRow>`select id, version, host, pid, slots, problem from uninet_worker
    where seen_at > now() - make_interval(secs => ${aliveSeconds}) order by host, pid`
)

/** The worker is there. Those that have long been gone are forgotten. */
export const workerBeat = ({ host, id, pid, problem, slots, version }: WorkerRow) =>
  SqlClient.SqlClient.use((sql) =>
    Effect.andThen(
      sql`insert into uninet_worker (id, version, host, pid, slots, problem) values (${id}, ${version}, ${host}, ${pid}, ${slots}, ${problem})
        on conflict (id) do update set problem = excluded.problem, seen_at = now()`,
      sql`delete from uninet_worker where seen_at < now() - interval '1 hour'`
    )
  )

/** The worker goes. */
export const leaveWorker = (id: string) =>
  SqlClient.SqlClient.use((sql) => sql`delete from uninet_worker where id = ${id}`)

export interface ProgressRow {
  readonly key: string
  readonly done: number
  readonly loss: number | null
  readonly examples_per_second: number | null
}

/** Stores how far a trial is. */
export const storeProgress = (search: string, worker: string, key: string, progress: Trial.Progress) =>
  SqlClient.SqlClient.use((sql) => {
    const { done, examplesPerSecond = null, loss = null } = progress
    return sql`insert into uninet_progress (key, search, worker, done, loss, examples_per_second)
      values (${key}, ${search}, ${worker}, ${done}, ${loss}, ${examplesPerSecond})
      on conflict (key) do update set worker = excluded.worker, done = excluded.done, loss = excluded.loss,
        examples_per_second = excluded.examples_per_second, at = now()`
  })

/** How far the trials of a search are. */
export const progressOf = (search: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql<ProgressRow>`select key, done, loss, examples_per_second from uninet_progress where search = ${search}`
  )

const OutcomeText = Schema.fromJsonString(Outcome)
const encodeOutcome = Schema.encodeSync(OutcomeText)

/** A trial's outcome, stored before it is announced. The first one stays. */
export const storeOutcome = (search: string, key: string, what: Outcome, weights: Trial.Weights | undefined) =>
  SqlClient.SqlClient.use((sql) => {
    const bytes = weights === undefined ? null : encodeWeights(weights)
    return Effect.andThen(
      sql`insert into uninet_outcome (key, search, outcome, weights) values (${key}, ${search}, ${encodeOutcome(what)}, ${bytes})
        on conflict do nothing`,
      sql`delete from uninet_progress where key = ${key}`
    )
  })

/** The outcome of a trial that was evaluated already. */
export const outcomeOf = (key: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql<{ readonly outcome: string }>`select outcome from uninet_outcome where key = ${key}`
  ).pipe(Effect.map(([row]) => (row === undefined ? Option.none() : Schema.decodeOption(OutcomeText)(row.outcome))))

/** The weights that a trial left. */
export const weightsOf = (key: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql<{ readonly weights: Uint8Array | null }>`select weights from uninet_outcome where key = ${key}`
  ).pipe(Effect.map(([row]) => (row?.weights instanceof Uint8Array ? decodeWeights(row.weights) : Option.none())))

const encodeWeights = (weights: Trial.Weights): Uint8Array =>
  Safetensors.encode({
    tensors: new Map(Array.from(weights, ([name, data]) => [name, Safetensors.fromFloat32(data, [data.length])])),
    metadata: {}
  })

const decodeWeights = (bytes: Uint8Array): Option.Option<Trial.Weights> =>
  Option.map(
    Result.getSuccess(Safetensors.decode(bytes)),
    ({ tensors }) =>
      new Map(
        Array.from(tensors).flatMap(([name, entry]) => {
          const data = Safetensors.float32(entry)
          return data === undefined ? [] : [[name, data] as const]
        })
      )
  )

/** What a trial keeps of its training, to be gone on with. */
export const checkpointOf = (search: string, keep: string) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql<{
        readonly name: string
        readonly content: Uint8Array
      }>`select name, content from uninet_checkpoint where search = ${search} and keep = ${keep}`
  ).pipe(Effect.map((rows): Files => new Map(rows.map(({ content, name }) => [name, content]))))

/** Stores what a trial keeps of its training, in place of what it kept before. */
export const storeCheckpoint = (search: string, keep: string, files: Files) =>
  SqlClient.SqlClient.use((sql) =>
    sql.withTransaction(
      Effect.andThen(
        sql`delete from uninet_checkpoint where search = ${search} and keep = ${keep}`,
        Effect.forEach(
          files,
          ([name, content]) =>
            sql`insert into uninet_checkpoint (search, keep, name, content) values (${search}, ${keep}, ${name}, ${content})`,
          { discard: true }
        )
      )
    )
  )

/** Removes everything of a search. */
export const forget = (search: string) =>
  SqlClient.SqlClient.use((sql) => {
    const shards = `${groupOf(search)}:%`
    return sql.withTransaction(
      Effect.all([
        sql`delete from cluster_replies where request_id in (select request_id from cluster_messages where shard_id like ${shards})`,
        sql`delete from cluster_messages where shard_id like ${shards}`,
        sql`delete from uninet_queue where element::json ->> 'search' = ${search}`,
        sql`delete from uninet_progress where search = ${search}`,
        sql`delete from uninet_checkpoint where search = ${search}`,
        sql`delete from uninet_outcome where search = ${search}`,
        sql`delete from uninet_search where id = ${search}`
      ])
    )
  }).pipe(Effect.asVoid)
