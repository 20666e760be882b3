import { assert, describe, it } from "@effect/vitest"
import { Evaluator, Journal, Search, type Trial, WorkerEvaluator } from "@uninet/search"
import { ModelSpace } from "@uninet/model-space"
import { Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { accuracyOf, formula, setting, uninet } from "./support/search.ts"

const module = new URL("./support/evaluator.ts", import.meta.url)
const killing = new URL("./support/killing.ts", import.meta.url)
const architecture = Space.seedPoint(uninet.space)
const point = ModelSpace.write(architecture)(uninet)
const trial = (seed: string, index = 0): Trial.Trial => ({ index, point, seed })
const evaluate = (given: Trial.Trial, report: Evaluator.Report = () => Effect.void) =>
  Evaluator.Evaluator.use((evaluator) =>
    Effect.catchTag(evaluator.evaluate(given, report), "EvaluatorLost", Effect.die)
  )
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-workers-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
const workers = (options: Partial<WorkerEvaluator.Options> = {}) =>
  WorkerEvaluator.layer({ module, workers: 1, options: 42, ...options })

/** Without what distinguishes processes. */
const accuracyAlone = ({ measures, ...evaluation }: Trial.Evaluation) => ({
  ...evaluation,
  measures: { accuracy: measures["accuracy"] }
})

describe("a pool of worker processes", () => {
  it.live("evaluates in processes of their own, with the options they were given", () =>
    Effect.gen(function* () {
      const { measures, weights } = yield* evaluate({ ...trial("a"), keepWeights: true })
      assert.strictEqual(measures["accuracy"], accuracyOf(architecture))
      assert.notStrictEqual(measures["pid"], process.pid)
      assert.strictEqual(measures["options"], 42)
      assert.deepStrictEqual([...(weights ?? [])], [["stem.0.weight", Float32Array.of(1, 2, 3)]])
      assert.isUndefined((yield* evaluate(trial("b"))).weights)
    }).pipe(Effect.provide(workers()))
  )

  it.live("reports a crash, a defect, a failure and a hang each as a failed trial, and serves the next one", () =>
    Effect.gen(function* () {
      const reasonOf = (seed: string) => Effect.map(Effect.flip(evaluate(trial(seed, 7))), (error) => error)
      const crashed = yield* reasonOf("exit")
      assert.deepStrictEqual([crashed.reason, crashed.trial], ["Crashed", 7])
      assert.include(crashed.message, "exited with code 3")
      const died = yield* reasonOf("die")
      assert.deepStrictEqual([died.reason, died.detail], ["Crashed", "told to die"])
      const failed = yield* reasonOf("fail")
      assert.deepStrictEqual([failed.reason, failed.detail], ["Failed", "told to fail"])
      const hung = yield* reasonOf("hang")
      assert.strictEqual(hung.reason, "TimedOut")
      assert.strictEqual((yield* evaluate(trial("well"))).measures["accuracy"], accuracyOf(architecture))
    }).pipe(Effect.provide(workers({ timeLimit: "2 seconds" })))
  )

  it.live("replaces a worker that is killed from outside, idle or busy, and begins its trial anew", () =>
    Effect.gen(function* () {
      const first = yield* evaluate(trial("a"))
      process.kill(first.measures["pid"], "SIGKILL")
      const second = yield* evaluate(trial("b"))
      assert.notStrictEqual(second.measures["pid"], first.measures["pid"])
      const marker = join(yield* folder, "killed")
      const third = yield* evaluate(trial(`killed once: ${marker}`))
      assert.notStrictEqual(third.measures["pid"], second.measures["pid"])
      assert.strictEqual(third.measures["accuracy"], accuracyOf(architecture))
    }).pipe(Effect.provide(workers()))
  )

  it.live("gives a trial up whose workers are killed again and again", () =>
    Effect.gen(function* () {
      const { detail, reason } = yield* Effect.flip(evaluate(trial("killed")))
      assert.strictEqual(reason, "Crashed")
      assert.match(detail, /was lost 2 times: it was killed by SIGKILL/)
    }).pipe(Effect.provide(workers({ retries: 1 })))
  )

  it.live("replaces a worker that takes more memory than the limit, or than its heap has", () =>
    Effect.gen(function* () {
      const over = yield* Effect.flip(evaluate(trial("memory")))
      assert.strictEqual(over.reason, "OutOfMemory")
      assert.match(over.detail, /took \d+ MiB, more than the limit of 300 MiB/)
      const heap = yield* Effect.flip(evaluate(trial("says it is out of memory")))
      assert.strictEqual(heap.reason, "OutOfMemory")
      assert.strictEqual((yield* evaluate(trial("well"))).measures["accuracy"], accuracyOf(architecture))
    }).pipe(Effect.provide(workers({ memoryLimit: 300 * 2 ** 20 })))
  )

  it.live("stops the evaluation that is interrupted", () =>
    Effect.gen(function* () {
      const { measures } = yield* evaluate(trial("a"))
      const fiber = yield* Effect.forkChild(evaluate(trial("wait")), { startImmediately: true })
      yield* Effect.sleep(50)
      yield* Fiber.interrupt(fiber)
      const gone = Effect.sync(() => process.kill(measures["pid"], 0)).pipe(
        Effect.catchDefect(() => Effect.succeed("gone"))
      )
      const waited = yield* Effect.repeat(Effect.andThen(Effect.sleep(10), gone), { until: (is) => is === "gone" })
      assert.strictEqual(waited, "gone")
    }).pipe(Effect.provide(workers()))
  )

  it.live("says why it cannot start", () =>
    Effect.gen(function* () {
      const missing = yield* Effect.flip(
        Effect.provide(evaluate(trial("a")), workers({ module: new URL("./support/none.ts", import.meta.url) }))
      )
      assert.strictEqual(missing._tag, "WorkerFailed")
      assert.include(missing.message, "none.ts")
      const other = yield* Effect.flip(
        Effect.provide(evaluate(trial("a")), workers({ module: new URL("./support/search.ts", import.meta.url) }))
      )
      assert.include(other.message, "no default export")
    })
  )

  it.live("gives the journal that one process gives", () =>
    Effect.gen(function* () {
      const journal = Search.run(uninet, { trials: 10, seed: "test" }).pipe(
        Effect.andThen(Journal.Journal.use((j) => j.entries)),
        Effect.map((stored) =>
          stored.map(({ entry }) =>
            entry._tag === "Finished" ? { ...entry, evaluation: accuracyAlone(entry.evaluation) } : entry
          )
        )
      )
      const alone = yield* Effect.provide(journal, [setting, formula(1), Journal.memory])
      const pool = yield* Effect.provide(journal, [setting, workers({ workers: 2 }), Journal.memory])
      assert.deepStrictEqual(pool, alone)
    })
  )

  it.live(
    "tries what is not the trial's fault again in another process, and says what to mend where that is no help",
    () =>
      Effect.gen(function* () {
        const below = yield* folder
        const tries = (name: string) => readFileSync(join(below, name), "utf8").trim().split("\n")
        const { measures } = yield* evaluate(trial(`full 1 times: ${join(below, "once")}`))
        assert.strictEqual(measures["accuracy"], accuracyOf(architecture))
        assert.strictEqual(new Set(tries("once")).size, 2)
        const again = Evaluator.Evaluator.use((evaluator) =>
          evaluator.evaluate(trial(`full 9 times: ${join(below, "always")}`), () => Effect.void)
        )
        const error = yield* Effect.flip(again)
        assert.deepStrictEqual([error._tag, error.message], ["EvaluatorLost", "the disk is full. Make room."])
        assert.strictEqual(new Set(tries("always")).size, 3)
      }).pipe(Effect.provide(workers({ pause: "1 millis" })))
  )

  it.live("ends the search, and not a trial, where no worker can be started any more", () =>
    Effect.gen(function* () {
      const broken = join(yield* folder, "broken")
      const search = Search.run(uninet, {
        trials: 4,
        seed: "killed",
        // From now on, every worker that is lost is the last.
        onEvent: (event) =>
          Effect.sync(() => {
            if (event._tag === "Started") writeFileSync(broken, "the module was edited")
          })
      })
      const error = yield* Effect.flip(
        Effect.provide(search, [setting, workers({ pause: "1 millis", options: broken, module: killing })])
      )
      assert.strictEqual(
        error.message,
        "No more worker processes could be started: the module was edited. Nothing is lost: fix that, then resume the search."
      )
      const stored = yield* Journal.Journal.use((journal) => journal.entries)
      assert.deepStrictEqual(new Set(stored.map(({ entry }) => entry._tag)), new Set(["Proposed"]))
    }).pipe(Effect.provide(Journal.memory))
  )
})
