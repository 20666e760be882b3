/** How a worker process of `uninet search` evaluates: as the search's settings say, on a device. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Dataset } from "@uninet/data"
import { Int8 } from "@uninet/export"
import { type Evaluator, Setup, type TrainingEvaluator } from "@uninet/search"
import { Fitting } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Device from "./device.ts"
import * as teachers from "./teachers.ts"
import * as spaces from "./spaces.ts"

/** Everything a worker is told. */
export const Options = Schema.Struct({
  setup: Setup.Settings,
  device: Schema.Literals(Device.chosen),
  /** Whether networks are also measured in eight bits; absent if they are not. */
  int8: Schema.optionalKey(Schema.Boolean),
  /** The teacher of the networks; absent if there is none. */
  teacher: Schema.optionalKey(teachers.Named)
})
export type Options = typeof Options.Type

/** The options as plain JSON. */
export const toJson = ({ device, int8 = false, setup, teacher }: Options): Schema.Json => ({
  setup: Setup.toJson(setup),
  device,
  ...(int8 ? { int8 } : {}),
  ...(teacher === undefined ? {} : { teacher })
})

/** This module's address, for workers to import. */
export const module = new URL(import.meta.url)

/** How good networks are in eight bits, on the data set they are trained on. */
const inEightBits = Effect.map(
  Dataset.Dataset,
  (dataset): TrainingEvaluator.Also =>
    ({ network, recipe, weights }) =>
      Effect.gen(function* () {
        const data = yield* Fitting.of(network, dataset, recipe.imageSize)
        const value = yield* Int8.measured({ ...network, weights }, data)
        return value === null ? {} : { [Int8.measureOf(network.task)]: value }
      })
)

/** Evaluates trials in this process. */
export const evaluator = ({
  device,
  int8 = false,
  setup,
  teacher
}: Options): Layer.Layer<Evaluator.Evaluator, unknown> =>
  Setup.evaluator(setup, {
    engine: Device.layer(device),
    known: spaces.known,
    ...(int8 ? { also: inEightBits } : {}),
    ...(teacher === undefined ? {} : { teacher: Effect.provide(teachers.read(teacher), NodeServices.layer) })
  })

export default (options: unknown): Layer.Layer<Evaluator.Evaluator, unknown> =>
  Layer.unwrap(Effect.map(Schema.decodeUnknownEffect(Options)(options), evaluator))
