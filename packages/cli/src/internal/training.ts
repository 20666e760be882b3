/** What a worker process of `uninet search` evaluates with: what the search's settings say, on a device. */
import { type Evaluator, Setup } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Device from "./device.ts"
import * as spaces from "./spaces.ts"

/** Everything a worker is told. */
export const Options = Schema.Struct({ setup: Setup.Settings, device: Schema.Literals(Device.chosen) })
export type Options = typeof Options.Type

/** The options as plain JSON. */
export const toJson = ({ device, setup }: Options): Schema.Json => ({ setup: Setup.toJson(setup), device })

/** This module's address, for workers to import. */
export const module = new URL(import.meta.url)

const evaluator = (options: unknown): Layer.Layer<Evaluator.Evaluator, unknown> =>
  Layer.unwrap(
    Effect.map(Schema.decodeUnknownEffect(Options)(options), ({ device, setup }) =>
      Setup.evaluator(setup, { engine: Device.layer(device), known: spaces.known })
    )
  )

export default evaluator
