import { assert, describe, it } from "@effect/vitest"
import { Journal } from "@uninet/search"
import { ModelSpace } from "@uninet/model-space"
import { Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { hostname, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { uninet } from "./support/search.ts"

const point = ModelSpace.write(Space.seedPoint(uninet.space))(uninet)
const identity: Journal.Identity = { space: "s", seed: "1", settings: { dataset: "mnist", epochs: 1 } }

/** A folder that is removed with the scope. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-journal-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)
const file = Effect.map(folder, (path) => join(path, "journal.db"))

const proposed = (trial: number): Journal.Entry => ({
  _tag: "Proposed",
  trial,
  hash: "abc",
  point,
  line: "a network",
  costs: { macs: 1e6, parameters: 1e5, "a custom cost": 0.5 },
  seed: `1/trial/${trial}`
})
const finished = (trial: number, accuracy = 0.5): Journal.Entry => ({
  _tag: "Finished",
  trial,
  evaluation: { measures: { accuracy, loss: 1 }, epochs: 1 },
  reward: accuracy
})

const on = <A, E>(
  path: string,
  use: (journal: Journal.Journal["Service"]) => Effect.Effect<A, E>,
  options: Journal.SqliteOptions = {}
) => Effect.provide(Journal.Journal.use(use), Journal.sqlite(path, options), { local: true })

const write = (path: string, entries: ReadonlyArray<Journal.Entry>) =>
  on(path, (journal) =>
    Effect.andThen(
      journal.open(identity),
      Effect.forEach(entries, (entry) => journal.append(entry))
    )
  )

describe("a journal in a file", () => {
  it.live("gives back what was stored, by trial and step", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* write(path, [proposed(1), proposed(0), finished(1, 0.25), finished(0)])
      const { entries, identity: read } = yield* Journal.read(path)
      assert.deepStrictEqual(
        entries.map(({ entry }) => entry),
        [proposed(0), finished(0), proposed(1), finished(1, 0.25)]
      )
      assert.deepStrictEqual(read, identity)
    })
  )

  it.live("makes the folder that it is to lie in", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "runs", "today", "journal.db")
      yield* on(path, (j) => j.open(identity))
      assert.isTrue(existsSync(path))
    })
  )

  it.live("keeps any entry as it was", () =>
    Effect.gen(function* () {
      const path = yield* file
      const text = fc.string({ unit: "binary" })
      const entry = (trial: number): fc.Arbitrary<Journal.Entry> =>
        fc.oneof(
          fc.record({
            _tag: fc.constant("Finished" as const),
            trial: fc.constant(trial),
            evaluation: fc.record(
              {
                measures: fc.dictionary(text, fc.double({ noNaN: true, noDefaultInfinity: true })),
                epochs: fc.constantFrom(null, 1),
                stoppedAfter: fc.constant(3)
              },
              { requiredKeys: ["measures", "epochs"] }
            ),
            reward: fc.double({ noNaN: true, noDefaultInfinity: true })
          }),
          fc.record({
            _tag: fc.constant("Failed" as const),
            trial: fc.constant(trial),
            reason: fc.constantFrom("Failed" as const, "Crashed" as const),
            detail: text
          })
        )
      const [entries = []] = fc.sample(fc.tuple(...Array.from({ length: 100 }, (_, trial) => entry(trial))), 1)
      yield* write(path, entries)
      const back = (yield* Journal.read(path)).entries.map(({ entry }) => entry)
      // JSON has only one zero.
      assert.deepEqual(JSON.parse(JSON.stringify(back)), JSON.parse(JSON.stringify(entries)))
    })
  )

  it.live("can be read while it is written", () =>
    Effect.gen(function* () {
      const path = yield* file
      const seen = yield* on(path, (journal) =>
        journal.open(identity).pipe(
          Effect.andThen(journal.append(proposed(0))),
          Effect.andThen(Journal.read(path)),
          Effect.map(({ entries }) => entries.length)
        )
      )
      assert.strictEqual(seen, 1)
    })
  )

  it.live("can be read when whoever wrote to it was ended in the middle of that", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* write(path, [proposed(0), finished(0)])
      const db = new DatabaseSync(path)
      // With a cache of one page, pages have to be written before the transaction is done.
      db.exec("pragma journal_mode = delete; pragma cache_size = 1; begin; create table more (text)")
      for (let i = 0; i < 40; i++) db.prepare("insert into more values (?)").run("x".repeat(4000))
      const ended = join(dirname(path), "ended.db")
      for (const of of ["", "-journal"]) copyFileSync(`${path}${of}`, `${ended}${of}`)
      db.exec("rollback")
      db.close()
      const { entries } = yield* Journal.read(ended)
      assert.deepStrictEqual(
        entries.map(({ entry }) => entry),
        [proposed(0), finished(0)]
      )
    }).pipe(Effect.scoped)
  )

  it.live("holds an entry as soon as append has returned", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* on(path, (journal) =>
        Effect.gen(function* () {
          yield* journal.open(identity)
          for (let trial = 0; trial < 5; trial++) {
            yield* journal.append(proposed(trial))
            assert.strictEqual((yield* Journal.read(path)).entries.length, trial + 1)
          }
        })
      )
    })
  )

  it.live("cannot be changed afterwards", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* write(path, [proposed(0)])
      const db = new DatabaseSync(path)
      assert.throws(() => db.exec("update entry set data = ''"), "append-only")
      assert.throws(() => db.exec("delete from entry"), "append-only")
      db.close()
    })
  )

  it.live("refuses a second entry for the same step of a trial and keeps the first", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* write(path, [proposed(0), finished(0, 0.5)])
      const error = yield* Effect.flip(
        on(path, (j) => Effect.andThen(j.open(identity), j.append(finished(0, 0.75))), { existing: "resume" })
      )
      assert.strictEqual(error._tag, "JournalNotWritten")
      const { entries } = yield* Journal.read(path)
      assert.deepStrictEqual(entries.at(-1)?.entry, finished(0, 0.5))
    })
  )

  it.live("is not mixed with another search", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* write(path, [proposed(0)])
      const open = (other: Journal.Identity, existing: "refuse" | "resume") =>
        Effect.flip(on(path, (j) => j.open(other), { existing }))
      assert.strictEqual((yield* open(identity, "refuse"))._tag, "JournalInUse")
      const foreign = yield* open({ ...identity, seed: "2" }, "resume")
      assert.match(foreign.message, /its seed is "1", not "2"/)
      const setting = yield* open({ ...identity, settings: { dataset: "mnist", epochs: 2 } }, "resume")
      assert.match(setting.message, /its epochs is 1, not 2/)
      const space = yield* open({ ...identity, space: "t" }, "resume")
      assert.match(space.message, /its space is "s", not "t"/)
    })
  )

  it.live("is written by one process at a time, and free again when that has ended in whatever way", () =>
    Effect.gen(function* () {
      const path = yield* file
      const second = on(path, () => Effect.flip(on(path, (j) => j.open(identity), { existing: "resume" })), {
        existing: "resume"
      })
      const locked = yield* second
      assert.strictEqual(locked._tag, "JournalLocked")
      assert.include(locked.message, `process ${process.pid}`)
      // Nobody has opened it: there is no file yet.
      assert.deepStrictEqual(readdirSync(dirname(path)), [])
      // A process that was killed leaves its lock behind.
      writeFileSync(`${path}.lock`, JSON.stringify({ pid: 2 ** 22 + 1, host: hostname() }))
      yield* write(path, [proposed(0)])
      assert.deepStrictEqual(readdirSync(dirname(path)), ["journal.db"])
    })
  )

  it.live("does not compare notes", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* write(path, [proposed(0)])
      const entries = yield* on(path, (j) => j.open({ ...identity, notes: { trials: 9 } }), { existing: "resume" })
      assert.strictEqual(entries.length, 1)
    })
  )
})

/** Creates the file, tries to open it, and checks that it was not changed. */
const refused = (name: string, make: (path: string) => Effect.Effect<void, unknown>, says: RegExp) =>
  it.live(name, () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* make(path)
      const before = readFileSync(path)
      const error = yield* Effect.flip(on(path, (j) => j.open(identity), { existing: "resume" }))
      assert.strictEqual(error._tag, "JournalUnreadable")
      assert.match(error.message, says)
      assert.deepStrictEqual(readFileSync(path), before)
      assert.strictEqual((yield* Effect.flip(Journal.read(path)))._tag, "JournalUnreadable")
    })
  )
