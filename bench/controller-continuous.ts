/**
 * Plays the strategies on numeric problems (`numeric-problems.ts`) and writes bench/results/controller-continuous.md.
 *
 *   node bench/controller-continuous.ts [SEEDS [PROBLEMS [STRATEGIES]]]
 *
 * If problems or strategies are given, it only prints.
 */
import { Benchmark, Strategies } from "@uninet/controller"
import { OnnxRuntime } from "@uninet/runtime"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { problems } from "./numeric-problems.ts"

const [seeds = "20", chosen, named] = process.argv.slice(2)
const names = Strategies.names.filter((name) => name !== "grid" && (named?.split(",").includes(name) ?? true))
const strategies: Readonly<Record<string, Strategies.Make>> = Object.fromEntries(
  names.map((name) => [name, Strategies.all[name]])
)

const tables: Array<string> = []
for (const [name, table] of Object.entries(problems)) {
  if (chosen !== undefined && !chosen.split(",").includes(name)) continue
  const played = await Benchmark.play({ table, strategies, budgets: [50, 100, 200], seeds: Number(seeds) }).pipe(
    Effect.provide(OnnxRuntime.cpu()),
    Effect.runPromise
  )
  const text = Benchmark.print(played)
  console.log(text)
  tables.push(`## ${name}\n\n\`\`\`\n${text}\n\`\`\``)
}

if (chosen === undefined && named === undefined) {
  const machine = `${cpus()[0]?.model ?? "unknown processor"}, Node ${process.version}; other work ran on the machine`
  const about = [
    "# Strategies on numeric problems",
    `\`node bench/controller-continuous.ts ${seeds}\` on ${machine}. The best value after the given number of evaluations, mean ± standard deviation over ${seeds} seeds; larger is better.`,
    "`branin` and `hartmann-6` are the textbook functions on real numbers (negated where smaller is better), `whole-hartmann-6` is the latter on integers from 0 to 9999, and `training` has two optimisers, each with its own numbers, a schedule and a width (`bench/numeric-problems.ts`)."
  ]
  writeFileSync(new URL("results/controller-continuous.md", import.meta.url), `${[...about, ...tables].join("\n\n")}\n`)
}
