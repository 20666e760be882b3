import { assert, describe, it } from "@effect/vitest"
import { Journal, Search } from "@uninet/search"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { formula, setting, uninet } from "./support/search.ts"

const mount = (...args: ReadonlyArray<string>) => execFileSync("mount", args, { stdio: "ignore" })
const unmount = (folder: string) => execFileSync("umount", [folder], { stdio: "ignore" })

/** Whether we may mount our own disk here. */
const canMount = (() => {
  const folder = mkdtempSync(join(tmpdir(), "uninet-mount-"))
  try {
    mount("-t", "tmpfs", "tmpfs", folder)
    unmount(folder)
    return true
  } catch {
    return false
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})()

/** A disk with this much space. */
const disk = (size: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "uninet-disk-"))
      mount("-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder)
      return folder
    }),
    (folder) =>
      Effect.sync(() => {
        unmount(folder)
        rmSync(folder, { recursive: true, force: true })
      })
  )

const trials = 300
const run = Search.run(uninet, { trials, seed: "test" })
const entries = Effect.map(
  Journal.Journal.use((j) => j.entries),
  (stored) => stored.map(({ entry }) => entry)
)
const on = (path: string) => Journal.sqlite(path, { existing: "resume" })

// Only root may mount; elsewhere these tests are skipped.
describe.skipIf(!canMount)("a search", () => {
  it.live("whose disk is full ends saying so, and goes on to the same journal when there is room", () =>
    Effect.gen(function* () {
      const folder = yield* disk("300k")
      const path = join(folder, "journal.db")
      const error = yield* Effect.flip(run.pipe(Effect.provide([setting, formula(), on(path)])))
      assert.strictEqual(error._tag, "JournalNotWritten")
      assert.match(
        error.message,
        /cannot be written: .*full\. Everything up to the last entry is kept; make room .*resume/
      )
      const { entries: kept } = yield* Journal.read(path)
      assert.isAbove(kept.length, 0)
      assert.isBelow(kept.length, trials)
      mount("-o", "remount,size=20m", folder)
      const resumed = yield* Effect.andThen(run, entries).pipe(Effect.provide([setting, formula(), on(path)]))
      const whole = yield* Effect.andThen(run, entries).pipe(Effect.provide([setting, formula(), Journal.memory]))
      assert.deepStrictEqual(resumed, whole)
    })
  )

  it.live("in a read-only folder says so, and its journal can still be read", () =>
    Effect.gen(function* () {
      const folder = yield* disk("20m")
      const path = join(folder, "journal.db")
      yield* Search.run(uninet, { trials: 3, seed: "test" }).pipe(Effect.provide([setting, formula(), on(path)]))
      mount("-o", "remount,ro", folder)
      const error = yield* Effect.flip(run.pipe(Effect.provide([setting, formula(), on(path)])))
      assert.strictEqual(error._tag, "JournalUnreadable")
      assert.match(
        error.message,
        /cannot be locked \(EROFS: .*\)\. Give yourself write permission in its folder, then resume/
      )
      assert.strictEqual((yield* Journal.read(path)).entries.length, 6)
    })
  )
})
