/**
 * A search described by a module, `uninet.config.ts`, that the driver and every worker import: the fields of the command line's flags, and
 * layers of one's own.
 *
 * @example
 * ```ts
 * // uninet.config.ts
 * import { Operators } from "@uninet/operators"
 * import { defineConfig } from "@uninet/search"
 *
 * export default defineConfig({
 *   trials: 100,
 *   strategy: "evolution",
 *   targetMacs: "1.5M",
 *   operators: Operators.only("Conv", "DWConv")
 * })
 * ```
 */
import { type SearchStrategy, Strategies } from "@uninet/controller"
import type { Dataset } from "@uninet/data"
import type { Dsms } from "@uninet/dsm"
import type { Operators } from "@uninet/operators"
import type { Runtime } from "@uninet/runtime"
import type { SearchSpace } from "@uninet/search-space"
import { Recipe, type Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
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
import * as Search from "./Search.ts"
import * as Units from "./Units.ts"

// What a layer provides and needs is the type checker's to see; here it can only be seen that it is one.
const layerOf = <A, R = never>() =>
  Schema.declare<Layer.Layer<A, unknown, R>>((u): u is Layer.Layer<A, unknown, R> => Layer.isLayer(u), {
    expected: "a layer"
  })

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

const fields = {
  /** Architectures to train. */
  trials: Count,
  /** Epochs of each trial, in place of the recipe's. */
  epochs: Count,
  /** Images per training step, in place of the recipe's. */
  batch: Count,
  /** How trials are trained. Default: the proxy recipe with a learning rate of 0.01. */
  recipe: Recipe.Recipe,
  /**
   * A name of `Strategies.names`, or a strategy of one's own: `RegularizedEvolution.layer({ population: 20 })`. The search begins it with its seed, on
   * its space within its constraints.
   */
  strategy: Schema.Union([Schema.Literals(Strategies.names), layerOf<SearchStrategy, Runtime>()]),
  /** Decides everything random. */
  seed: Schema.Union([Schema.String, Schema.Finite]),
  /** T of the reward, in multiply-accumulates: a number or a text such as `1.5M`. */
  targetMacs: Units.Macs,
  /** Architectures above this are never trained. */
  maxMacs: Units.Macs,
  /** A data set's name, a folder, or a data set of one's own. */
  dataset: Schema.Union([Schema.String, layerOf<Dataset.Dataset>()]),
  /** A new folder for the journal and the best network. */
  out: Schema.String,
  /** Training processes. */
  workers: Count,
  /** How many of the best are trained again and compared. */
  finalists: Count,
  /** Epochs of these trainings. */
  finalEpochs: Count,
  /** How long trials are trained: `full`, or on rungs by `halving`, `asha` or `median`, which `epochs` is the last of. */
  fidelity: Schema.Literals(Fidelity.names),
  /** Epochs of the first rung. Default 1. */
  minEpochs: Count,
  /** Of so many trials on a rung one goes on. Default 3. */
  rungFactor: Schema.Finite.check(Schema.isGreaterThan(1)),
  /** Two or more for a search for a Pareto front. Default: the reward alone. */
  objectives: Schema.Array(Schema.Literals(Search.objectives)),
  /** Longest time for one trial: seconds, or a text such as `10min`. */
  trialTime: Units.Seconds,
  /** Most memory of a worker: bytes, or a text such as `2G`. */
  trialMemory: Units.Bytes,
  /** After this time nothing new is begun. */
  maxTime: Units.Seconds,
  /** After trainings of so many multiply-accumulates nothing new is begun. */
  maxTotalMacs: Units.TotalMacs,
  /** Which operators there are. Default: UniNet's own. */
  operators: layerOf<Operators>(),
  /** Which downsampling modules there are. Default: UniNet's own. */
  dsms: layerOf<Dsms>(),
  /** The space. Default: UniNet's, of these operators and modules, for the data set's images and classes. */
  space: layerOf<SearchSpace, Dataset.Dataset | Operators | Dsms>(),
  /** Says how good an architecture is, in every worker. Default: training by the recipe. */
  evaluator: layerOf<Evaluator, Trainer | Dataset.Dataset | Operators | Dsms | Runtime>(),
  /**
   * What the journal knows the module's code by: where it has layers of one's own, results of another version are not mixed with its. Default: a
   * digest of the module's text, so that every edit is another version; a version of one's own also speaks for what the module imports.
   */
  version: Schema.String
}

export const Config = Schema.Struct(fields).mapFields(Struct.map(Schema.optionalKey))
/** As it is used: amounts are numbers. */
export interface Config extends Schema.Schema.Type<typeof Config> {}
/** As it is written. */
export interface Input extends Schema.Codec.Encoded<typeof Config> {}

/** Describes a search. Gives its argument; what it is for is the check of its fields as they are written. */
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

/** The names that are looked for, in this order. */
export const names = ["uninet.config.ts", "uninet.config.mts", "uninet.config.js", "uninet.config.mjs"] as const

/** The config module of a folder, if it has one. */
export const find = (folder: string): string | undefined =>
  names.map((name) => join(folder, name)).find((path) => existsSync(path))

const decode = Schema.decodeUnknownEffect(Config)
const issues = SchemaIssue.makeFormatterStandardSchemaV1()

const said = (cause: unknown) => (cause instanceof Error ? cause.message.split("\n")[0] : String(cause))

/**
 * Imports a config module by its path or `file:` address.
 *
 * Fails with `ConfigUnreadable` (no such file, a mistake in it, no default export) or with `ConfigInvalid`, which names the field.
 */
export const load = Effect.fnUntraced(function* (
  pathOrUrl: string
): Effect.fn.Return<Loaded, ConfigUnreadable | ConfigInvalid> {
  const path = pathOrUrl.startsWith("file:") ? fileURLToPath(pathOrUrl) : resolve(pathOrUrl)
  const unreadable = (problem: string) => new ConfigUnreadable({ path, problem })
  const text = yield* Effect.try({
    try: () => readFileSync(path),
    catch: (cause) => unreadable(existsSync(path) ? `cannot be read (${said(cause)})` : "does not exist")
  })
  const url = pathToFileURL(path).href
  const module: unknown = yield* Effect.tryPromise({
    try: (): Promise<unknown> => import(url),
    catch: (cause) => unreadable(`cannot be imported (${said(cause)})`)
  })
  const given: unknown = Predicate.hasProperty(module, "default") ? module.default : undefined
  if (given === undefined) return yield* unreadable("has no default export")
  const config = yield* decode(given, { onExcessProperty: "error" }).pipe(
    Effect.mapError(({ issue }) => {
      const [first] = issues(issue).issues
      const field = (first?.path ?? []).map((key) => String(Predicate.isObject(key) ? key.key : key)).join(".")
      return new ConfigInvalid({ path, field, problem: (first?.message ?? "it is wrong").split("\n").join(" ") })
    })
  )
  const digest = createHash("sha256").update(text).digest("hex").slice(0, 16)
  return { config, path, url, version: config.version ?? `sha256:${digest}` }
})

/** Fields whose layers decide results, and that no name tells apart. */
export const deciding = ["operators", "dsms", "space", "dataset", "strategy", "evaluator"] as const

/** The fields for which a config has code of its own. */
export const ownLayers = (config: Config): ReadonlyArray<(typeof deciding)[number]> =>
  deciding.filter((field) => config[field] !== undefined && typeof config[field] !== "string")
