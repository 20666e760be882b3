/** The messages between the pool and a worker process. */
import * as Schema from "effect/Schema"
import { Training } from "../Training.ts"
import { Evaluation, Progress, Reason, Trial } from "../Trial.ts"

export const Request = Schema.TaggedUnion({
  /** With the trial's place in a trace in W3C format, if there is one. */
  Evaluate: { trial: Trial, traceparent: Schema.optionalKey(Schema.String) }
})
export type Request = typeof Request.Type

const Weights = Schema.declare((u: unknown): u is ReadonlyMap<string, Float32Array> => u instanceof Map)

export const Reply = Schema.TaggedUnion({
  /** The evaluator is ready; the worker waits for trials. */
  Ready: {},
  /** The evaluator could not be made. */
  Unable: { detail: Schema.String },
  Progress: { progress: Progress },
  /** Resident memory in bytes, sent now and then if there is a limit. */
  Memory: { bytes: Schema.Finite },
  Evaluated: { evaluation: Evaluation, weights: Schema.optionalKey(Weights), training: Training },
  Failed: { reason: Reason, detail: Schema.String, training: Training },
  /** The trial could not be evaluated here, through no fault of its own. */
  Lost: { problem: Schema.String, remedy: Schema.String }
})
export type Reply = typeof Reply.Type
