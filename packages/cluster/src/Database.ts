/**
 * The PostgreSQL database through which the machines of a search communicate. It is the only channel: no machine has to reach another one.
 *
 * Its tables (`uninet_*`) are created when they are missing, and migrated when they are from an earlier version.
 */
import { PgClient } from "@effect/sql-pg"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { SqlClient } from "effect/sql"
import { readFileSync } from "node:fs"
import { type DatabaseError, DatabaseRefused, DatabaseUnavailable } from "./ClusterError.ts"
import * as Address from "./internal/address.ts"
import { backoff, once } from "./internal/attempt.ts"
import { migrate } from "./internal/migrations.ts"
import { quiet } from "./internal/quiet.ts"
import * as Refusal from "./internal/refusal.ts"
import { Timing } from "./internal/timing.ts"

/** Where the database is, and how long to wait for it. */
export interface Options {
  /**
   * `postgresql://user:password@host:5432/database`. If the URL has no password, it is taken from `PGPASSWORD`, or from the file that
   * `PGPASSWORD_FILE` names, as is usual for secrets in containers.
   *
   * Over the internet, add `?sslmode=verify-full`: the connection is encrypted, and the server's certificate must come from a known
   * authority, be for this host, and be in date. `require` means the same here; `verify-ca` does not check the host's name.
   * `sslrootcert=ca.pem` is the file with the authority's certificate, if Node does not know the authority. Default: not encrypted.
   */
  readonly url: Redacted.Redacted
  /** How long to wait for an unavailable database before giving up, at the start and at any later time. Default 2 minutes. */
  readonly patience?: Duration.Input
  /** Called once when the database does not answer at the start. Default: nothing. */
  readonly onWait?: (problem: string) => Effect.Effect<void>
}

/** A database and how long to wait for it. */
export class Database extends Context.Service<
  Database,
  {
    /** Host, port and database, for people: no credentials. */
    readonly name: string
    readonly patience: Duration.Duration
    /** A failure in words, without secrets. */
    readonly problemOf: (cause: unknown) => string
  }
>()("@uninet/cluster/Database") {}

/** How long to wait for an unavailable database: two minutes. */
export const defaultPatience = Duration.minutes(2)

/**
 * Set on the server for every connection, so that one whose machine has disappeared does not occupy its place for two hours. Poolers that
 * do not know these parameters have to be told to ignore them.
 */
const parameters = { tcp_keepalives_idle: "10", tcp_keepalives_interval: "5", tcp_keepalives_count: "3" }

/** The password from the environment: given directly, or in a file, whose trailing line break is ignored. */
const passwordOf = (database: string): Effect.Effect<string | undefined, DatabaseRefused> => {
  const { PGPASSWORD, PGPASSWORD_FILE: file = "" } = process.env
  return PGPASSWORD !== undefined || file === ""
    ? Effect.succeed(PGPASSWORD)
    : Effect.try({
        try: () => readFileSync(file, "utf8").replace(/\r?\n$/, ""),
        catch: (cause) =>
          new DatabaseRefused({
            database,
            problem: `the file with its password, ${file}, cannot be read (${cause instanceof Error ? cause.message : String(cause)})`,
            remedy: "Give the file that holds it as PGPASSWORD_FILE, or the password itself as PGPASSWORD"
          })
      })
}

/**
 * Connects, waiting for an unavailable database, and creates the tables.
 *
 * Fails with `DatabaseRefused` at once if trying again cannot help (a wrong password, a certificate that cannot be trusted, tables from a
 * later version), and with `DatabaseUnavailable` when its patience runs out.
 *
 * @example
 * ```ts
 * import { Database } from "@uninet/cluster"
 * import { Redacted } from "effect"
 *
 * export const database = Database.layer({ url: Redacted.make("postgresql://uninet@db.lab/uninet?sslmode=verify-full") })
 * ```
 */
export const layer = (options: Options): Layer.Layer<Database | SqlClient.SqlClient, DatabaseError> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { attempt } = yield* Timing
      const address = yield* Address.read(options.url)
      const patience = Duration.fromInputUnsafe(options.patience ?? defaultPatience)
      const password = address.hasPassword ? undefined : yield* passwordOf(address.name)
      const secrets = [...address.secrets, password ?? ""].filter((secret) => secret !== "")
      const problemOf = (given: unknown) =>
        secrets.reduce(
          (said, secret) => said.replaceAll(secret, "***"),
          Refusal.said(Cause.isCause(given) ? Cause.squash(given) : given)
        )
      const refusalOf = (error: unknown) => {
        const squashed = Cause.isCause(error) ? Cause.squash(error) : error
        if (squashed instanceof DatabaseRefused) return squashed
        const found = Refusal.of(address.host, problemOf(squashed), squashed)
        return found === undefined ? undefined : new DatabaseRefused({ database: address.name, ...found })
      }
      const client = PgClient.layer({
        url: options.url,
        ...(password === undefined ? {} : { password: Redacted.make(password) }),
        ...(address.tls === undefined ? {} : { ssl: address.tls }),
        applicationName: "uninet",
        connectTimeout: attempt,
        keepAlive: "10 seconds",
        startupParameters: parameters,
        // A hundred workers share the server's connections. Each process uses one for small statements, and others while large values are
        // transferred.
        maxConnections: 4,
        idleTimeout: "10 seconds",
        // The weights of one network are a single message.
        maxMessageSize: 2 ** 30
      })
      let last: string | undefined
      const made = Effect.gen(function* () {
        const began = performance.now()
        const tried = migrate(address.name).pipe(
          // A faulty migration is reported like any other failure.
          Effect.sandbox,
          Effect.tapError((cause) =>
            Effect.suspend(() => {
              const isFirst = last === undefined
              last = problemOf(cause)
              return isFirst && refusalOf(cause) === undefined ? (options.onWait?.(last) ?? Effect.void) : Effect.void
            })
          ),
          Effect.retry({
            schedule: backoff,
            while: (cause) => !Cause.hasInterruptsOnly(cause) && refusalOf(cause) === undefined
          })
        )
        yield* once(tried, () => patience).pipe(
          Effect.catch((error) =>
            Cause.isCause(error) && Cause.hasInterruptsOnly(error)
              ? Effect.interrupt
              : Effect.fail(
                  refusalOf(error) ??
                    new DatabaseUnavailable({
                      database: address.name,
                      seconds: (performance.now() - began) / 1000,
                      problem: last ?? problemOf(error)
                    })
                )
          )
        )
        return Database.of({ name: address.name, patience, problemOf })
      })
      return Layer.provideMerge(
        Layer.effect(Database, made),
        Layer.catchTag(client, "SqlError", (error) =>
          Layer.effectContext(
            Effect.fail(
              refusalOf(error) ??
                new DatabaseRefused({
                  database: address.name,
                  problem: problemOf(error),
                  remedy: "Check its URL"
                })
            )
          )
        )
      )
    })
  ).pipe(Layer.provide(quiet))