const full = (path: string) =>
  write(
    path,
    Array.from({ length: 50 }, (_, trial) => proposed(trial))
  )

describe("a file that is no sound journal", () => {
  refused("text is refused", (path) => Effect.sync(() => writeFileSync(path, "hello, world\n")), /not an SQLite file/)
  refused("an empty file is refused", (path) => Effect.sync(() => writeFileSync(path, "")), /is empty/)
  refused(
    "one that was cut short is refused",
    (path) =>
      Effect.andThen(
        full(path),
        Effect.sync(() => truncateSync(path, readFileSync(path).length / 2))
      ),
    /damaged|cannot be read/
  )
  refused(
    "one whose header alone is there is refused",
    (path) =>
      Effect.andThen(
        full(path),
        Effect.sync(() => truncateSync(path, 100))
      ),
    /damaged|cannot be read|half-written/
  )
  refused(
    "another program's database is refused",
    (path) =>
      Effect.sync(() => {
        const db = new DatabaseSync(path)
        db.exec("create table songs (name text)")
        db.close()
      }),
    /not a uninet journal/
  )
  refused(
    "a later version's is refused",
    (path) =>
      Effect.andThen(
        full(path),
        Effect.sync(() => {
          const db = new DatabaseSync(path)
          db.exec("pragma user_version = 9")
          db.close()
        })
      ),
    /version 9, but this uninet reads version 3/
  )
  refused(
    "one of the version before, whose trials are architectures, is refused",
    (path) =>
      Effect.andThen(
        write(path, []),
        Effect.sync(() => {
          const db = new DatabaseSync(path)
          const entry = `{"_tag":"Finished","trial":0,"evaluation":{"accuracy":0.5,"metrics":{},"epochs":1},"reward":0.5}`
          db.prepare("insert into entry values (0, 1, 'Finished', 0, ?)").run(entry)
          db.exec("pragma user_version = 2")
          db.close()
        })
      ),
    /^The journal .*journal\.db has version 2, but this uninet reads version 3\. Use the uninet that wrote it, or start a new search in another folder\.$/
  )
  refused(
    "one with a damaged entry is refused",
    (path) =>
      Effect.andThen(
        full(path),
        Effect.sync(() => {
          const db = new DatabaseSync(path)
          db.exec("insert into entry values (99, 0, 'Proposed', 0, '{\"_tag\":\"Proposed\"')")
          db.close()
        })
      ),
    /damaged entry \(Proposed of trial 99\)/
  )

  it.live("in a folder that cannot be made says so", () =>
    Effect.gen(function* () {
      const path = yield* file
      writeFileSync(path, "")
      const error = yield* Effect.flip(on(join(path, "journal.db"), (j) => j.open(identity)))
      assert.strictEqual(error._tag, "JournalUnreadable")
      assert.match(
        error.message,
        /^The journal .* cannot be created: its folder cannot be created \(.*\)\. Give yourself write permission/
      )
    })
  )
})

