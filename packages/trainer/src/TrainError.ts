import type { DataError } from "@uninet/data"
import type { GraphError } from "@uninet/graph"
import type { Weights } from "@uninet/nn"
import type { RuntimeError } from "@uninet/engine"
import * as Schema from "effect/Schema"
import type { CheckpointError } from "./CheckpointError.ts"

/** The loss, a gradient or a weight became infinite or not a number. */
export class Diverged extends Schema.TaggedError<Diverged>()("Diverged", {
  /** The step, counted from 0 over the whole run. */
  step: Schema.Finite,
  learningRate: Schema.Number,
  /** Where it was found: `the loss`, `the gradients' norm`, `a weight`. */
  what: Schema.String,
  value: Schema.Number,
  /** The file of the last checkpoint, if any was saved; all its numbers are finite. */
  checkpoint: Schema.NullOr(Schema.String),
  /** The command that repeats the steps up to here, if the caller gave one. */
  replay: Schema.NullOr(Schema.String)
}) {
  override get message() {
    const rate = this.learningRate.toPrecision(3)
    return [
      `training diverged: ${this.what} is ${this.value} at step ${this.step} with a learning rate of ${rate}; lower the learning rate, lengthen the warm-up or clip the gradients`,
      ...(this.checkpoint === null ? [] : [`last good checkpoint: ${this.checkpoint}`]),
      ...(this.replay === null ? [] : [`to reproduce it: ${this.replay}`])
    ].join("; ")
  }
}

/** A trained network gives numbers that are not finite, so nothing can be said of how good it is. */
export class NotFinite extends Schema.TaggedError<NotFinite>()("NotFinite", {
  /** `the weight classifier.bias`, `the loss on the test split`. */
  what: Schema.String,
  value: Schema.Number
}) {
  override get message() {
    return `${this.what} is ${this.value}, so the network cannot be judged; train it again, with a lower learning rate or clipped gradients if it diverged`
  }
}

/** The data set's examples or targets are not what the network or its task takes. */
export class DatasetMismatch extends Schema.TaggedError<DatasetMismatch>()("DatasetMismatch", {
  dataset: Schema.String,
  /** `inputs`, `targets`, `classes`. */
  what: Schema.String,
  /** What the network or its task takes, and what the data set has, in words. */
  takes: Schema.String,
  has: Schema.String
}) {
  override get message() {
    const takes = this.what === "classes" ? `${this.takes} classes` : `the ${this.what} ${this.takes}`
    return `the network takes ${takes}, but ${this.dataset} has ${this.has}; give a data set that it takes, or a network made for this one`
  }
}

/** A task's loss cannot be used for training. */
export class LossFailed extends Schema.TaggedError<LossFailed>()("LossFailed", {
  task: Schema.String,
  /** Such as "failed: no such output". */
  problem: Schema.String
}) {
  override get message() {
    return `the loss of the task ${this.task} ${this.problem}; make it return the batch's mean, a single number, for the outputs that the task takes`
  }
}

/** The training split is smaller than one batch. */
export class TooFewExamples extends Schema.TaggedError<TooFewExamples>()("TooFewExamples", {
  dataset: Schema.String,
  examples: Schema.Finite,
  batch: Schema.Finite
}) {
  override get message() {
    return `${this.dataset} has ${this.examples} training examples, fewer than one batch of ${this.batch}; lower the batch size`
  }
}

/** A recipe has a value that makes no sense. */
export class InvalidRecipe extends Schema.TaggedError<InvalidRecipe>()("InvalidRecipe", {
  /** Such as `learningRate`. */
  field: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `the recipe's ${this.field} is wrong: ${this.problem}; correct it`
  }
}

/** A recipe asks for something that the task or the model cannot do. */
export class RecipeRefused extends Schema.TaggedError<RecipeRefused>()("RecipeRefused", {
  task: Schema.String,
  part: Schema.String,
  reason: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return `the recipe's ${this.part} cannot be used for ${this.task}: ${this.reason}; ${this.remedy}`
  }
}

/** The errors of a training. */
export type TrainError =
  | CheckpointError
  | DataError.DataError
  | DatasetMismatch
  | Diverged
  | GraphError
  | InvalidRecipe
  | NotFinite
  | LossFailed
  | RecipeRefused
  | RuntimeError
  | TooFewExamples
  | Weights.WeightsMismatch
