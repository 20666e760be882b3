/**
 * The second half of an experiment: what its searches found, scaled to equal multiply-accumulates, against two well-known networks of as many, all trained by one recipe. Writes the networks and the experiment
 * that trains them.
 *
 *     node bench/scaled.ts runs/joint [--arms joint,convolution,attention,mlp] [--macs 10M] [--epochs 16] [--seeds 5] [--dataset runs/cifar-10] [--out runs/scaled-networks]
 *     uninet experiment runs/scaled-networks/scaled.json --device loops --out runs/scaled
 *
 * The first arm is the one that the others are held against. Of every arm the network that its first search found is taken, as it was chosen there: by validation, before any test.
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
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Forms from "./experiments/forms.ts"

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
const macs = Option.getOrThrow(Units.parseBound(values.macs))

/** What is read of an experiment's `results.json`. */
const Found = Schema.Struct({
  isWhole: Schema.Boolean,
  arms: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      searches: Schema.Array(Schema.Struct({ best: Schema.NullOr(Schema.Struct({ point: Schema.Json })) }))
    })
  )
})
const text = (file: string) => readFileSync(join(folder, file), "utf8")
const found = Schema.decodeUnknownSync(Schema.fromJsonString(Found))(text("results.json"))
if (!found.isWhole) throw new Error(`${folder} is not finished: go on with its experiment first`)
const experiment = await Effect.runPromise(Experiment.read(JSON.parse(text("experiment.json")), folder))
const dataset = values.dataset ?? experiment.dataset
const isNamed = Datasets.names.includes(dataset)
if (!isNamed && values.dataset === undefined)
  throw new Error(`the experiment's data are the folder ${dataset}, seen from its file: give it by --dataset`)

const facts = Facts.of(await Effect.runPromise(Effect.scoped(Datasets.make(dataset))))
const uninet = Result.getOrThrow(UniNetSpace.forData()(facts))
const forms = Result.getOrThrow(Forms.forData(facts))

/** The network that an arm's search found, with so many multiply-accumulates. The pictures stay as they are: enlarged ones have nothing more to be seen. */
const scaled = (name: string) => {
  const best = found.arms.find((arm) => arm.name === name)?.searches[0]?.best
  if (best === undefined || best === null) throw new Error(`${folder} has no search of an arm ${name}`)
  const baseline = Result.getOrThrow(ModelSpace.read(uninet)(best.point))
  const coefficients = Coefficients.efficientNet
  return Result.getOrThrow(Compound.toMacs(uninet, baseline, macs, { coefficients, fixedImage: true })).point
}

/** The width at which a form comes nearest to the count. */
const widthOf = (form: (typeof Forms.names)[number]) => {
  const off = (width: number) => Math.abs(forms.costs.macs({ form, width }) - macs)
  return Array.from({ length: Forms.widest }, (_, i) => i + 1).reduce((a, b) => (off(b) < off(a) ? b : a))
}

mkdirSync(values.out, { recursive: true })
const write = (name: string, json: unknown) =>
  writeFileSync(join(values.out, `${name}.json`), `${JSON.stringify(json, undefined, 2)}\n`)
const module = fileURLToPath(new URL("experiments/forms.ts", import.meta.url))
const source = await Effect.runPromise(SpaceSource.ofModule(module))
const arms: Record<string, { network: string }> = {}
const keep = (name: string, json: unknown, own: number) => {
  write(name, json)
  arms[name] = { network: `${name}.json` }
  console.log(`${name}: ${(own / 1e6).toFixed(2)} M MACs`)
}
for (const name of values.arms.split(",")) {
  const point = scaled(name)
  keep(name, point, uninet.costs.macs(point))
}
for (const form of Forms.names) {
  const point = { form, width: widthOf(form) }
  const space = { ...source, path: relative(process.cwd(), module) }
  keep(form, { space, facts, point: ModelSpace.write(forms)(point) }, forms.costs.macs(point))
}
write("scaled", {
  dataset: isNamed ? dataset : relative(values.out, dataset),
  within: { macs: { min: 0.93 * macs, max: 1.07 * macs } },
  retrain: { seeds: Number(values.seeds), epochs: Number(values.epochs), recipe: { preset: "quick" } },
  arms
})
