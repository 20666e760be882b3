/** Nothing waits forever, whatever happens to the connection to the database. For the server itself, see `Server.test.ts`. */
import { assert, describe, it } from "@effect/vitest"
import type { ClusterWorker } from "@uninet/cluster"
import { Evaluator } from "@uninet/search"
import * as Duration from "effect/Duration"
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
  type Pace,
  shared,
  trial,
  until,
  worker
} from "./support/cluster.ts"
import * as Postgres from "./support/postgres.ts"
import { proxy } from "./support/proxy.ts"
import { measuresOf } from "./support/search.ts"

const { asked, untilAsked, fresh, server } = shared()

/** Does not wait long for an answer. */
const brief: Pace = { attempt: Duration.millis(800) }

/** A connection to the server that can be cut. */
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

const recording = (events: Array<string>): Partial<ClusterWorker.Options> => ({
  onEvent: ({ _tag }) => Effect.sync(() => void events.push(_tag))
})

// They spend most of their time waiting.
describe.skipIf(Postgres.missing !== undefined).concurrent("a way to the database that is cut", () => {
  it.live("for the driver alone: what the workers have done meanwhile is found, without a word from them", () =>
    Effect.gen(function* () {
      const url = fresh()
      const log = join(yield* folder, "log")
      const { set, url: by } = yield* way
      yield* Effect.forkScoped(worker(url, { slots: 4 }))
      const running = yield* Effect.forkChild(onCluster({ url: by(url), log, milliseconds: 100 }))
      yield* until(() => counts(log).size >= 2)
      set("refused")
      yield* untilAsked(url, "select count(*) from uninet_trial where outcome is null", "0")
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
        yield* Effect.forkScoped(worker(by(url), { slots: 2 }, brief))
        const running = yield* Effect.forkChild(onCluster({ url: by(url), log, milliseconds: 100, ...brief }))
        yield* until(() => counts(log).size >= 3)
        set("silent")
        yield* Effect.sleep(500)
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
      yield* Effect.forkScoped(worker(by(url), { slots: 1, evaluator: told(() => go), ...recording(events) }, brief))
      const running = yield* Effect.forkChild(Effect.provide(evaluate(trial(0)), cluster({ url })))
      yield* until(() => events.includes("Taken"))
      const begun: Array<string> = []
      yield* Effect.forkScoped(worker(url, { evaluator: told(() => true), ...recording(begun) }))
      yield* untilAsked(url, "select count(*) from uninet_worker", "2")
      set("silent")
      go = true
      yield* Effect.sleep(1000)
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
      const rows = "select count(*) from uninet_trial"
      yield* Effect.gen(function* () {
        const [first, second] = [
          yield* Effect.forkChild(evaluate(trial(0))),
          yield* Effect.forkChild(evaluate(trial(1)))
        ]
        yield* untilAsked(url, rows, "2")
        set("refused")
        yield* Fiber.interrupt(first)
        assert.strictEqual(yield* asked(url, rows), "2")
        set("open")
        yield* untilAsked(url, rows, "1")
        yield* Fiber.interrupt(second)
        assert.strictEqual(yield* asked(url, rows), "0")
      }).pipe(Effect.provide(cluster({ url: by(url) })))
    })
  )

  it.live("for a worker that is gone, while nobody drives the search: its trial is taken over all the same", () =>
    Effect.gen(function* () {
      const url = fresh()
      const { set, url: by } = yield* way
      const events: Array<string> = []
      yield* Effect.forkScoped(worker(by(url), { evaluator: told(() => false), ...recording(events) }, brief))
      const driver = yield* Effect.forkChild(Effect.provide(evaluate(trial(0)), cluster({ url: by(url), ...brief })))
      yield* until(() => events.includes("Taken"))
      // The other side gets no chance for a final message.
      set("silent")
      yield* Fiber.interrupt(driver)
      yield* Effect.forkScoped(worker(url, { evaluator: told(() => true) }, { silence: Duration.millis(1500) }))
      yield* untilAsked(url, "select count(outcome) from uninet_trial", "1")
      assert.strictEqual(yield* asked(url, "select lost from uninet_trial"), "1")
    })
  )
})
