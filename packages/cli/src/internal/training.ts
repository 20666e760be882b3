/** What a worker process of `uninet search` evaluates with: UniNet's own operators, a data set by name, one thread. */
import { type DataError, type Dataset, Datasets } from "@uninet/data"
import type { DeviceUnavailable, Runtime } from "@uninet/runtime"
import { type Evaluator, TrainingEvaluator } from "@uninet/search"
import { Recipe, Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Device from "./device.ts"

/** Everything a worker is told. */
export const Options = Schema.Struct({
  dataset: Schema.String,
  recipe: Recipe.Recipe,
  device: Schema.Literals(Device.chosen)
})
export type Options = typeof Options.Type

/** The trainer on a data set, one thread for each training. */
export const trainer = (
  dataset: string,
  device: Device.Chosen
): Layer.Layer<Trainer | Dataset.Dataset | Runtime, DataError.DataError | DeviceUnavailable> =>
  Trainer.layer().pipe(Layer.provideMerge(Layer.mergeAll(Datasets.byName(dataset), Device.layer(device))))

const evaluator = (options: unknown): Layer.Layer<Evaluator.Evaluator, unknown> =>
  Layer.unwrap(
    Effect.map(Schema.decodeUnknownEffect(Options)(options), ({ dataset, device, recipe }) =>
      TrainingEvaluator.layer({ recipe }).pipe(Layer.provide(trainer(dataset, device)))
    )
  )

export default evaluator
