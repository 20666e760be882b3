/** `uninet rank`: what can be known of networks before they are trained, and how far it can be trusted. */
import { Datasets } from "@uninet/data"
import { Facts, ModelSpace } from "@uninet/model-space"
import { Certificate, Correlation, Features, LogRanks, Proxies, Regressor } from "@uninet/predictor"
import { Runtime } from "@uninet/runtime"
import { Elementary } from "@uninet/search-space"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { Argument, Command, Flag } from "effect/cli"
import { at, CliFault, fault, said, usage } from "../internal/CliFault.ts"
import * as counting from "../internal/counting.ts"
import * as Device from "../internal/device.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as networks from "../internal/networks.ts"
import * as ranked from "../internal/ranked.ts"
import * as spaces from "../internal/spaces.ts"

/** AZ-NAS's four scores, combined. */
const combined = "az-nas"

/** Extrapolates from a trial's first epochs alone. */
const curve = "curve"

/** Predictors from choices, costs, proxies and first epochs, fitted on what was trained. */
const regressors: Readonly<Record<string, Regressor.Regressor>> = {
  // With few results, a linear fit on hundreds of numbers from choices would drown out a curve's four.
  [curve]: Regressor.ridge,
  ridge: Regressor.ridge,
  gp: Regressor.gaussianProcess,
  trees: Regressor.trees,
  ensemble: Regressor.ensemble([Regressor.ridge, Regressor.trees])
}

const known = [...Object.keys(Proxies.all), combined, ...Object.keys(regressors)]

/** The data of one network. */
interface Row {
  readonly line: string
  readonly space: string
  readonly point: unknown
  readonly macs: number | null
  readonly parameters: number | null
  readonly result: number | null
  readonly scores: Readonly<Record<string, number | null>>
  readonly problems: Readonly<Record<string, string>>
}

/** Places, from 1 for the best; ties share a place, and networks without a score come last. */
const places = (scores: ReadonlyArray<number | null>): ReadonlyArray<number> =>
  Correlation.ranks(scores).map((rank) => scores.length + 1 - rank)

/** `0.71 (0.64 … 0.77)`. */
const interval = ({ value, ...range }: Certificate.Estimate) => `${value.toFixed(2)} (${between(range)})`

const between = ({ high, low }: Certificate.Interval) => `${low.toFixed(2)} … ${high.toFixed(2)}`

/** How many networks a table shows. */
const shown = 20

const numbered = (score: number | null | undefined) =>
  score === null || score === undefined ? "–" : format.number(score)

const print = (
  by: ReadonlyArray<string>,
  rows: ReadonlyArray<Row>,
  ranks: Readonly<Record<string, ReadonlyArray<number>>>,
  certificates: Readonly<Record<string, Result.Result<Certificate.Certificate, { readonly message: string }>>> | null
): string => {
  const [first = ""] = by
  const order = rows.map((_, i) => i).toSorted((a, b) => (ranks[first]?.[a] ?? 0) - (ranks[first]?.[b] ?? 0))
  const hasResults = rows.some(({ result }) => result !== null)
  const table = new Table({
    head: [
      "rank",
      ...by.flatMap((name) => [name, ...(name === first ? [] : ["rank"])]),
      ...(hasResults ? ["result"] : []),
      "network"
    ],
    colAligns: [
      "right",
      ...by.flatMap((name) => ["right" as const, ...(name === first ? [] : ["right" as const])]),
      ...(hasResults ? ["right" as const] : []),
      "left"
    ],
    style: { head: [], border: [], compact: true }
  })
  for (const i of order.slice(0, shown)) {
    const row = rows[i]
    if (row === undefined) continue
    table.push([
      ranks[first]?.[i] ?? "",
      ...by.flatMap((name) => [numbered(row.scores[name]), ...(name === first ? [] : [ranks[name]?.[i] ?? ""])]),
      ...(hasResults ? [numbered(row.result)] : []),
      row.line
    ])
  }
  const problems = new Map<string, number>()
  for (const problem of rows.flatMap((row) => Object.values(row.problems)))
    problems.set(problem, (problems.get(problem) ?? 0) + 1)
  return [
    format.fitted(table.toString()),
    ...(rows.length > shown ? [`${rows.length - shown} more; --json has all.`] : []),
    ...[...problems].map(([problem, count]) => `${format.plural(count, "network")}: ${problem}`),
    ...(certificates === null
      ? [
          "No training results are known for these, so how far to trust the order is unknown; multiply-accumulates alone are often as good."
        ]
      : [format.fitted(certified(by, certificates))])
  ].join("\n")
}