describe("a journal that is gone on with", () => {
  let next = 1
  const ours = { data: "d1", software: "uninet 1", engine: "onnxruntime 1 cpu", host: "linux x64" }
  const open = (path: string, surroundings: Journal.Identity["surroundings"], options: Journal.SqliteOptions = {}) =>
    on(
      path,
      (journal) =>
        Effect.andThen(
          journal.open({ ...identity, ...(surroundings === undefined ? {} : { surroundings }) }),
          journal.append(proposed(next++))
        ),
      { existing: "resume", ...options }
    )

  it.live("knows under what its trials came about: others are refused, or told of where that is allowed", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* open(path, [ours])
      yield* open(path, [ours])
      for (const [field, what] of [
        ["data", "the data's content"],
        ["software", "the software"],
        ["engine", "the engine"],
        ["host", "the kind of machine"]
      ] as const) {
        const error = yield* Effect.flip(open(path, [{ ...ours, [field]: "another" }]))
        assert.strictEqual(error._tag, "JournalMixed")
        assert.strictEqual(
          error.message,
          `The trials of the journal ${path} were evaluated under different conditions: ${what} was ${ours[field]} and is now another. Restore what it was, start a new search, or allow a mixture with --allow-mixed, which the journal then records.`
        )
      }
      assert.deepStrictEqual((yield* Journal.read(path)).identity.surroundings, [ours])
      const other = { ...ours, data: "d2" }
      yield* open(path, [other], { mixed: "allow" })
      // Both are known from now on.
      yield* open(path, [ours])
      yield* open(path, [other])
      assert.deepStrictEqual((yield* Journal.read(path)).identity.surroundings, [ours, other])
    })
  )

  it.live("of before that was kept, or in which nothing had begun, takes what there is", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* write(path, [proposed(0)])
      yield* open(path, [ours])
      assert.deepStrictEqual((yield* Journal.read(path)).identity.surroundings, [ours])
      // A search that says nothing is not checked.
      yield* open(path, undefined)
      const empty = yield* file
      for (const data of ["a", "b"])
        yield* on(empty, (journal) => journal.open({ ...identity, surroundings: [{ ...ours, data }] }))
      assert.deepStrictEqual((yield* Journal.read(empty)).identity.surroundings, [{ ...ours, data: "b" }])
    })
  )
})
