import { assert, describe, it } from "@effect/vitest"
import { Lock } from "@uninet/search"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const holding = fileURLToPath(new URL("./support/holding.ts", import.meta.url))
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-lock-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A process that takes the lock this often. */
const holder = (file: string, rounds: number, die = "") =>
  Effect.callback<{ readonly code: number | null; readonly said: string }>((resume) => {
    const child = spawn(process.execPath, [holding, file, String(rounds), die], { stdio: ["ignore", "pipe", "pipe"] })
    let said = ""
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        said += text
      })
    child.on("close", (code) => resume(Effect.succeed({ code, said })))
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

describe("a lock", () => {
  it.live(
    "has one holder at a time, of many processes that want it at once, and of those that are ended while they have it",
    () =>
      Effect.gen(function* () {
        const file = join(yield* folder, "journal.db")
        const all = yield* Effect.all(
          [holder(file, 60), holder(file, 60), holder(file, 60), holder(file, 50, "die"), holder(file, 20, "die")],
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          all.map(({ code, said }) => [code, said.trim()]),
          [...[60, 60, 60].map((rounds) => [0, String(rounds)]), [null, ""], [null, ""]]
        )
        // The next process gets it, whatever was left behind.
        assert.strictEqual((yield* holder(file, 1)).code, 0)
        assert.deepStrictEqual(readdirSync(join(file, "..")), [])
      }),
    120_000
  )

  it.live("says who holds it, in this process and in others, and nobody when that has ended", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "train.json")
      assert.isUndefined(Lock.holderOf(file))
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Lock.hold(file)
          const me = { pid: process.pid, host: hostname() }
          assert.deepStrictEqual(Lock.holderOf(file), me)
          const error = yield* Effect.flip(Effect.scoped(Lock.hold(file)))
          assert.strictEqual(
            error.message,
            `${file} is in use by process ${process.pid} on ${hostname()}. Wait for it, or end it.`
          )
          // Looking did not release anything.
          assert.strictEqual((yield* Effect.timeoutOption(holder(file, 1), "3 seconds"))._tag, "None")
          assert.deepStrictEqual(Lock.holderOf(file), me)
        })
      )
      assert.isUndefined(Lock.holderOf(file))
      assert.isFalse(existsSync(Lock.pathOf(file)))
      const left = yield* holder(file, 1, "die")
      assert.isNull(left.code)
      assert.isTrue(existsSync(Lock.pathOf(file)))
      assert.isUndefined(Lock.holderOf(file))
    })
  )

  it.live("that cannot be taken for another reason says so in a sentence", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const nowhere = yield* Effect.flip(Effect.scoped(Lock.hold(join(below, "none", "x"))))
      assert.match(
        nowhere.message,
        /x cannot be locked \(ENOENT: .*\)\. Give yourself write permission in its folder\.$/
      )
      writeFileSync(Lock.pathOf(join(below, "x")), "something else")
      const other = yield* Effect.flip(Effect.scoped(Lock.hold(join(below, "x"))))
      assert.match(other.message, /x cannot be locked \(file is not a database\)\./)
    })
  )
})
