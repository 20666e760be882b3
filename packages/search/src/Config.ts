/**
 * A search described by a module, `uninet.config.ts`, that the driver and every worker import. It has the fields of the command line's
 * flags, and can also hold your own space, layers and functions.
 *
 * @example
 * ```ts
 * // uninet.config.ts
 * import { RegularizedEvolution } from "@uninet/controller"
 * import { defineConfig } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 *
 * export default defineConfig({
 *   trials: 100,
 *   space: NasBench201.forData({}),
 *   strategy: RegularizedEvolution.layer({ population: 20 }),
 *   within: { macs: { max: 2e6 } }
 * })
 * ```
 */
import { type SearchStrategy, Strategies } from "@uninet/controller"
import type { Dataset } from "@uninet/data"
import { type Facts, ModelSpace, Recipe, Task } from "@uninet/model-space"
import type { Runtime } from "@uninet/engine"
import type { Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Struct from "effect/Struct"
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { ConfigInvalid, ConfigUnreadable } from "./ConfigError.ts"
import type { Evaluator } from "./Evaluator.ts"
import * as Fidelity from "./Fidelity.ts"
import * as Reward from "./Reward.ts"
import { detailOf } from "./internal/detail.ts"
import * as Units from "./Units.ts"

// What a layer provides and needs is for the type checker to see; here we can only check that it is a layer.
const layerOf = <A, R = never>() =>
  Schema.declare<Layer.Layer<A, unknown, R>>((u): u is Layer.Layer<A, unknown, R> => Layer.isLayer(u), {
    expected: "a layer"
  })

/** Makes a space for the examples of a data set; of some candidates only, if that is asked for and the function supports it (`SpaceSource.Only`). */
export type SpaceFor = (
  facts: Facts.Facts,
  only: Readonly<Record<string, ReadonlyArray<string | number>>> | undefined
) => ModelSpace.Some | Result.Result<ModelSpace.Some, { readonly message: string }>

// What these functions return is checked when they are called.
const functionOf = <F extends (...args: ReadonlyArray<never>) => unknown>(expected: string) =>
  Schema.declare<F>((u): u is F => typeof u === "function", { expected })

const ModelSpaceSchema = Schema.declare<ModelSpace.Some>(ModelSpace.isModelSpace, { expected: "a ModelSpace" })

const OwnObjective = Schema.Struct({
  name: Schema.String,
  direction: Task.Direction,
  of: functionOf<(values: Readonly<Record<string, number>>, point: never) => number>("a function of costs and measures")
})

const Window = Schema.Struct({ min: Schema.optionalKey(Schema.Finite), max: Schema.optionalKey(Schema.Finite) })

/** Whether a value that the type checker has not seen is a data set's layer, as far as that can be checked. */
export const isDataset = Schema.is(layerOf<Dataset.Dataset>())

/** A custom evaluator, or one made for the space being searched. */
type OwnEvaluator = Layer.Layer<Evaluator, unknown, Trainer | Dataset.Dataset | Runtime>

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** The fields of a config. */
const fields = {
  /** Networks to train. */
  trials: Count,
  /** Epochs of each trial, instead of the recipe's. */
  epochs: Count,
  /** Examples per training step, instead of the recipe's. */
  batch: Count,
  /** How trials are trained. Default: the proxy recipe with a learning rate of 0.01. */
  recipe: Recipe.Recipe,
  /**
   * A name from `Strategies.names`, or your own strategy: `RegularizedEvolution.layer({ population: 20 })`. The search starts it with its
   * seed, on its space and within its constraints.
   */
  strategy: Schema.Union([Schema.Literals(Strategies.names), layerOf<SearchStrategy, Runtime>()]),
  /** Seeds everything random. */
  seed: Schema.Union([Schema.String, Schema.Finite]),
  /** What is maximised: a `Reward` as data, or a function of all costs and measures by name. Default: the deciding measure · (MACs / targetMacs)^−0.07. */
  reward: Schema.Union([Reward.Reward, functionOf<Reward.Own<never, string>>("a function of costs and measures")]),
  /** Measures besides the task's own that a custom reward or objective reads: `int8Accuracy`, the accuracy of the network quantised to eight bits. */
  also: Schema.Array(Schema.String),
  /** T of the default reward, in multiply-accumulates: a number, or text such as `1.5M`. */
  targetMacs: Units.Macs,
  /** Networks with more MACs than this are never trained. */
  maxMacs: Units.Macs,
  /** Bounds on any costs of the space, by name. */
  within: Schema.Record(Schema.String, Window),
  /** A device file from `uninet profile`, relative to the config's folder. With it, `latency` in milliseconds is a cost like the space's own. */
  deviceFile: Schema.String,
  /** A data set's name, a folder, or your own data set. */
  dataset: Schema.Union([Schema.String, layerOf<Dataset.Dataset>()]),
  /** A new folder for the journal and the best network. */
  out: Schema.String,
  /** Training processes. */
  workers: Count,
  /** How many of the best networks are trained again and compared. */
  finalists: Count,
  /** Epochs of these final trainings. */
  finalEpochs: Count,
  /** How long trials are trained: `full`, or in rungs by `halving`, `asha` or `median`, where `epochs` is the last rung. */
  fidelity: Schema.Literals(Fidelity.names),
  /** Epochs of the first rung. Default 1. */
  minEpochs: Count,
  /** One in this many trials on a rung goes on. Default 3. */
  rungFactor: Schema.Finite.check(Schema.isGreaterThan(1)),
  /** Two or more to search for a Pareto front. Default: the reward alone. */
  objectives: Schema.Array(Schema.Union([Schema.String, OwnObjective])),
  /** How many proposals may be pending at the same time. Default 8. */
  ahead: Count,
  /** Only this share of the proposals is trained, chosen by a predictor: 0.25 trains one in four. Default: all are trained. */
  screen: Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThan(1)),
  /** What the screen's predictor knows besides choices and costs: proxies by name, such as `naswot,synflow`. Default: nothing. */
  screenBy: Schema.String,
  /** Time limit of one trial: seconds, or text such as `10min`. */
  trialTime: Units.Seconds,
  /** Memory limit of a worker: bytes, or text such as `2G`. */
  trialMemory: Units.Bytes,
  /** No trial is started after this time; the finals follow. */
  maxTime: Units.Seconds,
  /** No trial is started once trainings have taken this many multiply-accumulates. */
  maxTotalMacs: Units.TotalMacs,
  /** What is searched: the name of a known space, your own space, or a function that makes one for the data set's examples. */
  space: Schema.Union([Schema.String, ModelSpaceSchema, functionOf<SpaceFor>("a function that returns a ModelSpace")]),
  /** Evaluates points in every worker: a layer, or a function from the space to one. Default: training by the recipe. */
  evaluator: Schema.Union([
    layerOf<Evaluator, Trainer | Dataset.Dataset | Runtime>(),
    functionOf<(space: ModelSpace.Any) => OwnEvaluator>("a function of the space that returns a layer")
  ]),
  /**
   * Identifies the module's code in the journal: if the config has layers of its own, results of another version are not mixed with this
   * one's. Default: a digest of the module's text, so every edit is another version. A version that you set yourself also covers what the
   * module imports.
   */
  version: Schema.String
}

