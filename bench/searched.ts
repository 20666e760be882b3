/** What the benchmark of the search looks through, and a formula in place of training. A module of its own, because workers load the space from it. */
import { Evaluator } from "@uninet/search"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"

const digits = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))
export default digits

/** Evaluates in no time: what is left is what a trial costs besides its training. */
export const formula = (options: Evaluator.FunctionOptions = {}): Layer.Layer<Evaluator.Evaluator> =>
  Evaluator.fromFunction(
    digits,
    ({ stages }) => Effect.succeed({ accuracy: 1 / stages.length, top5: 1, loss: 1, calibrationError: 0 }),
    options
  )
