/** What can be wrong with a checkpoint. */
import * as Schema from "effect/Schema"

/** A file is missing, cut short, damaged, or something else. */
export class CheckpointUnreadable extends Schema.TaggedError<CheckpointUnreadable>()("CheckpointUnreadable", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `the checkpoint ${this.file} cannot be read: ${this.reason}; use an earlier one, or train again`
  }
}

/** A checkpoint was written by another version of this software. */
export class CheckpointVersion extends Schema.TaggedError<CheckpointVersion>()("CheckpointVersion", {
  file: Schema.String,
  found: Schema.String,
  supported: Schema.Finite
}) {
  override get message() {
    return `the checkpoint ${this.file} has version ${this.found}, but this release resumes only version ${this.supported}; resume with the release that wrote it`
  }
}

/** A checkpoint belongs to another training than the one to resume. */
export class CheckpointMismatch extends Schema.TaggedError<CheckpointMismatch>()("CheckpointMismatch", {
  /** What differs: `network`, `recipe's batch`, `seed`, `data set`, `classes`, or a variable. */
  what: Schema.String,
  checkpoint: Schema.String,
  given: Schema.String
}) {
  override get message() {
    return `the checkpoint belongs to another training: its ${this.what} is ${this.checkpoint}, not ${this.given}; resume with the settings it was started with, or train again in another folder`
  }
}

/** A checkpoint is from this training, but from other surroundings: its two parts would not form one training. */
export class CheckpointMixed extends Schema.TaggedError<CheckpointMixed>()("CheckpointMixed", {
  /** `the data's content`, `the software`, `the engine`, `the kind of machine`. */
  what: Schema.String,
  checkpoint: Schema.String,
  now: Schema.String
}) {
  override get message() {
    return `the training was started under different conditions: ${this.what} was ${this.checkpoint} and is now ${this.now}; restore what it was, train again in another folder, or allow a mixture with --allow-mixed (the option allowMixed), which is then marked as mixed`
  }
}

/** A file could not be written. Everything written before is unchanged. */
export class CheckpointNotWritten extends Schema.TaggedError<CheckpointNotWritten>()("CheckpointNotWritten", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.file} could not be written: ${this.reason}; earlier checkpoints are unchanged; make room or give write permission, then resume`
  }
}

/** A folder has no checkpoint. */
export class NoCheckpoint extends Schema.TaggedError<NoCheckpoint>()("NoCheckpoint", { folder: Schema.String }) {
  override get message() {
    return `${this.folder} has no checkpoint to resume from; give the folder of a training that has saved one`
  }
}

/** The errors of checkpoints. */
export type CheckpointError =
  | CheckpointMismatch
  | CheckpointMixed
  | CheckpointNotWritten
  | CheckpointUnreadable
  | CheckpointVersion
  | NoCheckpoint
