/** Evaluates in no time: what is left is what a trial costs apart from its training. */
import type { Evaluator } from "@uninet/search"
import type * as Layer from "effect/Layer"
import { formula } from "./searched.ts"

const evaluator: Layer.Layer<Evaluator.Evaluator> = formula()
export default evaluator
