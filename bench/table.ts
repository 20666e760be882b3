/**
 * How far can a table of trained networks be trusted? Some of its networks are trained again from other initial weights, for as long and
 * for longer, and the ranks are compared.
 *
 *     node bench/table.ts runs/table [--networks 200] [--seeds 3] [--epochs 4] [--out runs/table-repeats]
 *     uninet experiment runs/table-repeats/seeds.json --out runs/table-seeds
 *     uninet experiment runs/table-repeats/longer.json --out runs/table-longer
 *     node bench/table.ts runs/table --of runs/table-seeds,runs/table-longer [--out runs/table-repeats]
 *
 * The first form chooses networks of a random search at random and writes an experiment for each number of epochs; experiments that were
 * stopped are resumed. The last form writes `repeats.csv`, one row for each training, and prints the text for the table's card.
 */
import { Correlation } from "@uninet/predictor"
import { Experiment, Journal } from "@uninet/search"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as Reading from "./experiments/reading.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    networks: { type: "string", default: "200" },
    seeds: { type: "string", default: "3" },
    epochs: { type: "string", default: "4" },
    of: { type: "string" },
    out: { type: "string", default: "runs/table-repeats" }
  }
})
const [folder = "runs/table"] = positionals
const [wanted, seeds, longer] = [
  Reading.count("networks", values.networks),
  Reading.count("seeds", values.seeds),
  Reading.count("epochs", values.epochs)
]
const { entries, identity } = await Effect.runPromise(Journal.read(join(folder, "journal.db")))
const points = new Map<number, Schema.Json>()
const searched = new Map<number, number>()
const { decides } = Schema.decodeUnknownSync(Schema.Struct({ task: Schema.Struct({ decides: Schema.String }) }))(
  identity?.notes
).task
for (const { entry } of entries) {
  if (entry._tag === "Proposed") points.set(entry.trial, entry.point)
  if (entry._tag === "Finished") searched.set(entry.trial, entry.evaluation.measures[decides] ?? Number.NaN)
}
const write = (name: string, text: string) => {
  mkdirSync(values.out, { recursive: true })
  writeFileSync(join(values.out, name), text)
}
const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`

const nameOf = (trial: number) => `t${trial}`

const plan = () => {
  const trials = [...searched.keys()]
  if (trials.length === 0) Reading.refuse(`${folder} has no trial with a result. Go on with its search first.`)
  const chosen = Array.from(Prng.fromSeed("repeats").permutation(trials.length), (i) => trials[i] ?? 0)
    .slice(0, wanted)
    .toSorted((a, b) => a - b)
  const { dataset, recipe } = Schema.decodeUnknownSync(
    Schema.Struct({ dataset: Schema.String, recipe: Schema.Record(Schema.String, Schema.Json) })
  )(identity?.settings)
  const { epochs, ...rest } = recipe
  for (const trial of chosen) write(`${nameOf(trial)}.json`, json(points.get(trial)))
  const arms = Object.fromEntries(chosen.map((trial) => [nameOf(trial), { network: `${nameOf(trial)}.json` }]))
  for (const [name, length] of [
    ["seeds", Number(epochs)],
    ["longer", longer]
  ] as const)
    write(`${name}.json`, json({ dataset, recipe: rest, retrain: { seeds, epochs: length }, arms }))
  console.log(`${chosen.length} networks, ${seeds} seeds: ${values.out}/seeds.json and longer.json`)
}

const Measures = Schema.Record(Schema.String, Schema.Finite)
const Results = Schema.Struct({
  arms: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      trained: Schema.Array(Schema.Struct({ training: Schema.Int, validation: Measures, test: Measures }))
    })
  )
})

const mean = (of: ReadonlyArray<number>) => of.reduce((a, b) => a + b, 0) / of.length

/** The validation figures of every network, by training, and the rows of the file. */
const read = (experiment: string) => {
  const remedy = "Give the folder of an experiment that this script wrote, and let it train."
  const { arms } = Reading.read(Results, experiment, "results.json", remedy)
  const other = arms.find(({ name }) => !points.has(Number(/^t(\d+)$/.exec(name)?.[1])))
  if (other !== undefined) Reading.refuse(`${experiment}: its arm ${other.name} is no trial of ${folder}. ${remedy}`)
  const begun = Reading.read(Schema.Json, experiment, "experiment.json", remedy)
  return Effect.map(Experiment.read(join(experiment, "experiment.json"))(begun), ({ retrain }) => {
    const figures = new Map<number, ReadonlyArray<number>>()
    for (const { name, trained } of arms)
      if (trained.length === retrain.seeds)
        figures.set(
          Number(name.slice(1)),
          trained.toSorted((a, b) => a.training - b.training).map(({ validation }) => validation[decides] ?? Number.NaN)
        )
    const rows = arms.flatMap(({ name, trained }) =>
      trained.map(({ test, training, validation }) =>
        [name.slice(1), retrain.epochs, training, validation[decides], test[decides]].join(",")
      )
    )
    return { epochs: retrain.epochs, figures, rows }
  })
}

/** The mean rank correlation between two different trainings of the same networks. */
const betweenSeeds = (figures: ReadonlyArray<ReadonlyArray<number>>) => {
  const count = figures[0]?.length ?? 0
  const of = (seed: number) => figures.map((each) => each[seed] ?? Number.NaN)
  const pairs = Array.from({ length: count }, (_, a) =>
    Array.from({ length: a }, (_, b) => Correlation.spearman(of(a), of(b)))
  ).flat()
  return mean(pairs)
}

const deviation = (of: ReadonlyArray<number>) => {
  const middle = mean(of)
  return Math.sqrt(of.reduce((sum, x) => sum + (x - middle) ** 2, 0) / Math.max(1, of.length - 1))
}

const judge = async (experiments: ReadonlyArray<string>) => {
  const found = await Effect.runPromise(Effect.forEach(experiments, read))
  const common = [...(found[0]?.figures.keys() ?? [])].filter((trial) =>
    found.every(({ figures }) => figures.has(trial))
  )
  if (common.length < 2)
    Reading.refuse(
      `fewer than two networks have all their trainings in ${values.of}. Go on with these experiments first.`
    )
  write(
    "repeats.csv",
    `${["trial,epochs,training,validation,test", ...found.flatMap(({ rows }) => rows)].join("\n")}\n`
  )
  const own = common.map((trial) => searched.get(trial) ?? Number.NaN)
  const means = found.map(({ figures }) => common.map((trial) => mean(figures.get(trial) ?? [])))
  console.log(`${common.length} networks, Spearman's rank correlation of ${decides} on the validation split\n`)
  console.log("| epochs | deviation between seeds | one seed with another | the table's value with the mean of seeds |")
  console.log(
    "| -----: | ----------------------: | --------------------: | ----------------------------------------: |"
  )
  for (const [i, { epochs, figures }] of found.entries()) {
    const each = common.map((trial) => figures.get(trial) ?? [])
    console.log(
      `| ${epochs} | ${mean(each.map(deviation)).toFixed(4)} | ${betweenSeeds(each).toFixed(3)} | ${Correlation.spearman(own, means[i] ?? []).toFixed(3)} |`
    )
  }
  const [short, long] = means
  if (short !== undefined && long !== undefined)
    console.log(
      `\nMeans of seeds after ${found.map(({ epochs }) => epochs).join(" and ")} epochs: ${Correlation.spearman(short, long).toFixed(3)}`
    )
}

if (Predicate.isString(values.of)) await judge(values.of.split(","))
else plan()
