/**
 * Predictors of the networks that a search trained: fitted on 100 of them, evaluated on 100 others, over ten random splits.
 *
 *     node bench/predictor.ts JOURNAL [PROXIES] [--fit 100] [--splits 10] [--seed 0] [--again JOURNAL]
 *     node bench/predictor.ts JOURNAL PROXIES --score [--shard 0/1]
 *     node bench/predictor.ts JOURNAL --train-again JOURNAL [--every 7]
 *
 * The journal is one of a random search of UniNet's space for MNIST (or a copy of it, while it grows). With `--score`, proxies of the
 * networks are computed on a batch of training images; those that a file lacks are added to it line by line, and the first form uses the
 * file where it is given. With `--train-again`, every seventh network is trained once more with another seed, into a separate journal,
 * which is resumed if it exists; `--again` uses that to tell how much of the results is chance.
 *
 * Results: bench/results/predictor.md.
 */
import { Random } from "@uninet/controller"
import { Datasets } from "@uninet/data"
import { ModelSpace, Recipe } from "@uninet/model-space"
import { Certificate, Correlation, Features, Proxies, Regressor } from "@uninet/predictor"
import { OnnxRuntime } from "@uninet/runtime"
import { Journal, Search, Setup, TrainingEvaluator } from "@uninet/search"
import { Elementary, Prng } from "@uninet/search-space"
import { UniNetSpace } from "@uninet/uninet"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import { parseArgs } from "node:util"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    fit: { type: "string", default: "100" },
    splits: { type: "string", default: "10" },
    seed: { type: "string", default: "0" },
    again: { type: "string" },
    "train-again": { type: "string" },
    every: { type: "string", default: "7" },
    score: { type: "boolean", default: false },
    shard: { type: "string", default: "0/1" }
  }
})
const [journal = "journal.db", file] = positionals
const of = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))

const Line = Schema.Struct({ trial: Schema.Int, scores: Schema.Record(Schema.String, Schema.NullOr(Schema.Finite)) })
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Line))
const known = new Map(
  file === undefined || !existsSync(file)
    ? []
    : readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => decode(line))
        .map(({ scores, trial }) => [trial, scores] as const)
)

const { entries } = await Effect.runPromise(Journal.read(journal))
const proposed = new Map(
  entries.flatMap(({ entry }) => (entry._tag === "Proposed" ? [[entry.trial, entry] as const] : []))
)

/** A separate program for each of these costs less than one for all. */
const together = [["naswot"], ["synflow"], ["expressivity", "progressivity", "trainability"]] as const

const score = Effect.fnUntraced(function* (file: string) {
  const data = yield* Datasets.make("mnist", {})
  const examples = yield* Stream.runHead(data.train.batches({ batch: 32, shuffle: { seed: "predictor" } }))
  const [shard = 0, shards = 1] = values.shard.split("/").map(Number)
  for (const { point, trial } of proposed.values()) {
    if (trial % shards !== shard || known.has(trial)) continue
    const network = yield* Effect.fromResult(
      Result.flatMap(ModelSpace.read(point)(of), (found) => ModelSpace.trainable(found)(of))
    )
    const scores: Record<string, number | null> = {}
    for (const names of together) {
      const found = yield* Proxies.score(
        names.map((name) => Proxies.all[name]),
        { seed: `predictor/${trial}`, batch: 32, ...(examples._tag === "Some" ? { examples: examples.value } : {}) }
      )(network)
      for (const { proxy, score } of found) scores[proxy] = score
    }
    appendFileSync(file, `${JSON.stringify({ trial, scores })}\n`)
  }
})

if (values.score && file !== undefined) {
  await Effect.runPromise(Effect.scoped(score(file)).pipe(Effect.provide(OnnxRuntime.cpu({ threads: 1 }))))
  process.exit(0)
}

const trainAgain = Effect.fnUntraced(function* (path: string) {
  const points = [...proposed.values()].flatMap(({ point, trial }) =>
    trial % Number(values.every) === 0 ? [Result.getOrThrow(ModelSpace.read(point)(of))] : []
  )
  const evaluator = TrainingEvaluator.layer(of, { recipe: { ...Recipe.proxy, learningRate: 0.01 } }).pipe(
    Layer.provide(Setup.training(undefined, "mnist", OnnxRuntime.cpu({ threads: 1 })))
  )
  yield* Search.run(of, {
    trials: points.length,
    seed: "retest",
    startWith: points,
    onEvent: (event) =>
      event._tag === "Finished" ? Console.error(`${event.record.trial + 1} of ${points.length}`) : Effect.void
  }).pipe(Effect.provide([Random.layer(), evaluator, Journal.sqlite(path, { existing: "resume" })]))
})

