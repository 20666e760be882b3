/** Access to a database: its URL, its tables, the names in them. */
import { assert, describe, it } from "@effect/vitest"
import type { ClusterWorker } from "@uninet/cluster"
import { Evaluator } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as trials from "../src/internal/trials.js"
import { cluster, database, evaluate, failed, folder, open, shared, trial, worker } from "./support/cluster.ts"
import * as Postgres from "./support/postgres.ts"
import { measuresOf } from "./support/search.ts"

const { asked, untilAsked, fresh, server } = shared()

const nameOf = (url: string) => new URL(url).pathname.slice(1)
const made = (url: string) => Effect.provide(Effect.void, database(url), { local: true })

describe("a URL", () => {
  const says = {
    "postgresql://uninet:100%sure@db.lab/uninet":
      "The database that was given cannot be used: the password of its URL has a % that does not start a two-digit code. Write %25 for a %, or give the password in PGPASSWORD.",
    "postgresql://100%:hush@db.lab/uninet":
      "The database that was given cannot be used: the user of its URL has a % that does not start a two-digit code. Write %25 for a %.",
    "postgresql://uninet:hu/sh@db.lab/uninet":
      "The database that was given cannot be used: its URL is not a PostgreSQL URL. Give one such as postgresql://user@host:5432/uninet, with characters such as @ : / ? # % in a password written as %40 %3A %2F %3F %23 %25.",
    "postgresql://uninet:hush@db.lab/uninet?sslmode=always":
      "The database db.lab:5432/uninet cannot be used: its URL has sslmode=always. Give one of disable, allow, prefer, require, verify-ca, verify-full, or none.",
    "postgresql://uninet:hush@db.lab/uninet?sslrootcert=/no/such/ca.pem":
      /^The database db\.lab:5432\/uninet cannot be used: the authority's certificate \/no\/such\/ca\.pem cannot be read \(ENOENT.*\)\. Give the file with the authority's certificate as sslrootcert\.$/
  }
  for (const [url, said] of Object.entries(says))
    it.effect(`such as ${url} is refused in a sentence, without its password`, () =>
      Effect.gen(function* () {
        const text = yield* open(url)
        if (typeof said === "string") assert.strictEqual(text, said)
        else assert.match(text, said)
        assert.notMatch(text, /hush|100%sure/)
      })
    )
})

describe.skipIf(Postgres.missing !== undefined)("a password", () => {
  it.live("may have any sign, in the URL by its code and in PGPASSWORD as it is", () =>
    Effect.gen(function* () {
      const url = fresh()
      assert.include(Postgres.password, "%")
      yield* made(url)
      const before = process.env["PGPASSWORD"]
      process.env["PGPASSWORD"] = Postgres.password
      yield* made(url.replace(/:[^:@]+@/, "@")).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            if (before === undefined) delete process.env["PGPASSWORD"]
            else process.env["PGPASSWORD"] = before
          })
        )
      )
    })
  )
})

const before = readFileSync(new URL("./support/tables-0.2.sql", import.meta.url), "utf8")

/** A database as uninet 0.2.0 left it, with the outcome of a trial. */
const old = () => {
  const url = fresh()
  const outcome = JSON.stringify({
    _tag: "Evaluated",
    evaluation: { measures: { ...measuresOf(0.75), index: 0 }, epochs: null },
    weights: false
  })
  server().sql(nameOf(url), before)
  server().sql(
    nameOf(url),
    `insert into uninet_outcome (key, search, outcome) values ('${trials.keyOf("demo", trial(0))}', 'demo', '${outcome}')`
  )
  return url
}

