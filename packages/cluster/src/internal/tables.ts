/** What searches and workers tell each other besides trials: who is active, how a search is evaluated, and what its trainings keep. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql"
import { hostname } from "node:os"
import { SearchForeign, SearchTaken } from "../ClusterError.ts"
import type { Files } from "./checkpoints.ts"
import { clean } from "./trials.ts"

/** A driver or worker counts as gone after this long without a heartbeat (seconds). */
export const aliveSeconds = 15

/** How a search's trials are evaluated, as data that any machine can resolve. */
export const Description = Schema.Struct({
  /** What makes the evaluator, in terms that the worker understands. */
  module: Schema.String,
  options: Schema.Json,
  /** What does not decide results, such as limits on time and memory, and may differ when the search is resumed. */
  limits: Schema.optionalKey(Schema.Json)
})
export type Description = typeof Description.Type

const DescriptionText = Schema.fromJsonString(Description)
const encodeDescription = Schema.encodeSync(DescriptionText)
export const decodeDescription = Schema.decodeOption(DescriptionText)

/** The part that decides results. */
const deciding = ({ module, options }: Description) => encodeDescription({ module, options })

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    // It exists, and belongs to another user.
    return cause instanceof Error && "code" in cause && cause.code === "EPERM"
  }
}

interface SearchRow {
  readonly description: string
  readonly host: string | null
  readonly pid: number | null
  readonly driver: string | null
  readonly beat: number
  readonly alive: boolean | null
}

/** A search and the process that wants to drive it: a new name for each process. */
export interface Driver {
  readonly search: string
  readonly driver: string
}

/** The description of a search when it is claimed. */
export interface Claim extends Driver {
  readonly database: string
  readonly version: string
  readonly description: Description
}

const readSearch = (id: string) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql<SearchRow>`select description, host, pid, driver, beat, seen_at > now() - make_interval(secs => ${aliveSeconds}) as alive
        from uninet_search where id = ${id}`
  )

/** The current driver of the search: its process, and the count that shows that it is active. */
export interface Rival {
  readonly host: string
  readonly pid: number
  readonly beat: number
}

/**
 * Claims the search for this process and returns nothing, or returns its current driver, as far as can be told. When called again with a
 * rival whose count has not changed for long enough, the search is taken from that rival, which has disappeared. Fails with `SearchForeign`
 * if the name belongs to another search.
 */
export const claimSearch = Effect.fnUntraced(function* (
  { database, description, driver, search, version }: Claim,
  gone?: Rival
) {
  const sql = yield* SqlClient.SqlClient
  const text = encodeDescription(description)
  yield* sql`insert into uninet_search (id, version, description, protocol) values (${search}, ${version}, ${text}, 2) on conflict do nothing`
  const [row] = yield* readSearch(search)
  const stored = Option.map(decodeDescription(row?.description ?? ""), deciding)
  if (row === undefined || Option.getOrUndefined(stored) !== deciding(description))
    return yield* new SearchForeign({ search, database })
  const { alive, beat, host, pid } = row
  const isHeld = alive === true && host !== null && pid !== null && row.driver !== driver
  // On its own machine, a process that is gone is noticed at once.
  const isKnownGone = host === hostname() && pid !== null && (pid === process.pid || !isAlive(pid))
  const isGone = isKnownGone || (gone !== undefined && gone.host === host && gone.pid === pid && gone.beat === beat)
  if (isHeld && !isGone) return { host, pid, beat } satisfies Rival
  const taken = yield* sql`update uninet_search
    set version = ${version}, description = ${text}, host = ${hostname()}, pid = ${process.pid}, driver = ${driver}, beat = beat + 1, seen_at = now()
    where id = ${search} and beat = ${beat} returning id`
  // Another process was quicker.
  if (taken.length === 0) return { host: host ?? hostname(), pid: pid ?? process.pid, beat } satisfies Rival
  // What could not be evaluated before may work now, and what an earlier version left belongs to this one.
  yield* sql`update uninet_trial set version = ${version}, strikes = '[]', avoid = '{}'
    where search = ${search} and outcome is null and (version <> ${version} or strikes <> '[]')`
  return undefined
})

