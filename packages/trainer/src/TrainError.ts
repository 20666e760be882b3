import type { DataError } from "@uninet/data"
import type { GraphError } from "@uninet/graph"
import type { ArchitectureError } from "@uninet/network"
import type { Weights } from "@uninet/nn"
import type { RuntimeError } from "@uninet/runtime"
import * as Schema from "effect/Schema"
import type { CheckpointError } from "./CheckpointError.ts"

/** The loss, a gradient or a weight became infinite or not a number. */
export class Diverged extends Schema.TaggedError<Diverged>()("Diverged", {
  /** The step, counted from 0 over the whole run. */
  step: Schema.Finite,
  learningRate: Schema.Finite,
  /** What it was found by: `the loss`, `the gradients' norm`, `a weight`. */
  what: Schema.String,
  value: Schema.Number,
  /** The file of the last checkpoint, whose numbers are all finite, if any was saved. */
  checkpoint: Schema.NullOr(Schema.String),
  /** The command that does the steps up to here again, where the caller gave one. */
  replay: Schema.NullOr(Schema.String)
}) {
  override get message() {
    const rate = this.learningRate.toPrecision(3)
    return [
      `training diverged: ${this.what} is ${this.value} at step ${this.step} with a learning rate of ${rate}; lower the learning rate, lengthen the warm-up or clip the gradients`,
      ...(this.checkpoint === null ? [] : [`last good checkpoint: ${this.checkpoint}`]),
      ...(this.replay === null ? [] : [`to see it again: ${this.replay}`])
    ].join("; ")
  }
}

/** The data set's images or classes are not those the architecture was made for. */
export class DatasetMismatch extends Schema.TaggedError<DatasetMismatch>()("DatasetMismatch", {
  dataset: Schema.String,
  what: Schema.String,
  architecture: Schema.String,
  data: Schema.String
}) {
  override get message() {
    return `the architecture takes ${this.what} of ${this.architecture}, but ${this.dataset} has ${this.data}; choose a space for this data set`
  }
}

/** The training split is smaller than one batch. */
export class TooFewImages extends Schema.TaggedError<TooFewImages>()("TooFewImages", {
  dataset: Schema.String,
  images: Schema.Finite,
  batch: Schema.Finite
}) {
  override get message() {
    return `${this.dataset} has ${this.images} training images, fewer than one batch of ${this.batch}; lower the batch size`
  }
}

export type TrainError =
  | ArchitectureError
  | CheckpointError
  | DataError.DataError
  | DatasetMismatch
  | Diverged
  | GraphError
  | RuntimeError
  | TooFewImages
  | Weights.WeightsMismatch
