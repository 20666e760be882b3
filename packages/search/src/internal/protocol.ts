/** What the pool and a worker process say to one another. */
import * as Schema from "effect/Schema"
import { Training } from "../Training.ts"
import { Evaluation, Progress, Reason, Trial } from "../Trial.ts"

export const Request = Schema.TaggedUnion({
  /** With the trial's place in a trace, as W3C writes it, where there is one. */
  Evaluate: { trial: Trial, traceparent: Schema.optionalKey(Schema.String) }
})
export type Request = typeof Request.Type

const Weights = Schema.declare((u: unknown): u is ReadonlyMap<string, Float32Array> => u instanceof Map)

export const Reply = Schema.TaggedUnion({
  /** The evaluator is there; the worker waits for trials. */
  Ready: {},
  /** The evaluator could not be made. */
  Unable: { detail: Schema.String },
  Progress: { progress: Progress },
  /** Resident memory in bytes, now and then, where there is a limit. */
  Memory: { bytes: Schema.Finite },
  Evaluated: { evaluation: Evaluation, weights: Schema.optionalKey(Weights), training: Training },
  Failed: { reason: Reason, detail: Schema.String, training: Training },
  /** It could not be evaluated here, which is not the trial's fault. */
  Lost: { problem: Schema.String, remedy: Schema.String }
})
export type Reply = typeof Reply.Type
