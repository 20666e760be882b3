/**
 * Plays strategies on a table of trained networks: what does a strategy find in a given number of evaluations?
 *
 * @example
 * ```ts
 * import { Benchmark, Strategies, Table } from "@uninet/controller"
 * import { OnnxRuntime } from "@uninet/runtime"
 * import { Console, Effect, Result } from "effect"
 *
 * // Three choices of 0 … 4, the more the better; a real table is a file: Table.read("nas-bench-macro.json.gz").
 * const digits = [0, 1, 2, 3, 4]
 * const rows = digits.flatMap((a) => digits.flatMap((b) => digits.map((c) => [[a, b, c], a + b + c, a + b + c])))
 * const choices = ["a", "b", "c"].map((name) => ({ name, options: digits }))
 * const table = Result.getOrThrow(Table.fromJson({ name: "sums", choices, columns: ["choice", "search", "report"], rows }))
 *
 * const strategies = { random: Strategies.all.random, evolution: Strategies.all.evolution }
 * Benchmark.play({ table, strategies, budgets: [20], seeds: 2 }).pipe(
 *   Effect.flatMap((played) => Console.log(Benchmark.print(played))),
 *   Effect.provide(OnnxRuntime.cpu()),
 *   Effect.runPromise
 * )
 * ```
 */
import { Prng, type Space } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { Domain, Strategy } from "./Strategy.ts"
import { InvalidOption, type StrategyError } from "./StrategyError.ts"
import * as Told from "./Told.ts"

/** What one strategy found within one budget, over all seeds. */
export interface Row {
  readonly strategy: string
  /** The number of evaluations. */
  readonly budget: number
  /** The mean over all seeds of the `report` of the network whose `search` was best. */
  readonly mean: number
  /** The sample standard deviation, in the same unit as the mean. */
  readonly deviation: number
  /** The mean `report` of the network that the strategy's model believes is best (`Strategy.believed`), if it has a model. */
  readonly believed?: number
  /** The average number of distinct networks evaluated. */
  readonly unique: number
  /** Proposals per second of processor time (in a browser: of wall-clock time), counting everything that the strategy does. */
  readonly proposalsPerSecond: number
}

/** What one strategy found after 1, 2, 3, … evaluations. */
export interface Curve {
  readonly strategy: string
  readonly mean: ReadonlyArray<number>
  readonly deviation: ReadonlyArray<number>
}

/** The results of playing strategies on a table. */
export interface Played {
  readonly table: string
  /** The best `report` of the table. */
  readonly optimum: number
  /** How many seeds each strategy played. */
  readonly seeds: number
  readonly rows: ReadonlyArray<Row>
  readonly curves: ReadonlyArray<Curve>
}

/** A search problem whose answers are available immediately: a `Table`, or a synthetic objective. */
export interface Problem<A> {
  readonly name: string
  readonly space: Space.Space<A>
  /** For a network's canonical tokens: the reward that a search is told (`search`), and the value that its result is judged by (`report`); larger is better. */
  readonly search: (tokens: Space.Tokens) => number
  readonly report: (tokens: Space.Tokens) => number
  /** The largest `report`; NaN if it is not known. */
  readonly optimum: number
}

/** The progress of `play`. */
export interface Progress {
  /** The number of seeds that every strategy has played. */
  readonly done: number
  /** The number of seeds in all. */
  readonly seeds: number
}

/** What to play: a problem, strategies, budgets and seeds. */
export interface Options<A, R> {
  /** The table, or any other problem. */
  readonly table: Problem<A>
  /** Strategies, by the names that they get in the rows. */
  readonly strategies: Readonly<
    Record<string, (domain: Domain<A>, prng: Prng.Prng) => Effect.Effect<Strategy<A>, StrategyError, R>>
  >
  /** Numbers of evaluations to report on. */
  readonly budgets: ReadonlyArray<number>
  /** How many times each strategy plays; run s has the seed `first + s`. */
  readonly seeds: number
  /** Default 0. */
  readonly first?: number
  /** Proposals that are asked for at once, and whose results are told together. Default 1. */
  readonly batch?: number
  /** Called after every seed. */
  readonly onSeed?: (progress: Progress) => Effect.Effect<void>
}

