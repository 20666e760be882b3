/** Nothing waits for ever, whatever becomes of the database and of the way to it. */
import { assert, describe, it } from "@effect/vitest"
import type { ClusterWorker } from "@uninet/cluster"
import { Evaluator } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import {
  cluster,
  counts,
  evaluate,
  folder,
  local,
  onCluster,
  serving,
  spawned,
  trial,
  trials,
  until,
  worker
} from "./support/cluster.ts"
import * as Postgres from "./support/postgres.ts"
import { proxy } from "./support/proxy.ts"
import { measuresOf } from "./support/search.ts"

const { asked, untilAsked, fresh, server } = serving()

/** A way to the server that can be cut. */
const way = Effect.acquireRelease(
  Effect.promise(() => proxy(server().port)),
  ({ close }) => Effect.promise(close)
)

/** Evaluates as soon as it is told to. */
const told =
  (go: () => boolean): ClusterWorker.Options["evaluator"] =>
  () =>
    Layer.succeed(Evaluator.Evaluator, {
      concurrency: 1,
      evaluate: ({ index }) => Effect.as(until(go), { measures: { ...measuresOf(0.5), index }, epochs: null })
    })

describe.skipIf(Postgres.missing !== undefined)("a database that is away", () => {
  it.live(
    "for longer than a lock lasts while trials end: each has its outcome when it is back, and none is evaluated twice",
    () =>
      Effect.gen(function* () {
        const url = fresh()
        const log = join(yield* folder, "log")
        yield* Effect.forkScoped(worker(url, { slots: 2 }))
        yield* Effect.forkScoped(worker(url, { slots: 2 }))
        const running = yield* Effect.forkChild(onCluster({ url, log, milliseconds: 700 }))
        yield* until(() => counts(log).size >= 4)
        yield* Effect.promise(() => server().stop("SIGKILL"))
        yield* Effect.sleep(10_000)
        yield* Effect.promise(() => server().start())
        assert.deepStrictEqual(yield* Fiber.join(running), yield* local)
        assert.deepStrictEqual([...counts(log).values()], Array(trials).fill(1))
      })
  )
})

// They wait for the most part, and none of them stops the server.
describe.skipIf(Postgres.missing !== undefined).concurrent("a way to the database that is cut", () => {
  it.live("for the driver alone: what the workers have done meanwhile is found, without a word from them", () =>
    Effect.gen(function* () {
      const url = fresh()
      const log = join(yield* folder, "log")
      const { set, url: by } = yield* way
      yield* Effect.forkScoped(worker(url, { slots: 4 }))
      const running = yield* Effect.forkChild(onCluster({ url: by(url), log, milliseconds: 300 }))
      yield* until(() => counts(log).size >= 2)
      set("refused")
      const waiting = () => asked(url, "select count(*) from uninet_trial where outcome is null") === "0"
      yield* until(waiting)
      set("open")
      assert.deepStrictEqual(yield* Fiber.join(running), yield* local)
    })
  )

  it.live(
    "without a word to anyone: connections that are silent for ever are given up, by drivers and by workers",
    () =>
      Effect.gen(function* () {
        const url = fresh()
        const log = join(yield* folder, "log")
        const { set, url: by } = yield* way
        yield* Effect.forkScoped(worker(by(url), { slots: 2 }))
        const running = yield* Effect.forkChild(onCluster({ url: by(url), log, milliseconds: 300 }))
        yield* until(() => counts(log).size >= 3)
        set("silent")
        yield* Effect.sleep(2000)
        set("open")
        assert.deepStrictEqual(yield* Fiber.join(running), yield* local)
      })
  )

  it.live("when an outcome is stored: the trial is its worker's until it is, and no other begins with it", () =>
    Effect.gen(function* () {
      const url = fresh()
      const { set, url: by } = yield* way
      let go = false
      const events: Array<string> = []
      const first = worker(by(url), {
        slots: 1,
        evaluator: told(() => go),
        onEvent: ({ _tag }) => Effect.sync(() => void events.push(_tag))
      })
      yield* Effect.forkScoped(first)
      const running = yield* Effect.forkChild(Effect.provide(evaluate(trial(0)), cluster({ url })))
      yield* until(() => events.includes("Taken"))
      const begun: Array<string> = []
      yield* Effect.forkScoped(
        worker(url, { evaluator: told(() => true), onEvent: ({ _tag }) => Effect.sync(() => void begun.push(_tag)) })
      )
      yield* untilAsked(url, "select count(*) from uninet_worker", "2")
      set("silent")
      go = true
      yield* Effect.sleep(3000)
      set("open")
      yield* Fiber.join(running)
      yield* until(() => events.includes("Done"))
      assert.deepStrictEqual(begun, [])
    })
  )

  it.live("when an evaluation is interrupted: its trial is taken back as soon as it can be", () =>
    Effect.gen(function* () {
      const url = fresh()
      const { set, url: by } = yield* way
      const count = () => asked(url, "select count(*) from uninet_trial")
      yield* Effect.gen(function* () {
        const [first, second] = [
          yield* Effect.forkChild(evaluate(trial(0))),
          yield* Effect.forkChild(evaluate(trial(1)))
        ]
        yield* until(() => count() === "2")
        set("refused")
        yield* Fiber.interrupt(first)
        assert.strictEqual(count(), "2")
        set("open")
        yield* until(() => count() === "1")
        yield* Fiber.interrupt(second)
        assert.strictEqual(count(), "0")
      }).pipe(Effect.provide(cluster({ url: by(url) })))
    })
  )

  it.live("for a worker that is gone, while nobody drives the search: its trial is taken over all the same", () =>
    Effect.gen(function* () {
      const url = fresh()
      const here = yield* folder
      const log = join(here, "log")
      const lost = yield* spawned("worker", url)
      const driver = yield* spawned("driver", url, join(here, "demo"), "1", "2000", log)
      yield* until(() => counts(log).size >= 1)
      driver.child.kill("SIGKILL")
      lost.child.kill("SIGKILL")
      yield* Effect.forkScoped(worker(url))
      yield* untilAsked(url, "select count(outcome) from uninet_trial", "1")
      assert.strictEqual(asked(url, "select lost from uninet_trial"), "1")
    })
  )
})