/** The certificates as a table, with a sentence for each. */
const certified = (
  by: ReadonlyArray<string>,
  certificates: Readonly<Record<string, Result.Result<Certificate.Certificate, { readonly message: string }>>>
): string => {
  const table = new Table({
    head: ["proxy", "Spearman (90%)", "MACs alone", "Kendall (90%)", "in classes of equal MACs", "MACs there"],
    style: { head: [], border: [], compact: true }
  })
  const verdicts: Array<string> = []
  for (const name of by) {
    const made = certificates[name]
    if (made === undefined) continue
    if (Result.isFailure(made)) {
      verdicts.push(`${name}: ${made.failure.message}`)
      continue
    }
    const { inside, networks, overall } = made.success
    const others = `on ${networks} other networks, expect ${between(overall.others)}${inside === null ? "" : `, in classes of equal MACs ${between(inside.others)}`}`
    table.push([
      name,
      interval(overall.spearman),
      interval(overall.macs.spearman),
      interval(overall.kendall),
      inside === null ? "too few" : interval(inside.spearman),
      inside === null ? "" : interval(inside.macs.spearman)
    ])
    verdicts.push(
      overall.gain.low === 0 && overall.gain.high === 0
        ? `${name} orders them as MACs do`
        : overall.clears
          ? `${name} is better than MACs alone${inside === null || inside.clears ? "" : ", but not within classes of equal MACs"}: ${others}`
          : `${name} is not shown to be better than MACs alone: do not rely on it here`
    )
  }
  return [table.toString(), ...verdicts].join("\n")
}

