import { assert, describe, it } from "@effect/vitest"
import { ClusterEvaluator, type ClusterWorker, version } from "@uninet/cluster"
import { Evaluator, Journal, Trial } from "@uninet/search"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import {
  cluster,
  counts,
  database,
  ended,
  evaluate,
  failed,
  folder,
  local,
  onCluster,
  open,
  type Setup,
  serving,
  spawned,
  trial,
  trials,
  until,
  worker
} from "./support/cluster.ts"
import * as Postgres from "./support/postgres.ts"
import { measuresOf, uninet } from "./support/search.ts"

const { fresh, server } = serving()

/** Has no data set. */
const without = () => Layer.effect(Evaluator.Evaluator, Effect.fail(new Error("the data set is not there.")))

/** Keeps in a file how many epochs a trial has been trained for, and says how many it had been when it began. */
const keeping: ClusterWorker.Options["evaluator"] = (_, checkpoints = "") =>
  Evaluator.make(uninet, (_, { keep, until = 0 }) =>
    Effect.sync(() => {
      const file = join(checkpoints, keep ?? "none", "epochs")
      const begun = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0
      if (keep !== undefined) writeFileSync(file, String(until))
      return { measures: { ...measuresOf(0.5), begun }, epochs: until }
    })
  )

describe.skipIf(Postgres.missing !== undefined)("a search on a database", () => {
  it.live("goes on when one of three workers is killed: every trial is done, and the journal is the local one", () =>
    Effect.gen(function* () {
      const url = fresh()
      const log = join(yield* folder, "log")
      const workers = yield* Effect.all([spawned("worker", url), spawned("worker", url), spawned("worker", url)])
      const running = yield* Effect.forkChild(onCluster({ url, log, milliseconds: 150 }))
      // It is in the middle of a trial, and has finished one.
      const victim = workers[0]
      yield* until(() => /Done\n(.*\n)*Taken\n$/.test(victim.said()))
      victim.child.kill("SIGKILL")
      assert.deepStrictEqual(yield* Fiber.join(running), yield* local)
      const begun = counts(log)
      assert.deepStrictEqual(
        [...begun.keys()].sort((a, b) => a - b),
        Array.from({ length: trials }, (_, i) => i)
      )
      const twice = [...begun.values()].filter((times) => times > 1)
      assert.deepStrictEqual(twice, twice.length === 0 ? [] : [2])
    })
  )

  it.live("goes on when its driver is killed and started again: no trial is evaluated twice", () =>
    Effect.gen(function* () {
      const url = fresh()
      const here = yield* folder
      const [log, journal] = [join(here, "log"), join(here, "journal.db")]
      yield* Effect.forkScoped(worker(url))
      const driver = yield* spawned("driver", url, journal, String(trials), "100", log)
      yield* until(() => (driver.said().match(/Finished/g) ?? []).length >= 3)
      driver.child.kill("SIGKILL")
      yield* ended(driver.child)
      const resumed = yield* onCluster(
        { url, log, search: "journal.db", milliseconds: 100 },
        Journal.sqlite(journal, { existing: "resume" })
      )
      assert.deepStrictEqual(resumed, yield* local)
      assert.deepStrictEqual([...counts(log).values()], Array(trials).fill(1))
    })
  )

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
      yield* Effect.sleep(1000)
      yield* Effect.promise(() => server().start())
      assert.deepStrictEqual(yield* Fiber.join(running), yield* local)
    })
  )

  it.live("ends with a sentence when the database stays away, and goes on when it is resumed", () =>
    Effect.gen(function* () {
      const url = fresh()
      const here = yield* folder
      const [log, journal] = [join(here, "log"), join(here, "journal.db")]
      const stored = Journal.sqlite(journal, { existing: "resume" })
      const first = yield* Effect.forkChild(Effect.exit(worker(url, {}, "1 second")))
      const running = yield* Effect.forkChild(
        Effect.flip(onCluster({ url, log, milliseconds: 150, patience: "1 second" }, stored))
      )
      yield* until(() => counts(log).size >= 4)
      yield* Effect.promise(() => server().stop("SIGQUIT"))
      const error = yield* Fiber.join(running)
      assert.instanceOf(error, Evaluator.EvaluatorLost)
      assert.match(
        error.message,
        /^The database 127\.0\.0\.1:\d+\/test\d+ could not be used for \d+ s: .*resume the search\.$/
      )
      const exit = yield* Fiber.join(first)
      assert.isTrue(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("could not be used for"))
      yield* Effect.promise(() => server().start())
      yield* Effect.forkScoped(worker(url))
      assert.deepStrictEqual(yield* onCluster({ url, log, milliseconds: 150 }, stored), yield* local)
    })
  )

  it.live("does not mix with another one, whatever both have in common", () =>
    Effect.gen(function* () {
      const url = fresh()
      const log = join(yield* folder, "log")
      yield* Effect.forkScoped(worker(url, { slots: 4 }))
      const both = yield* Effect.all([onCluster({ url, log, search: "a" }), onCluster({ url, log, search: "b" })], {
        concurrency: 2
      })
      assert.deepStrictEqual(both[0], both[1])
      assert.deepStrictEqual([...counts(log).values()], Array(trials).fill(2))
      // Under the same name nothing is evaluated again.
      yield* onCluster({ url, log, search: "a" })
      assert.deepStrictEqual([...counts(log).values()], Array(trials).fill(2))
    })
  )

  it.live("hears how far its trials are, which workers there are, and gets the weights", () =>
    Effect.gen(function* () {
      const url = fresh()
      const seen: Array<Trial.Progress> = []
      const fleets: Array<number> = []
      const more: Setup["more"] = {
        onWorkers: (workers) => Effect.sync(() => void fleets.push(...workers.map(({ slots }) => slots)))
      }
      yield* Effect.forkScoped(worker(url))
      const found = yield* evaluate(trial(1, { epochs: 3, keepWeights: true }), (progress) =>
        Effect.sync(() => void seen.push(progress))
      ).pipe(Effect.provide(cluster({ url, milliseconds: 2500, more })))
      assert.deepStrictEqual(found, {
        measures: { ...measuresOf(found.measures["accuracy"]), index: 1 },
        epochs: 3,
        weights: new Map([["stem.weight", Float32Array.of(1, 2, 1)]])
      })
      assert.isAbove(seen.length, 1)
      assert.deepStrictEqual(seen.pop(), { done: 1 })
      assert.isTrue(
        seen.every(
          ({ done, examplesPerSecond, loss }) =>
            done > 0 && done <= 1 && loss !== undefined && examplesPerSecond === 400 * done
        )
      )
      assert.deepStrictEqual(fleets, [2])
    })
  )

  it.live("goes on with a training that another machine has kept, and keeps nothing of one without a name", () =>
    Effect.gen(function* () {
      const url = fresh()
      const first = yield* Effect.forkChild(worker(url, { evaluator: keeping, checkpoints: yield* folder }))
      const begunAt = (until: number, keep?: string) =>
        evaluate(trial(0, { epochs: 9, until, ...(keep === undefined ? {} : { keep }) })).pipe(
          Effect.map(({ measures }) => measures["begun"]),
          Effect.provide(cluster({ url }))
        )
      assert.strictEqual(yield* begunAt(1, "trial-0"), 0)
      yield* Fiber.interrupt(first)
      yield* Effect.forkScoped(worker(url, { evaluator: keeping, checkpoints: yield* folder }))
      assert.strictEqual(yield* begunAt(3, "trial-0"), 1)
      assert.strictEqual(yield* begunAt(9, "trial-0"), 3)
      assert.strictEqual(yield* begunAt(9), 0)
    })
  )

  it.live("takes back what is interrupted: the worker stops, and it can be asked for again", () =>
    Effect.gen(function* () {
      const url = fresh()
      const events: Array<string> = []
      yield* Effect.forkScoped(worker(url, { onEvent: ({ _tag }) => Effect.sync(() => void events.push(_tag)) }))
      const slow = cluster({ url, milliseconds: 60_000 })
      const running = yield* Effect.forkChild(Effect.provide(evaluate(trial(0)), slow))
      yield* until(() => events.includes("Taken"))
      yield* Fiber.interrupt(running)
      yield* until(() => events.includes("Withdrawn"))
      const again = yield* Effect.forkChild(Effect.provide(evaluate(trial(0)), slow))
      yield* until(() => events.filter((event) => event === "Taken").length === 2)
      yield* Fiber.interrupt(again)
    })
  )

  it.live("leaves trials to other workers where one cannot evaluate them", () =>
    Effect.gen(function* () {
      const url = fresh()
      const problems: Array<string | null> = []
      const more: Setup["more"] = {
        onWorkers: (workers) => Effect.sync(() => void problems.push(...workers.map(({ problem }) => problem)))
      }
      const running = yield* Effect.forkChild(Effect.provide(evaluate(trial(0)), cluster({ url, more })))
      const error = yield* Effect.flip(worker(url, { evaluator: without }))
      assert.strictEqual(
        error.message,
        "This worker cannot evaluate the search demo: the data set is not there. Its trials are left to other workers."
      )
      yield* Effect.forkScoped(worker(url))
      assert.strictEqual((yield* Fiber.join(running)).measures["index"], 0)
    })
  )

  it.live("records a failure, a defect, no number, and a trial that workers are lost over, as failed trials", () =>
    Effect.gen(function* () {
      const url = fresh()
      const name = new URL(url).pathname.slice(1)
      const failing = Layer.succeed(Evaluator.Evaluator, {
        concurrency: 1,
        evaluate: ({ index }) => {
          if (index === 4) throw new Error("told to throw")
          return index === 0
            ? Effect.fail(new Trial.TrialFailed({ trial: index, reason: "Failed", detail: "told to fail" }))
            : index === 1
              ? Effect.die(new Error("told to die"))
              : Effect.succeed({ measures: measuresOf(Number.NaN), epochs: null })
        }
      })
      const five = yield* Effect.forkChild(
        Effect.forEach([0, 1, 2, 3, 4], (index) => Effect.flip(evaluate(trial(index))), { concurrency: 5 }).pipe(
          Effect.provide(cluster({ url }))
        )
      )
      const queued = () =>
        server().sql(name, "select count(*) from information_schema.tables where table_name = 'uninet_trial'") ===
          "1" && server().sql(name, "select count(*) from uninet_trial") === "5"
      yield* until(queued)
      server().sql(name, "update uninet_trial set lost = 10 where key like 'demo/2/%'")
      yield* Effect.forkScoped(worker(url, { evaluator: () => failing }))
      const errors = yield* Fiber.join(five)
      assert.deepStrictEqual(
        errors.map((error) => (error._tag === "TrialFailed" ? [error.trial, error.reason, error.detail] : error)),
        [
          [0, "Failed", "told to fail"],
          [1, "Crashed", "told to die"],
          [2, "Crashed", "10 workers were lost over it"],
          [3, "Failed", "its accuracy is NaN"],
          [4, "Crashed", "told to throw"]
        ]
      )
    })
  )

  it.live("leaves nothing on the database when it is forgotten", () =>
    Effect.gen(function* () {
      const url = fresh()
      const name = new URL(url).pathname.slice(1)
      yield* Effect.forkScoped(worker(url))
      yield* onCluster({ url, search: "a" })
      yield* onCluster({ url, search: "b" })
      yield* Effect.provide(ClusterEvaluator.forget("a"), database(url), { local: true })
      for (const [table, rows] of [
        ["uninet_search", 1],
        ["uninet_trial", trials]
      ] as const)
        assert.strictEqual(server().sql(name, `select count(*) from ${table}`), String(rows), table)
    })
  )
})

