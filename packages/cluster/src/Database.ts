/**
 * The PostgreSQL database through which the machines of a search speak, and nothing else: no machine has to reach another one.
 *
 * Tables are made when they are missing: those of Effect Cluster (`cluster_*`), the queue of trials (`uninet_queue`), and `uninet_search`,
 * `uninet_worker`, `uninet_progress`, `uninet_outcome`.
 */
import { PgClient } from "@effect/sql-pg"
import { NodeCrypto } from "@effect/platform-node"
import * as Cause from "effect/Cause"
import { ShardingConfig, SqlMessageStorage } from "effect/cluster"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { PersistedQueue } from "effect/persistence"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { Migrator, SqlClient, SqlError } from "effect/sql"
import { type DatabaseError, DatabaseRefused, DatabaseUnavailable } from "./ClusterError.ts"
import { quiet } from "./internal/quiet.ts"

export interface Options {
  /**
   * `postgresql://user:password@host:5432/database`. A URL without a password takes it from `PGPASSWORD`. Add `?sslmode=require` for a
   * connection over the internet.
   */
  readonly url: Redacted.Redacted
  /** How long a database that is away is waited for before the end, at the start and at any time after. Default 2 minutes. */
  readonly patience?: Duration.Input
  /** Told once when the database does not answer at the start. Default: nothing. */
  readonly onWait?: (problem: string) => Effect.Effect<void>
}

/** A database and how long it is waited for. */
export class Database extends Context.Service<
  Database,
  {
    /** Host, port and database, for people: no credentials. */
    readonly name: string
    readonly patience: Duration.Duration
    /** A failure in words, without anything secret. */
    readonly problemOf: (cause: unknown) => string
  }
>()("@uninet/cluster/Database") {}

export const defaultPatience = Duration.minutes(2)

/** Waits between tries: 100 ms, 200 ms, … at most 3 s. */
export const backoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("3 seconds")])

const parsed = (url: Redacted.Redacted): URL | undefined => {
  const text = Redacted.value(url)
  return /^postgres(ql)?:\/\//.test(text) && URL.canParse(text) ? new URL(text) : undefined
}

const nameOf = ({ hostname, pathname, port }: URL) =>
  `${hostname === "" ? "localhost" : hostname}:${port === "" ? 5432 : port}${pathname === "" ? "/" : pathname}`

/** An error and what it was caused by, outermost first. */
const chain = (error: unknown): ReadonlyArray<Error> => {
  const found: Array<Error> = []
  for (let next = error; next instanceof Error && !found.includes(next); next = next.cause) found.push(next)
  return found
}

/** The innermost message, without what is secret. */
const problemOf = (secrets: ReadonlyArray<string>) => (given: unknown) => {
  const error = Cause.isCause(given) ? Cause.squash(given) : given
  const text = chain(error).findLast(({ message }) => message !== "")?.message ?? String(error)
  return secrets.reduce((said, secret) => (secret === "" ? said : said.replaceAll(secret, "***")), text)
}

/** Whether trying again cannot help. */
const isFinal = (error: unknown): boolean =>
  chain(error).some(
    (link) =>
      (SqlError.isSqlError(link) && /^(Authentication|Authorization|SqlSyntax)Error$/.test(link.reason._tag)) ||
      /database ".*" does not exist|No password configured/.test(link.message)
  )

/** Makes the tables that are missing, one process at a time. */
const migrate = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const connection = yield* sql.reserve
  yield* Effect.acquireRelease(connection.executeRaw("select pg_advisory_lock(8675309, 1)", []), () =>
    Effect.ignore(connection.executeRaw("select pg_advisory_unlock(8675309, 1)", []))
  )
  yield* Layer.build(
    Layer.mergeAll(
      SqlMessageStorage.layer.pipe(Layer.provide([NodeCrypto.layerDigest, ShardingConfig.layerDefaults])),
      PersistedQueue.layerStoreSql({ tableName: "uninet_queue" })
    )
  )
  yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: "uninet_migrations" })
}).pipe(Effect.scoped)

const migrations = {
  "0001_tables": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`create table uninet_search (
      id text primary key, version text not null, description text not null,
      host text, pid int, seen_at timestamptz, begun_at timestamptz not null default now()
    )`
    yield* sql`create table uninet_worker (
      id text primary key, version text not null, host text not null, pid int not null, slots int not null,
      problem text, seen_at timestamptz not null default now()
    )`
    yield* sql`create table uninet_progress (
      key text primary key, search text not null, worker text not null,
      done double precision not null, loss double precision, images_per_second double precision,
      at timestamptz not null default now()
    )`
    yield* sql`create table uninet_outcome (
      key text primary key, search text not null, outcome text not null, weights bytea, at timestamptz not null default now()
    )`
  }),
  "0002_checkpoints": SqlClient.SqlClient.use(
    (sql) => sql`create table uninet_checkpoint (
      search text not null, keep text not null, name text not null, content bytea not null, primary key (search, keep, name)
    )`
  ),
  "0003_examples": SqlClient.SqlClient.use(
    (sql) => sql`alter table uninet_progress rename column images_per_second to examples_per_second`
  )
}

/**
 * Connects, waiting for a database that is away, and makes the tables.
 *
 * Fails with `DatabaseRefused` at once where trying again cannot help, and with `DatabaseUnavailable` when the patience is at its end.
 */
export const layer = (options: Options): Layer.Layer<Database | SqlClient.SqlClient, DatabaseError> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const url = parsed(options.url)
      if (url === undefined)
        return yield* new DatabaseRefused({
          database: "that was given",
          problem: "its URL is none of PostgreSQL's",
          remedy: "Give one such as postgresql://user@host:5432/uninet"
        })
      const name = nameOf(url)
      const patience = Duration.fromInputUnsafe(options.patience ?? defaultPatience)
      const password = process.env["PGPASSWORD"]
      const own = url.password === "" ? password : undefined
      const problem = problemOf([decodeURIComponent(url.password), url.password, own ?? ""])
      const client = PgClient.layer({
        url: options.url,
        ...(own === undefined ? {} : { password: Redacted.make(own) }),
        applicationName: "uninet",
        connectTimeout: "5 seconds",
        // The weights of one network are one message.
        maxMessageSize: 2 ** 30
      })
      let last = "it does not answer"
      let waiting = false
      const refused = (problem: string) =>
        new DatabaseRefused({
          database: name,
          problem,
          remedy: "Check the user, the password and the database of its URL; createdb makes a database"
        })
      const made = Effect.gen(function* () {
        const ready = yield* migrate.pipe(
          // The migrations of Effect's own tables report failures as defects.
          Effect.sandbox,
          Effect.tapError((cause) =>
            Effect.suspend(() => {
              last = problem(cause)
              if (waiting || isFinal(Cause.squash(cause))) return Effect.void
              waiting = true
              return options.onWait?.(last) ?? Effect.void
            })
          ),
          Effect.retry({
            schedule: backoff,
            while: (cause) => !Cause.hasInterruptsOnly(cause) && !isFinal(Cause.squash(cause))
          }),
          Effect.mapError(() => refused(last)),
          Effect.timeoutOption(patience)
        )
        if (ready._tag === "None")
          return yield* new DatabaseUnavailable({
            database: name,
            seconds: Duration.toSeconds(patience),
            problem: last
          })
        return Database.of({ name, patience, problemOf: problem })
      })
      return Layer.provideMerge(
        Layer.effect(Database, made),
        Layer.catchTag(client, "SqlError", (error) => Layer.effectContext(Effect.fail(refused(problem(error)))))
      )
    })
  ).pipe(Layer.provide(quiet))
