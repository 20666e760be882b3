/**
 * Does the time of searches with 100,000 evaluations stay linear in their length? `node bench/long-search.ts [EVALUATIONS]`; without a
 * number it writes bench/results/long-search.md.
 *
 * - Strategies are asked and told one result at a time, on a synthetic table of 10⁶ networks.
 * - Ladders are played with as many entrants, whose objectives are drawn: independent (hundreds of fronts), a trade-off (one front with all
 *   of them), or similar (thousands of fronts).
 * - Whole searches are `Search.run` in memory on UniNet's small space, with a formula instead of training.
 *
 * Each is first played with a tenth of the evaluations: if it is linear, all of them take ten times as long.
 */
import { LocalSearch, Random, RegularizedEvolution, SearchStrategy, Told, Tpe } from "@uninet/controller"
import { Evaluator, Fidelity, Journal, Search } from "@uninet/search"
import { Choice, Prng, Space } from "@uninet/search-space"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { writeFileSync } from "node:fs"
import { cpus } from "node:os"

const [given] = process.argv.slice(2)
const evaluations = Number(given ?? 100_000)

const space = Result.getOrThrow(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 9 }), 6)))
/** Effects of single choices and of neighbours. */
const table = (() => {
  const prng = Prng.fromSeed("table")
  const singles = Array.from({ length: 60 }, () => prng.nextNormal())
  const pairs = Array.from({ length: 600 }, () => prng.nextNormal())
  return Float64Array.from({ length: 10 ** 6 }, (_, row) => {
    const digits = Array.from({ length: 6 }, (_, i) => Math.floor(row / 10 ** i) % 10)
    return digits.reduce(
      (sum, digit, i) => sum + singles[10 * i + digit]! + 0.5 * pairs[100 * i + 10 * (digits[i - 1] ?? 0) + digit]!,
      0
    )
  })
})()
const reward = (tokens: Space.Tokens) => table[tokens.reduceRight((row, token) => 10 * row + token, 0)]!

const strategies: Readonly<Record<string, Layer.Layer<SearchStrategy>>> = {
  random: Random.layer(),
  evolution: RegularizedEvolution.layer(),
  "local-search": LocalSearch.layer(),
  tpe: Tpe.layer()
}

const play = (layer: Layer.Layer<SearchStrategy>, count: number) =>
  Effect.gen(function* () {
    const { start } = yield* SearchStrategy
    const strategy = yield* start(space, Prng.fromSeed(1))
    for (let i = 0; i < count; i++) {
      for (const { tokens, trial } of yield* strategy.ask(1)) {
        yield* strategy.tell([Told.scored(trial, reward(tokens))])
      }
    }
  }).pipe(Effect.scoped, Effect.provide(layer), Effect.runPromise)

const draws: Readonly<Record<string, (prng: Prng.Prng) => ReadonlyArray<number>>> = {
  "one objective": (prng) => [prng.nextFloat()],
  "two, independent": (prng) => [prng.nextFloat(), prng.nextFloat()],
  "two, a trade-off": (prng) => {
    const u = prng.nextFloat()
    return [u, 1 - u]
  },
  "two, alike": (prng) => {
    const u = prng.nextFloat()
    return [u + 0.1 * prng.nextFloat(), u + 0.1 * prng.nextFloat()]
  },
  "two, of few values": (prng) => [prng.nextInt(20), prng.nextInt(20)]
}
const ladders: Readonly<Record<string, Fidelity.Fidelity>> = {
  halving: Fidelity.halving({ epochs: 27 }),
  asha: Fidelity.asha({ epochs: 27 }),
  median: Fidelity.median({ epochs: 4 })
}

/** Like `Search`, with eight trainings at a time. */
const climb = (fidelity: Fidelity.Fidelity, draw: (prng: Prng.Prng) => ReadonlyArray<number>, count: number) => {
  const ladder = Fidelity.ladder(fidelity)
  const prng = Prng.fromSeed("entrants")
  const begun: Array<Fidelity.Promotion> = []
  let [entered, told] = [0, 0]
  for (;;) {
    while (begun.length - told < 8) {
      const closed = entered === count
      const promoted = ladder.next({ closed, idle: begun.length === told })
      if (promoted === undefined && closed) break
      const next = promoted ?? { trial: entered++, rung: 0 }
      ladder.enter(next.rung)
      begun.push(next)
    }
    const done = begun[told++]
    if (done === undefined) return
    ladder.told(done.rung, { trial: done.trial, objectives: draw(prng) })
  }
}

const uninet = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))
const formula = Evaluator.make(
  uninet,
  ({ stages }, { until }) => {
    const accuracy = stages.reduce((sum, { channels, repeats }) => sum + channels * repeats, 0) / 1e4
    return Effect.succeed({
      measures: { accuracy, top5: 1, loss: 1 - accuracy, calibrationError: 0 },
      epochs: until ?? 1
    })
  },
  { concurrency: 8 }
)
const search = (
  options: { readonly fidelity?: Fidelity.Fidelity; readonly objectives?: ReadonlyArray<"accuracy" | "macs"> },
  count: number
) =>
  Search.run(uninet, { trials: count, seed: "long", ...options }).pipe(
    Effect.scoped,
    Effect.provide([Random.layer(), formula, Journal.memory]),
    Effect.runPromise
  )

/** Seconds of processor time. */
const seconds = async (work: (count: number) => unknown, count: number) => {
  const before = process.cpuUsage()
  await work(count)
  const { system, user } = process.cpuUsage(before)
  return (system + user) / 1e6
}

const rows: Array<string> = []
const measure = async (what: string, work: (count: number) => unknown) => {
  const [tenth, all] = [await seconds(work, Math.ceil(evaluations / 10)), await seconds(work, evaluations)]
  const row = `| ${what} | ${tenth.toFixed(2)} s | ${all.toFixed(2)} s |`
  console.log(row)
  rows.push(row)
}

for (const [name, layer] of Object.entries(strategies)) await measure(name, (count) => play(layer, count))
for (const [name, fidelity] of Object.entries(ladders)) {
  for (const [what, draw] of Object.entries(draws))
    await measure(`${name}, ${what}`, (count) => climb(fidelity, draw, count))
}
await measure("search, random, every trial in full", (count) => search({}, count))
await measure("search, random, ASHA", (count) => search({ fidelity: Fidelity.asha({ epochs: 27 }) }, count))
await measure("search, random, ASHA, accuracy and MACs", (count) =>
  search({ fidelity: Fidelity.asha({ epochs: 27 }), objectives: ["accuracy", "macs"] }, count)
)

if (given === undefined) {
  const text = [
    "# Long searches",
    `\`node bench/long-search.ts\` on ${cpus()[0]?.model ?? "unknown processor"}, Node ${process.version}; other work ran on the machine. Seconds of processor time, including learning and everything else the program does.`,
    `| what | ${(evaluations / 10).toLocaleString("en-GB")} | ${evaluations.toLocaleString("en-GB")} |\n| --- | --- | --- |\n${rows.join("\n")}`
  ]
  writeFileSync(new URL("results/long-search.md", import.meta.url), `${text.join("\n\n")}\n`)
}
