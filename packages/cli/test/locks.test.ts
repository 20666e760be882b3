/** A run has one writer, however many want it at the same time. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { existsSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { folder, tinyDataset, tinyNetwork, uninet } from "./support/cli.ts"

const own = fileURLToPath(new URL("./support/configs/own.config.ts", import.meta.url))

describe("several at the same time", () => {
  it.live(
    "have a folder each where they asked for none, and one of them has the folder that all asked for",
    () =>
      Effect.gen(function* () {
        const here = yield* folder
        const network = join(here, "network.json")
        writeFileSync(network, JSON.stringify(tinyNetwork))
        const data = tinyDataset(here)
        const train = ["train", network, "--dataset", data, "--epochs", "1", "--batch", "32"]
        const search = ["search", "--config", own, "--trials", "1"]
        const together = (all: ReadonlyArray<ReadonlyArray<string>>) =>
          Effect.forEach(all, (args) => uninet(args, { cwd: here }), { concurrency: "unbounded" })

        for (const { code, stderr } of yield* together([train, train, search, search]))
          assert.strictEqual(code, 0, stderr)
        const made = readdirSync(join(here, "runs"))
        assert.strictEqual(made.length, 4)
        for (const run of made)
          assert.isTrue(["result.json", "best.json"].some((file) => existsSync(join(here, "runs", run, file))))

        for (const args of [train, search]) {
          const out = join(here, `one ${args[0]}`)
          const all = yield* together([1, 2].map(() => [...args, "--out", out]))
          assert.lengthOf(
            all.filter(({ code }) => code === 0),
            1,
            all.map(({ stderr }) => stderr).join("")
          )
          // The others arrive while it is written to, or when it is already there.
          for (const { code, stderr } of all)
            if (code !== 0)
              assert.match(
                `${code} ${stderr}`,
                /^(1 uninet: .* is in use by (another process|process \d+ on .*)\. Wait for|[12] uninet: --out .* (already holds a|is not empty)).*\n$/
              )
          assert.isFalse(readdirSync(out).some((file) => file.endsWith("-lock")))
        }
      }),
    180_000
  )

  it.live("do not train one training", () =>
    Effect.gen(function* () {
      const here = yield* folder
      const network = join(here, "network.json")
      writeFileSync(network, JSON.stringify(tinyNetwork))
      const data = tinyDataset(here)
      let pid = 0
      const first = yield* Effect.forkChild(
        uninet(["train", network, "--dataset", data, "--epochs", "1000", "--batch", "32", "--out", "run"], {
          cwd: here,
          onStart: (started) => (pid = started)
        })
      )
      while (!existsSync(join(here, "run", "metrics.jsonl"))) yield* Effect.sleep(50)
      const second = yield* uninet(["train", "--resume", "run"], { cwd: here })
      assert.strictEqual(second.code, 1)
      assert.match(
        second.stderr,
        new RegExp(
          `^uninet: --resume run is in use by process ${pid} on .*\\. Wait for that training, or end it\\.\\n$`
        )
      )
      // Its lock goes with it.
      process.kill(pid, "SIGKILL")
      assert.isNull((yield* Fiber.join(first)).code)
      const third = yield* uninet(["train", "--resume", "run"], { cwd: here, until: /epoch \d+ of 1000/ })
      assert.strictEqual(third.code, 130, third.stderr)
    })
  )
})