/** The schema of `uninet.config.ts`; every field is optional. */
export const Config = Schema.Struct(fields).mapFields(Struct.map(Schema.optionalKey))
/** As it is used: amounts are numbers. */
export interface Config extends Schema.Schema.Type<typeof Config> {}
/** As it is written. */
export interface Input extends Schema.Codec.Encoded<typeof Config> {}

/**
 * Describes a search. Returns its argument unchanged: it is there so that the fields are type-checked as you write them.
 *
 * @example
 * ```ts
 * import { Config, defineConfig } from "@uninet/search"
 * import { Console, Effect } from "effect"
 *
 * // The default export of uninet.config.ts; amounts may be written the way people say them.
 * const config = defineConfig({ trials: 64, seed: "demo", maxMacs: "1.5M", maxTime: "2h" })
 * const program = Effect.gen(function* () {
 *   const module = { path: "uninet.config.ts", url: "file:///uninet.config.ts", version: "1", exported: config }
 *   const loaded = yield* Config.read(module)
 *   yield* Console.log(loaded.config.maxMacs, loaded.config.maxTime, Config.ownLayers(loaded.config)) // 1500000 7200 []
 *   // What is wrong is said by the name of its field.
 *   yield* Config.read({ ...module, exported: { trials: 0 } }).pipe(
 *     Effect.catchTag("ConfigInvalid", ({ message }) => Console.log(message))
 *   )
 *   yield* Console.log(Config.find("."), Config.names) // undefined where the folder has none of these
 * })
 * Effect.runPromise(program)
 * ```
 */
export const defineConfig = (config: Input): Input => config

