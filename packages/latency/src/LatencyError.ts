/** Why something cannot be measured or predicted. */
import * as Schema from "effect/Schema"

/** A model that cannot run here. */
export class ModelNotRun extends Schema.TaggedError<ModelNotRun>()("ModelNotRun", {
  /** The name of its file, or its point on one line. */
  model: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.model} cannot be measured: ${this.reason}; give an ONNX model that ONNX Runtime can run on this machine, such as one written by uninet export`
  }
}

/** The runtime for a target is not available here. */
export class NotHere extends Schema.TaggedError<NotHere>()("NotHere", {
  target: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.target} cannot be measured here: ${this.reason}; give cpu:n for n threads of this machine`
  }
}

/** A device file that cannot be used for what is asked of it. */
export class DeviceUnusable extends Schema.TaggedError<DeviceUnusable>()("DeviceUnusable", {
  reason: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return `the device file ${this.reason}; ${this.remedy}`
  }
}

/** Too little time for even a rough profile. */
export class TooFewMeasured extends Schema.TaggedError<TooFewMeasured>()("TooFewMeasured", {
  measured: Schema.Int,
  needed: Schema.Int
}) {
  override get message() {
    return `only ${this.measured} networks were measured, but ${this.needed} are needed; give the profile more minutes`
  }
}