describe.skipIf(Postgres.missing !== undefined)("what is refused", () => {
  it.live("a worker of another version, and a search of another version", () =>
    Effect.gen(function* () {
      const url = fresh()
      const ready = yield* Deferred.make<void>()
      yield* Effect.forkScoped(
        Effect.andThen(Deferred.succeed(ready, undefined), Effect.never).pipe(Effect.provide(cluster({ url })))
      )
      yield* Deferred.await(ready)
      assert.strictEqual(
        yield* failed(worker(url, { version: "9.9.9" })),
        `This worker is uninet 9.9.9, and the search demo on the same database is uninet ${version}. Install the same version on all machines, or use another database.`
      )
      const other = fresh()
      yield* Effect.forkScoped(worker(other))
      const database = new URL(other).pathname.slice(1)
      const there = () =>
        server().sql(database, "select count(*) from information_schema.tables where table_name = 'uninet_worker'") ===
          "1" && server().sql(database, "select count(*) from uninet_worker") === "1"
      yield* until(there)
      assert.match(
        yield* failed(Effect.provide(evaluate(trial(0)), cluster({ url: other, more: { version: "9.9.9" } }))),
        /^This search is uninet 9\.9\.9, and the worker on .* \(process \d+\) on the same database is uninet /
      )
    })
  )

  it.live("a name that belongs to another search, and a search that is driven already", () =>
    Effect.gen(function* () {
      const url = fresh()
      const journal = join(yield* folder, "demo")
      const driver = yield* spawned("driver", url, journal, "4", "100", `${journal}.log`)
      yield* until(() => driver.said().includes("Started"))
      const same = { url, milliseconds: 100, log: `${journal}.log` }
      assert.strictEqual(
        yield* failed(Effect.provide(evaluate(trial(0)), cluster({ ...same, milliseconds: 101 }))),
        `The name demo belongs to a search with other settings on 127.0.0.1:${server().port}${new URL(url).pathname}. Give the same settings, or another name.`
      )
      assert.match(
        yield* failed(Effect.provide(evaluate(trial(0)), cluster(same))),
        new RegExp(
          `^The search demo is driven by process ${driver.child.pid} on .* already\\. Wait for it or stop it, then resume\\.$`
        )
      )
    })
  )

  it.live(
    "a database that is not there, a wrong password, and a URL that is none, without a word of what is secret",
    () =>
      Effect.gen(function* () {
        const url = fresh()
        const address = `127\\.0\\.0\\.1:${server().port}`
        const wrong = url.replace(/:[^:@]+@/, ":mistaken@")
        const said = [
          yield* open(wrong),
          yield* open(`${url}none`),
          yield* open(url.replace(`:${server().port}`, ":1")),
          yield* open("mysql://secret@host")
        ]
        assert.match(
          said[0],
          new RegExp(`^The database ${address}/test\\d+ cannot be used: password authentication failed`)
        )
        assert.match(
          said[1],
          new RegExp(`^The database ${address}/test\\d+none cannot be used: database "test\\d+none" does not exist`)
        )
        assert.match(
          said[2],
          /^The database 127\.0\.0\.1:1\/test\d+ could not be used for \d+ s: .*ECONNREFUSED.* Nothing is lost/
        )
        assert.match(said[3], /^The database that was given cannot be used: its URL is none of PostgreSQL's\./)
        for (const text of said)
          for (const secret of [Postgres.password, encodeURIComponent(Postgres.password), "mistaken", "secret"])
            assert.notInclude(text, secret)
      })
  )
})

describe("the version", () => {
  it("is that of the package", () => {
    const { version: packaged }: { readonly version: string } = JSON.parse(
      readFileSync(new URL("../package.json", import.meta.url), "utf8")
    )
    assert.strictEqual(version, packaged)
  })
})
