/**
 * Zero-cost proxies on cells of NAS-Bench-201 that are built and initialised here (16 channels, five cells per stage, 32×32×3 noise as
 * inputs, or images with `--data`), compared with accuracies from a table.
 *
 *     node bench/proxies.ts scores.jsonl [--cells 500] [--batch 16] [--seed proxies] [--by naswot,jacov,…] [--shard 0/1] [--data folder of images]
 *     node bench/proxies.ts scores.jsonl --table nas-bench-201.json.gz
 *     taskset -c 0 node bench/proxies.ts --cost [--loops]
 *
 * The first form computes what the file lacks and adds it line by line; several processes may do so at once, each on its own shard of the
 * cells. The second prints the correlations, and the third the cost of the proxies for networks of UniNet's small space. The table has the
 * form of `Table` of `@uninet/controller`: its choices are named like the edges, and its `report` is what the proxies are correlated with.
 */
import { Table } from "@uninet/controller"
import { Datasets } from "@uninet/data"
import { Loops } from "@uninet/loops"
import { ModelSpace } from "@uninet/model-space"
import { Certificate, Features, LogRanks, Proxies, Regressor } from "@uninet/predictor"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng, Space } from "@uninet/search-space"
import { NasBench201 } from "@uninet/spaces"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { gunzipSync } from "node:zlib"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    cells: { type: "string", default: "500" },
    batch: { type: "string", default: "16" },
    seed: { type: "string", default: "proxies" },
    by: {
      type: "string",
      default: "macs,parameters,naswot,jacov,synflow,snip,grad-norm,expressivity,progressivity,trainability"
    },
    shard: { type: "string", default: "0/1" },
    table: { type: "string" },
    cost: { type: "boolean", default: false },
    loops: { type: "boolean", default: false },
    data: { type: "string" }
  }
})
const file = positionals[0] ?? "proxies.jsonl"

const Line = Schema.Struct({
  cell: Schema.String,
  scores: Schema.Record(Schema.String, Schema.NullOr(Schema.Finite)),
  seconds: Schema.Finite
})
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Line))
const known = existsSync(file)
  ? readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => decode(line))
  : []

/** The results of training, by the cell's text. */
const accuracies = (path: string): ReadonlyMap<string, number> => {
  const bytes = readFileSync(path)
  const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8")
  const { choices, columns, rows } = Schema.decodeUnknownSync(Schema.fromJsonString(Table.Json))(text)
  const report = columns.indexOf("report") - 1
  return new Map(
    rows.map(([chosen, ...numbers]) => {
      const options = Object.fromEntries(choices.map(({ name, options }, i) => [name, options[chosen[i] ?? 0]]))
      const edge = (name: NasBench201.Edge) => `${String(options[name])}~${name[0]}`
      const cell = `|${edge("0-1")}|+|${edge("0-2")}|${edge("1-2")}|+|${edge("0-3")}|${edge("1-3")}|${edge("2-3")}|`
      return [cell, numbers[report] ?? Number.NaN] as const
    })
  )
}

/** Spearman's ρ on CIFAR-10 as published: NASWOT, SynFlow and AZ-NAS as in the AZ-NAS paper, jacov as in the notebook of SamsungLabs/zero-cost-nas, the others from Abdelfattah et al. and Ning et al. */
const published: Readonly<Record<string, string>> = {
  naswot: "0.79",
  jacov: "0.73",
  synflow: "0.74",
  macs: "0.71",
  parameters: "0.72",
  snip: "0.58",
  "grad-norm": "0.58",
  "az-nas": "0.91"
}

const two = (x: number) => x.toFixed(2)
const interval = ({ high, low }: Certificate.Estimate) => `${two(low)} … ${two(high)}`

