/**
 * The second half of an experiment: scales what its searches found to equal multiply-accumulates, and compares it with two well-known
 * networks of the same count, all trained with one recipe. Writes the networks and the experiment that trains them.
 *
 *     node bench/scaled.ts runs/joint [--arms joint,convolution,attention,mlp] [--macs 10M] [--epochs 16] [--seeds 5] [--dataset runs/cifar-10] [--out runs/scaled-networks]
 *     uninet experiment runs/scaled-networks/scaled.json --device loops --out runs/scaled
 *
 * The first arm is the reference arm. From every arm it takes the network that the arm's first search found, as it was chosen there: by
 * validation, before any test.
 */
import { Datasets } from "@uninet/data"
import { Facts, ModelSpace } from "@uninet/model-space"
import { Coefficients, Compound } from "@uninet/scaler"
import { Experiment, SpaceSource, Units } from "@uninet/search"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { mkdirSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Forms from "./experiments/forms.ts"
import * as Reading from "./experiments/reading.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    arms: { type: "string", default: "joint,convolution,attention,mlp" },
    dataset: { type: "string" },
    macs: { type: "string", default: "10M" },
    epochs: { type: "string", default: "16" },
    seeds: { type: "string", default: "5" },
    out: { type: "string", default: "runs/scaled-networks" }
  }
})
const [folder = "runs/joint"] = positionals
const macs = Option.getOrElse(Units.parseBound(values.macs), () =>
  Reading.refuse(`--macs is "${values.macs}". Give a number such as 10M.`)
)
const [epochs, seeds] = [Reading.count("epochs", values.epochs), Reading.count("seeds", values.seeds)]

/** The fields that are read from an experiment's `results.json`. */
const Found = Schema.Struct({
  isWhole: Schema.Boolean,
  arms: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      searches: Schema.Array(Schema.Struct({ best: Schema.NullOr(Schema.Struct({ point: Schema.Json })) }))
    })
  )
})
const remedy = "Give the folder of a uninet experiment, and let it come to its end."
const found = Reading.read(Found, folder, "results.json", remedy)
if (!found.isWhole) Reading.refuse(`${folder} is not finished. Go on with its experiment first.`)
const experiment = await Effect.runPromise(
  Experiment.read(join(folder, "experiment.json"))(Reading.read(Schema.Json, folder, "experiment.json", remedy))
)
const dataset = values.dataset ?? experiment.dataset
const isNamed = Datasets.names.includes(dataset)
if (!isNamed && values.dataset === undefined)
  Reading.refuse(`the experiment's data are ${dataset}, seen from where its file is. Give them by --dataset.`)

const facts = Facts.of(await Effect.runPromise(Effect.scoped(Datasets.make(dataset))))
const uninet = Result.getOrThrow(UniNetSpace.forData()(facts))
const forms = Result.getOrThrow(Forms.forData(facts))

/** The network that an arm's search found, scaled to this many multiply-accumulates. The pictures keep their size: enlarging them would show nothing more. */
const scaled = (name: string) => {
  const best = found.arms.find((arm) => arm.name === name)?.searches[0]?.best
  if (best === undefined || best === null)
    return Reading.refuse(`${folder} has no search of an arm ${name}. Give --arms with some of its own.`)
  const baseline = Result.getOrThrow(ModelSpace.read(best.point)(uninet))
  const coefficients = Coefficients.efficientNet
  return Result.getOrThrow(Compound.toMacs(uninet, baseline, macs, { coefficients, fixedImage: true })).point
}

/** The width at which a form comes closest to the count. */
const widthOf = (form: (typeof Forms.names)[number]) => {
  const off = (width: number) => Math.abs(forms.costs.macs({ form, width }) - macs)
  return Array.from({ length: Forms.widest }, (_, i) => i + 1).reduce((a, b) => (off(b) < off(a) ? b : a))
}

/** How far from the count a network may be. */
const within = { min: 0.93 * macs, max: 1.07 * macs }

const points = values.arms.split(",").map((name) => [name, scaled(name)] as const)
const known = Forms.names.map((form) => ({ form, width: widthOf(form) }))
const inMillions = (count: number) => `${(count / 1e6).toFixed(2)} M MACs`
for (const [name, own] of [
  ...points.map(([name, point]) => [name, uninet.costs.macs(point)] as const),
  ...known.map((point) => [point.form, forms.costs.macs(point)] as const)
])
  if (own < within.min || own > within.max)
    Reading.refuse(`${name} comes no nearer to ${inMillions(macs)} than ${inMillions(own)}. Give other --macs.`)

mkdirSync(values.out, { recursive: true })
const write = (name: string, json: unknown) =>
  writeFileSync(join(values.out, `${name}.json`), `${JSON.stringify(json, undefined, 2)}\n`)
const module = fileURLToPath(new URL("experiments/forms.ts", import.meta.url))
const source = await Effect.runPromise(SpaceSource.ofModule(module))
const arms: Record<string, { network: string }> = {}
const keep = (name: string, json: unknown, own: number) => {
  write(name, json)
  arms[name] = { network: `${name}.json` }
  console.log(`${name}: ${inMillions(own)}`)
}
for (const [name, point] of points) keep(name, point, uninet.costs.macs(point))
const space = { ...source, path: relative(process.cwd(), module) }
for (const point of known)
  keep(point.form, { space, facts, point: ModelSpace.write(point)(forms) }, forms.costs.macs(point))
write("scaled", {
  dataset: isNamed ? dataset : relative(values.out, dataset),
  within: { macs: within },
  retrain: { seeds, epochs, recipe: { preset: "quick" } },
  arms
})
