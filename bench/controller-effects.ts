/**
 * The effect of every option of PPO, from random settings: plays COUNT of them, appends each to FILE as a line, and prints for every value
 * of every option the mean place of all settings in FILE that have it. A place is a setting's difference from the mean of all, in standard
 * deviations for the problem and budget, averaged over both. Several runs with different SEEDs add up; with COUNT 0 it only prints.
 *
 *   node bench/controller-effects.ts FILE COUNT SEED PROBLEMS SEEDS 'OPTIONS'
 *   node bench/controller-effects.ts effects.jsonl 8 1 nas-bench-macro.json.gz,dag-1,cell-1,uninet-1 12 '{"learningRate":[0.02,0.04],"epochs":[2,4,6]}'
 */
import { Benchmark, Ppo, type Strategy, Table } from "@uninet/controller"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import { synthetic } from "./controller-problems.ts"

const Value = Schema.Union([Schema.Finite, Schema.String])
const Line = Schema.fromJsonString(
  Schema.Struct({
    options: Schema.Record(Schema.String, Value),
    /** Mean and standard deviation, by problem and budget. */
    results: Schema.Record(Schema.String, Schema.Tuple([Schema.Finite, Schema.Finite]))
  })
)

const [file = "effects.jsonl", count = "0", seed = "0", problems = "", seeds = "12", given = "{}"] =
  process.argv.slice(2)
const grid = Schema.decodeSync(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Array(Value))))(given)
const prng = Prng.fromSeed(`settings ${seed}`)
for (let i = 0; i < Number(count); i++) {
  const options = Object.fromEntries(
    Object.entries(grid).map(([name, values]) => [name, values[prng.nextInt(values.length)] ?? ""])
  )
  const results: Record<string, readonly [number, number]> = {}
  for (const name of problems.split(",")) {
    const table = synthetic(name) ?? (await Effect.runPromise(Table.fromBytes(readFileSync(name), name)))
    const { rows } = await Benchmark.play({
      table,
      strategies: {
        ppo: (domain: Strategy.Domain<ReadonlyArray<unknown>>, random: Prng.Prng) => Ppo.make(domain, options, random)
      },
      budgets: [100, 200],
      seeds: Number(seeds),
      // not the seeds of the recorded plays
      first: 1000
    }).pipe(Effect.provide(OnnxRuntime.cpu()), Effect.runPromise)
    for (const { budget, deviation, mean } of rows) results[`${table.name}/${budget}`] = [mean, deviation]
  }
  appendFileSync(file, `${Schema.encodeSync(Line)({ options, results })}\n`)
}

const average = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0) / values.length
const settings = (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : []).map((line) =>
  Schema.decodeSync(Line)(line)
)
const columns = Object.keys(settings[0]?.results ?? {}).map((key) => {
  const cells = settings.flatMap(({ results }) => (results[key] === undefined ? [] : [results[key]]))
  return { key, mean: average(cells.map(([mean]) => mean)), deviation: average(cells.map(([, d]) => d)) }
})
const places = settings.map(({ results }) =>
  average(
    columns.map(({ deviation, key, mean }) => (deviation === 0 ? 0 : ((results[key]?.[0] ?? mean) - mean) / deviation))
  )
)
const signed = (n: number) => `${n >= 0 ? "+" : ""}${n.toFixed(3)}`
console.log(
  `${settings.length} settings; deviation of their places ${Math.sqrt(average(places.map((p) => p * p))).toFixed(3)}`
)
for (const option of Object.keys(settings[0]?.options ?? {})) {
  const by = Map.groupBy(places.keys(), (i) => settings[i]!.options[option]!)
  const cells = [...by]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([value, which]) => `${value}: ${signed(average(which.map((i) => places[i]!)))} (${which.length})`)
  console.log(`${option.padEnd(14)} ${cells.join("   ")}`)
}
