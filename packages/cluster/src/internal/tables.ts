/** What searches and workers tell one another besides trials: who is there, how a search is evaluated, and what its trainings keep. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql"
import { hostname } from "node:os"
import { SearchForeign, SearchTaken } from "../ClusterError.ts"
import type { Files } from "./checkpoints.ts"
import { clean } from "./trials.ts"

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
export const decodeDescription = Schema.decodeOption(DescriptionText)

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

interface SearchRow {
  readonly description: string
  readonly host: string | null
  readonly pid: number | null
  readonly driver: string | null
  readonly beat: number
  readonly alive: boolean | null
}

/** A search and who wants to drive it: a new name for each process. */
export interface Driver {
  readonly search: string
  readonly driver: string
}

/** What is to be said of a search when it is taken. */
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

/** Someone who drives the search: his process, and the count that shows that he is there. */
export interface Rival {
  readonly host: string
  readonly pid: number
  readonly beat: number
}

/**
 * Takes the search for this process, and gives nothing; or gives who has it, as far as can be told. Asked again with a rival whose count has not changed
 * for long enough, it is taken from him: one that went away without a word. Fails with `SearchForeign` where the name is another search's.
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
  // On its own machine one that is no longer there is known at once.
  const isKnownGone = host === hostname() && pid !== null && (pid === process.pid || !isAlive(pid))
  const isGone = isKnownGone || (gone !== undefined && gone.host === host && gone.pid === pid && gone.beat === beat)
  if (isHeld && !isGone) return { host, pid, beat } satisfies Rival
  const taken = yield* sql`update uninet_search
    set version = ${version}, description = ${text}, host = ${hostname()}, pid = ${process.pid}, driver = ${driver}, beat = beat + 1, seen_at = now()
    where id = ${search} and beat = ${beat} returning id`
  // Another was quicker.
  if (taken.length === 0) return { host: host ?? hostname(), pid: pid ?? process.pid, beat } satisfies Rival
  // What could not be evaluated before may have been mended, and what an earlier version left is this one's now.
  yield* sql`update uninet_trial set version = ${version}, strikes = '[]', avoid = '{}'
    where search = ${search} and outcome is null and (version <> ${version} or strikes <> '[]')`
  return undefined
})

export const taken = (search: string, { host, pid }: Rival) => new SearchTaken({ search, host, pid })

/** The driver is there; `false` where the search is no longer his. */
export const driverBeat = ({ driver, search }: Driver) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql`update uninet_search set beat = beat + 1, seen_at = now() where id = ${search} and driver = ${driver} returning id`
  ).pipe(Effect.map((rows) => rows.length > 0))

/** The driver goes. */
export const leaveSearch = ({ driver, search }: Driver) =>
  SqlClient.SqlClient.use(
    (sql) => sql`update uninet_search set seen_at = null where id = ${search} and driver = ${driver}`
  )

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

/** The workers that the database knows, with the count that shows that they are there. */
export const workers = SqlClient.SqlClient.use(
  (sql) => sql<
    WorkerRow & { readonly beat: number; readonly fresh: boolean }
  >`select id, version, host, pid, slots, problem, beat, seen_at > now() - make_interval(secs => ${aliveSeconds}) as fresh
    from uninet_worker order by host, pid`
)

/** The worker is there. */
export const workerBeat = ({ host, id, pid, problem, slots, version }: WorkerRow) =>
  SqlClient.SqlClient.use(
    (
      sql
    ) => sql`insert into uninet_worker (id, version, host, pid, slots, problem, protocol) values (${id}, ${version}, ${host}, ${pid}, ${slots}, ${problem === null ? null : clean(problem)}, 2)
      on conflict (id) do update set problem = excluded.problem, beat = uninet_worker.beat + 1, seen_at = now()`
  )

/** Forgets workers that have long been gone. */
export const tidyWorkers = SqlClient.SqlClient.use(
  (sql) => sql`delete from uninet_worker where seen_at < now() - interval '1 hour'`
)

/** The worker goes. */
export const leaveWorker = (id: string) =>
  SqlClient.SqlClient.use((sql) => sql`delete from uninet_worker where id = ${id}`)

/** How many bytes a trial has kept of its training. */
export const checkpointBytes = (search: string, keep: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql<{
      readonly bytes: number
    }>`select coalesce(sum(octet_length(content)), 0)::double precision as bytes from uninet_checkpoint
      where search = ${search} and keep = ${keep}`
  ).pipe(Effect.map(([row]) => row?.bytes ?? 0))

/** What a trial keeps of its training, to be gone on with. */
export const checkpointOf = (search: string, keep: string) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql<{
        readonly name: string
        readonly content: Uint8Array
      }>`select name, content from uninet_checkpoint where search = ${search} and keep = ${keep}`
  ).pipe(Effect.map((rows): Files => new Map(rows.map(({ content, name }) => [name, content]))))

/** Stores what a trial keeps of its training, in place of what it kept before, unless it was settled meanwhile. */
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
