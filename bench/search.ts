/**
 * What a search costs besides training: `node bench/search.ts [--training]`.
 *
 * Look-ups: trials per second of `Search.run` whose evaluator is a formula, by journal. With `--training` also: trials per minute of real trials at one and
 * two worker processes, the same eight architectures.
 */
import { Random } from "@uninet/controller"
import { Dsms } from "@uninet/dsm"
import { NetworkCosts } from "@uninet/network"
import { Operators } from "@uninet/operators"
import { Evaluator, Journal, Search, Setup, WorkerEvaluator } from "@uninet/search"
import { Constraint, UniNetSpace } from "@uninet/search-space"
import { Recipe } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const constraints = Constraint.bounds(NetworkCosts.forSpace(), { macs: { max: 1.6e6 } })
const space = UniNetSpace.layer({ image: 28, channels: 1, classes: 10 })
const formula = Evaluator.fromFunction(({ stages }) => Effect.succeed(1 / stages.length), {
  concurrency: Search.defaultAhead
})

const seconds = (
  trials: number,
  evaluator: Layer.Layer<Evaluator.Evaluator, unknown>,
  journal: Layer.Layer<Journal.Journal, unknown>,
  strategy = Random.layer({ seed: "bench" })
) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const began = performance.now()
      yield* Search.run({ trials, seed: "bench" })
      return (performance.now() - began) / 1000
    }).pipe(
      Effect.provide(Layer.provideMerge(strategy, space)),
      Effect.provide([Operators.standard, Dsms.standard, evaluator, journal])
    )
  )

const folder = mkdtempSync(join(tmpdir(), "uninet-bench-"))
const trials = 10_000
const journals = {
  "in memory": Journal.memory,
  "SQLite, survives a process": Journal.sqlite(join(folder, "process.db"), { durability: "process" }),
  "SQLite, survives power": Journal.sqlite(join(folder, "power.db"))
}
console.log("| journal | 10,000 look-ups | trials per second |\n| --- | --- | --- |")
for (const [name, journal] of Object.entries(journals)) {
  const took = await seconds(trials, formula, journal)
  console.log(`| ${name} | ${took.toFixed(2)} s | ${Math.round(trials / took)} |`)
}

if (process.argv.includes("--training")) {
  const real = 8
  console.log("\n| workers | 8 trials of one epoch | trials per minute |\n| --- | --- | --- |")
  for (const workers of [1, 2]) {
    const evaluator = WorkerEvaluator.layer({
      module: Setup.module,
      options: Setup.toJson({ config: null, dataset: "mnist", recipe: Recipe.proxy }),
      workers
    })
    const took = await seconds(real, evaluator, Journal.memory, Random.layer({ seed: "bench", constraints }))
    console.log(`| ${workers} | ${took.toFixed(1)} s | ${((60 * real) / took).toFixed(1)} |`)
  }
}
rmSync(folder, { recursive: true })
