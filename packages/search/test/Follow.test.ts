import { assert, describe, it } from "@effect/vitest"
import { Follow, Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { tmpdir } from "node:os"
import { join } from "node:path"

const file = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-follow-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (folder) => join(folder, "journal.db")
)

const identity: Journal.Identity = { space: "s", seed: "1", settings: {} }
const proposed = (trial: number): Journal.Entry => ({
  _tag: "Proposed",
  trial,
  hash: `${trial}`,
  point: { width: trial },
  line: "",
  costs: {},
  seed: ""
})
const finished = (trial: number): Journal.Entry => ({
  _tag: "Finished",
  trial,
  evaluation: { measures: { accuracy: trial / 10 }, epochs: 1 },
  reward: trial / 10
})
const training = { place: { host: "here", process: 7 }, begun: 1, ended: 2 }

/** Runs with a journal to write to. */
const writing = <A, E>(path: string, use: (journal: Journal.Journal["Service"]) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const journal = yield* Journal.Journal
    yield* journal.open(identity)
    return yield* use(journal)
  }).pipe(Effect.provide(Journal.sqlite(path, { existing: "resume", durability: "process" })))

const trialsIn = ({ entries }: Follow.Found) => entries.map(({ entry }) => `${entry._tag} ${entry.trial}`)

describe("a journal that is followed", () => {
  it.live("gives every entry once, as it comes, with how it was trained", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* writing(path, (journal) =>
        Effect.gen(function* () {
          yield* journal.append(proposed(0))
          const following = yield* Follow.make(path)
          assert.deepStrictEqual(trialsIn(following.first), ["Proposed 0"])
          assert.deepStrictEqual(trialsIn(yield* following.next), [])
          yield* journal.append(proposed(1))
          yield* journal.append(finished(0), training)
          const step = yield* following.next
          assert.deepStrictEqual(trialsIn(step), ["Finished 0", "Proposed 1"])
          assert.deepStrictEqual(step.trainings, [{ ...training, trial: 0, step: 1 }])
          assert.deepStrictEqual(trialsIn(yield* following.next), [])
          // Half of a search at once, the rest while it is being followed.
          yield* Effect.forEach(
            Array.from({ length: 50 }, (_, i) => i + 2),
            (trial) => journal.append(proposed(trial)),
            {
              concurrency: "unbounded",
              discard: true
            }
          )
          assert.strictEqual((yield* following.next).entries.length, 50)
        })
      )
      assert.strictEqual((yield* Journal.read(path)).entries.length, 53)
    }).pipe(Effect.scoped)
  )

  it.live("gives entries with a time of before as well, and leaves out what cannot be read", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* writing(path, (journal) => journal.append(proposed(0)))
      const following = yield* Follow.make(path)
      const db = new DatabaseSync(path)
      const insert = db.prepare("insert into entry (trial, step, kind, at, data) values (?, ?, ?, ?, ?)")
      insert.run(1, 0, "Proposed", 1000, JSON.stringify(proposed(1)))
      insert.run(2, 0, "Proposed", Date.now(), "{}")
      db.close()
      const step = yield* following.next
      assert.deepStrictEqual(trialsIn(step), ["Proposed 1"])
      assert.strictEqual(step.damaged, 1)
      const { first } = yield* Follow.make(path)
      assert.deepStrictEqual([trialsIn(first), first.damaged], [["Proposed 0", "Proposed 1"], 1])
    }).pipe(Effect.scoped)
  )

  it.live("begins anew where it is another search's by now, and fails where there is none", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* writing(path, (journal) => Effect.andThen(journal.append(proposed(0)), journal.append(proposed(1))))
      const following = yield* Follow.make(path)
      for (const end of ["", "-wal", "-shm"]) rmSync(`${path}${end}`, { force: true })
      assert.match((yield* Effect.flip(following.next)).message, /does not exist/)
      yield* writing(path, (journal) => journal.append(proposed(5)))
      const step = yield* following.next
      assert.deepStrictEqual([step.anew, trialsIn(step)], [true, ["Proposed 5"]])
    }).pipe(Effect.scoped)
  )
})
