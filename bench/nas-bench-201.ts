/**
 * With `--table`, strategies on the benchmark's table (or any other in the form of `Table` of `@uninet/controller`): the report of the
 * network that measured best, and of the one that the strategy's model believes best.
 *
 *     node bench/nas-bench-201.ts --table nas-bench-201.json.gz [--strategies gp,bananas] [--seeds 20] [--first 0]
 *
 * Otherwise, random cells of NAS-Bench-201 trained on a small set: their accuracies, and the correlation of these with the cells'
 * multiply-accumulates (Spearman's rank correlation).
 *
 *     node bench/nas-bench-201.ts [folder of images by class, default MNIST] [--cells 20] [--epochs 6] [--seed nas-bench-201]
 */
import { Benchmark, Strategies, Table } from "@uninet/controller"
import { Datasets } from "@uninet/data"
import { Facts, ModelSpace, Recipe } from "@uninet/model-space"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng, Space } from "@uninet/search-space"
import { NasBench201 } from "@uninet/spaces"
import { Trainer, type TrainEvent } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    cells: { type: "string", default: "20" },
    epochs: { type: "string", default: "6" },
    seed: { type: "string", default: "nas-bench-201" },
    table: { type: "string" },
    strategies: { type: "string", default: "random,evolution,local-search,tpe,gp,bananas,ppo" },
    seeds: { type: "string", default: "20" },
    first: { type: "string", default: "0" }
  }
})
const count = Number(values.cells)

/** The ranks of numbers; ties share the mean of their ranks. */
const ranks = (numbers: ReadonlyArray<number>): ReadonlyArray<number> =>
  numbers.map((x) => {
    const below = numbers.filter((y) => y < x).length
    const equal = numbers.filter((y) => y === x).length
    return below + (equal - 1) / 2
  })

const mean = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0) / numbers.length

/** The sum of the products of deviations. */
const joint = (u: ReadonlyArray<number>, mu: number, v: ReadonlyArray<number>, mv: number) =>
  u.reduce((sum, value, i) => sum + (value - mu) * (v[i] - mv), 0)

/** Spearman's: Pearson's correlation of the ranks. */
const correlation = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  const [x, y] = [ranks(a), ranks(b)]
  const [mx, my] = [mean(x), mean(y)]
  return joint(x, mx, y, my) / Math.sqrt(joint(x, mx, x, mx) * joint(y, my, y, my))
}

const program = Effect.gen(function* () {
  const name = positionals[0] ?? "mnist"
  const data = yield* Datasets.make(name, { size: 32 })
  const of = yield* Effect.fromResult(NasBench201.forData({ width1: 8, cells: 1 })(Facts.of(data)))
  const prng = Prng.fromSeed(values.seed)
  const cells: Array<NasBench201.Cell> = []
  while (cells.length < count) {
    const cell = Space.sample(prng)(of.space)
    const { ones, threes } = NasBench201.convolutions(cell)
    if (ones + threes >= 2 && !cells.some((other) => NasBench201.print(other) === NasBench201.print(cell)))
      cells.push(cell)
  }
  const trainer = yield* Trainer
  const recipe = { ...Recipe.proxy, epochs: Number(values.epochs), learningRate: 0.01 }
  console.log(
    `${data.train.size} training and ${data.validation.size} validation images of ${data.name}, 8 channels, one cell a stage, ${recipe.epochs} epochs at ${recipe.learningRate}, seed ${values.seed}\n`
  )
  console.log(
    "| cell | 1×1 | 3×3 | MACs | parameters | validation |\n| ---- | --: | --: | ---: | ---------: | ---------: |"
  )
  const accuracies: Array<number> = []
  for (const [i, cell] of cells.entries()) {
    const network = yield* Effect.fromResult(ModelSpace.trainable(cell)(of))
    const last: Option.Option<TrainEvent.TrainEvent> = yield* trainer
      .fit(network, { recipe, seed: `${values.seed}/${i}` })
      .pipe(Stream.runLast)
    const event = Option.getOrUndefined(last)
    const accuracy = event?._tag === "Finished" ? (event.validation.measures["accuracy"] ?? Number.NaN) : Number.NaN
    accuracies.push(accuracy)
    const { ones, threes } = NasBench201.convolutions(cell)
    console.log(
      `| \`${NasBench201.print(cell).replaceAll("|", "\\|")}\` | ${ones} | ${threes} | ${(of.costs.macs(cell) / 1e6).toFixed(2)} M | ${of.costs.parameters(cell).toLocaleString("en")} | ${(100 * accuracy).toFixed(1)}% |`
    )
  }
  const macs = cells.map((cell) => of.costs.macs(cell))
  console.log(
    `\nRank correlation of accuracy and MACs: ${correlation(accuracies, macs).toFixed(2)}; accuracies from ${(100 * Math.min(...accuracies)).toFixed(1)}% to ${(100 * Math.max(...accuracies)).toFixed(1)}%.`
  )
})

const playing = Effect.fnUntraced(function* (file: string) {
  const strategies = Object.fromEntries(
    values.strategies
      .split(",")
      .filter(Strategies.isName)
      .map((name): readonly [string, Strategies.Make] => [name, Strategies.all[name]])
  )
  const table = yield* Table.fromBytes(readFileSync(file), file)
  const [seeds, first] = [Number(values.seeds), Number(values.first)]
  const played = yield* Benchmark.play({ table, strategies, budgets: [100, 200], seeds, first })
  console.log(Benchmark.print(played))
})

if (values.table !== undefined) {
  await Effect.runPromise(playing(values.table).pipe(Effect.provide(OnnxRuntime.cpu({ threads: 1 }))))
  process.exit(0)
}

const data = Datasets.byName(positionals[0] ?? "mnist", { size: 32 })

await Effect.runPromise(
  program.pipe(
    Effect.scoped,
    Effect.provide(Trainer.layer.pipe(Layer.provide(Layer.mergeAll(data, OnnxRuntime.cpu({ threads: 1 })))))
  )
)
