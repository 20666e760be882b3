import type { DataError } from "@uninet/data"
import type { GraphError } from "@uninet/graph"
import type { ArchitectureError } from "@uninet/network"
import type { RuntimeError } from "@uninet/runtime"
import * as Schema from "effect/Schema"

/** The loss became infinite or not a number. */
export class Diverged extends Schema.TaggedError<Diverged>()("Diverged", {
  /** The step, counted from 0 over the whole run. */
  step: Schema.Finite,
  learningRate: Schema.Finite,
  loss: Schema.Number
}) {
  override get message() {
    return `training diverged: the loss is ${this.loss} at step ${this.step} with a learning rate of ${this.learningRate.toPrecision(3)}; lower the learning rate or lengthen the warm-up`
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
  | DataError.DataError
  | DatasetMismatch
  | Diverged
  | GraphError
  | RuntimeError
  | TooFewImages