export const rank = Command.make(
  "rank",
  {
    what: Argument.String("architectures").pipe(
      Argument.withDescription(
        `A JSON list of networks (as in best.json, or cells of NAS-Bench-201 as strings), a space (${spaces.names.join(", ")}, or a module), or a finished search's folder`
      )
    ),
    by: Flag.String("by").pipe(
      Flag.withMetavar("a,b,…"),
      Flag.withDefault("naswot,synflow,jacov,macs"),
      Flag.withDescription(
        `Any of ${known.join(", ")}; the table is sorted by the first (default naswot,synflow,jacov,macs)`
      )
    ),
    count: flags
      .whole("count", 1, 1_000_000)
      .pipe(Flag.withDefault(200), Flag.withDescription("Networks drawn from a space (default 200)")),
    seed: Flag.String("seed").pipe(
      Flag.withDefault("0"),
      Flag.withDescription("Decides the networks drawn, initial values and noise (default 0)")
    ),
    batch: flags.batch.pipe(
      Flag.withDefault(32),
      Flag.withDescription("Examples of noise, an even number of 4 or more (default 32)")
    ),
    dataset: Flag.String("dataset").pipe(
      Flag.withMetavar("name|folder"),
      Flag.optional,
      Flag.withDescription("Score on this data set's training images instead of noise, and for its shape and classes")
    ),
    image: flags.image.pipe(
      Flag.optional,
      Flag.withDescription("Edge of the images that a space's networks are for (default 28; 32 for nas-bench-201)")
    ),
    channels: flags
      .whole("channels", 1, 4096)
      .pipe(Flag.optional, Flag.withDescription("Channels of these images (default 1; 3 for nas-bench-201)")),
    after: flags
      .whole("after", 1, 1_000_000)
      .pipe(
        Flag.optional,
        Flag.withDescription(
          "For a search's folder: predictors see this many of each trial's first epochs, curve uses only them, and trials that were not trained to the end are ranked as well"
        )
      ),
    config: networks.config,
    device: flags.device.pipe(Flag.withDefault(Device.standard)),
    json: flags.json
  },
  Effect.fnUntraced(function* ({
    after,
    batch,
    by,
    channels,
    config,
    count,
    dataset,
    device,
    image,
    json,
    seed,
    what
  }) {
    const names = [...new Set(by.split(",").map((name) => name.trim()))]
    const unknown = names.find((name) => !known.includes(name))
    if (unknown !== undefined) return yield* usage(`--by has "${unknown}". Give some of ${known.join(", ")}.`)
    const epochs = Option.getOrUndefined(after)
    if (names.includes(curve) && epochs === undefined)
      return yield* usage(
        "--by has curve, which uses first epochs. Give a search's folder, and the number of epochs with --after."
      )
    if (batch < 4 || batch % 2 === 1) return yield* usage(`--batch is ${batch}. Give an even number of 4 or more.`)
    const data = Option.isNone(dataset) ? undefined : yield* batchOf(dataset.value, batch, seed, image)
    const candidates = yield* ranked.read(what, {
      facts: data?.facts,
      count,
      seed,
      config,
      after: epochs,
      image: Option.getOrUndefined(image),
      channels: Option.getOrUndefined(channels)
    })
    const parts = names.includes(combined) ? Proxies.azNas : []
    const proxies = [
      ...new Set([...names.flatMap((name) => (Proxies.isName(name) ? [Proxies.all[name]] : [])), ...parts])
    ]
    const engineLayer = Device.layer(yield* Device.choose(device))
    const start = performance.now()
    const rows = yield* Effect.scoped(
      Effect.gen(function* () {
        const services = yield* Effect.mapError(Layer.build(engineLayer), Device.orElse(said))
        const heard = yield* counting.make("networks")
        const found: Array<Row> = []
        for (const [i, candidate] of candidates.entries()) {
          found.push(
            yield* Effect.provide(
              rowOf(candidate, proxies, {
                seed: `${seed}/${i}`,
                batch,
                ...(data === undefined ? {} : { examples: data.examples })
              }),
              services
            )
          )
          yield* heard(i + 1, candidates.length)
        }
        return found
      })
    )
    const scoresBy = new Map<string, ReadonlyArray<number | null>>(
      proxies.map(({ name }) => [name, rows.map(({ scores }) => scores[name] ?? null)] as const)
    )
    if (names.includes(combined)) {
      const four = Proxies.azNas.map(({ name }) => scoresBy.get(name) ?? [])
      scoresBy.set(combined, [...LogRanks.combine(four)])
    }
    for (const name of names) {
      const regressor = Object.hasOwn(regressors, name) ? regressors[name] : undefined
      if (regressor === undefined) continue
      const made = predicted(regressor, candidates, rows, { after: epochs, isByCurve: name === curve, seed })
      if (Result.isFailure(made)) yield* Console.error(`note: ${name}: ${made.failure}`)
      scoresBy.set(
        name,
        Result.getOrElse(made, () => rows.map(() => null))
      )
    }
    if ([...scoresBy.values()].every((scores) => scores.every((score) => score === null)))
      return yield* fault(Object.values(rows[0]?.problems ?? {})[0] ?? "there is no network to rank. Give some.")
    const ranks = Object.fromEntries([...scoresBy].map(([name, scores]) => [name, places(scores)]))
    const full = rows.map((row, i) => ({
      ...row,
      scores: Object.fromEntries([...scoresBy].map(([name, scores]) => [name, scores[i] ?? null]))
    }))
    const trained = full.filter(({ macs, result }) => result !== null && macs !== null)
    const certificates =
      trained.length === 0
        ? null
        : Object.fromEntries(
            [...scoresBy.keys()].map((name) => [
              name,
              Certificate.make({
                of: name,
                scores: trained.map(({ scores }) => scores[name] ?? null),
                results: trained.map(({ result }) => result ?? Number.NaN),
                macs: trained.map(({ macs }) => macs ?? Number.NaN),
                seed
              })
            ])
          )
    yield* Console.log(
      json
        ? JSON.stringify(
            {
              by: names,
              seed,
              batch,
              seconds: (performance.now() - start) / 1000,
              networks: full.map((row, i) => ({
                ...row,
                ranks: Object.fromEntries(Object.entries(ranks).map(([name, each]) => [name, each[i]]))
              })),
              certificates:
                certificates === null
                  ? null
                  : Object.fromEntries(
                      Object.entries(certificates).map(([name, made]) => [
                        name,
                        Result.isSuccess(made) ? made.success : { problem: made.failure.message }
                      ])
                    )
            },
            null,
            2
          )
        : print(names, full, ranks, certificates)
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription(
    "Rank networks before any training, and say how far the order can be trusted where results are known"
  ),
  Command.withExamples([
    {
      command: "uninet rank nas-bench-201 --by az-nas,naswot,macs --count 50 --json",
      description: "Cells drawn at random"
    },
    { command: "uninet rank runs/demo --by naswot,snip", description: "What a search trained, with certificates" },
    {
      command: "uninet rank runs/rungs --after 1 --by curve,ridge",
      description: "Trials by their first epoch, including those that were stopped"
    }
  ])
)

/** A data set's facts, and a batch of its training examples. */
const batchOf = (name: string, batch: number, seed: string, image: Option.Option<number>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const data = yield* Datasets.make(name, Option.isSome(image) ? { size: image.value } : {})
      const first = yield* Stream.runHead(data.train.batches({ batch, shuffle: { seed } }))
      return Option.isNone(first) || first.value.size < batch
        ? yield* usage(`--batch is ${batch}, but ${name} has only ${data.train.size} training examples. Give fewer.`)
        : { facts: Facts.of(data), examples: first.value }
    })
  ).pipe(Effect.mapError((error) => (error instanceof CliFault ? error : at("--dataset")(error))))

/** What cannot be built has infinite costs. */
const finite = (cost: number | undefined) => (cost !== undefined && Number.isFinite(cost) ? cost : null)

const logarithm = (x: number | null) => (x === null ? Number.NaN : Elementary.log1p(x))

const says = ({ message }: { readonly message: string }) => message

const noEpochs: Features.Curve = { epochs: [], loss: [], measures: {} }

/**
 * What a regressor expects of every network, from its choices, costs, first epochs and the requested proxies. Trained networks are
 * predicted by a fit that has not seen them, the others by one on everything that was trained.
 */
const predicted = (
  regressor: Regressor.Regressor,
  candidates: ReadonlyArray<ranked.Candidate>,
  rows: ReadonlyArray<Row>,
  { after, isByCurve, seed }: { readonly after: number | undefined; readonly isByCurve: boolean; readonly seed: string }
): Result.Result<ReadonlyArray<number>, string> =>
  Result.gen(function* () {
    const [first] = candidates
    if (first === undefined || candidates.some(({ of }) => of !== first.of))
      return yield* Result.fail(
        "the networks are from several spaces, whose choices have nothing in common; rank those of one space at a time"
      )
    const { encode } = Features.ofChoices(candidates.map(({ point }) => point))(first.of.space)
    const features = candidates.map(({ curve, of, point }, i) => {
      const { macs, parameters, scores } = rows[i] ?? { macs: null, parameters: null, scores: {} }
      const others = Object.values(scores).map((score) => score ?? Number.NaN)
      const epochs = after === undefined ? [] : Features.ofCurve(of.task.decides, after)(curve ?? noEpochs)
      if (isByCurve) return epochs
      return [...encode(point), logarithm(macs), logarithm(parameters), ...others, ...epochs]
    })
    const trained = candidates.flatMap(({ result }, i) => (result === null ? [] : [{ i, result }]))
    const inputs = trained.map(({ i }) => features[i] ?? [])
    const results = trained.map(({ result }) => result)
    const fitted = yield* Result.mapError(regressor(inputs, results), says)
    const { predictions } = yield* Result.mapError(Regressor.crossValidate(inputs, results, { seed })(regressor), says)
    const unseen = new Map(trained.map(({ i }, place) => [i, predictions[place]?.mean ?? Number.NaN] as const))
    return features.map((row, i) => unseen.get(i) ?? fitted.predict(row).mean)
  })

/** The scores of one network. If it cannot be scored, the reason is recorded and the others continue. */
const rowOf = Effect.fnUntraced(function* (
  { of, point, result }: ranked.Candidate,
  proxies: ReadonlyArray<(typeof Proxies.azNas)[number]>,
  options: Proxies.Options
): Effect.fn.Return<Row, never, Runtime> {
  const costs = Result.getOrElse(ModelSpace.costsOf(point)(of), (): Readonly<Record<string, number>> => ({}))
  const scored = yield* Effect.result(
    Effect.flatMap(Effect.fromResult(ModelSpace.trainable(point)(of)), (network) =>
      Proxies.score(proxies, options)(network)
    )
  )
  const base = {
    line: of.line(point),
    space: of.name,
    point: ModelSpace.write(point)(of),
    macs: finite(costs["macs"]),
    parameters: finite(costs["parameters"]),
    result
  }
  if (Result.isFailure(scored)) {
    const { message } = scored.failure
    return { ...base, scores: {}, problems: Object.fromEntries(proxies.map(({ name }) => [name, message])) }
  }
  return {
    ...base,
    scores: Object.fromEntries(scored.success.map(({ proxy, score }) => [proxy, score])),
    problems: Object.fromEntries(
      scored.success.flatMap(({ problem, proxy }) => (problem === null ? [] : [[proxy, problem.message] as const]))
    )
  }
})
