import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Table } from "@uninet/controller"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { folder, here } from "./support/cli.ts"
import { made, of } from "./support/run.ts"
import * as plans from "../src/internal/plan.js"
import * as tabled from "../src/internal/tabled.js"

const trainingsOf = (run: string) =>
  Effect.flatMap(Journal.reader(join(run, "journal.db")), ({ trainings }) => trainings()).pipe(Effect.scoped)

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
      assert.match(stdout, /trials: 3 trials .* A .* 50\.50% \(\d\d\.\d\d% … .* B .* \+20\.00% .* not distinguishable/)
      const json = yield* here(["compare", ...runs, "--measure", "loss", "--json"])
      const { by, differences } = JSON.parse(json.stdout)
      assert.deepStrictEqual(by, { name: "loss", direction: "lower" })
      assert.strictEqual(differences[0].verdict, "open")

      const one = yield* here(["compare", ...runs.slice(1, 3)])
      assert.match(one.stdout, /one run only .* not distinguishable/)
      assert.match(
        one.stdout,
        /note: A has 1 seed, B has 1 seed; with 4 or more each, a difference can be told from chance/
      )
      const unknown = yield* here(["compare", ...runs, "--measure", "speed"])
      assert.strictEqual(unknown.code, 1)
      assert.match(
        unknown.stderr,
        /has no measure speed\. Give one that all have with --measure: accuracy, .*, reward\./
      )
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
      assert.match(again.stderr, /trials\.csv already exists\. Give a new one; nothing was changed\./)
      const licensed = yield* here(["export-trials", run, "--format", "jsonl", "--license", "MIT", "--out", "x"])
      assert.match(licensed.stderr, /--license is only for tables/)
      const timed = yield* here(["export-trials", run, "--format", "csv", "--device-file", "x.json", "--out", "x"])
      assert.match(timed.stderr, /--device-file is only for tables/)
      const empty = yield* made(below, "empty", { accuracies: [] })
      assert.match((yield* here(["export-trials", empty, "--format", "csv"])).stderr, /has no trials yet/)
    })
  )

  it.live("makes of a search a table that can be played, with a card that says what it is", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const accuracies = Array.from({ length: 12 }, (_, i) => (i === 3 ? null : 0.5 + i / 100))
      const run = yield* made(below, "run", { accuracies })
      const given = { name: "run", of, recorded: yield* plans.recorded(run, ""), trainings: [], license: "CC0-1.0" }
      const { bytes, card, json } = yield* tabled.of(given)
      assert.strictEqual(json.rows.length, 11)
      assert.deepStrictEqual(json.choices[0]?.options, ["Conv", "DWConv", "SA", "LSA", "MLP"])
      assert.isTrue(json.choices.some(({ ordered }) => ordered === true))
      const table = yield* Table.fromBytes(bytes)
      assert.deepStrictEqual([table.size, table.optimum], [11, 0.61])
      for (const [tokens, accuracy] of json.rows) assert.strictEqual(table.search([...tokens]), accuracy)
      assert.match(card, /11 trained networks of the space uninet/)
      assert.match(card, /A sample of 151165440000000, proposed by the strategy random with the seed 0\./)
      assert.match(card, /accuracy from 50\.00% to 61\.00%; .* Spearman|Licence\.\*\* CC0-1\.0/s)
      const { settings } = given.recorded
      const short = { ...given.recorded, settings: { ...settings, recipe: { ...settings.recipe, examples: 64 } } }
      const timed = yield* tabled.of({ ...given, recorded: short, trainings: yield* trainingsOf(run) })
      assert.match(timed.card, /epochs? of 64 examples, batch /)
      assert.strictEqual(timed.json.columns.at(-1), "seconds")
      assert.includeMembers([...timed.json.columns], ["macs", "loss", "training loss 1"])
      assert.notInclude(json.columns, "training loss 1")
      assert.strictEqual(timed.json.rows[0]?.at(-1), 0.9)
      const empty = yield* made(below, "empty", { accuracies: [] })
      const none = yield* Effect.flip(tabled.of({ ...given, recorded: yield* plans.recorded(empty, "") }))
      assert.match(none.message, /run has no results yet/)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