/** A config and where it came from. */
export interface Loaded {
  readonly config: Config
  /** The module's file. */
  readonly path: string
  /** Its address, which workers import. */
  readonly url: string
  /** `Config.version`, or a digest of the module's text. */
  readonly version: string
}

/** The file names that are looked for, in this order. */
export const names = ["uninet.config.ts", "uninet.config.mts", "uninet.config.js", "uninet.config.mjs"] as const

/** The config module of a folder, if it has one. */
export const find = (folder: string): string | undefined =>
  names.map((name) => join(folder, name)).find((path) => existsSync(path))

const issues = SchemaIssue.makeFormatterStandardSchemaV1()

/** A module with its default export. */
export interface Module {
  readonly path: string
  readonly url: string
  readonly exported: unknown
  /** The version that it gives itself, as a config does, or a digest of its text. */
  readonly version: string
}

/** Imports a module by its path or `file:` address. Fails with `ConfigUnreadable`: no such file, an error in it, or no default export. */
export const importModule = Effect.fnUntraced(function* (
  pathOrUrl: string
): Effect.fn.Return<Module, ConfigUnreadable> {
  const path = pathOrUrl.startsWith("file:") ? fileURLToPath(pathOrUrl) : resolve(pathOrUrl)
  const unreadable = (problem: string) => new ConfigUnreadable({ path, problem })
  const text = yield* Effect.try({
    try: () => readFileSync(path),
    catch: (cause) => unreadable(existsSync(path) ? `cannot be read (${detailOf(cause)})` : "does not exist")
  })
  const url = pathToFileURL(path).href
  const module: unknown = yield* Effect.tryPromise({
    try: (): Promise<unknown> => import(url),
    catch: (cause) =>
      new ConfigUnreadable({ path, problem: `cannot be imported (${detailOf(cause)})`, remedy: "Fix it" })
  })
  const exported: unknown = Predicate.hasProperty(module, "default") ? module.default : undefined
  if (exported === undefined) return yield* unreadable("has no default export")
  const version =
    Predicate.hasProperty(exported, "version") && typeof exported.version === "string" && exported.version !== ""
      ? exported.version
      : `sha256:${createHash("sha256").update(text).digest("hex").slice(0, 16)}`
  return { path, url, exported, version }
})

/** Reads a module's default export as a config. Fails with `ConfigInvalid`, which names the field. */
export const read = ({ exported, path, url, version }: Module): Effect.Effect<Loaded, ConfigInvalid> => {
  const invalid = (field: string, problem: string) => Effect.fail(new ConfigInvalid({ path, field, problem }))
  if (ModelSpace.isModelSpace(exported))
    return invalid("", "it is a ModelSpace; give it to --space, or as the field space of a config")
  const unknown = Predicate.isObject(exported) ? Object.keys(exported).find((key) => !(key in fields)) : undefined
  if (unknown !== undefined)
    return invalid(unknown, `there is no such field; the fields are ${Object.keys(fields).join(", ")}`)
  return Schema.decodeUnknownEffect(Config)(exported, { onExcessProperty: "error" }).pipe(
    Effect.mapError(({ issue }) => {
      const [first] = issues(issue).issues
      const field = (first?.path ?? []).map((key) => String(Predicate.isObject(key) ? key.key : key)).join(".")
      return new ConfigInvalid({ path, field, problem: (first?.message ?? "it is wrong").split("\n").join(" ") })
    }),
    Effect.map((config) => ({ config, path, url, version }))
  )
}

/** The errors of loading a config. */
export type LoadError = ConfigUnreadable | ConfigInvalid

/**
 * Imports a config module by its path or `file:` address.
 *
 * Fails with `ConfigUnreadable` (no such file, an error in it, no default export) or with `ConfigInvalid`, which names the field.
 */
export const load = (pathOrUrl: string): Effect.Effect<Loaded, LoadError> =>
  Effect.flatMap(importModule(pathOrUrl), read)

/** Fields whose code decides results and has no name to tell it apart. */
export const deciding = ["space", "dataset", "strategy", "evaluator", "reward", "objectives"] as const

/** Whether a field's value is data rather than code. */
const isData = (field: (typeof deciding)[number], value: unknown): boolean =>
  typeof value === "string" ||
  (field === "reward" && typeof value !== "function") ||
  (field === "objectives" && Array.isArray(value) && value.every((each) => typeof each === "string"))

/** The fields for which a config brings its own code. */
export const ownLayers = (config: Config): ReadonlyArray<(typeof deciding)[number]> =>
  deciding.filter((field) => config[field] !== undefined && !isData(field, config[field]))
