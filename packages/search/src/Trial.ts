/** One trial of a search: what is asked of an evaluator, what it gives back, and how it can fail. */
import * as Schema from "effect/Schema"
import { Training } from "./Training.ts"

/** A point to be evaluated. Plain data: it crosses to worker processes and machines as it is. */
export const Trial = Schema.Struct({
  /** Counted from 0 in the order in which the strategy proposed. */
  index: Schema.Int,
  /** The point in the JSON form of the space, which decodes it. */
  point: Schema.Json,
  /** Decides everything random in the evaluation. Derived from the search's seed and the index alone. */
  seed: Schema.String,
  /** Epochs to train in place of the evaluator's own, if it trains. */
  epochs: Schema.optionalKey(Schema.Int),
  /**
   * Epochs after which to stop and give a result, on the way to all of them: the fidelity of that result. Asked again with more, the training goes on
   * where it stopped, if the evaluator kept it.
   */
  until: Schema.optionalKey(Schema.Int),
  /** A name under which the training may keep itself, to be gone on with. Default: it is not kept. */
  keep: Schema.optionalKey(Schema.String),
  /** The examples to train on. Default `train`. */
  trainOn: Schema.optionalKey(Schema.Literals(["train", "train+validation"])),
  /** Whether the trained weights are to be given back. */
  keepWeights: Schema.optionalKey(Schema.Boolean)
})
export type Trial = typeof Trial.Type

/** How far an evaluation is. */
export const Progress = Schema.Struct({
  /** Share that is done, 0 … 1. */
  done: Schema.Finite,
  /** The training loss at this moment. */
  loss: Schema.optionalKey(Schema.Finite),
  examplesPerSecond: Schema.optionalKey(Schema.Finite)
})
export type Progress = typeof Progress.Type

/** What an evaluation found out. */
export const Evaluation = Schema.Struct({
  /** The task's measures on the validation split, by name. Empty where there was nothing to validate on. */
  measures: Schema.Record(Schema.String, Schema.Finite),
  /** The fidelity: epochs trained. Measures of different fidelities are not to be compared. `null` where nothing is trained. */
  epochs: Schema.NullOr(Schema.Finite),
  /** Epochs after which the recipe's early stopping ended the training, where that was before them. */
  stoppedAfter: Schema.optionalKey(Schema.Int)
})
export type Evaluation = typeof Evaluation.Type

/** A network's parameters and running statistics, by name. */
export type Weights = ReadonlyMap<string, Float32Array>

/** An evaluation, with the weights where the trial asked for them and the evaluator has any, and how it came about where the evaluator says. */
export interface Evaluated extends Evaluation {
  readonly weights?: Weights
  readonly training?: Training
}

/**
 * Why a trial failed.
 *
 * - `Failed`: the evaluator said so, such as a network that cannot be trained.
 * - `Diverged`: the loss became infinite or not a number.
 * - `Crashed`: the worker process ended, or the evaluator has a defect.
 * - `TimedOut`: it took longer than the limit.
 * - `OutOfMemory`: it took more memory than the limit, or than there was.
 */
export const Reason = Schema.Literals(["Failed", "Diverged", "Crashed", "TimedOut", "OutOfMemory"])
export type Reason = typeof Reason.Type

/** A trial that gave no result. The search records it and goes on. */
export class TrialFailed extends Schema.TaggedError<TrialFailed>()("TrialFailed", {
  trial: Schema.Int,
  reason: Reason,
  detail: Schema.String,
  /** How far it came, where its evaluator says. */
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
 * The seed of a trial: the search's, and the trial's index, whatever else runs.
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

/** What is no number in an evaluation, in words; `undefined` where all is. It cannot be a result, whoever gives it. */
export const unsound = ({ epochs, measures }: Pick<Evaluation, "epochs" | "measures">): string | undefined => {
  const wrong = Object.entries({ ...measures, ...(epochs === null ? {} : { "number of epochs": epochs }) }).find(
    ([, value]) => !Number.isFinite(value)
  )
  return wrong === undefined ? undefined : `its ${wrong[0]} is ${String(wrong[1])}`
}
