/**
 * How a search evaluates, from plain data and the config module. It is the same in the driver and in every worker, in any process or
 * machine.
 *
 * `Setup.module` is a module for workers (of `WorkerEvaluator` and of the cluster), with `Settings` as its options, for spaces that a
 * config module gives.
 */
import { type DataError, Dataset, Datasets } from "@uninet/data"
import { Facts, type ModelSpace, Recipe } from "@uninet/model-space"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { Surroundings, type Teacher, Trainer } from "@uninet/trainer"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Config from "./Config.ts"
import { ConfigChanged, type ConfigError, ConfigInvalid, ConfigLayerFailed } from "./ConfigError.ts"
import { Evaluator } from "./Evaluator.ts"
import * as SpaceSource from "./SpaceSource.ts"
import * as TrainingEvaluator from "./TrainingEvaluator.ts"
import { detailOf } from "./internal/detail.ts"

/** Everything that a worker process needs in order to evaluate trials of a search, as plain JSON. */
export const Settings = Schema.Struct({
  /** The config module's address and its version when the search began; `null` if there is none. */
  config: Schema.NullOr(Schema.Struct({ url: Schema.String, version: Schema.String })),
  /** What is searched. */
  space: SpaceSource.SpaceSource,
  /** A data set's name or folder, or a module with its own data set; `null` for the config module's. */
  dataset: Schema.NullOr(Schema.String),
  recipe: Recipe.Recipe,
  /** Whether images of a folder that cannot be read are left out. Absent: no. */
  skipBad: Schema.optionalKey(Schema.Boolean),
  /** A folder for trainings that are to be continued. Absent: none are kept. */
  checkpoints: Schema.optionalKey(Schema.String),
  /** The surroundings that trials have to be trained under, wherever they run: data content, software, engine, machine. Absent: any. */
  surroundings: Schema.optionalKey(Surroundings.Surroundings)
})
export type Settings = typeof Settings.Type

/** The settings as plain JSON, for a worker. */
export const toJson = (settings: Settings): Schema.Json =>
  Schema.decodeSync(Schema.fromJsonString(Schema.Json))(JSON.stringify(Schema.encodeSync(Settings)(settings)))

/** The config that the settings name; fails with `ConfigChanged` if it has changed since. */
export const configOf = Effect.fnUntraced(function* ({
  config
}: Pick<Settings, "config">): Effect.fn.Return<Config.Loaded | undefined, ConfigError> {
  if (config === null) return undefined
  const loaded = yield* Config.load(config.url)
  if (loaded.version !== config.version)
    return yield* new ConfigChanged({ path: loaded.path, was: config.version, is: loaded.version })
  return loaded
})

/** A layer from the config; its failure names the field. */
const own = <A, R>(loaded: Pick<Config.Loaded, "path">, field: string, layer: Layer.Layer<A, unknown, R>) =>
  Layer.catchCause(layer, (cause) =>
    Layer.effectContext(
      Effect.fail(new ConfigLayerFailed({ path: loaded.path, field, detail: detailOf(Cause.squash(cause)) }))
    )
  )

/** A module's data set: its default export, or a field of its config. */
const datasetIn = (path: string): Layer.Layer<Dataset.Dataset, DataError.DataError | ConfigError> =>
  Layer.unwrap(
    Effect.gen(function* (): Effect.fn.Return<
      Layer.Layer<Dataset.Dataset, DataError.DataError | ConfigError>,
      ConfigError
    > {
      const module = yield* Config.importModule(path)
      const { exported } = module
      const loaded = Config.isDataset(exported) ? undefined : yield* Config.read(module)
      const given = loaded === undefined && Config.isDataset(exported) ? exported : loaded?.config.dataset
      if (typeof given === "string") return Datasets.byName(given)
      return given === undefined
        ? yield* new ConfigInvalid({
            path: module.path,
            field: "dataset",
            problem: "it is missing; give it a data set"
          })
        : own({ path: module.path }, "dataset", given)
    })
  )

/** The layer of a data set: by name, folder or module; for `null`, the config's. */
export const dataset = (
  loaded: Config.Loaded | undefined,
  name: string | null,
  options: Datasets.Options = {}
): Layer.Layer<Dataset.Dataset, DataError.DataError | ConfigError> => {
  const given = loaded?.config.dataset
  if (name === null && loaded !== undefined && given !== undefined && typeof given !== "string")
    return own(loaded, "dataset", given)
  return name !== null && SpaceSource.isModule(name) ? datasetIn(name) : Datasets.byName(name ?? "mnist", options)
}

/**
 * The space to search, for the data set in use.
 *
 * Fails with `ConfigChanged` if its module has changed since the search began.
 */