if (values["train-again"] !== undefined) {
  await Effect.runPromise(Effect.scoped(trainAgain(values["train-again"])))
  process.exit(0)
}

const networks = entries.flatMap(({ entry }) => {
  const before = proposed.get(entry.trial)
  if (entry._tag !== "Finished" || before === undefined) return []
  const { accuracy = Number.NaN, loss = Number.NaN } = entry.evaluation.measures
  const point = ModelSpace.read(before.point)(of)
  if (Result.isFailure(point)) throw new Error(`trial ${entry.trial} is of another space: ${point.failure.message}`)
  return [
    { point: point.success, hash: before.hash, costs: before.costs, scores: known.get(entry.trial), accuracy, loss }
  ]
})
const scored = networks.filter(({ scores }) => scores !== undefined)

type Network = (typeof networks)[number]
const names = ["naswot", "synflow", "expressivity", "progressivity", "trainability"]
const proxiesOf = ({ scores = {} }: Network) => names.map((name) => scores[name] ?? Number.NaN)
const costsOf = ({ costs }: Network) => Object.values(costs).map((cost) => Elementary.log1p(cost))

const mean = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0) / numbers.length
const square = (x: number) => x * x
const two = (x: number) => x.toFixed(2)
const spread = (numbers: ReadonlyArray<number>) =>
  `${two(mean(numbers))} (${two(Math.min(...numbers))} … ${two(Math.max(...numbers))})`

const [size, splits, first] = [Number(values.fit), Number(values.splits), Number(values.seed)]

const take = <A>(all: ReadonlyArray<A>, some: ReadonlyArray<number>) =>
  some.flatMap((i) => (all[i] === undefined ? [] : [all[i]]))

/** One predictor on one set of features over all splits, as a row. */
const judged = (
  from: ReadonlyArray<Network>,
  [name, regressor]: readonly [string, Regressor.Regressor],
  [what, featuresOf]: readonly [string, (network: Network) => ReadonlyArray<number>],
  [of, target]: readonly [string, ReadonlyArray<number>]
): string => {
  const rows = from.map(featuresOf)
  const accuracies = from.map(({ accuracy }) => accuracy)
  const macs = from.map(({ costs }) => costs["macs"] ?? 0)
  const each = Array.from({ length: splits }, (_, i) => {
    const seed = first + i
    const order = [...Prng.fromSeed(seed).split("split").permutation(from.length)]
    const [fit, rest] = [order.slice(0, size), order.slice(size, 2 * size)]
    const fitted = Result.getOrThrow(regressor(take(rows, fit), take(target, fit)))
    const certify = (scores: ReadonlyArray<number>, some: ReadonlyArray<number>, resamples: number) =>
      Result.getOrThrow(
        Certificate.make({ of: name, scores, results: take(accuracies, some), macs: take(macs, some), seed, resamples })
      )
    const found = certify(
      take(rows, rest).map((row) => fitted.predict(row).mean),
      rest,
      1
    )
    // What the certificate says in advance, from the fitted networks alone.
    const { predictions } = Result.getOrThrow(
      Regressor.crossValidate(take(rows, fit), take(target, fit), { seed })(regressor)
    )
    const said = certify(
      predictions.map(({ mean }) => mean),
      fit,
      200
    ).inside
    const inside = found.inside?.spearman.value ?? Number.NaN
    const holds = (interval: Certificate.Interval | undefined) =>
      interval !== undefined && interval.low <= inside && inside <= interval.high
    return {
      overall: found.overall.spearman.value,
      inside,
      alone: found.inside?.macs.spearman.value ?? Number.NaN,
      holds: holds(said?.others),
      wouldHold: holds(said?.spearman)
    }
  })
  const count = (which: "holds" | "wouldHold") => each.filter((split) => split[which]).length
  return `| ${name} | ${what} | ${of} | ${spread(each.map(({ overall }) => overall))} | ${spread(each.map(({ inside }) => inside))} | ${spread(each.map(({ alone }) => alone))} | ${count("holds")} of ${splits} | ${count("wouldHold")} |`
}

