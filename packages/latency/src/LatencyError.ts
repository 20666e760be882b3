/** Why nothing is measured or predicted. */
import * as Schema from "effect/Schema"

/** A model that cannot be run here. */
export class ModelNotRun extends Schema.TaggedError<ModelNotRun>()("ModelNotRun", {
  /** Its name: of a file, or a point in a line. */
  model: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.model} cannot be measured: ${this.reason}; give an ONNX model that ONNX Runtime runs on this machine, as uninet export writes them`
  }
}

/** What runs a model there is not here. */
export class NotHere extends Schema.TaggedError<NotHere>()("NotHere", {
  target: Schema.String
}) {
  override get message() {
    return `${this.target} is not measured here, where ONNX Runtime runs on the processor alone; give cpu:n for n threads of this machine`
  }
}

/** A device file that is not for what is asked of it. */
export class DeviceUnusable extends Schema.TaggedError<DeviceUnusable>()("DeviceUnusable", {
  reason: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return `the device file ${this.reason}; ${this.remedy}`
  }
}

/** Time that is too short for so much as a rough profile. */
export class TooFewMeasured extends Schema.TaggedError<TooFewMeasured>()("TooFewMeasured", {
  measured: Schema.Int,
  needed: Schema.Int
}) {
  override get message() {
    return `${this.measured} networks were measured where ${this.needed} are needed; give it more minutes`
  }
}