const report = (path: string) => {
  const found = accuracies(path)
  // A cell may have several lines, each with some of the proxies.
  const cells = new Map<string, Record<string, number | null>>()
  for (const { cell, scores } of known) if (found.has(cell)) cells.set(cell, { ...cells.get(cell), ...scores })
  const parts = ["expressivity", "progressivity", "trainability", "macs"]
  const of = (name: string) => {
    const names = name === "az-nas" ? parts : [name]
    const lines = [...cells].filter(([, scores]) => names.every((each) => each in scores))
    const column = (each: string) => lines.map(([, scores]) => scores[each] ?? null)
    return {
      scores: name === "az-nas" ? LogRanks.combine(parts.map(column)) : column(name),
      results: lines.map(([cell]) => found.get(cell) ?? Number.NaN),
      macs: lines.map(([, scores]) => scores["macs"] ?? Number.NaN)
    }
  }
  const names = [...new Set([...cells.values()].flatMap((scores) => Object.keys(scores))), "az-nas"]
  const seconds = known.map((line) => line.seconds).toSorted((a, b) => a - b)
  console.log(`${cells.size} cells, ${seconds[seconds.length >> 1]?.toFixed(1)} s a line in the middle.\n`)
  console.log(
    "| proxy | cells | no score | Spearman | 90% | Kendall | gain over MACs, 90% | clears MACs | inside classes of equal MACs, 90% | MACs there | clears | published |"
  )
  console.log(
    "| ----- | ----: | -------: | -------: | --- | ------: | ------------------- | ----------- | --------------------------------- | ---------: | ------ | --------: |"
  )
  for (const name of names) {
    if (of(name).results.length === 0) continue
    const made = Certificate.make({ of: name, ...of(name), seed: 0 })
    if (Result.isFailure(made)) {
      console.log(`| ${name} | ${made.failure.message} |`)
      continue
    }
    const { inside, networks, overall, unscored } = made.success
    console.log(
      `| ${name} | ${networks} | ${unscored} | ${two(overall.spearman.value)} | ${interval(overall.spearman)} | ${two(overall.kendall.value)} | ${interval(overall.gain)} | ${overall.clears ? "yes" : "no"} | ${inside === null ? "" : `${two(inside.spearman.value)} (${interval(inside.spearman)})`} | ${inside === null ? "" : two(inside.macs.spearman.value)} | ${inside?.clears === true ? "yes" : "no"} | ${published[name] ?? ""} |`
    )
  }
}

const take = <A>(list: ReadonlyArray<A>, indices: ReadonlyArray<number>) => indices.flatMap((i) => list.slice(i, i + 1))

/** Predictors fitted on 100 cells and evaluated on the others, ten times. */
const predictors = (path: string) => {
  const found = accuracies(path)
  const features = ["macs", "synflow", "expressivity", "progressivity", "trainability"]
  const lines = known.filter(({ cell, scores }) => found.has(cell) && features.every((name) => name in scores))
  if (lines.length < 150) return
  const of = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10 }))
  const cells = lines.map(({ cell }) => Result.getOrThrow(NasBench201.parse(cell)))
  const { encode } = Features.ofChoices(cells)(of.space)
  const results = lines.map(({ cell }) => found.get(cell) ?? Number.NaN)
  const macs = lines.map(({ scores }) => scores["macs"] ?? Number.NaN)
  console.log(
    `\nFitted on 100 of the ${lines.length} cells with ${features.join(", ")}, judged on the other ${lines.length - 100}, ten random splits: Spearman's ρ, mean (least … most).\n`
  )
  console.log(
    "| predictor | features | over all | MACs alone | in fifths of equal MACs | MACs there | results in the 90% interval |"
  )
  console.log(
    "| --------- | -------- | -------: | ---------: | ----------------------: | ---------: | --------------------------: |"
  )
  for (const [name, regressor] of Object.entries({ ridge: Regressor.ridge, gp: Regressor.gaussianProcess }))
    for (const withProxies of [false, true]) {
      const rows = lines.map(({ scores }, i) => [
        ...encode(cells[i] ?? Space.seedPoint(of.space)),
        Math.log(macs[i] ?? Number.NaN),
        ...(withProxies ? features.slice(1).map((each) => scores[each] ?? Number.NaN) : [])
      ])
      const each = Array.from({ length: 10 }, (_, seed) => {
        const order = [...Prng.fromSeed(seed).split("split").permutation(lines.length)]
        const [fit, rest] = [order.slice(0, 100), order.slice(100)]
        const fitted = Result.getOrThrow(regressor(take(rows, fit), take(results, fit)))
        const predictions = take(rows, rest).map((row) => fitted.predict(row))
        const judged = take(results, rest)
        const { inside, overall } = Result.getOrThrow(
          Certificate.make({
            of: name,
            scores: predictions.map(({ mean }) => mean),
            results: judged,
            macs: take(macs, rest),
            seed,
            resamples: 1
          })
        )
        const within = predictions.filter(
          ({ deviation, mean }, i) => Math.abs((judged[i] ?? Number.NaN) - mean) <= 1.6449 * deviation
        )
        return [
          overall.spearman.value,
          overall.macs.spearman.value,
          inside?.spearman.value ?? Number.NaN,
          inside?.macs.spearman.value ?? Number.NaN,
          within.length / judged.length
        ]
      })
      const column = (i: number) => {
        const numbers = each.map((row) => row[i] ?? Number.NaN)
        const mean = numbers.reduce((a, b) => a + b, 0) / numbers.length
        return `${two(mean)} (${two(Math.min(...numbers))} … ${two(Math.max(...numbers))})`
      }
      console.log(
        `| ${name} | choices, MACs${withProxies ? ", proxies" : ""} | ${[0, 1, 2, 3, 4].map(column).join(" | ")} |`
      )
    }
}

