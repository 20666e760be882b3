/** The evaluator of a worker process in a configured search. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Evaluator } from "../Evaluator.ts"
import * as Setup from "../Setup.ts"

const evaluator = (options: unknown): Layer.Layer<Evaluator, unknown> =>
  Layer.unwrap(Effect.map(Schema.decodeUnknownEffect(Setup.Settings)(options), (settings) => Setup.evaluator(settings)))

export default evaluator
