/** What can be wrong with data. Each error names the file, sample or option at fault and the remedy. */
import * as Schema from "effect/Schema"

/** No data set has this name, and no file or folder of a known layout is at this path. */
export class DatasetNotFound extends Schema.TaggedError<DatasetNotFound>()("DatasetNotFound", {
  name: Schema.String,
  known: Schema.Array(Schema.String),
  reason: Schema.String
}) {
  override get message() {
    return `Data set "${this.name}": ${this.reason}. Use one of ${this.known.join(", ")}, or the path of a folder of IDX files, of CIFAR binary files or of images by class.`
  }
}

/** A file that the data set needs is missing, or the system refuses to read it. */
export class FileUnavailable extends Schema.TaggedError<FileUnavailable>()("FileUnavailable", {
  path: Schema.String,
  reason: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.reason}. ${this.remedy}.`
  }
}

/** A file whose bytes do not match its format: wrong magic number, cut short, sizes that disagree. */
export class CorruptFile extends Schema.TaggedError<CorruptFile>()("CorruptFile", {
  path: Schema.String,
  reason: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.reason}. ${this.remedy}.`
  }
}

/** A sample whose label is not the index of a class. `index` counts samples from 0. */
export class LabelOutOfRange extends Schema.TaggedError<LabelOutOfRange>()("LabelOutOfRange", {
  source: Schema.String,
  index: Schema.Int,
  label: Schema.Finite,
  classes: Schema.Int
}) {
  override get message() {
    return `${this.source}: sample ${this.index} has label ${this.label}, outside 0…${this.classes - 1}. Correct the label, or give the data set its true list of classes.`
  }
}

/** Image files that cannot be decoded, all listed in `files` with the decoder's reason. */
export class UnreadableImages extends Schema.TaggedError<UnreadableImages>()("UnreadableImages", {
  folder: Schema.String,
  files: Schema.Array(Schema.Struct({ path: Schema.String, reason: Schema.String }))
}) {
  override get message() {
    const shown = this.files.slice(0, 5).map((file) => `${file.path} (${file.reason})`)
    const rest = this.files.length - shown.length
    return `${this.folder}: ${this.files.length} unreadable image${this.files.length === 1 ? "" : "s"}: ${shown.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}. Replace or remove them, or leave them out with --skip-bad (the layer's skipBad).`
  }
}

const listed = (label: string, names: ReadonlyArray<string>) =>
  names.length === 0
    ? []
    : [`${label} ${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}`]

/** A split's classes are not those of the training split. */
export class ClassMismatch extends Schema.TaggedError<ClassMismatch>()("ClassMismatch", {
  source: Schema.String,
  split: Schema.String,
  missing: Schema.Array(Schema.String),
  unexpected: Schema.Array(Schema.String)
}) {
  override get message() {
    const what = [...listed("lacks", this.missing), ...listed("also has", this.unexpected)].join("; it ")
    return `${this.source}: the ${this.split} split's classes differ from the training split's: it ${what}. Give every split the same class folders.`
  }
}

/** Samples that do not fit their description: a wrong shape, a wrong count, an empty split. */
export class InvalidSamples extends Schema.TaggedError<InvalidSamples>()("InvalidSamples", {
  source: Schema.String,
  split: Schema.String,
  reason: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return `${this.source}, ${this.split} split: ${this.reason}. ${this.remedy}.`
  }
}

/** A number in an example that cannot be trained on: not finite, or not a whole number if the element type is int32. */
export class InvalidNumber extends Schema.TaggedError<InvalidNumber>()("InvalidNumber", {
  source: Schema.String,
  split: Schema.String,
  /** The index of the example in the split, from 0. */
  index: Schema.Int,
  /** `input <name>` or `target`. */
  what: Schema.String,
  /** The index of the number within `what` in the example, from 0. */
  place: Schema.Int,
  value: Schema.Number,
  expected: Schema.String
}) {
  override get message() {
    return `${this.source}, ${this.split} split: the ${this.what} of example ${this.index} is ${this.value} at position ${this.place}; give ${this.expected}, or leave the example out.`
  }
}

/** Augmentation was requested for examples that are not images of bytes. */
export class CannotAugment extends Schema.TaggedError<CannotAugment>()("CannotAugment", {
  source: Schema.String,
  steps: Schema.Array(Schema.String)
}) {
  override get message() {
    return `${this.source}: ${this.steps.join(", ")} need${this.steps.length === 1 ? "s" : ""} 8-bit images, which its examples are not; leave the augmentation out, or make the data set with Memory, Streamed or ImageFolder.`
  }
}

/** Labelled images were requested, and the data set's examples are something else. */
export class NotImages extends Schema.TaggedError<NotImages>()("NotImages", {
  source: Schema.String,
  /** Every input's name, shape and element type. */
  inputs: Schema.Array(Schema.String),
  /** The targets' shape and element type. */
  targets: Schema.String
}) {
  override get message() {
    return `${this.source} holds ${this.inputs.join(", ")} with targets ${this.targets}, which are not labelled images; give a data set of labelled images, such as mnist or a folder of images by class.`
  }
}

/** An option outside its range. */
export class InvalidOption extends Schema.TaggedError<InvalidOption>()("InvalidOption", {
  option: Schema.String,
  value: Schema.Unknown,
  expected: Schema.String
}) {
  override get message() {
    return `${this.option} is ${String(this.value)}. Give it ${this.expected}.`
  }
}

/** The errors of reading a data set. */
export type DataError =
  | DatasetNotFound
  | FileUnavailable
  | CorruptFile
  | LabelOutOfRange
  | UnreadableImages
  | ClassMismatch
  | InvalidSamples
  | InvalidNumber
  | CannotAugment
  | NotImages
  | InvalidOption
