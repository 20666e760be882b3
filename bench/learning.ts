/**
 * What learning from an earlier search on another task is worth, on a table of trained networks. The earlier search of 100 evaluations has
 * the same choices, but half of them do something else there.
 *
 *   node bench/learning.ts TABLE [SEEDS [STRATEGIES]]
 *   node bench/learning.ts nas-bench-macro.json.gz 40 gp
 *
 * Two other tasks are made from each table, anew for every seed: `places`, where half of the choices have traded places with each other,
 * and `options`, where the options of half of the choices have been shuffled, so that what was learned about these is wrong.
 *
 * Results: bench/results/learning-NAME.md.
 */
import { type Lesson, Strategies, Table, Told } from "@uninet/controller"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { basename } from "node:path"

const [file = "", seedsGiven = "40", namesGiven = "gp"] = process.argv.slice(2)
const table = await Effect.runPromise(Table.fromBytes(readFileSync(file), file))
const seeds = Number(seedsGiven)
const names = namesGiven.split(",").filter(Strategies.isName)
/** Evaluations of the earlier search, and of this one. */
const [before, budget] = [100, 50]
const { sites } = table.space

type Tokens = ReadonlyArray<number>
type Task = (tokens: Tokens) => number

/** A permutation other than the identity. */
const shuffled = (count: number, prng: Prng.Prng): ReadonlyArray<number> => {
  for (;;) {
    const order = [...prng.permutation(count)]
    if (count < 2 || order.some((to, i) => to !== i)) return order
  }
}
const half = (prng: Prng.Prng) => Array.from(prng.permutation(sites.length).slice(0, Math.floor(sites.length / 2)))

const tasks: Readonly<Record<string, (prng: Prng.Prng) => Task>> = {
  places: (prng) => {
    const chosen = half(prng)
    const order = shuffled(chosen.length, prng)
    const from = new Map(chosen.map((site, i) => [site, chosen[order[i] ?? i] ?? site]))
    return (tokens) => table.search(tokens.map((token, i) => tokens[from.get(i) ?? i] ?? token))
  },
  options: (prng) => {
    const orders = new Map(half(prng).map((site) => [site, shuffled(sites[site]?.count ?? 1, prng)]))
    return (tokens) => table.search(tokens.map((token, i) => orders.get(i)?.[token] ?? token))
  }
}

/** Plays a strategy on a task, after a lesson if there is one. */
const played = (make: Strategies.Make, task: Task, evaluations: number, seed: string, lesson?: Lesson.Lesson) =>
  Effect.gen(function* () {
    const strategy = yield* make(table.space, Prng.fromSeed(seed))
    if (lesson !== undefined) yield* strategy.learn?.([lesson]) ?? Effect.void
    const results: Array<Lesson.Lesson["results"][number]> = []
    for (let i = 0; i < evaluations; i++)
      for (const { tokens, trial } of yield* strategy.ask(1)) {
        const reward = task(tokens)
        results.push({ vector: [...tokens], reward })
        yield* strategy.tell([Told.scored(trial, reward)])
      }
    return results
  }).pipe(Effect.scoped)

/** The report of the best network by search, after every evaluation. */
const curveOf = (results: Lesson.Lesson["results"]) => {
  let [best, report] = [-Infinity, Number.NaN]
  return results.map(({ reward, vector }) => {
    if ((reward ?? -Infinity) > best) [best, report] = [reward ?? -Infinity, table.report(vector)]
    return report
  })
}

const after = [5, 10, 20, 30, 50]
const cell = (curves: ReadonlyArray<ReadonlyArray<number>>, n: number) => {
  const values = curves.map((curve) => curve[n - 1] ?? Number.NaN)
  const mean = values.reduce((a, b) => a + b) / values.length
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1))
  return `${mean.toFixed(3)} ± ${(deviation / Math.sqrt(values.length)).toFixed(3)}`
}

const lines: Array<string> = []
for (const name of names) {
  const make = Strategies.all[name]
  const cold: Array<ReadonlyArray<number>> = []
  const learned = Object.fromEntries(Object.keys(tasks).map((task) => [task, new Array<ReadonlyArray<number>>()]))
  for (let s = 0; s < seeds; s++) {
    const run = Effect.gen(function* () {
      cold.push(curveOf(yield* played(make, table.search, budget, `target-${s}`)))
      for (const [kind, of] of Object.entries(tasks)) {
        const task = of(Prng.fromSeed(`task-${s}`))
        const results = yield* played(Strategies.all.gp, task, before, `source-${s}`)
        learned[kind]?.push(curveOf(yield* played(make, table.search, budget, `target-${s}`, { results })))
      }
    })
    await run.pipe(Effect.provide(OnnxRuntime.cpu()), Effect.runPromise)
  }
  for (const [what, curves] of [["nothing", cold] as const, ...Object.entries(learned)])
    lines.push(`| ${name} | ${what} | ${after.map((n) => cell(curves, n)).join(" | ")} |`)
}
const text = [
  `# Learning from another task: ${table.name}`,
  "",
  `\`node bench/learning.ts ${[basename(file), seedsGiven, namesGiven].join(" ")}\`, ${cpus()[0]?.model ?? "unknown processor"}, Node ${process.version}; other work ran on the machine.`,
  "",
  `The \`report\` figure of the network that is best by \`search\` after the given number of evaluations, mean ± standard error over ${seeds} seeds; optimum ${table.optimum.toFixed(3)}. The earlier search had ${before} evaluations by gp, on another task:`,
  "in `places`, half of the choices have swapped places; in `options`, the options of half of the choices were shuffled.",
  "",
  `| strategy | learned from | ${after.map((n) => `after ${n}`).join(" | ")} |`,
  `| --- | --- | ${after.map(() => "---:").join(" | ")} |`,
  ...lines,
  ""
].join("\n")
console.log(text)
const out = new URL("results/", import.meta.url)
mkdirSync(out, { recursive: true })
writeFileSync(new URL(`learning-${table.name.toLowerCase()}.md`, out), text)
