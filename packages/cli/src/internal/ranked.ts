/** The networks that `uninet rank` ranks: from a file, a space or a search's folder, with what is known of them from training. */
import { Datasets } from "@uninet/data"
import { Facts, ModelSpace, Task } from "@uninet/model-space"
import { Journal, SpaceSource, type Training } from "@uninet/search"
import { Prng, Space } from "@uninet/search-space"
import { NasBench201 } from "@uninet/spaces"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { at, fault, usage } from "./CliFault.ts"
import * as format from "./format.ts"
import * as networks from "./networks.ts"
import * as runFolder from "./runFolder.ts"
import * as spaces from "./spaces.ts"

/** A network to be ranked. */
export interface Candidate {
  readonly of: ModelSpace.Any
  readonly point: unknown
  /** The result of training, where larger is better; `null` if it was not trained, or for less long than others. */
  readonly result: number | null
  /** How its training went, if a journal says so. */
  readonly curve?: Training.Curve | undefined
}

export interface Options {
  /** How many are drawn from a space. */
  readonly count: number
  readonly seed: string
  /** The picture size of a space's networks; absent for the space's usual one. */
  readonly image: number | undefined
  readonly channels: number | undefined
  /** A data set's description of itself, if there is one. */
  readonly facts: Facts.Facts | undefined
  readonly config: Option.Option<string>
  /** The epochs of a trial that predictors may see: trials trained for at least that long, but not to the end, are ranked as well. */
  readonly after: number | undefined
}

/** Pictures and ten classes: CIFAR-10's for NAS-Bench-201, digits for the others, unless something else is asked for. */
const factsFor = (name: string, { channels, facts, image }: Options): Facts.Facts => {
  if (facts !== undefined) return facts
  const isCifar = name === "nas-bench-201"
  const edge = image ?? (isCifar ? 32 : 28)
  return {
    inputs: { image: { shape: [channels ?? (isCifar ? 3 : 1), edge, edge], dtype: "float32" } },
    targets: { shape: [], dtype: "int32" },
    classes: 10
  }
}

/** A data set's description of its examples. */
export const factsOf = (name: string) =>
  Effect.scoped(Effect.map(Datasets.make(name), (data): Facts.Facts => Facts.of(data))).pipe(
    Effect.mapError(at("--dataset"))
  )

/** Draws without a new network after which a space is taken to have no more. */
const patience = 1000

const ofSpace = Effect.fnUntraced(function* (text: string, options: Options) {
  const source = yield* spaces.named(text)
  const name = source._tag === "Named" ? source.name : text
  const of = yield* Effect.mapError(SpaceSource.load(factsFor(name, options), spaces.known)(source), at("the space"))
  if (!of.isTrainable)
    return yield* fault(
      `the networks of ${of.name} cannot be built, so there is nothing to score. Give a space that has networks.`
    )
  const prng = Prng.fromSeed(options.seed).split("networks")
  const seen = new Set<string>()
  const found: Array<Candidate> = []
  for (let misses = 0; found.length < options.count && misses < patience;) {
    const point = Space.sample(prng)(of.space)
    const hash = Space.hash(point)(of.space)
    if (seen.has(hash)) misses++
    else {
      misses = 0
      seen.add(hash)
      found.push({ of, point, result: null })
    }
  }
  return found
})

const epochs = (entry: Journal.EntryOf<"Finished">) => entry.evaluation.epochs ?? 0