const table = (from: ReadonlyArray<Network>) => {
  const { encode } = Features.ofChoices(from.map(({ point }) => point))(of.space)
  const isScored = from.every(({ scores }) => scores !== undefined)
  const features: ReadonlyArray<readonly [string, (network: Network) => ReadonlyArray<number>]> = [
    ["choices", ({ point }) => encode(point)],
    ["choices, costs", (network) => [...encode(network.point), ...costsOf(network)]],
    ...(isScored
      ? ([
          [
            "choices, costs, proxies",
            (network: Network) => [...encode(network.point), ...costsOf(network), ...proxiesOf(network)]
          ]
        ] as const)
      : [])
  ]
  const [accuracies, losses] = [from.map(({ accuracy }) => accuracy), from.map(({ loss }) => -loss)]
  const targets = [
    ["accuracy", accuracies],
    ["logarithm of the loss", from.map(({ loss }) => -Elementary.log(loss))]
  ] as const
  console.log(
    `\n${from.length} networks. Rank correlation of MACs and accuracy ${two(
      Correlation.spearman(
        from.map(({ costs }) => costs["macs"] ?? 0),
        accuracies
      )
    )}; of accuracy and loss ${two(Correlation.spearman(accuracies, losses))}.\n`
  )
  if (isScored) {
    console.log("| proxy | over all | in fifths of equal MACs (90%) |\n| --- | --- | --- |")
    for (const [i, name] of names.entries()) {
      const made = Certificate.make({
        of: name,
        scores: from.map((network) => proxiesOf(network)[i] ?? null),
        results: accuracies,
        macs: from.map(({ costs }) => costs["macs"] ?? 0),
        seed: 0
      })
      if (Result.isFailure(made)) continue
      const { inside, overall } = made.success
      const interval = ({ high, low, value }: Certificate.Estimate) => `${two(value)} (${two(low)} … ${two(high)})`
      console.log(`| ${name} | ${interval(overall.spearman)} | ${inside === null ? "" : interval(inside.spearman)} |`)
    }
    console.log("")
  }
  console.log(
    "| predictor | features | fitted to | over all | in fifths of equal MACs | MACs there | 90% interval for others holds | that of what is known |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
  )
  for (const feature of features)
    for (const target of targets)
      for (const regressor of [
        ["ridge", Regressor.ridge],
        ["gp", Regressor.gaussianProcess],
        ["trees", Regressor.trees],
        ["ridge and trees", Regressor.ensemble([Regressor.ridge, Regressor.trees])]
      ] as const)
        console.log(judged(from, regressor, feature, target))
}

/** How much of the accuracies is chance, and what a predictor that knew everything else could reach: the root of their reliability. */
const ceiling = async () => {
  const accuracies = networks.map(({ accuracy }) => accuracy)
  const variance = mean(accuracies.map((x) => square(x - mean(accuracies))))
  const images = 1000
  const chance = mean(accuracies.map((x) => (x * (1 - x)) / images))
  console.log(
    `${images} images alone: accuracies of variance ${variance.toExponential(2)}, ${chance.toExponential(2)} of it by chance; nobody could correlate with them by more than ${two(Math.sqrt(1 - chance / variance))}.`
  )
  if (values.again === undefined) return
  const again = await Effect.runPromise(Journal.read(values.again))
  const hashes = new Map(
    again.entries.flatMap(({ entry }) => (entry._tag === "Proposed" ? [[entry.trial, entry.hash] as const] : []))
  )
  const before = new Map(networks.map((network) => [network.hash, network] as const))
  const pairs = again.entries.flatMap(({ entry }) => {
    const network = before.get(hashes.get(entry.trial) ?? "")
    return entry._tag === "Finished" && network !== undefined
      ? [{ ...network, second: entry.evaluation.measures["accuracy"] ?? Number.NaN }]
      : []
  })
  const noise = mean(pairs.map(({ accuracy, second }) => square(accuracy - second))) / 2
  const between = Correlation.spearman(
    pairs.map(({ accuracy }) => accuracy),
    pairs.map(({ second }) => second)
  )
  console.log(
    `${pairs.length} networks trained once more: ${noise.toExponential(2)} of the variance is chance of a training and its images, so nobody could correlate by more than ${two(Math.sqrt(Math.max(0, 1 - noise / variance)))}; the two accuracies' rank correlation is ${two(between)}.`
  )
}

await ceiling()
table(networks)
if (scored.length >= 2 * size) table(scored)
