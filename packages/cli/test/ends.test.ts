/** However and whenever a run ends, nothing is lost, and the printed command resumes it or starts it again. */
import { assert, describe, it } from "@effect/vitest"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { folder, here, pasted, tinyDataset, tinyNetwork, type Ran, uninet } from "./support/cli.ts"

const own = fileURLToPath(new URL("./support/configs/own.config.ts", import.meta.url))
const entriesOf = (run: string) =>
  Effect.map(Journal.read(join(run, "journal.db")), ({ entries }) => entries.map(({ entry }) => entry))

/** Runs a command and sends it a signal as soon as a file exists. */
const endedAt = (
  args: ReadonlyArray<string>,
  file: string,
  signal: NodeJS.Signals,
  cwd: string
): Effect.Effect<Ran> => {
  let looking: ReturnType<typeof setInterval> | undefined
  return uninet(args, {
    cwd,
    onStart: (pid) => {
      looking = setInterval(() => {
        if (!existsSync(file)) return
        clearInterval(looking)
        process.kill(pid, signal)
      }, 1)
    }
  }).pipe(Effect.ensuring(Effect.sync(() => clearInterval(looking))))
}

/** The command by which a stopped run says it can be resumed. */
const goOn = ({ stderr }: Ran) => /continue with: (.*)$/im.exec(stderr)?.[1]

describe("a search", () => {
  it.live(
    "that is ended in its first moments is begun anew in its folder, or gone on with by the command that was printed",
    () =>
      Effect.gen(function* () {
        // A shell would change both of these characters.
        const below = join(yield* folder, "it's a $HOME")
        mkdirSync(below)
        const quiet = yield* here(["search", "--config", own, "--trials", "3", "--out", "quiet"], { cwd: below })
        assert.strictEqual(quiet.code, 0, quiet.stderr)
        const wanted = yield* entriesOf(join(below, "quiet"))
        for (const [i, [signal, at]] of (
          [
            ["SIGKILL", "journal.db"],
            ["SIGINT", "."],
            ["SIGINT", "live.json"]
          ] as const
        ).entries()) {
          const run = join(below, `run ${i}`)
          const begin = ["search", "--config", own, "--trials", "3", "--workers", "1", "--out", run]
          const ended = yield* endedAt(begin, join(run, at), signal, below)
          assert.notStrictEqual(ended.code, 0)
          const command = goOn(ended)
          if (command !== undefined) assert.include(command, "--workers 1")
          const again =
            command !== undefined
              ? yield* pasted(command, { cwd: below })
              : existsSync(join(run, "journal.db"))
                ? yield* here(["search", "--resume", run], { cwd: below })
                : yield* here(begin, { cwd: below })
          assert.strictEqual(again.code, 0, `${at} ${signal}: ${ended.stderr} ${again.stderr}`)
          // A reader may leave files next to the journal.
          const files = readdirSync(run)
          assert.deepStrictEqual(yield* entriesOf(run), wanted)
          assert.deepStrictEqual(files.sort(), ["best.json", "best.onnx", "best.safetensors", "journal.db"])
        }
      }),
    240_000
  )
})

describe("a training", () => {
  it.live(
    "that is ended in its first moments is begun anew in its folder, or gone on with, and goes on when nobody reads what it says",
    () =>
      Effect.gen(function* () {
        const below = yield* folder
        const network = join(below, "network.json")
        writeFileSync(network, JSON.stringify(tinyNetwork))
        const data = tinyDataset(below)
        for (const [i, at] of [".", "train.json"].entries()) {
          const run = join(below, `run ${i}`)
          const begin = ["train", network, "--dataset", data, "--epochs", "1", "--batch", "32", "--out", run]
          const ended = yield* endedAt(begin, join(run, at), "SIGKILL", below)
          assert.isNull(ended.code)
          const resumes = existsSync(join(run, "train.json"))
          const again = yield* here(resumes ? ["train", "--resume", run] : begin, { cwd: below })
          assert.strictEqual(again.code, 0, again.stderr)
        }
        const stopped = yield* endedAt(
          ["train", network, "--dataset", data, "--epochs", "2", "--batch", "32", "--save-steps", "3", "--out", "on"],
          join(below, "on", "train.json"),
          "SIGINT",
          below
        )
        assert.strictEqual(stopped.code, 130)
        const command = goOn(stopped) ?? ""
        assert.include(command, "--save-steps 3")
        // Only the first of its two lines is ever read.
        const read = yield* pasted(`${command} 2>&1 | head -n 1`, { cwd: below })
        assert.match(read.stdout, /^epoch 1 of 2|^continuing/)
        assert.strictEqual(read.stderr, "")
        assert.isTrue(existsSync(join(below, "on", "result.json")))
      }),
    120_000
  )
})
