import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { folder, here } from "./support/cli.ts"
import { made } from "./support/run.ts"

describe("uninet compare", () => {
  it.live("holds searches against one another, their seeds together, as a table and as JSON", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const runs: Array<string> = []
      for (const [strategy, base] of [
        ["random", 0.5],
        ["gp", 0.7]
      ] as const)
        for (let seed = 0; seed < 2; seed++)
          runs.push(
            yield* made(below, `${strategy}-${seed}`, {
              strategy,
              seed: String(seed),
              accuracies: [base - 0.1, null, base + seed / 100]
            })
          )
      const { code, stderr, stdout } = yield* here(["compare", ...runs])
      assert.strictEqual(code, 0, stderr)
      assert.match(stdout, /A: .*random-0.*random-1\nB: .*gp-1; it differs in strategy "gp"/)
      assert.match(
        stdout,
        /trials: 3 trials .* A .* 50\.50% \(\d\d\.\d\d% … .* B .* \+20\.00% .* these runs do not tell/
      )
      const json = yield* here(["compare", ...runs, "--measure", "loss", "--json"])
      const { by, differences } = JSON.parse(json.stdout)
      assert.deepStrictEqual(by, { name: "loss", direction: "lower" })
      assert.strictEqual(differences[0].verdict, "open")

      const one = yield* here(["compare", ...runs.slice(1, 3)])
      assert.match(one.stdout, /one run only .* these runs do not tell/)
      assert.match(one.stdout, /note: A has 1 seed, B has 1 seed; from 4 each a difference can be told from chance/)
      const unknown = yield* here(["compare", ...runs, "--measure", "speed"])
      assert.strictEqual(unknown.code, 1)
      assert.match(unknown.stderr, /has no measure speed\. Give by --measure one that all have: accuracy, .*, reward\./)
      const none = yield* here(["compare", runs[0] ?? "", below])
      assert.match(none.stderr, /journal .* does not exist/)
    })
  )
})

describe("uninet export-trials", () => {
  it.live("writes a search's trials in each format, into a new place alone", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const run = yield* made(below, "run", { accuracies: [0.5, null, 0.75] })
      for (const format of ["csv", "jsonl", "tensorboard", "optuna", "mlflow"]) {
        const { code, stderr, stdout } = yield* here(["export-trials", run, "--format", format])
        assert.strictEqual(code, 0, stderr)
        assert.match(stdout, /has 3 trials of .*run/)
      }
      assert.deepStrictEqual(
        readdirSync(run)
          .filter((name) => !name.startsWith("journal"))
          .toSorted(),
        ["mlruns", "optuna.db", "tensorboard", "trials.csv", "trials.jsonl"]
      )
      const [, first = ""] = readFileSync(join(run, "trials.csv"), "utf8").split("\r\n")
      assert.match(first, /^0,finished,0\.5,0\.5,/)
      const again = yield* here(["export-trials", run, "--format", "csv"])
      assert.strictEqual(again.code, 2)
      assert.match(again.stderr, /trials\.csv is there already\. Give a new one; nothing was changed\./)
      const empty = yield* made(below, "empty", { accuracies: [] })
      assert.match((yield* here(["export-trials", empty, "--format", "csv"])).stderr, /has no trial yet/)
    })
  )
})
