/** What can be wrong with an architecture before any tensor is made. `stage` counts from 0. */
import * as Schema from "effect/Schema"

const list = (names: ReadonlyArray<string>) => (names.length === 0 ? "none" : names.join(", "))

/** A stage names an operator that the current set does not have. */
export class UnknownOperator extends Schema.TaggedError<UnknownOperator>()("UnknownOperator", {
  stage: Schema.Finite,
  operator: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    return `stage ${this.stage}: there is no operator "${this.operator}"; use one of ${list(this.known)}, or add it to the set of operators`
  }
}

/** A stage names a downsampling module that the current set does not have. */
export class UnknownDsm extends Schema.TaggedError<UnknownDsm>()("UnknownDsm", {
  stage: Schema.Finite,
  dsm: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    return `stage ${this.stage}: there is no downsampling module "${this.dsm}"; use one of ${list(this.known)}, or add it to the set of modules`
  }
}

/** The channels of a stage with attention do not divide into heads. */
export class HeadMismatch extends Schema.TaggedError<HeadMismatch>()("HeadMismatch", {
  stage: Schema.Finite,
  /** The operator or downsampling module with the heads. */
  module: Schema.String,
  channels: Schema.Finite,
  headDim: Schema.Finite
}) {
  override get message() {
    return `stage ${this.stage}: ${this.module} cannot divide ${this.channels} channels into heads of ${this.headDim}; choose channels that are a multiple of ${this.headDim}, or another headDim`
  }
}

/** A stage without a downsampling module needs its operator to change the channels, which the operator cannot do. */
export class FixedChannels extends Schema.TaggedError<FixedChannels>()("FixedChannels", {
  stage: Schema.Finite,
  operator: Schema.String,
  inChannels: Schema.Finite,
  channels: Schema.Finite
}) {
  override get message() {
    return `stage ${this.stage}: ${this.operator} cannot change ${this.inChannels} channels to ${this.channels}; give the stage a downsampling module, or ${this.inChannels} channels`
  }
}

/** A stage without a downsampling module has a stride, which operators do not support. */
export class StrideWithoutDsm extends Schema.TaggedError<StrideWithoutDsm>()("StrideWithoutDsm", {
  stage: Schema.Finite,
  stride: Schema.Finite
}) {
  override get message() {
    return `stage ${this.stage}: a stride of ${this.stride} needs a downsampling module; give the stage one, or stride 1`
  }
}

/** The feature map is smaller than a stride, which would have no effect. */
export class ImageTooSmall extends Schema.TaggedError<ImageTooSmall>()("ImageTooSmall", {
  /** `stem`, or `stage 3`. */
  part: Schema.String,
  height: Schema.Finite,
  width: Schema.Finite,
  stride: Schema.Finite
}) {
  override get message() {
    return `${this.part}: a ${this.height}×${this.width} map is too small for a stride of ${this.stride}; use a larger image or smaller strides`
  }
}

/** A size that no network can have: half a class, or no channels. */
export class ImpossibleSize extends Schema.TaggedError<ImpossibleSize>()("ImpossibleSize", {
  /** For example `classes`, or `stages[2].channels`. */
  field: Schema.String,
  value: Schema.Number
}) {
  override get message() {
    return `${this.field} is ${this.value}; give a whole number of 1 or more`
  }
}

/** Every error that an architecture can have. */
export type ArchitectureError =
  | ImpossibleSize
  | UnknownOperator
  | UnknownDsm
  | HeadMismatch
  | FixedChannels
  | StrideWithoutDsm
  | ImageTooSmall
