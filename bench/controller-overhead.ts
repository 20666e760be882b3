/**
 * What the strategies cost: proposals per second on one core, including everything (asking, telling, learning), on a space of eight choices
 * of three (which is too small for random search, so it uses twelve of five) and on UniNet's space for small images.
 *
 *   node bench/controller-overhead.ts
 *
 * TPE and the Gaussian process are measured with a history of 1,000 results.
 */
import { Strategies, type Strategy, Told } from "@uninet/controller"
import { OnnxRuntime } from "@uninet/runtime"
import { Choice, Prng, Space } from "@uninet/search-space"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { mkdirSync, writeFileSync } from "node:fs"
import { cpus } from "node:os"

const twelve = Result.getOrThrow(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 4 }), 12)))
const uninet = Result.getOrThrow(UniNetSpace.small())

/** Computed in advance: a network's worth is not part of the strategies' work. */
const worths = Float64Array.from({ length: 256 }, (_, i) => Math.sin(i))
const reward = (tokens: Space.Tokens) => {
  let sum = 0
  for (let i = 0; i < tokens.length; i++) sum += worths[3 * tokens[i]! + i]!
  return sum
}

const plays: ReadonlyArray<{
  readonly name: Strategies.Name
  readonly batch: number
  readonly before: number
  readonly measured: number
}> = [
  { name: "random", batch: 1000, before: 100_000, measured: 300_000 },
  { name: "evolution", batch: 10, before: 50_000, measured: 100_000 },
  { name: "local-search", batch: 10, before: 1000, measured: 2000 },
  { name: "nsga2", batch: 10, before: 3000, measured: 5000 },
  { name: "tpe", batch: 1, before: 1000, measured: 500 },
  { name: "gp", batch: 1, before: 1000, measured: 20 },
  { name: "reinforce", batch: 10, before: 1000, measured: 2000 },
  { name: "ppo", batch: 10, before: 1000, measured: 2000 }
]

const advance = Effect.fnUntraced(function* (strategy: Strategy.Strategy<unknown>, count: number, batch: number) {
  for (let done = 0; done < count; done += batch) {
    const proposals = yield* strategy.ask(batch)
    yield* strategy.tell(proposals.map(({ tokens, trial }) => Told.scored(trial, reward(tokens))))
  }
})

const measure = Effect.fnUntraced(function* (space: Space.Space<unknown>, play: (typeof plays)[number]) {
  const strategy = yield* Strategies.all[play.name](space, Prng.fromSeed(1))
  // a history comes from the strategy itself, but the Gaussian process would take a minute for it, so its results come from a batch
  yield* advance(strategy, play.before, play.name === "gp" ? 10 : play.batch)
  const start = process.cpuUsage()
  yield* advance(strategy, play.measured, play.batch)
  const { system, user } = process.cpuUsage(start)
  return (play.measured / (user + system)) * 1e6
})

const lines = [
  "| strategy | results before | twelve choices of five, proposals/s | UniNet's space, proposals/s |",
  "|---|---|---|---|"
]
for (const play of plays) {
  const [a, b] = await Effect.forEach([twelve, uninet], (space) => Effect.scoped(measure(space, play))).pipe(
    Effect.provide(OnnxRuntime.cpu()),
    Effect.runPromise
  )
  lines.push(`| ${play.name} | ${play.before} | ${a?.toFixed(0)} | ${b?.toFixed(0)} |`)
  console.log(lines[lines.length - 1])
}
const out = new URL("results/", import.meta.url)
mkdirSync(out, { recursive: true })
const machine = `${cpus()[0]?.model ?? "unknown processor"}, Node ${process.version}`
writeFileSync(
  new URL("controller-overhead.md", out),
  `# Overhead of the strategies\n\n\`node bench/controller-overhead.ts\` (${machine}; processor time of the process, other work ran on the machine)\n\n${lines.join("\n")}\n`
)
