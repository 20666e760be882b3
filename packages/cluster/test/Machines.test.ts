/** A machine's fault is not the network's: the trial is tried elsewhere, and if no other machine exists, the search says what to fix. */
import { assert, describe, it } from "@effect/vitest"
import { ClusterEvaluator, ClusterWorker } from "@uninet/cluster"
import { Evaluator, Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import { writeFileSync } from "node:fs"
import { cluster, evaluate, failed, folder, local, onCluster, shared, trial, until, worker } from "./support/cluster.ts"
import * as Postgres from "./support/postgres.ts"
import { measuresOf } from "./support/search.ts"

const { asked, untilAsked, fresh } = shared()

const full = new Evaluator.EvaluatorLost({ problem: "The disk of this machine is full", remedy: "Make room" })

/** A machine with a full disk. */
const broken: ClusterWorker.Options["evaluator"] = () =>
  Layer.succeed(Evaluator.Evaluator, { concurrency: 1, evaluate: () => Effect.fail(full) })

/** A machine without the data set. */
const without = () => Layer.effect(Evaluator.Evaluator, Effect.fail(new Error("the data set is not there.")))

/** A machine whose disk is full only the first time. */
const once = (): ClusterWorker.Options["evaluator"] => {
  let tried = false
  return () =>
    Layer.succeed(Evaluator.Evaluator, {
      concurrency: 1,
      evaluate: ({ index }) => {
        if (tried) return Effect.succeed({ measures: { ...measuresOf(0.5), index }, epochs: null })
        tried = true
        return Effect.fail(full)
      }
    })
}

const said =
  "This worker cannot evaluate the search demo: The disk of this machine is full. Make room. Its trials are left to other workers."

describe.skipIf(Postgres.missing !== undefined).concurrent("a machine with a broken disk", () => {
  it.live("takes three trials and no more; others evaluate them, and the journal is the local one", () =>
    Effect.gen(function* () {
      const url = fresh()
      const events: Array<string> = []
      const fleets: Array<string | null> = []
      const more = {
        onWorkers: (workers: ReadonlyArray<ClusterEvaluator.Worker>) =>
          Effect.sync(() => void fleets.push(...workers.map(({ problem }) => problem)))
      }
      const running = yield* Effect.forkChild(onCluster({ url, more }))
      const error = yield* Effect.flip(
        worker(url, {
          evaluator: broken,
          host: "lab1",
          slots: 1,
          onEvent: ({ _tag }) => Effect.sync(() => void events.push(_tag))
        })
      )
      assert.strictEqual(error.message, said)
      assert.deepStrictEqual(events, ["Taken", "Unable", "Taken", "Unable", "Taken", "Unable"])
      // It leaves the reason behind.
      yield* until(() => fleets.includes(said))
      yield* Effect.forkScoped(worker(url, { host: "lab2" }))
      assert.deepStrictEqual(yield* Fiber.join(running), yield* local)
    })
  )

  it.live("beside others that are not does not get the same trial again", () =>
    Effect.gen(function* () {
      const url = fresh()
      const taken: Array<number> = []
      let go = false
      const waiting: ClusterWorker.Options["evaluator"] = () =>
        Layer.succeed(Evaluator.Evaluator, {
          concurrency: 1,
          evaluate: ({ index }) =>
            Effect.as(
              until(() => go),
              { measures: { ...measuresOf(0.5), index }, epochs: null }
            )
        })
      yield* Effect.forkScoped(worker(url, { evaluator: waiting, host: "lab2", slots: 1 }))
      const running = yield* Effect.forkChild(
        Effect.forEach([0, 1], (index) => evaluate(trial(index)), { concurrency: 2 }).pipe(
          Effect.provide(cluster({ url }))
        )
      )
      yield* untilAsked(url, "select count(claim) from uninet_trial", "1")
      yield* Effect.forkScoped(
        worker(url, {
          evaluator: broken,
          host: "lab1",
          onEvent: (event) => Effect.sync(() => void (event._tag === "Taken" && taken.push(event.trial.index)))
        })
      )
      yield* untilAsked(url, "select count(*) from uninet_trial where avoid = '{lab1}'", "1")
      yield* Effect.sleep(1000)
      assert.strictEqual(taken.length, 1)
      go = true
      assert.deepStrictEqual(
        (yield* Fiber.join(running)).map(({ measures }) => measures["index"]),
        [0, 1]
      )
    })
  )

  it.live(
    "ends the search with what to mend where no other machine can, and nothing is journalled; mended, it goes on",
    () =>
      Effect.gen(function* () {
        const url = fresh()
        const journal = Journal.sqlite(join(yield* folder, "journal.db"), { existing: "resume" })
        const machine = (host: string) =>
          Effect.forkScoped(Effect.ignore(worker(url, { evaluator: broken, host, slots: 1 })))
        for (const host of ["lab1", "lab2", "lab3"]) yield* machine(host)
        const problem = "The disk of this machine is full. Make room"
        assert.match(
          yield* failed(onCluster({ url }, journal) as Effect.Effect<unknown, Evaluator.EvaluatorLost>), // the only errors it fails with here
          new RegExp(
            `^Trial \\d+ could not be evaluated, which is not the network's fault \\(lab\\d: ${problem}.*\\)\\. Nothing is lost: fix that or start a worker on another machine, then resume the search\\.$`
          )
        )
        yield* Effect.forkScoped(worker(url, { host: "lab1" }))
        assert.deepStrictEqual(yield* onCluster({ url }, journal), yield* local)
      })
  )

  it.live("that is the only one ends the search, too, when nobody else has come for a while", () =>
    Effect.gen(function* () {
      const url = fresh()
      yield* Effect.forkScoped(Effect.ignore(worker(url, { evaluator: without, host: "lab1" })))
      assert.strictEqual(
        yield* failed(Effect.provide(evaluate(trial(0)), cluster({ url, more: { grace: "1 second" } }))),
        "Trial 0 could not be evaluated, which is not the network's fault (lab1: the data set is not there). Nothing is lost: fix that or start a worker on another machine, then resume the search."
      )
    })
  )

  it.live("for a moment, where there is no other, is asked again", () =>
    Effect.gen(function* () {
      const url = fresh()
      const fiber = yield* Effect.forkScoped(worker(url, { evaluator: once(), host: "lab1" }))
      const found = yield* Effect.provide(evaluate(trial(0)), cluster({ url }))
      assert.strictEqual(found.measures["index"], 0)
      yield* Fiber.interrupt(fiber)
    })
  )

  it.live("whose folder for checkpoints cannot be written leaves trials that are kept to others", () =>
    Effect.gen(function* () {
      const url = fresh()
      const file = join(yield* folder, "a file")
      writeFileSync(file, "")
      const running = yield* Effect.forkChild(
        Effect.provide(evaluate(trial(0, { keep: "trial-0", epochs: 2, until: 1 })), cluster({ url }))
      )
      const problems: Array<string> = []
      const first = yield* Effect.forkScoped(
        worker(url, {
          checkpoints: file,
          host: "lab1",
          onEvent: (event) => Effect.sync(() => void (event._tag === "Unable" && problems.push(event.problem)))
        })
      )
      yield* until(() => problems.length > 0)
      assert.match(problems[0] ?? "", /^its folder for checkpoints cannot be written: .*ENOTDIR/)
      yield* Fiber.interrupt(first)
      yield* Effect.forkScoped(worker(url, { host: "lab2", checkpoints: yield* folder }))
      assert.strictEqual((yield* Fiber.join(running)).measures["index"], 0)
    })
  )
})

describe.skipIf(Postgres.missing !== undefined).concurrent("a search that another process has taken over", () => {
  it.live("ends with a sentence", () =>
    Effect.gen(function* () {
      const url = fresh()
      const first = yield* Effect.forkChild(
        Effect.provide(failed(evaluate(trial(0))), cluster({ url }), { local: true })
      )
      yield* untilAsked(url, "select count(*) from uninet_trial", "1")
      yield* asked(url, "update uninet_search set driver = 'another'")
      assert.match(
        yield* Fiber.join(first),
        /^The search demo on the database .* has been taken over or removed by another process\. Its journal is kept: resume it when no other process drives it\.$/
      )
    })
  )
})

describe("the modules of a pool", () => {
  it.effect("are none outside the worker's folder, whoever names them on the database", () =>
    Effect.gen(function* () {
      for (const module of ["/etc/evil.ts", "../evil.ts", "a/../../evil.ts"]) {
        const layer = ClusterWorker.pool({ slots: 1 })({ module, options: null }, undefined)
        assert.strictEqual(
          yield* failed(Effect.provide(Evaluator.Evaluator, layer)),
          `it needs the module ${module}, which is not inside this worker's folder.`
        )
      }
    })
  )
})