const compute = Effect.gen(function* () {
  const of = yield* Effect.fromResult(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10 }))
  const { data } = values
  const first =
    data === undefined
      ? Option.none()
      : yield* Effect.scoped(
          Effect.flatMap(Datasets.make(data, { size: 32 }), ({ train }) =>
            Stream.runHead(train.batches({ batch: Number(values.batch), shuffle: { seed: values.seed } }))
          )
        )
  const prng = Prng.fromSeed(values.seed)
  const cells: Array<NasBench201.Cell> = []
  const seen = new Set<string>()
  while (cells.length < Number(values.cells)) {
    const cell = Space.sample(prng)(of.space)
    if (seen.has(NasBench201.print(cell))) continue
    seen.add(NasBench201.print(cell))
    cells.push(cell)
  }
  const [shard = 0, shards = 1] = values.shard.split("/").map(Number)
  const proxies = values.by.split(",").flatMap((name) => (Proxies.isName(name) ? [Proxies.all[name]] : []))
  const done = new Set(known.map(({ cell }) => cell))
  for (const [i, cell] of cells.entries()) {
    const text = NasBench201.print(cell)
    if (i % shards !== shard || done.has(text)) continue
    const network = yield* Effect.fromResult(ModelSpace.trainable(cell)(of))
    const start = performance.now()
    const scored = yield* Proxies.score(proxies, {
      seed: `${values.seed}/${i}`,
      batch: Number(values.batch),
      ...(Option.isSome(first) ? { examples: first.value } : {})
    })(network)
    const seconds = (performance.now() - start) / 1000
    const scores = Object.fromEntries(scored.map(({ proxy, score }) => [proxy, score]))
    appendFileSync(file, `${JSON.stringify({ cell: text, scores, seconds })}\n`)
  }
})

/** The processor time of scoring the seed network, as the median of five, and of six networks that are drawn, in a process that has warmed up. */
const cost = Effect.gen(function* () {
  const of = yield* Effect.fromResult(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))
  const prng = Prng.fromSeed("zz")
  const drawn = Array.from({ length: 6 }, () => Space.sample(prng)(of.space))
  const seeds = Array.from({ length: 5 }, () => Space.seedPoint(of.space))
  const sets = [["naswot"], ["snip"], ["grad-norm"], ["jacov"], ["synflow"]] satisfies Array<Array<Proxies.Name>>
  const five = [
    ["naswot", "snip", "jacov", "grad-norm", "macs"],
    ["naswot", "snip", "jacov", "synflow", "grad-norm"]
  ] satisfies Array<Array<Proxies.Name>>
  for (const names of [...sets, ...five]) {
    const seconds = (points: ReadonlyArray<(typeof seeds)[number]>) =>
      Effect.forEach(points, (point) =>
        Effect.gen(function* () {
          const network = yield* Effect.fromResult(ModelSpace.trainable(point)(of))
          const start = process.cpuUsage()
          yield* Proxies.score(
            names.map((name) => Proxies.all[name]),
            { seed: "demo", batch: 16 }
          )(network)
          const { system, user } = process.cpuUsage(start)
          return (user + system) / 1e6
        })
      )
    const middle = (all: ReadonlyArray<number>) => two(all.toSorted((a, b) => a - b)[all.length >> 1] ?? Number.NaN)
    yield* seconds(seeds.slice(0, 2))
    const [ofSeed, ofDrawn] = [yield* seconds(seeds), yield* seconds(drawn)]
    console.log(`${names.join(", ")}: the seed network ${middle(ofSeed)}, drawn ones ${middle(ofDrawn)}`)
  }
})

if (values.cost)
  await Effect.runPromise(Effect.provide(cost, values.loops ? Loops.fast() : OnnxRuntime.cpu({ threads: 1 })))
else if (values.table === undefined) await Effect.runPromise(Effect.provide(compute, OnnxRuntime.cpu({ threads: 1 })))
else {
  report(values.table)
  predictors(values.table)
}
