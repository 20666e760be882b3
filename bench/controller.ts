/**
 * Plays all strategies on a table of trained networks, or on synthetic problems from `controller-problems.ts`, and writes a table and
 * curves.
 *
 *   node bench/controller.ts TABLE[,TABLE…] [SEEDS [STRATEGIES]]
 *   node bench/controller.ts nas-bench-macro.json.gz 100
 *   node bench/controller.ts cell-1,chain-1,uninet-1 30 tpe,ppo
 *
 * The results of every strategy are kept in a folder for temporary files until the table is written: after a run that was interrupted, or
 * that named only some strategies, they need not be played again.
 *
 * Results: bench/results/controller-NAME.md and controller-NAME-curves.csv (evaluations, then mean and standard deviation of every
 * strategy).
 */
import { Benchmark, Ppo, Strategies, Table } from "@uninet/controller"
import { OnnxRuntime } from "@uninet/runtime"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { basename, join } from "node:path"
import { synthetic } from "./controller-problems.ts"

const [tables = "", seeds = "100", chosen] = process.argv.slice(2)
const independent: Strategies.Make = (domain, prng) => Ppo.make(domain, Ppo.independent, prng)
const everything: Readonly<Record<string, Strategies.Make>> = { ...Strategies.all, "ppo-independent": independent }
const wanted = chosen?.split(",") ?? Object.keys(everything).filter((name) => name !== "grid")
const strategies = Object.fromEntries(Object.entries(everything).filter(([name]) => wanted.includes(name)))
const out = new URL("results/", import.meta.url)
const kept = join(tmpdir(), "uninet-controller-bench")
for (const folder of [out, kept]) mkdirSync(folder, { recursive: true })

for (const name of tables.split(",")) {
  const table = synthetic(name) ?? (await Effect.runPromise(Table.fromBytes(readFileSync(name), name)))
  const plays: Array<Benchmark.Played> = []
  for (const [strategy, make] of Object.entries(strategies)) {
    const file = join(kept, `${table.name}-${strategy}-${seeds}.json`)
    // written by this same program
    let play: Benchmark.Played | undefined = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined
    play ??= await Benchmark.play({
      table,
      strategies: { [strategy]: make },
      budgets: [50, 100, 200],
      seeds: Number(seeds)
    }).pipe(Effect.provide(OnnxRuntime.cpu()), Effect.runPromise)
    writeFileSync(file, JSON.stringify(play))
    plays.push(play)
  }
  const played: Benchmark.Played = {
    table: table.name,
    optimum: table.optimum,
    seeds: Number(seeds),
    rows: plays.flatMap(({ rows }) => rows),
    curves: plays.flatMap(({ curves }) => curves)
  }
  const text = Benchmark.print(played)
  console.log(text)
  const file = `controller-${table.name.toLowerCase()}`
  const command = ["node bench/controller.ts", basename(name), seeds, chosen].filter((part) => part !== undefined)
  const machine = `${cpus()[0]?.model ?? "unknown processor"}, Node ${process.version}; other work ran on the machine`
  const about =
    "The `report` figure of the network that is best by `search` after the given number of evaluations: mean ± standard deviation over the seeds."
  writeFileSync(
    new URL(`${file}.md`, out),
    `# ${table.name}\n\n\`${command.join(" ")}\` (${machine})\n\n${about}\n\n\`\`\`\n${text}\n\`\`\`\n`
  )
  const lines = Array.from({ length: 200 }, (_, i) =>
    [i + 1, ...played.curves.flatMap((curve) => [curve.mean[i]?.toFixed(5), curve.deviation[i]?.toFixed(5)])].join()
  )
  const header = ["evaluations", ...played.curves.flatMap(({ strategy }) => [strategy, `${strategy} ±`])].join()
  writeFileSync(new URL(`${file}-curves.csv`, out), `${[header, ...lines].join("\n")}\n`)
}
