/**
 * The number of trainings until a strategy reaches the best reward of 64 random networks: real searches of UniNet's space for MNIST, with
 * the reward, the bound and the recipe of `uninet search`.
 *
 *     node bench/sixteen.ts [FOLDER] [--strategy bananas] [--trials 32] [--against 64] [--seeds 0,1,2,3,4] [--ahead 1] [--initial N] [--screen SHARE]
 *
 * Every search has its journal in the folder (default `runs/sixteen`), so a search that was stopped is resumed, and another strategy is
 * compared with the same random searches. Trainings use one thread; the progress is written to standard error, the table to standard
 * output. `--initial` is the number of random networks with which bananas, gp or tpe begin.
 */
import { Bananas, GaussianProcess, Strategies, Tpe } from "@uninet/controller"
import { Recipe } from "@uninet/model-space"
import { OnnxRuntime } from "@uninet/runtime"
import { Journal, Reward, Search, Setup, TrainingEvaluator } from "@uninet/search"
import { Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import digits from "./searched.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    strategy: { type: "string", default: "bananas" },
    trials: { type: "string", default: "32" },
    against: { type: "string", default: "64" },
    seeds: { type: "string", default: "0,1,2,3,4" },
    ahead: { type: "string", default: "1" },
    initial: { type: "string" },
    screen: { type: "string" }
  }
})
const [folder = "runs/sixteen"] = positionals
const { strategy } = values
if (!Strategies.isName(strategy)) {
  console.error(`there is no strategy ${strategy}; give one of ${Strategies.names.join(", ")}`)
  process.exit(2)
}
const [trials, against, ahead] = [Number(values.trials), Number(values.against), Number(values.ahead)]
const screen = values.screen === undefined ? {} : { screen: Number(values.screen) }
const begun = { bananas: Bananas.layer, gp: GaussianProcess.layer, tpe: Tpe.layer }
const layerOf = (name: Strategies.Name) =>
  values.initial !== undefined && (name === "bananas" || name === "gp" || name === "tpe")
    ? begun[name]({ initial: Number(values.initial) })
    : Strategies.layer(name)
const seeds = values.seeds.split(",")
mkdirSync(folder, { recursive: true })

const seedCosts = digits.costs.macs(Space.seedPoint(digits.space))
const engine = OnnxRuntime.cpu({ threads: 1 })
const evaluator = TrainingEvaluator.layer(digits, { recipe: { ...Recipe.proxy, learningRate: 0.01 } }).pipe(
  Layer.provide(Setup.training(undefined, "mnist", engine))
)

const began = performance.now()
const planned = seeds.length * (against + trials)
let [passed, trained] = [0, 0]

interface How {
  readonly strategy: Strategies.Name
  readonly trials: number
  readonly ahead: number
  readonly screen?: number
}

/** The rewards of a search in the order of its trainings; a failed one has the lowest. */
const rewardsOf = (seed: string, name: string, { strategy, ...options }: How) =>
  Search.run(digits, {
    ...options,
    seed,
    reward: Reward.mnas({ target: seedCosts }),
    within: { macs: { max: Math.round(1.5 * seedCosts) } },
    onEvent: (event) =>
      Effect.sync(() => {
        if (event._tag === "Resumed") passed += event.trials
        if (event._tag !== "Finished" && event._tag !== "Failed") return
        passed++
        trained++
        const left = ((performance.now() - began) / trained) * (planned - passed)
        const reward = event._tag === "Finished" ? event.record.outcome.reward.toFixed(4) : event.failure.message
        console.error(
          `${strategy}, seed ${seed}: ${reward}; ${passed} of ${planned}, about ${Math.ceil(left / 60_000)} min left`
        )
      })
  }).pipe(
    Effect.provide([
      Layer.provide(layerOf(strategy), engine),
      evaluator,
      Journal.sqlite(join(folder, `${name}-${seed}.db`), { existing: "resume" })
    ]),
    Effect.map(({ records }) =>
      records.flatMap(({ outcome }) =>
        outcome._tag === "Scored" ? [outcome.reward] : outcome._tag === "Failed" ? [-Infinity] : []
      )
    )
  )

const best = (rewards: ReadonlyArray<number>) => Math.max(...rewards)
const four = (x: number) => x.toFixed(4)

const program = Effect.gen(function* () {
  const own = [strategy, `ahead-${ahead}`, ...(values.screen === undefined ? [] : [`screen-${values.screen}`])].join(
    "-"
  )
  const rows: Array<{
    readonly seed: string
    readonly random: ReadonlyArray<number>
    readonly other: ReadonlyArray<number>
  }> = []
  for (const seed of seeds)
    rows.push({
      seed,
      random: yield* rewardsOf(seed, "random", { strategy: "random", trials: against, ahead: Search.defaultAhead }),
      other: yield* rewardsOf(seed, own, { strategy, trials, ahead, ...screen })
    })
  const needed = rows.map(({ other, random }) => other.findIndex((reward) => reward >= best(random)) + 1)
  console.log(
    `| seed | best of ${against} random | found at | ${strategy} after 16 | after ${trials} | trainings until random's best |\n| --- | --- | --- | --- | --- | --- |`
  )
  for (const [i, { other, random, seed }] of rows.entries())
    console.log(
      `| ${seed} | ${four(best(random))} | ${random.indexOf(best(random)) + 1} | ${four(best(other.slice(0, 16)))} | ${four(best(other))} | ${needed[i] === 0 ? `more than ${trials}` : needed[i]} |`
    )
  const sorted = needed.map((n) => (n === 0 ? Infinity : n)).toSorted((a, b) => a - b)
  console.log(
    `\nIn the middle ${sorted[sorted.length >> 1]} trainings; at most 16 in ${sorted.filter((n) => n <= 16).length} of ${rows.length} searches.`
  )
})

await Effect.runPromise(Effect.scoped(program))