/** From a journal: the networks that were trained longest, once each, and with `after` also those that were trained for less. */
const ofRun = Effect.fnUntraced(function* (folder: string, { after, config }: Options) {
  const path = yield* Path.Path
  const { of } = yield* networks.read(folder, config)
  const { entries, trainings } = yield* Effect.scoped(
    Effect.gen(function* () {
      const reader = yield* Journal.reader(path.join(folder, runFolder.files.journal))
      return {
        entries: yield* reader.entries(),
        trainings: after === undefined ? [] : yield* reader.trainings()
      }
    })
  ).pipe(Effect.mapError(at(folder)))
  const points = new Map<number, Schema.Json>()
  const trained = new Map<number, Journal.EntryOf<"Finished">>()
  for (const { entry } of entries) {
    if (entry._tag === "Proposed") points.set(entry.trial, entry.point)
    if (entry._tag === "Finished") trained.set(entry.trial, entry)
  }
  const longest = Math.max(...[...trained.values()].map(epochs))
  if (after !== undefined && !(after < longest))
    return yield* usage(
      `--after is ${after}, but the longest trials of ${folder} have ${format.plural(Math.max(0, longest), "epoch")}. Give fewer.`
    )
  const { decides, measures } = of.task
  const curves = Map.groupBy(trainings, ({ trial }) => trial)
  return [...trained].flatMap(([trial, entry]): ReadonlyArray<Candidate> => {
    const point = ModelSpace.read(points.get(trial))(of)
    const value = entry.evaluation.measures[decides]
    if (Result.isFailure(point) || value === undefined || epochs(entry) < (after ?? longest)) return []
    const result = epochs(entry) < longest ? null : Task.worth(measures[decides] ?? "higher")(value)
    return [{ of, point: point.success, result, curve: Journal.curveOf(curves.get(trial) ?? []) }]
  })
})

/** An element of a list: a NAS-Bench-201 cell as text, alone or with its result, or a network as JSON. */
const Cell = Schema.Union([
  Schema.String,
  Schema.Struct({ cell: Schema.String, result: Schema.optionalKey(Schema.Finite) })
])
const WithResult = Schema.Struct({ result: Schema.Finite })

const ofList = Effect.fnUntraced(function* (file: string, list: ReadonlyArray<Schema.Json>, options: Options) {
  const path = yield* Path.Path
  const cells = yield* Effect.mapError(
    SpaceSource.load(
      factsFor("nas-bench-201", options),
      spaces.known
    )(SpaceSource.SpaceSource.cases.Named.make({ name: "nas-bench-201" })),
    at(file)
  )
  const known = new Map<string, ModelSpace.Any>()
  const found: Array<Candidate> = []
  for (const [i, element] of list.entries()) {
    const where = `${file}, element ${i}`
    const cell = Schema.decodeUnknownResult(Cell)(element)
    if (Result.isSuccess(cell)) {
      const { cell: text, result = null } = typeof cell.success === "string" ? { cell: cell.success } : cell.success
      const point = yield* Effect.mapError(Effect.fromResult(NasBench201.parse(text)), at(where))
      found.push({ of: cells, point, result })
      continue
    }
    const network = yield* Effect.mapError(Effect.fromResult(networks.parse(JSON.stringify(element))), (reason) =>
      fault(
        `${where} holds no network: ${reason}. Give JSON as in a search's best.json, or a cell of NAS-Bench-201 as a string.`
      )
    )
    const own = JSON.stringify([network.space, network.facts])
    const of = known.get(own)
    const there = of === undefined ? undefined : ModelSpace.read(network.point)(of)
    // A network that may have changed since is opened with full checks, and so is the first of each space.
    const opened =
      of !== undefined && there !== undefined && Result.isSuccess(there) && network.graph === undefined
        ? { of, point: there.success }
        : yield* networks.open(network, { beside: path.dirname(file), name: where, override: options.config })
    known.set(own, opened.of)
    const result = Schema.decodeUnknownResult(WithResult)(element)
    found.push({ of: opened.of, point: opened.point, result: Result.isSuccess(result) ? result.success.result : null })
  }
  return found
})

/** The networks that a text names: a search's folder, a space, or a file with a list of networks. */
export const read = Effect.fnUntraced(function* (text: string, options: Options) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const isRun = yield* Effect.orElseSucceed(fs.exists(path.join(text, runFolder.files.journal)), () => false)
  if (isRun) return yield* ofRun(text, options)
  if (options.after !== undefined)
    return yield* usage(`"${text}" is not a search's folder, so there are no first epochs to see. Leave --after out.`)
  if (spaces.names.includes(text) || SpaceSource.isModule(text)) return yield* ofSpace(text, options)
  const json = yield* Effect.mapError(fs.readFileString(text), () =>
    usage(
      `"${text}" is neither a space (${spaces.names.join(", ")}, or a module) nor a search's folder nor a file that can be read. Give one of them.`
    )
  )
  const list = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Array(Schema.Json)))(json)
  if (Result.isFailure(list) || list.success.length === 0)
    return yield* fault(
      `${text} is not a list of networks. Give a JSON array of networks as in best.json, or of cells of NAS-Bench-201.`
    )
  return yield* ofList(text, list.success, options)
})
