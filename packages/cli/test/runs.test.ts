import { assert, describe, it } from "@effect/vitest"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { folder, here, tinyDataset, uninet } from "./support/cli.ts"

const slow = fileURLToPath(new URL("./support/configs/slow.config.ts", import.meta.url))
const entriesOf = (run: string) =>
  Effect.map(Journal.read(join(run, "journal.db")), ({ entries }) => entries.map(({ entry }) => entry))
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
const waitFor = (condition: () => boolean) =>
  Effect.repeat(Effect.andThen(Effect.sleep(20), Effect.sync(condition)), { until: (is) => is })

describe("a running search", () => {
  it.live(
    "is seen, stopped, listed, replayed and finished from outside",
    () =>
      Effect.gen(function* () {
        const below = yield* folder
        const run = join(below, "run")
        const searching = yield* Effect.forkChild(
          uninet(["search", "--config", slow, "--out", run, "--trials", "2000"]),
          {
            startImmediately: true
          }
        )
        yield* waitFor(() => existsSync(join(run, "live.json")))
        yield* Effect.sleep(1500)
        const seen = yield* here(["status", run, "--json"])
        assert.strictEqual(seen.code, 0, seen.stderr)
        const status = JSON.parse(seen.stdout)
        assert.strictEqual(status.state, "running")
        assert.strictEqual(status.trials, 2000)
        assert.strictEqual(status.live.phase, "search")
        const second = yield* here(["search", "--resume", run])
        assert.strictEqual(second.code, 1)
        assert.match(second.stderr, /journal\.db is in use by process \d+ on .*\. Wait for that search or stop it/)

        const stopped = yield* uninet(["stop", run])
        assert.strictEqual(stopped.code, 0, stopped.stderr)
        assert.match(stopped.stdout, /^Stopped\. Continue with: .* search --resume/)
        assert.strictEqual((yield* Fiber.join(searching)).code, 130)
        assert.deepStrictEqual(readdirSync(run).toSorted(), ["journal.db"])
        const again = yield* here(["stop", run])
        assert.strictEqual(again.code, 1)
        assert.match(again.stderr, /is not running: it is stopped\. Continue with/)

        const said = yield* here(["status", run])
        assert.match(said.stdout, /stopped, evolution, \d+ of 2000 trials, 1 failed/)
        assert.match(said.stdout, /trial 3 failed: told to fail\n {2}DWConv .*\n {2}run it again: .* replay .*run 3/)
        assert.match(said.stdout, /continue with: .* search --resume/)
        const page = yield* here(["report", run, join(below, "none"), "--out", join(below, "page.html"), "--json"])
        assert.strictEqual(page.code, 0, page.stderr)
        assert.match(page.stderr, /^note: .*none\/journal\.db does not exist\. Give the folder of a search\.\n$/)
        const written = JSON.parse(page.stdout)
        assert.strictEqual(written.runs[0].state, "stopped")
        assert.strictEqual(written.bytes, statSync(join(below, "page.html")).size)
        assert.match((yield* here(["report", join(below, "none")])).stderr, /^uninet: .*none: The journal/)
        assert.strictEqual((yield* here(["report", run, "--out", "page.txt"])).code, 2)
        assert.strictEqual((yield* here(["dashboard", join(below, "none")])).code, 2)

        const all = yield* here(["runs", below, "--json"])
        assert.deepStrictEqual(
          JSON.parse(all.stdout).map(({ state, failures }: { state: string; failures: Array<unknown> }) => [
            state,
            failures.length
          ]),
          [["stopped", 1]]
        )

        for (const [trial, says] of [
          [0, /now: {5}\S+% on the validation split.*\njournal: \S+% .*\nThe same\./],
          [3, /now: {5}failed: told to fail .*\njournal: failed: told to fail\nThe same\./]
        ] as const) {
          const replayed = yield* here(["replay", run, String(trial)])
          assert.strictEqual(replayed.code, 0, replayed.stderr)
          assert.match(replayed.stdout, says)
        }
      }),
    240_000
  )

  it.live(
    "that loses workers and drivers to SIGKILL ends with the journal of a quiet one",
    () =>
      Effect.gen(function* () {
        const below = yield* folder
        const quiet = join(below, "quiet")
        const calm = yield* uninet(["search", "--config", slow, "--out", quiet])
        assert.strictEqual(calm.code, 0, calm.stderr)

        const run = join(below, "run")
        const pids = join(below, "pids")
        mkdirSync(pids)
        let driver = 0
        const start = (args: ReadonlyArray<string>) =>
          Effect.forkChild(
            uninet(["search", ...args], { env: { UNINET_TEST_PIDS: pids }, onStart: (pid) => (driver = pid) }),
            { startImmediately: true }
          )
        const worker = Effect.gen(function* () {
          for (const name of readdirSync(pids)) rmSync(join(pids, name))
          yield* waitFor(() => readdirSync(pids).some((name) => isAlive(Number(name))))
          return Number(readdirSync(pids).find((name) => isAlive(Number(name))))
        })
        const first = yield* start(["--config", slow, "--out", run])
        process.kill(yield* worker, "SIGKILL")
        yield* worker
        process.kill(driver, "SIGKILL")
        assert.isNull((yield* Fiber.join(first)).code)
        const before = (yield* entriesOf(run)).length
        assert.isAbove(before, 0)
        const second = yield* start(["--resume", run])
        process.kill(yield* worker, "SIGKILL")
        const { code, stderr } = yield* Fiber.join(second)
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(yield* entriesOf(run), yield* entriesOf(quiet))
      }),
    240_000
  )
})

describe("uninet search --dry-run", () => {
  it.live(
    "says what would be searched and about how long it takes, and writes nothing",
    () =>
      Effect.gen(function* () {
        const cwd = yield* folder
        const data = tinyDataset(cwd)
        const args = ["search", "--dry-run", "--dataset", data, "--batch", "32", "--epochs", "9", "--fidelity", "asha"]
        const { code, stderr, stdout } = yield* here([...args, "--json"], { cwd })
        assert.strictEqual(code, 0, stderr)
        const { feasible, rungs, seconds, space } = JSON.parse(stdout)
        assert.deepStrictEqual(rungs, [1, 3, 9])
        assert.strictEqual(space.size, "23174285888671875")
        assert.isAbove(feasible.share, 0)
        assert.isBelow(feasible.low, feasible.high)
        assert.isAbove(seconds.trials, seconds.trial)
        assert.deepStrictEqual(readdirSync(cwd), ["tiny"])
      }),
    240_000
  )
})