export const taken = (search: string, { host, pid }: Rival) => new SearchTaken({ search, host, pid })

/** Shows that the driver is active; `false` if it no longer has the search. */
export const driverBeat = ({ driver, search }: Driver) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql`update uninet_search set beat = beat + 1, seen_at = now() where id = ${search} and driver = ${driver} returning id`
  ).pipe(Effect.map((rows) => rows.length > 0))

/** Releases the search when the driver ends. */
export const leaveSearch = ({ driver, search }: Driver) =>
  SqlClient.SqlClient.use(
    (sql) => sql`update uninet_search set seen_at = null where id = ${search} and driver = ${driver}`
  )

/** An active driver with another version. */
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
  /** Why it cannot evaluate; `null` if it can. */
  readonly problem: string | null
}

/** The workers in the database, with the count that shows that they are active. */
export const workers = SqlClient.SqlClient.use(
  (sql) => sql<
    WorkerRow & { readonly beat: number; readonly fresh: boolean }
  >`select id, version, host, pid, slots, problem, beat, seen_at > now() - make_interval(secs => ${aliveSeconds}) as fresh
    from uninet_worker order by host, pid`
)

/** Shows that the worker is active. */
export const workerBeat = ({ host, id, pid, problem, slots, version }: WorkerRow) =>
  SqlClient.SqlClient.use(
    (
      sql
    ) => sql`insert into uninet_worker (id, version, host, pid, slots, problem, protocol) values (${id}, ${version}, ${host}, ${pid}, ${slots}, ${problem === null ? null : clean(problem)}, 2)
      on conflict (id) do update set problem = excluded.problem, beat = uninet_worker.beat + 1, seen_at = now()`
  )

/** Removes workers that have long been gone. */
export const tidyWorkers = SqlClient.SqlClient.use(
  (sql) => sql`delete from uninet_worker where seen_at < now() - interval '1 hour'`
)

/** Removes a worker when it ends. */
export const leaveWorker = (id: string) =>
  SqlClient.SqlClient.use((sql) => sql`delete from uninet_worker where id = ${id}`)

/** The size in bytes of what a trial has kept of its training. */
export const checkpointBytes = (search: string, keep: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql<{
      readonly bytes: number
    }>`select coalesce(sum(octet_length(content)), 0)::double precision as bytes from uninet_checkpoint
      where search = ${search} and keep = ${keep}`
  ).pipe(Effect.map(([row]) => row?.bytes ?? 0))

/** What a trial keeps of its training, so that it can be continued. */
export const checkpointOf = (search: string, keep: string) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql<{
        readonly name: string
        readonly content: Uint8Array
      }>`select name, content from uninet_checkpoint where search = ${search} and keep = ${keep}`
  ).pipe(Effect.map((rows): Files => new Map(rows.map(({ content, name }) => [name, content]))))

/** Stores what a trial keeps of its training, replacing what it kept before, unless it was settled in the meantime. */
export const storeCheckpoint = (search: string, key: string, keep: string, files: Files) =>
  SqlClient.SqlClient.use((sql) =>
    sql.withTransaction(
      Effect.gen(function* () {
        const [open] = yield* sql`select key from uninet_trial where key = ${key} and outcome is null`
        if (open === undefined) return
        yield* sql`delete from uninet_checkpoint where search = ${search} and keep = ${keep}`
        for (const [name, content] of files)
          yield* sql`insert into uninet_checkpoint (search, keep, name, content) values (${search}, ${keep}, ${name}, ${content})
            on conflict (search, keep, name) do update set content = excluded.content`
      })
    )
  )

/** Removes everything of a search. */
export const forget = (search: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql`with trials as (delete from uninet_trial where search = ${search}),
        checkpoints as (delete from uninet_checkpoint where search = ${search})
      delete from uninet_search where id = ${search}`
  )
