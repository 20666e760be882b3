/** One trial of a search: what an evaluator is asked, what it returns, and how it can fail. */
import * as Schema from "effect/Schema"
import { Training } from "./Training.ts"

/** A point to evaluate. Plain data, which can be sent to worker processes and machines as it is. */
export const Trial = Schema.Struct({
  /** Counted from 0, in the order of the strategy's proposals. */
  index: Schema.Int,
  /** The point in the JSON form of the space, which decodes it. */
  point: Schema.Json,
  /** Seeds everything random in the evaluation. Derived only from the search's seed and the index. */
  seed: Schema.String,
  /** Epochs to train instead of the evaluator's own number, if it trains. */
  epochs: Schema.optionalKey(Schema.Int),
  /**
   * Epochs after which to stop and return a result, before the training is complete: the fidelity of that result. When asked again with
   * more, the training continues where it stopped, if the evaluator kept it.
   */
  until: Schema.optionalKey(Schema.Int),
  /** A name under which the training may be kept, to be continued later. Default: it is not kept. */
  keep: Schema.optionalKey(Schema.String),
  /** The examples to train on. Default `train`. */
  trainOn: Schema.optionalKey(Schema.Literals(["train", "train+validation"])),
  /** Whether to return the trained weights. */
  keepWeights: Schema.optionalKey(Schema.Boolean)
})
export type Trial = typeof Trial.Type

/** How far an evaluation has got. */
export const Progress = Schema.Struct({
  /** The share that is done, 0 … 1. */
  done: Schema.Finite,
  /** The current training loss. */
  loss: Schema.optionalKey(Schema.Finite),
  examplesPerSecond: Schema.optionalKey(Schema.Finite)
})
export type Progress = typeof Progress.Type

/** The result of an evaluation. */
export const Evaluation = Schema.Struct({
  /** The task's measures on the validation split, by name. Empty if there was nothing to validate on. */
  measures: Schema.Record(Schema.String, Schema.Finite),
  /** The fidelity: epochs trained. Do not compare measures of different fidelities. `null` if nothing is trained. */
  epochs: Schema.NullOr(Schema.Finite),
  /** Epochs after which the recipe's early stopping ended the training, if it stopped before the end. */
  stoppedAfter: Schema.optionalKey(Schema.Int)
})
export type Evaluation = typeof Evaluation.Type

/** A network's parameters and running statistics, by name. */
export type Weights = ReadonlyMap<string, Float32Array>

/** An evaluation, with the weights if the trial asked for them and the evaluator has any, and how it was done if the evaluator says so. */
export interface Evaluated extends Evaluation {
  readonly weights?: Weights
  readonly training?: Training
}

/**
 * Why a trial failed.
 *
 * - `Failed`: the evaluator reported a failure, such as a network that cannot be trained.
 * - `Diverged`: the loss became infinite or not a number.
 * - `Crashed`: the worker process ended, or the evaluator has a defect.
 * - `TimedOut`: it took longer than the limit.
 * - `OutOfMemory`: it used more memory than the limit, or than there was.
 */
export const Reason = Schema.Literals(["Failed", "Diverged", "Crashed", "TimedOut", "OutOfMemory"])
export type Reason = typeof Reason.Type

/** A trial that gave no result. The search records it and goes on. */
export class TrialFailed extends Schema.TaggedError<TrialFailed>()("TrialFailed", {
  trial: Schema.Int,
  reason: Reason,
  detail: Schema.String,
  /** How far it got, if its evaluator says so. */
  training: Schema.optionalKey(Training)
}) {
  override get message() {
    return `trial ${this.trial} ${says[this.reason]}: ${this.detail}`
  }
}

/** A reason as a verb. */
export const says = {
  Failed: "failed",
  Diverged: "diverged",
  Crashed: "crashed",
  TimedOut: "was stopped",
  OutOfMemory: "ran out of memory"
} as const satisfies Record<Reason, string>

/**
 * The seed of a trial: from the search's seed and the trial's index only, whatever else runs.
 *
 * @example
 * ```ts
 * import { Trial } from "@uninet/search"
 *
 * // What a trial draws depends on the search's seed and its own number alone: it can be replayed by itself.
 * console.log(Trial.seedOf("demo", 12)) // demo/trial/12
 * console.log(Trial.unsound({ measures: { accuracy: NaN }, epochs: 1 })) // says which measure is no number
 * ```
 */
export const seedOf = (search: string | number, index: number): string => `${search}/trial/${index}`

/** What in an evaluation is not a number, in words; `undefined` if everything is. Such an evaluation cannot be a result, whichever evaluator returned it. */
export const unsound = ({ epochs, measures }: Pick<Evaluation, "epochs" | "measures">): string | undefined => {
  const wrong = Object.entries({ ...measures, ...(epochs === null ? {} : { "number of epochs": epochs }) }).find(
    ([, value]) => !Number.isFinite(value)
  )
  return wrong === undefined ? undefined : `its ${wrong[0]} is ${String(wrong[1])}`
}
