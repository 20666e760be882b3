/**
 * What a search evaluates with, from plain data and the config module: the same in the driver and in every worker, in whichever process or
 * machine that is.
 *
 * `Setup.module` is a worker's module (for `WorkerEvaluator` and the cluster's workers) whose options are `Settings`.
 */
import { type DataError, Dataset, Datasets } from "@uninet/data"
import { Dsms } from "@uninet/dsm"
import { Operators } from "@uninet/operators"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { SearchSpace, type SpaceError, UniNetSpace } from "@uninet/search-space"
import { Recipe, Trainer } from "@uninet/trainer"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Config from "./Config.ts"
import { ConfigChanged, type ConfigError, ConfigLayerFailed } from "./ConfigError.ts"
import { Evaluator } from "./Evaluator.ts"
import * as TrainingEvaluator from "./TrainingEvaluator.ts"

/** Everything that an evaluator is told. Plain JSON. */
export const Settings = Schema.Struct({
  /** The config module's address and its version when the search began; `null` where there is none. */
  config: Schema.NullOr(Schema.Struct({ url: Schema.String, version: Schema.String })),
  /** A data set's name or folder; `null` for the config module's own. */
  dataset: Schema.NullOr(Schema.String),
  recipe: Recipe.Recipe,
  /** A folder for trainings that are to be gone on with. Absent: none is kept. */
  checkpoints: Schema.optionalKey(Schema.String)
})
export type Settings = typeof Settings.Type

/** The settings as plain JSON, for a worker. */
export const toJson = (settings: Settings): Schema.Json =>
  Schema.decodeSync(Schema.fromJsonString(Schema.Json))(JSON.stringify(Schema.encodeSync(Settings)(settings)))

/** The config that the settings name; fails with `ConfigChanged` where it is another one by now. */
export const configOf = Effect.fnUntraced(function* ({
  config
}: Pick<Settings, "config">): Effect.fn.Return<Config.Loaded | undefined, ConfigError> {
  if (config === null) return undefined
  const loaded = yield* Config.load(config.url)
  if (loaded.version !== config.version)
    return yield* new ConfigChanged({ path: loaded.path, was: config.version, is: loaded.version })
  return loaded
})

const detailOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

/** A layer of the config's own, its failure named by the field. */
const own = <A, R>(loaded: Config.Loaded, field: string, layer: Layer.Layer<A, unknown, R>) =>
  Layer.catchCause(layer, (cause) =>
    Layer.effectContext(
      Effect.fail(new ConfigLayerFailed({ path: loaded.path, field, detail: detailOf(Cause.squash(cause)) }))
    )
  )

/** The operators and the downsampling modules. */
export const sets = (loaded: Config.Loaded | undefined): Layer.Layer<Operators | Dsms, ConfigLayerFailed> =>
  Layer.mergeAll(
    loaded?.config.operators === undefined ? Operators.standard : own(loaded, "operators", loaded.config.operators),
    loaded?.config.dsms === undefined ? Dsms.standard : own(loaded, "dsms", loaded.config.dsms)
  )

/** The data set: of a name, or the config's own. */
export const dataset = (
  loaded: Config.Loaded | undefined,
  name: string | null
): Layer.Layer<Dataset.Dataset, DataError.DataError | ConfigLayerFailed> => {
  const given = loaded?.config.dataset
  return name === null && loaded !== undefined && given !== undefined && typeof given !== "string"
    ? own(loaded, "dataset", given)
    : Datasets.byName(name ?? "mnist")
}

/** The space: the config's own, or UniNet's of the operators, the modules and the data set's images. */
export const space = (
  loaded: Config.Loaded | undefined
): Layer.Layer<
  SearchSpace,
  SpaceError.InvalidSpace | DataError.NotImages | ConfigLayerFailed,
  Dataset.Dataset | Operators | Dsms
> =>
  loaded?.config.space === undefined
    ? Layer.effect(
        SearchSpace,
        Effect.gen(function* () {
          const { classes, image } = yield* Dataset.images(yield* Dataset.Dataset)
          const operators = yield* Operators
          const dsms = yield* Dsms
          const { channels, height, width } = image
          return yield* Effect.fromResult(
            UniNetSpace.make({
              image: { height, width },
              channels,
              classes: classes.length,
              ...(loaded?.config.operators === undefined ? {} : { operators: Object.keys(operators) }),
              ...(loaded?.config.dsms === undefined ? {} : { dsms: Object.keys(dsms) })
            })
          )
        })
      )
    : own(loaded, "space", loaded.config.space)

/** A trainer for the operators and modules at hand, one thread for each training. */
export const trainer: Layer.Layer<Trainer, never, Operators | Dsms | Dataset.Dataset | Runtime> = Layer.unwrap(
  Effect.gen(function* () {
    return Trainer.layer({ operators: yield* Operators, dsms: yield* Dsms })
  })
)

type Needs = Trainer | Dataset.Dataset | Runtime | Operators | Dsms

/** Operators, modules, data set and trainer on an engine. */
export const training = <E = never>(
  loaded: Config.Loaded | undefined,
  name: string | null,
  engine: Layer.Layer<Runtime, E>
): Layer.Layer<Needs, DataError.DataError | ConfigLayerFailed | E> =>
  trainer.pipe(Layer.provideMerge(Layer.mergeAll(sets(loaded), dataset(loaded, name), engine)))

/** The config's own evaluator; where it gives no weights and they are wanted, as at the end of a search, by training. */
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

/** What evaluates trials in this process: the config's own evaluator, or training by the recipe. */
export const evaluator = (
  settings: Settings,
  engine: Layer.Layer<Runtime, unknown> = OnnxRuntime.cpu()
): Layer.Layer<Evaluator, unknown> =>
  Layer.unwrap(
    Effect.map(configOf(settings), (loaded) => {
      const given = loaded?.config.evaluator
      const { checkpoints, recipe } = settings
      const trains = TrainingEvaluator.layer({ recipe, ...(checkpoints === undefined ? {} : { checkpoints }) })
      const evaluating = loaded !== undefined && given !== undefined ? ownEvaluator(loaded, given, trains) : trains
      return Layer.provide(evaluating, training(loaded, settings.dataset, engine))
    })
  )

/** The module that workers import: its default export makes an evaluator from `Settings`. */
export const module = new URL(
  import.meta.url.endsWith(".ts") ? "./internal/setup.ts" : "./internal/setup.js",
  import.meta.url
)
