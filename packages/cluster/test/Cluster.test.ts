import { assert, describe, it } from "@effect/vitest"
import { ClusterEvaluator, type ClusterWorker, version } from "@uninet/cluster"
import { Evaluator, Journal, Trial } from "@uninet/search"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
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
  shared,
  spawned,
  trial,
  trials,
  until,
  worker
} from "./support/cluster.ts"
import * as Postgres from "./support/postgres.ts"
import { measuresOf, uninet } from "./support/search.ts"

const { asked, fresh, server, untilAsked } = shared()

/** Has no data set. */
const without = () => Layer.effect(Evaluator.Evaluator, Effect.fail(new Error("the data set is not there.")))

/** Stores in a file how many epochs a trial has been trained for, and reports how many there were when it began. */
const keeping: ClusterWorker.Options["evaluator"] = (_, checkpoints = "") =>
  Evaluator.make(uninet, (_, { keep, until = 0 }) =>
    Effect.sync(() => {
      const file = join(checkpoints, keep ?? "none", "epochs")
      const begun = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0
      if (keep !== undefined) writeFileSync(file, String(until))
      return { measures: { ...measuresOf(0.5), begun }, epochs: until }
    })
  )

describe.skipIf(Postgres.missing !== undefined).concurrent("a search on a database", () => {
  it.live("goes on when one of three workers is killed: every trial is done, and the journal is the local one", () =>
    Effect.gen(function* () {
      const url = fresh()
      const log = join(yield* folder, "log")
      const victim = yield* spawned("worker", url)
      const running = yield* Effect.forkChild(onCluster({ url, log, milliseconds: 150 }))
      yield* until(() => victim.said().includes("Taken"))
      const soon = { silence: Duration.seconds(2) }
      yield* Effect.forkScoped(worker(url, { slots: 1 }, soon))
      yield* Effect.forkScoped(worker(url, { slots: 1 }, soon))
      // It has finished one trial, and is in the middle of another.
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
      const driver = yield* spawned("driver", url, journal, String(trials), "50", log)
      yield* until(() => (driver.said().match(/Finished/g) ?? []).length >= 3)
      driver.child.kill("SIGKILL")
      yield* ended(driver.child)
      const resumed = yield* onCluster(
        { url, log, search: "journal.db", milliseconds: 50 },
        Journal.sqlite(journal, { existing: "resume" })
      )
      assert.deepStrictEqual(resumed, yield* local)
      assert.deepStrictEqual([...counts(log).values()], Array(trials).fill(1))
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

  it.live(
    "hears how far its trials are, which workers there are, and gets weights and curve, with the name of the machine",
    () =>
      Effect.gen(function* () {
        const url = fresh()
        const seen: Array<Trial.Progress> = []
        const fleets: Array<number> = []
        const more: Setup["more"] = {
          onWorkers: (workers) => Effect.sync(() => void fleets.push(...workers.map(({ slots }) => slots)))
        }
        const progress: Trial.Progress = { done: 0.25, loss: 4, examplesPerSecond: 100 }
        const weights = new Map([["stem.weight", Float32Array.of(1, 2, 3)]])
        const training = {
          place: { host: "by its own name", process: 7, engine: "none 1.0", device: "abacus" },
          begun: 1,
          ended: 2,
          curve: { epochs: [1, 2], loss: [0.5, null], measures: { accuracy: [null, 0.1] } }
        }
        const evaluator = Layer.succeed(Evaluator.Evaluator, {
          concurrency: 1,
          evaluate: ({ epochs = null }, report) =>
            report(progress).pipe(
              // Ends when the search has noticed it.
              Effect.andThen(until(() => seen.length > 0)),
              Effect.as({ measures: measuresOf(0.5), epochs, weights, training })
            )
        })
        yield* Effect.forkScoped(worker(url, { evaluator: () => evaluator, host: "lab" }))
        const found = yield* evaluate(trial(1, { epochs: 3, keepWeights: true }), (progress) =>
          Effect.sync(() => void seen.push(progress))
        ).pipe(Effect.provide(cluster({ url, more })))
        assert.deepStrictEqual(found, {
          measures: measuresOf(0.5),
          epochs: 3,
          weights,
          training: { ...training, place: { ...training.place, host: "lab" } }
        })
        assert.deepStrictEqual(seen, [progress, { done: 1 }])
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
      yield* untilAsked(url, "select count(*) from uninet_trial", "5")
      yield* asked(url, "update uninet_trial set lost = 10 where key like 'demo/2/%'")
      yield* Effect.forkScoped(worker(url, { evaluator: () => failing }))
      const errors = yield* Fiber.join(five)
      assert.deepStrictEqual(
        errors.map((error) => (error._tag === "TrialFailed" ? [error.trial, error.reason, error.detail] : error)),
        [
          [0, "Failed", "told to fail"],
          [1, "Crashed", "told to die"],
          [2, "Crashed", "10 workers were lost while evaluating it"],
          [3, "Failed", "its accuracy is NaN"],
          [4, "Crashed", "told to throw"]
        ]
      )
    })
  )

  it.live("leaves nothing on the database when it is forgotten", () =>
    Effect.gen(function* () {
      const url = fresh()
      yield* Effect.forkScoped(worker(url))
      yield* onCluster({ url, search: "a" })
      yield* onCluster({ url, search: "b" })
      yield* Effect.provide(ClusterEvaluator.forget("a"), database(url), { local: true })
      for (const [table, rows] of [
        ["uninet_search", 1],
        ["uninet_trial", trials]
      ] as const)
        assert.strictEqual(yield* asked(url, `select count(*) from ${table}`), String(rows), table)
    })
  )
})

describe.skipIf(Postgres.missing !== undefined).concurrent("what is refused", () => {
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
      yield* untilAsked(other, "select count(*) from uninet_worker", "1")
      assert.match(
        yield* failed(Effect.provide(evaluate(trial(0)), cluster({ url: other, more: { version: "9.9.9" } }))),
        /^This search is uninet 9\.9\.9, and the worker on .* \(process \d+\) on the same database is uninet /
      )
    })
  )

  it.live("a name that belongs to another search, and a search that is driven already", () =>
    Effect.gen(function* () {
      const url = fresh()
      const same = { url, milliseconds: 20 }
      yield* Effect.forkScoped(Effect.provide(evaluate(trial(0)), cluster(same)))
      yield* untilAsked(url, "select count(*) from uninet_trial", "1")
      assert.strictEqual(
        yield* failed(Effect.provide(evaluate(trial(0)), cluster({ ...same, milliseconds: 21 }))),
        `The name demo belongs to a search with different settings on 127.0.0.1:${server().port}${new URL(url).pathname}. Give the same settings, or another name.`
      )
      // Otherwise it would be clear at once that this process does not drive it twice.
      yield* asked(url, `update uninet_search set pid = ${process.ppid}`)
      assert.match(
        yield* failed(Effect.provide(evaluate(trial(0)), cluster(same))),
        new RegExp(
          `^The search demo is already driven by process ${process.ppid} on .*\\. Wait for it or stop it, then resume\\.$`
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
          yield* open(url.replace(`:${server().port}`, ":1"), { patience: "300 millis" }),
          yield* open("mysql://secret@host")
        ]
        assert.match(
          said[0],
          new RegExp(`^The database ${address}/test_\\w+ cannot be used: password authentication failed`)
        )
        assert.match(
          said[1],
          new RegExp(`^The database ${address}/test_\\w+none cannot be used: database "test_\\w+none" does not exist`)
        )
        assert.match(
          said[2],
          /^The database 127\.0\.0\.1:1\/test_\w+ could not be used for \d+ s: .*ECONNREFUSED.* Nothing is lost/
        )
        assert.match(said[3], /^The database that was given cannot be used: its URL is not a PostgreSQL URL\./)
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
