/** What happens to searches when the server itself goes away, comes back, or encrypts. */
import { assert, describe, it } from "@effect/vitest"
import { Evaluator, Journal } from "@uninet/search"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { SqlClient } from "effect/sql"
import { join } from "node:path"
import * as Certificates from "./support/certificates.ts"
import {
  cluster,
  counts,
  database,
  evaluate,
  folder,
  local,
  onCluster,
  open,
  own,
  trial,
  trials,
  until,
  worker
} from "./support/cluster.ts"
import * as Postgres from "./support/postgres.ts"

const { fresh, server } = own()

describe.skipIf(Postgres.missing !== undefined)("a search whose database is away", () => {
  it.live("goes on when the server ends its connections, and when it crashes and is started again", () =>
    Effect.gen(function* () {
      const url = fresh()
      const name = new URL(url).pathname.slice(1)
      const log = join(yield* folder, "log")
      yield* Effect.forkScoped(worker(url))
      const running = yield* Effect.forkChild(onCluster({ url, log, milliseconds: 150 }))
      yield* until(() => counts(log).size >= 3)
      server().sql("postgres", `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`)
      yield* until(() => counts(log).size >= 6)
      yield* Effect.promise(() => server().stop("SIGQUIT"))
      yield* Effect.sleep(300)
      yield* Effect.promise(() => server().start())
      assert.deepStrictEqual(yield* Fiber.join(running), yield* local)
    })
  )

  it.live(
    "for longer than a silent worker keeps its trials while trials end: each has its outcome when it is back, and none is evaluated twice",
    () =>
      Effect.gen(function* () {
        const url = fresh()
        const log = join(yield* folder, "log")
        const soon = { silence: Duration.seconds(2) }
        yield* Effect.forkScoped(worker(url, { slots: 2 }, soon))
        yield* Effect.forkScoped(worker(url, { slots: 2 }, soon))
        const running = yield* Effect.forkChild(onCluster({ url, log, milliseconds: 300 }))
        yield* until(() => counts(log).size >= 4)
        yield* Effect.promise(() => server().stop("SIGKILL"))
        yield* Effect.sleep(3000)
        yield* Effect.promise(() => server().start())
        assert.deepStrictEqual(yield* Fiber.join(running), yield* local)
        assert.deepStrictEqual([...counts(log).values()], Array(trials).fill(1))
      })
  )

  it.live("ends with a sentence when the database stays away, and goes on when it is resumed", () =>
    Effect.gen(function* () {
      const url = fresh()
      const here = yield* folder
      const [log, journal] = [join(here, "log"), join(here, "journal.db")]
      const stored = Journal.sqlite(journal, { existing: "resume" })
      const first = yield* Effect.forkChild(Effect.exit(worker(url, {}, { patience: "3 seconds" })))
      const running = yield* Effect.forkChild(
        Effect.flip(onCluster({ url, log, milliseconds: 100, patience: "3 seconds" }, stored))
      )
      yield* until(() => counts(log).size >= 4)
      yield* Effect.promise(() => server().stop("SIGQUIT"))
      const error = yield* Fiber.join(running)
      assert.instanceOf(error, Evaluator.EvaluatorLost)
      assert.match(
        error.message,
        /^The database 127\.0\.0\.1:\d+\/test_\w+ could not be used for \d+ s: .*resume the search\.$/
      )
      const exit = yield* Fiber.join(first)
      assert.isTrue(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("could not be used for"))
      yield* Effect.promise(() => server().start())
      // The first worker could not give back its current trial.
      yield* Effect.forkScoped(worker(url, {}, { silence: Duration.seconds(1.5) }))
      assert.deepStrictEqual(yield* onCluster({ url, log, milliseconds: 100 }, stored), yield* local)
    })
  )
})

const uncertified = Postgres.missing ?? Certificates.missing
if (uncertified !== undefined) console.warn(uncertified)

describe.skipIf(uncertified !== undefined)("an encrypted connection", () => {
  it.live(
    "is made where the certificate is of the given authority, for this host and in date, and refused in a sentence where it is not",
    () =>
      Effect.gen(function* () {
        const here = yield* folder
        const [ours, theirs] = [Certificates.authority(here, "ours"), Certificates.authority(here, "theirs")]
        const url = fresh().replace("127.0.0.1", "localhost")
        const address = `The database localhost:${server().port}/${new URL(url).pathname.slice(1)} cannot be used:`
        const certified = (tls: Postgres.Certificate | undefined) =>
          Effect.promise(async () => {
            await server().stop("SIGQUIT")
            await server().start(tls)
          })
        yield* Effect.addFinalizer(() => certified(undefined))
        const encrypted = Effect.flatMap(
          SqlClient.SqlClient,
          (sql) => sql<{ readonly ssl: boolean }>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`
        )
        const by = (mode: string, root: string | undefined) =>
          `${url}?sslmode=${mode}${root === undefined ? "" : `&sslrootcert=${root}`}`

        assert.strictEqual(
          yield* open(by("require", undefined)),
          `${address} it does not encrypt connections. Give the server a certificate and ssl = on, or take sslmode out of the URL on a network that you trust.`
        )

        yield* certified(ours.issue("localhost"))
        for (const mode of ["require", "verify-ca", "verify-full"])
          assert.deepStrictEqual(yield* Effect.provide(encrypted, database(by(mode, ours.root)), { local: true }), [
            { ssl: true }
          ])
        const unknown = `${address} its certificate is from an authority that is not known here. Give the file with that authority's certificate as sslrootcert in the URL.`
        for (const mode of ["require", "verify-ca", "verify-full"]) {
          assert.strictEqual(yield* open(by(mode, theirs.root)), unknown)
          assert.strictEqual(yield* open(by(mode, undefined)), unknown)
        }
        // Giving only an authority asks for every check.
        assert.strictEqual(yield* open(`${url}?sslrootcert=${theirs.root}`), unknown)

        yield* certified(ours.issue("db.lab"))
        for (const mode of ["require", "verify-full"])
          assert.strictEqual(
            yield* open(by(mode, ours.root)),
            `${address} its certificate is not for localhost. Give the host name that is in its certificate, or give the server a certificate for this one.`
          )
        assert.deepStrictEqual(
          yield* Effect.provide(encrypted, database(by("verify-ca", ours.root)), { local: true }),
          [{ ssl: true }]
        )

        yield* certified(ours.issue("localhost", -1))
        for (const mode of ["require", "verify-ca", "verify-full"])
          assert.strictEqual(
            yield* open(by(mode, ours.root)),
            `${address} its certificate has expired. Give the server a new one, or correct this machine's clock.`
          )
      }).pipe(Effect.scoped)
  )

  it.live("carries a search", () =>
    Effect.gen(function* () {
      const ours = Certificates.authority(yield* folder, "ours")
      const plain = fresh()
      const url = `${plain.replace("127.0.0.1", "localhost")}?sslmode=verify-full&sslrootcert=${ours.root}`
      yield* Effect.promise(async () => {
        await server().stop("SIGQUIT")
        await server().start(ours.issue("localhost"))
      })
      yield* Effect.forkScoped(worker(url))
      const found = yield* Effect.provide(evaluate(trial(0)), cluster({ url }))
      assert.strictEqual(found.measures["index"], 0)
    }).pipe(Effect.scoped)
  )
})
