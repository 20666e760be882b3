/**
 * What a search costs apart from training: `node bench/search.ts [--training] [--trials 16] [--rounds 2]`.
 *
 * Look-ups: trials per second of `Search.run` with a formula as its evaluator, by journal. Overhead: what strategy (PPO), journal and a
 * pool of two worker processes take for one trial that takes no time itself. With `--training`: trials per minute of real trials with one
 * and two worker processes, on the same architectures, in alternating rounds.
 */
import { Ppo, Random, type SearchStrategy } from "@uninet/controller"
import { OnnxRuntime } from "@uninet/runtime"
import { type Evaluator, Journal, Search, Setup, SpaceSource, WorkerEvaluator } from "@uninet/search"
import { Recipe } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import digits, { formula } from "./searched.ts"

const { values } = parseArgs({
  options: {
    training: { type: "boolean", default: false },
    trials: { type: "string", default: "16" },
    rounds: { type: "string", default: "2" }
  }
})

const within = { macs: { max: 1.6e6 } }
const lookUp = formula({ concurrency: Search.defaultAhead })

const seconds = (
  trials: number,
  evaluator: Layer.Layer<Evaluator.Evaluator, unknown>,
  journal: Layer.Layer<Journal.Journal, unknown>,
  strategy: Layer.Layer<SearchStrategy> = Random.layer(),
  options: { readonly within?: typeof within } = {}
) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const began = performance.now()
      yield* Search.run(digits, { trials, seed: "bench", ...options })
      return (performance.now() - began) / 1000
    }).pipe(Effect.provide([strategy, evaluator, journal]))
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
  const took = await seconds(trials, lookUp, journal)
  console.log(`| ${name} | ${took.toFixed(2)} s | ${Math.round(trials / took)} |`)
}

const median = (numbers: ReadonlyArray<number>) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

const empty = 400
const pool = WorkerEvaluator.layer({ module: new URL("./search-worker.ts", import.meta.url), workers: 2 })
const each =
  (await seconds(empty, pool, Journal.sqlite(join(folder, "pool.db")), Layer.provide(Ppo.layer(), OnnxRuntime.cpu()), {
    within
  })) / empty
console.log(
  `\nPPO, journal (survives power) and two worker processes: ${(1000 * each).toFixed(1)} ms a trial, ${((100 * each) / 5).toFixed(2)}% of one of 5 s (two beside one another: of ${((100 * each) / 2.5).toFixed(2)}% of the time)`
)

if (values.training) {
  const real = Number(values.trials)
  const rounds = Number(values.rounds)
  const space = await Effect.runPromise(SpaceSource.ofModule(fileURLToPath(new URL("./searched.ts", import.meta.url))))
  const took: Record<number, Array<number>> = { 1: [], 2: [] }
  for (let round = 0; round < rounds; round++)
    for (const workers of round % 2 === 0 ? [1, 2] : [2, 1]) {
      const evaluator = WorkerEvaluator.layer({
        module: Setup.module,
        options: Setup.toJson({ config: null, space, dataset: "mnist", recipe: Recipe.proxy }),
        workers
      })
      const time = await seconds(real, evaluator, Journal.memory, Random.layer(), { within })
      console.error(`round ${round + 1}, ${workers} worker${workers === 1 ? "" : "s"}: ${time.toFixed(1)} s`)
      took[workers]?.push(time)
    }
  console.log(
    `\n| workers | ${real} trials of one epoch, median of ${rounds} | trials per minute | ratio |\n| --- | --- | --- | --- |`
  )
  for (const workers of [1, 2]) {
    const time = median(took[workers] ?? [])
    console.log(
      `| ${workers} | ${time.toFixed(1)} s | ${((60 * real) / time).toFixed(1)} | ${(median(took[1] ?? []) / time).toFixed(2)} |`
    )
  }
}
rmSync(folder, { recursive: true })
