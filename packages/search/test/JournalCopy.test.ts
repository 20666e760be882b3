import { assert, describe, it } from "@effect/vitest"
import { Journal, JournalCopy } from "@uninet/search"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-copy-"))),
  (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
)
const identity: Journal.Identity = { space: "s", seed: "0", settings: { strategy: "random" } }
const place = { host: "h", process: 7, engine: "cpu", device: "cpu", formulation: "wide" }
const finished = (trial: number): Journal.Entry => ({
  _tag: "Finished",
  trial,
  evaluation: { measures: { accuracy: 0.5 + trial / 100 }, epochs: 1 },
  reward: 0.5
})
const proposed = (trial: number): Journal.Entry => ({
  _tag: "Proposed",
  trial,
  hash: String(trial),
  point: { width: trial, name: "é 网 ש \u0000" },
  line: `w${trial}`,
  costs: { macs: 1 },
  seed: String(trial)
})
const piece = (trial: number, text: string) => ({ trial, step: 0, text })
const all = (path: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const reader = yield* Journal.reader(path)
      return {
        identity: yield* reader.identity,
        entries: yield* reader.entries(),
        trainings: yield* reader.trainings()
      }
    })
  )

describe("a copy of a journal", () => {
  it.live("is the journal, grows as it grows, and takes what it has but once", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const [path, copy] = [join(at, "journal.db"), join(at, "elsewhere", "journal.db")]
      yield* Effect.gen(function* () {
        const journal = yield* Journal.Journal
        yield* journal.open(identity)
        yield* journal.append(proposed(0))
        const source = yield* JournalCopy.source(path)
        const target = yield* JournalCopy.target(copy)
        const first = yield* source.next
        yield* target.add(first)
        assert.deepStrictEqual(yield* all(copy), yield* all(path))

        yield* journal.append(finished(0), {
          place,
          begun: 1,
          ended: 2,
          curve: { epochs: [1, 2], loss: [0.5, 0.25], measures: { accuracy: [null, 0.5] } }
        })
        yield* journal.append(proposed(1))
        yield* target.add(yield* source.next)
        yield* target.add(first)
        assert.deepStrictEqual(yield* all(copy), yield* all(path))
        assert.strictEqual((yield* all(copy)).entries.length, 3)
        assert.deepStrictEqual((yield* source.next).pieces, [])
      }).pipe(Effect.scoped, Effect.provide(Journal.sqlite(path, { durability: "process" })))
    }).pipe(Effect.scoped)
  )

  it.live("leaves out a damaged piece, goes on where it was opened again, and is none of what is no journal", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const copy = join(at, "journal.db")
      const header = JSON.stringify(identity)
      const sound = JSON.stringify({ kind: "Proposed", at: 5, data: JSON.stringify(proposed(0)) })
      yield* Effect.scoped(
        Effect.flatMap(JournalCopy.target(copy), (to) => to.add({ header, pieces: [piece(0, sound), piece(1, "{")] }))
      )
      yield* Effect.scoped(
        Effect.flatMap(JournalCopy.target(copy), (to) => to.add({ header, pieces: [piece(0, sound)] }))
      )
      assert.deepStrictEqual((yield* all(copy)).entries, [{ at: 5, entry: proposed(0) }])
      writeFileSync(join(at, "text"), "no journal")
      const refused = yield* Effect.flip(JournalCopy.source(join(at, "text")))
      assert.strictEqual(refused._tag, "JournalUnreadable")
    }).pipe(Effect.scoped)
  )
})