/** Plays every strategy on the table, with every seed, up to the largest budget. */
export const play = Effect.fn("Benchmark.play")(function* <A, R>(options: Options<A, R>) {
  const { batch = 1, budgets, first = 0, onSeed, seeds, strategies, table } = options
  const numbers: ReadonlyArray<readonly [string, number]> = [
    ["seeds", seeds],
    ["batch", batch],
    ["budgets", budgets.length],
    ...budgets.map((budget) => ["budget", budget] as const)
  ]
  for (const [option, given] of numbers) {
    if (Number.isSafeInteger(given) && given >= 1) continue
    const expected = "an integer of 1 or more"
    return yield* new InvalidOption({ strategy: "benchmark", option, given: String(given), expected })
  }
  const longest = Math.max(...budgets)
  const rows: Array<Row> = []
  const curves: Array<Curve> = []
  const players = Object.entries(strategies).map(([name, make]) => ({ name, make, runs: new Array<Run>() }))
  for (let s = 0; s < seeds; s++) {
    for (const { make, runs } of players) {
      const prng = Prng.fromSeed(first + s)
      runs.push(yield* Effect.scoped(one(table, make(table.space, prng), budgets, batch)))
    }
    if (onSeed !== undefined) yield* onSeed({ done: s + 1, seeds })
  }
  for (const { name, runs } of players) {
    const after = Array.from({ length: longest }, (_, i) => moments(runs.map(({ curve }) => curve[i] ?? Number.NaN)))
    for (const budget of budgets) {
      const { deviation, mean } = Arr.getUnsafe(after, budget - 1)
      const proposed = runs.reduce((sum, { evaluated }) => sum + evaluated, 0)
      const seconds = runs.reduce((sum, run) => sum + run.seconds, 0)
      const unique = runs.reduce((sum, { evaluated }) => sum + Math.min(budget, evaluated), 0) / seeds
      const believed = runs.flatMap((run) => run.believed.get(budget) ?? [])
      rows.push({
        strategy: name,
        budget,
        mean,
        deviation,
        ...(believed.length === seeds ? { believed: moments(believed).mean } : {}),
        unique,
        proposalsPerSecond: proposed / seconds
      })
    }
    curves.push({ strategy: name, mean: after.map((m) => m.mean), deviation: after.map((m) => m.deviation) })
  }
  const played: Played = { table: table.name, optimum: table.optimum, seeds, rows, curves }
  return played
})

interface Run {
  /** The `report` of the network with the best `search`, after each evaluation. */
  readonly curve: Float64Array
  /** The `report` of the network that the strategy believes is best, by budget. */
  readonly believed: ReadonlyMap<number, number>
  readonly evaluated: number
  readonly seconds: number
}

const one = <A, R>(
  table: Problem<A>,
  making: Effect.Effect<Strategy<A>, StrategyError, R>,
  budgets: ReadonlyArray<number>,
  batch: number
): Effect.Effect<Run, StrategyError, R> =>
  Effect.gen(function* () {
    const strategy = yield* making
    const budget = Math.max(...budgets)
    const curve = new Float64Array(budget)
    const believed = new Map<number, number>()
    const tried: Array<Space.Tokens> = []
    const seen = new Set<string>()
    let [best, report] = [-Infinity, NaN]
    let evaluated = 0
    const start = processorSeconds()
    for (let rest = budget; rest > 0; rest = budget - evaluated) {
      const asked = yield* Effect.result(strategy.ask(Math.min(batch, rest)))
      if (asked._tag === "Failure") {
        if (asked.failure._tag !== "Exhausted") return yield* asked.failure
        break
      }
      const results = asked.success.map(({ tokens, trial }) => {
        const found = table.search(tokens)
        tried[trial] = tokens
        seen.add(tokens.join())
        if (found > best) [best, report] = [found, table.report(tokens)]
        curve[evaluated++] = report
        return Told.scored(trial, found)
      })
      yield* strategy.tell(results)
      for (const each of strategy.believed === undefined ? [] : budgets) {
        if (evaluated < each || believed.has(each)) continue
        const tokens = tried[(yield* strategy.believed ?? Effect.succeed([]))[0]?.trial ?? -1]
        if (tokens !== undefined) believed.set(each, table.report(tokens))
      }
    }
    const seconds = processorSeconds() - start
    curve.fill(report, evaluated)
    return { curve, believed, evaluated: seen.size, seconds }
  })

/** Seconds of processor time so far; where that is not available (in a browser), of wall-clock time. */
const processorSeconds = (): number => {
  if (typeof process === "undefined") return performance.now() / 1000
  const { system, user } = process.cpuUsage()
  return (user + system) / 1e6
}

const moments = (values: ReadonlyArray<number>) => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0)
  return { mean, deviation: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) }
}

/** The rows as a readable table, with one line per strategy. */
export const print = (played: Played): string => {
  const budgets = [...new Set(played.rows.map((row) => row.budget))]
  const digits = played.optimum >= 10 ? 3 : 4
  const header = ["strategy", ...budgets.map((budget) => `after ${budget}`), "unique", "proposals/s"]
  const lines = [
    header,
    ...[...new Set(played.rows.map((row) => row.strategy))].map((strategy) => {
      const rows = played.rows.filter((row) => row.strategy === strategy)
      const last = rows[rows.length - 1]
      return [
        strategy,
        ...rows.map(
          ({ believed, deviation, mean }) =>
            `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}${believed === undefined ? "" : ` (${believed.toFixed(digits)})`}`
        ),
        last === undefined ? "" : last.unique.toFixed(0),
        last === undefined ? "" : last.proposalsPerSecond.toFixed(0)
      ]
    })
  ]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const body = lines.map((line) =>
    Arr.zipWith(line, widths, (cell, width) => ({ cell, width }))
      .map(({ cell, width }, i) => (i === 0 ? cell.padEnd(width) : cell.padStart(width)))
      .join("  ")
  )
  const optimum = Number.isNaN(played.optimum) ? "unknown" : played.optimum.toFixed(digits)
  const note = played.rows.some(({ believed }) => believed !== undefined)
    ? [
        "In brackets: the result of the network that the strategy's model believes is best, instead of the one that measured best."
      ]
    : []
  return [`${played.table}: optimum ${optimum}, ${played.seeds} seeds`, ...body, ...note].join("\n")
}