export const space = (known: SpaceSource.Known = {}) =>
  Effect.fnUntraced(function* (
    source: SpaceSource.SpaceSource
  ): Effect.fn.Return<ModelSpace.Any, SpaceSource.SpaceError, Dataset.Dataset> {
    if (source._tag === "Module") {
      const { path, version } = yield* Config.importModule(source.path)
      if (version !== source.version) return yield* new ConfigChanged({ path, was: source.version, is: version })
    }
    return yield* SpaceSource.load(Facts.of(yield* Dataset.Dataset), known)(source)
  })

type Needs = Trainer | Dataset.Dataset | Runtime

/** The layer of a data set and of a trainer for it, on an engine. */
export const training = <E = never>(
  loaded: Config.Loaded | undefined,
  name: string | null,
  engine: Layer.Layer<Runtime, E>,
  options: Datasets.Options = {}
): Layer.Layer<Needs, DataError.DataError | ConfigError | E> =>
  Trainer.layer.pipe(Layer.provideMerge(Layer.mergeAll(dataset(loaded, name, options), engine)))

/** The config's own evaluator. Where it gives no weights and they are wanted, as at the end of a search, the network is trained instead. */
const ownEvaluator = (
  loaded: Config.Loaded,
  ownLayer: Layer.Layer<Evaluator, unknown, Needs>,
  training: Layer.Layer<Evaluator, never, Trainer>
) =>
  Layer.effect(
    Evaluator,
    Effect.gen(function* () {
      const given = Context.get(yield* Layer.build(own(loaded, "evaluator", ownLayer)), Evaluator)
      const trained = Context.get(yield* Layer.build(training), Evaluator)
      return Evaluator.of({
        concurrency: given.concurrency,
        evaluate: (trial, report) =>
          trial.keepWeights === true
            ? Effect.flatMap(given.evaluate(trial, report), (found) =>
                found.weights === undefined ? trained.evaluate(trial, report) : Effect.succeed(found)
              )
            : given.evaluate(trial, report)
      })
    })
  )

/** The engine, and what else a training uses. */
export interface EvaluatorOptions {
  /** Default: ONNX Runtime on the CPU. */
  readonly engine?: Layer.Layer<Runtime, unknown>
  /** Default: no space is known by name. */
  readonly known?: SpaceSource.Known
  /** Additional measures of trained networks, besides their task's. Default: none. */
  readonly also?: Effect.Effect<TrainingEvaluator.Also, never, Dataset.Dataset>
  /** The network that the recipe's `distillation` learns from. Default: none. */
  readonly teacher?: Effect.Effect<Teacher.Teacher, unknown, Dataset.Dataset>
}

/** Trials on other data, or from another engine, are not results of this search. */
export class SurroundingsDiffer extends Schema.TaggedError<SurroundingsDiffer>()("SurroundingsDiffer", {
  what: Schema.String,
  search: Schema.String,
  here: Schema.String
}) {
  override get message() {
    return `${this.what} is ${this.here} here, but the search's is ${this.search}, so the same trial would give a different result. Make both the same, or allow a mixture with uninet search --allow-mixed.`
  }
}

/** Fails if this process would train under different surroundings from the search's. */
const agreed = Effect.fnUntraced(function* ({ surroundings }: Pick<Settings, "surroundings">) {
  if (surroundings === undefined) return
  const found = Surroundings.difference([surroundings], yield* Surroundings.here)
  if (found !== undefined)
    return yield* new SurroundingsDiffer({ what: found.what, search: found.before, here: found.now })
})

/** Evaluates trials in this process: with the config's own evaluator, or by training with the recipe. */
export const evaluator = (
  settings: Settings,
  { also, engine = OnnxRuntime.cpu(), known = {}, teacher }: EvaluatorOptions = {}
): Layer.Layer<Evaluator, unknown> =>
  Layer.unwrap(
    Effect.map(configOf(settings), (loaded) => {
      const { checkpoints, recipe, skipBad = false } = settings
      const evaluating = Layer.unwrap(
        Effect.gen(function* () {
          yield* agreed(settings)
          const of = yield* space(known)(settings.space)
          const trains = TrainingEvaluator.layer(of, {
            recipe,
            ...(checkpoints === undefined ? {} : { checkpoints }),
            ...(also === undefined ? {} : { also: yield* also }),
            ...(teacher === undefined ? {} : { teacher: yield* teacher })
          })
          const given = loaded?.config.evaluator
          return loaded === undefined || given === undefined
            ? trains
            : ownEvaluator(loaded, typeof given === "function" ? given(of) : given, trains)
        })
      )
      return Layer.provide(evaluating, training(loaded, settings.dataset, engine, { skipBad }))
    })
  )

/** The module that workers import. Its default export makes an evaluator from `Settings`. */
export const module = new URL(
  import.meta.url.endsWith(".ts") ? "./internal/setup.ts" : "./internal/setup.js",
  import.meta.url
)
