/**
 * Compares options of strategies on several problems, for choosing defaults.
 *
 *   node bench/controller-sweep.ts PROBLEMS SEEDS BUDGETS STRATEGY[{json options}] …
 *   node bench/controller-sweep.ts cell-1,uninet-1,table.json.gz 50 100,200 ppo 'ppo{"policy":"independent"}' 'tpe{"gamma":0.2}'
 *
 * PROBLEMS are tables (files) or names from `controller-problems.ts`. Prints the means over the seeds, and at the end the mean place of
 * every setting: its difference from the mean of all settings, in standard deviations for the problem and budget, averaged over problems
 * and budgets.
 */
import {
  Benchmark,
  GaussianProcess,
  LocalSearch,
  Nsga2,
  Ppo,
  Random,
  RegularizedEvolution,
  Reinforce,
  type Strategy,
  type StrategyError,
  Table,
  Tpe
} from "@uninet/controller"
import { OnnxRuntime, type Runtime } from "@uninet/runtime"
import type { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { readFileSync } from "node:fs"
import { synthetic } from "./controller-problems.ts"

type Make = (
  domain: Strategy.Domain<ReadonlyArray<unknown>>,
  options: object,
  prng: Prng.Prng
) => Effect.Effect<Strategy.Strategy<ReadonlyArray<unknown>>, StrategyError.StrategyError, Runtime | Scope.Scope>
const makers = new Map<string, Make>([
  ["random", Random.make],
  ["evolution", RegularizedEvolution.make],
  ["local-search", LocalSearch.make],
  ["tpe", Tpe.make],
  ["gp", GaussianProcess.make],
  ["nsga2", Nsga2.make],
  ["reinforce", Reinforce.make],
  ["ppo", Ppo.make]
])

const [problems = "", seeds = "20", budgets = "100,200", ...specs] = process.argv.slice(2)
const strategies = Object.fromEntries(
  specs.map((spec) => {
    const brace = spec.indexOf("{")
    const make = makers.get(brace < 0 ? spec : spec.slice(0, brace))
    if (make === undefined) throw new Error(`no strategy in ${spec}; there are ${[...makers.keys()].join(", ")}`)
    const options: object = brace < 0 ? {} : JSON.parse(spec.slice(brace))
    return [spec, (domain: Strategy.Domain<ReadonlyArray<unknown>>, prng: Prng.Prng) => make(domain, options, prng)]
  })
)
const places = new Map<string, Array<number>>()
for (const name of problems.split(",")) {
  const table = synthetic(name) ?? (await Effect.runPromise(Table.fromBytes(readFileSync(name), name)))
  const played = await Benchmark.play({
    table,
    strategies,
    budgets: budgets.split(",").map(Number),
    seeds: Number(seeds)
  }).pipe(Effect.provide(OnnxRuntime.cpu()), Effect.runPromise)
  console.log(Benchmark.print(played))
  for (const budget of new Set(played.rows.map((row) => row.budget))) {
    const rows = played.rows.filter((row) => row.budget === budget)
    const mean = rows.reduce((sum, row) => sum + row.mean, 0) / rows.length
    const deviation = rows.reduce((sum, row) => sum + row.deviation, 0) / rows.length
    for (const row of rows) {
      const place = deviation === 0 ? 0 : (row.mean - mean) / deviation
      places.set(row.strategy, [...(places.get(row.strategy) ?? []), place])
    }
  }
}
console.log("\nmean place, in deviations")
for (const [strategy, values] of [...places]
  .map(([s, v]) => [s, v.reduce((a, b) => a + b, 0) / v.length] as const)
  .sort((a, b) => b[1] - a[1]))
  console.log(`${values >= 0 ? "+" : ""}${values.toFixed(3)}  ${strategy}`)
