/**
 * The PostgreSQL database through which the machines of a search speak, and nothing else: no machine has to reach another one.
 *
 * Its tables (`uninet_*`) are made when they are missing, and brought up to this version's when they are of an earlier one.
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

/** Where the database is, and for how long it is waited for. */
export interface Options {
  /**
   * `postgresql://user:password@host:5432/database`. A URL without a password takes it from `PGPASSWORD`, or from the file that `PGPASSWORD_FILE` names, as secrets are given to containers.
   *
   * Over the internet add `?sslmode=verify-full`: the connection is encrypted, and the server's certificate must be of a known authority, for this host, and
   * in date. `require` is the same here, `verify-ca` leaves the host's name unchecked. `sslrootcert=ca.pem` is the file with the authority's certificate, where
   * it is none that Node knows. Default: not encrypted.
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

/** How long a database that is away is waited for: two minutes. */
export const defaultPatience = Duration.minutes(2)

/**
 * What every connection asks of the server, so that one whose machine has gone without a word does not keep its place for two hours.
 * Poolers that know no such parameters have to be told to ignore them.
 */
const parameters = { tcp_keepalives_idle: "10", tcp_keepalives_interval: "5", tcp_keepalives_count: "3" }

/** What the environment says: the password itself, or a file that holds it, whose last line may have an end. */
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
 * Connects, waiting for a database that is away, and makes the tables.
 *
 * Fails with `DatabaseRefused` at once where trying again cannot help (a wrong password, a certificate that is not to be trusted, tables of a later version),
 * and with `DatabaseUnavailable` when the patience is at its end.
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
        // A hundred workers share the server's places: one for small statements, others while large values travel.
        maxConnections: 4,
        idleTimeout: "10 seconds",
        // The weights of one network are one message.
        maxMessageSize: 2 ** 30
      })
      let last: string | undefined
      const made = Effect.gen(function* () {
        const began = performance.now()
        const tried = migrate(address.name).pipe(
          // A migration that was not written well is told like any other failure.
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
