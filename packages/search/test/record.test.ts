/** A journal is there whole or not at all, and says where the end of it may be missing. */
import { assert, describe, it } from "@effect/vitest"
import { Evaluator, Journal, Search } from "@uninet/search"
import * as Effect from "effect/Effect"
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { accuracyOf, measuresOf, setting, uninet } from "./support/search.ts"

const file = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-record-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
).pipe(Effect.map((folder) => join(folder, "journal.db")))

const identity: Journal.Identity = { space: "s", seed: "1", settings: {} }
const failed = (trial: number): Journal.Entry => ({
  _tag: "Failed",
  trial,
  reason: "Failed",
  detail: "a".repeat(1000)
})
const on = <A, E>(path: string, use: (journal: Journal.Journal["Service"]) => Effect.Effect<A, E>) =>
  Effect.provide(Journal.Journal.use(use), Journal.sqlite(path, { existing: "resume" }), { local: true })
const lengthOf = (path: string) =>
  Effect.map(Journal.read(path), ({ entries, isCut }) => [entries.length, isCut] as const)

describe("a journal's file", () => {
  it.live("is not there before a search has opened it, and then has the search in it", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* on(path, (journal) =>
        Effect.gen(function* () {
          assert.isFalse(existsSync(path))
          assert.deepStrictEqual(yield* journal.entries, [])
          yield* journal.open(identity)
          assert.deepStrictEqual((yield* Journal.read(path)).identity, identity)
        })
      )
      assert.deepStrictEqual(readdirSync(dirname(path)), ["journal.db"])
    })
  )

  it.live("is begun anew over what a start has left that was killed while it made one", () =>
    Effect.gen(function* () {
      const path = yield* file
      for (const left of ["", "-journal"]) writeFileSync(`${path}.new${left}`, "half a header")
      yield* on(path, (journal) => Effect.andThen(journal.open(identity), journal.append(failed(0))))
      assert.deepStrictEqual(readdirSync(dirname(path)), ["journal.db"])
      assert.deepStrictEqual(yield* lengthOf(path), [1, false])
    })
  )

  it.live("has all but the last of its log in itself, and says where that is missing", () =>
    Effect.gen(function* () {
      const path = yield* file
      const [copy, both] = [join(dirname(path), "copy.db"), join(dirname(path), "both.db")]
      yield* on(path, (journal) =>
        Effect.gen(function* () {
          yield* journal.open(identity)
          for (let trial = 0; trial < 200; trial++) yield* journal.append(failed(trial))
          copyFileSync(path, copy)
          copyFileSync(path, both)
          copyFileSync(`${path}-wal`, `${both}-wal`)
          assert.deepStrictEqual(yield* lengthOf(path), [200, false])
        })
      )
      const [alone, isCut] = yield* lengthOf(copy)
      assert.isTrue(isCut)
      assert.isAbove(alone, 150)
      assert.deepStrictEqual(yield* lengthOf(both), [200, false])
      assert.deepStrictEqual(yield* lengthOf(path), [200, false])
      // Once it is resumed, it is whole again.
      yield* on(copy, (journal) => Effect.andThen(journal.open(identity), journal.append(failed(1000))))
      assert.deepStrictEqual(yield* lengthOf(copy), [alone + 1, false])
    })
  )
})

describe("a search whose time is up", () => {
  it.live("begins nothing that waits for its turn, and leaves no word of it", () =>
    Effect.gen(function* () {
      let isUp = false
      const begun: Array<number> = []
      const evaluator = Evaluator.fromFunction(
        uninet,
        (point, { index }) =>
          Effect.sync(() => {
            begun.push(index)
            isUp = begun.length === 2
            return measuresOf(accuracyOf(point))
          }).pipe(Effect.tap(Effect.sleep(20))),
        { concurrency: 2 }
      )
      const { entries, found } = yield* Effect.gen(function* () {
        const found = yield* Search.run(uninet, { trials: 12, seed: "time", until: Effect.sync(() => isUp) })
        return { found, entries: yield* Journal.Journal.use((journal) => journal.entries) }
      }).pipe(Effect.provide([setting, evaluator, Journal.memory]))
      assert.deepStrictEqual(begun, [0, 1])
      assert.deepStrictEqual(
        found.records.map(({ trial }) => trial),
        [0, 1]
      )
      assert.isTrue(found.over)
      assert.deepStrictEqual(
        entries.map(({ entry }) => `${entry._tag} ${entry.trial}`),
        ["Proposed 0", "Finished 0", "Proposed 1", "Finished 1"]
      )
    })
  )
})