describe.skipIf(Postgres.missing !== undefined).concurrent("the tables of the version before", () => {
  it.live(
    "are brought up to this one's: a resumed search has what was found, and another program's messages stay",
    () =>
      Effect.gen(function* () {
        const url = old()
        const events: Array<number> = []
        yield* Effect.forkScoped(
          worker(url, {
            onEvent: (event) => Effect.sync(() => void (event._tag === "Taken" && events.push(event.trial.index)))
          })
        )
        const found = yield* Effect.forEach([0, 1], (index) => evaluate(trial(index)), { concurrency: 2 }).pipe(
          Effect.provide(cluster({ url }))
        )
        assert.strictEqual(found[0]?.measures["accuracy"], 0.75)
        assert.deepStrictEqual(events, [1])
        assert.strictEqual(yield* asked(url, "select entity_type from cluster_messages"), "Counter")
        assert.strictEqual(yield* asked(url, "select count(*) from cluster_replies"), "1")
        assert.strictEqual(yield* asked(url, "select to_regclass('uninet_queue') is null"), "t")
        // And once more, as every program that connects does.
        yield* made(url)
      })
  )

  it.live("are left alone while a worker or a search of that version is at work", () =>
    Effect.gen(function* () {
      const url = old()
      const address = `The database 127.0.0.1:${server().port}/${nameOf(url)} cannot be used:`
      server().sql(nameOf(url), "update uninet_worker set seen_at = now()")
      assert.strictEqual(
        yield* failed(made(url)),
        `${address} a worker of an earlier version (process 15884 on lab2) is still using it. Stop it, then start this one again.`
      )
      server().sql(nameOf(url), "update uninet_worker set seen_at = now() - interval '1 minute'")
      server().sql(nameOf(url), "update uninet_search set seen_at = now()")
      assert.include(yield* failed(made(url)), "a search of an earlier version (process 15885 on lab1)")
      server().sql(nameOf(url), "update uninet_search set seen_at = null")
      yield* made(url)
    })
  )

  it.live("are no more: programs of that version are told by the database itself", () =>
    Effect.gen(function* () {
      const url = fresh()
      yield* made(url)
      for (const text of [
        "insert into uninet_worker (id, version, host, pid, slots, problem) values ('a', '0.2.0', 'lab', 1, 1, null)",
        "insert into uninet_search (id, version, description) values ('demo', '0.2.0', '{}') on conflict do nothing"
      ])
        assert.throws(() => server().sql(nameOf(url), text), /this database is used by a later version of uninet/)
    })
  )

  it.live("of a later version are refused in a sentence", () =>
    Effect.gen(function* () {
      const url = fresh()
      yield* made(url)
      yield* asked(url, "insert into uninet_migrations (migration_id, name) values (99, 'later')")
      assert.strictEqual(
        yield* failed(made(url)),
        `The database 127.0.0.1:${server().port}/${nameOf(url)} cannot be used: its tables were made by a later version of uninet. Install that version, or use another database.`
      )
    })
  )

  it.live("are made once, however many begin with them at the same time", () =>
    Effect.gen(function* () {
      const url = fresh()
      yield* Effect.forEach(Array.from({ length: 8 }), () => made(url), { concurrency: "unbounded" })
      assert.strictEqual(yield* asked(url, "select count(*) from uninet_migrations"), "5")
    })
  )
})

/** Stores another file next to what was kept before, and reports what was there. */
const keeping: (seen: Array<string>) => ClusterWorker.Options["evaluator"] =
  (seen) =>
  (_, checkpoints = "") =>
    Effect.sync(() => {
      seen.push(checkpoints)
      return Evaluator.Evaluator.of({
        concurrency: 1,
        evaluate: ({ index, keep = "" }) =>
          Effect.sync(() => {
            seen.push(...readdirSync(join(checkpoints, keep)))
            return { measures: { ...measuresOf(0.5), index }, epochs: 1 }
          })
      })
    }).pipe((made) => Layer.effect(Evaluator.Evaluator, made))

describe.skipIf(Postgres.missing !== undefined).concurrent("names that come from the database", () => {
  it.live("of folders to keep lead nowhere else: nothing is removed there, and the trial has failed", () =>
    Effect.gen(function* () {
      const url = fresh()
      const here = yield* folder
      const victim = join(here, "victim")
      mkdirSync(victim)
      writeFileSync(join(victim, "thesis.txt"), "years of work")
      yield* Effect.forkScoped(worker(url, { evaluator: keeping([]), checkpoints: join(here, "checkpoints") }))
      const asks = Effect.provide(cluster({ url }))
      for (const keep of ["../../victim", victim, "..", ".", "", "a/b"])
        assert.strictEqual(
          yield* failed(evaluate(trial(0, { keep, until: 1, epochs: 2 })).pipe(asks)),
          `trial 0 failed: its checkpoints would be kept as ${JSON.stringify(keep)}, which is not a valid folder name`
        )
      assert.strictEqual(readFileSync(join(victim, "thesis.txt"), "utf8"), "years of work")
    })
  )

  it.live("of files to go on with are written nowhere else", () =>
    Effect.gen(function* () {
      const url = fresh()
      const here = yield* folder
      yield* made(url)
      for (const name of ["../../../escaped", "..", "plain"])
        yield* asked(
          url,
          `insert into uninet_checkpoint (search, keep, name, content) values ('demo', 'trial-0', '${name}', '\\x00')`
        )
      const seen: Array<string> = []
      yield* Effect.forkScoped(worker(url, { evaluator: keeping(seen), checkpoints: join(here, "checkpoints") }))
      yield* Effect.provide(evaluate(trial(0, { keep: "trial-0", until: 1, epochs: 2 })), cluster({ url }))
      assert.deepStrictEqual(seen.slice(1), ["plain"])
      assert.isFalse(existsSync(join(here, "escaped")))
    })
  )
})

describe.skipIf(Postgres.missing !== undefined).concurrent("an outcome that cannot be read", () => {
  it.live("ends the search with a sentence and not with waiting", () =>
    Effect.gen(function* () {
      const url = fresh()
      const running = yield* Effect.forkChild(Effect.provide(failed(evaluate(trial(0))), cluster({ url })))
      yield* untilAsked(url, "select count(*) from uninet_trial", "1")
      yield* asked(url, "update uninet_trial set outcome = '{}'")
      assert.match(
        yield* Fiber.join(running),
        /^The outcome of trial 0 on the database .* cannot be read\. Delete its row from uninet_trial, then resume the search\.$/
      )
    })
  )
})
