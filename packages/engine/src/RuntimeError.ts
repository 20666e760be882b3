import * as Schema from "effect/Schema"

/** The engine rejected a program. */
export class CompileFailed extends Schema.TaggedError<CompileFailed>()("CompileFailed", {
  engine: Schema.String,
  program: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `${this.engine} cannot compile the program "${this.program}": ${reason(this.cause)}`
  }
}

/** The engine failed while running a program. */
export class RunFailed extends Schema.TaggedError<RunFailed>()("RunFailed", {
  engine: Schema.String,
  program: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `${this.engine} failed in the program "${this.program}": ${reason(this.cause)}`
  }
}

/** A run was given an input with the wrong size or element type, or lacks one that it needs. */
export class WrongInput extends Schema.TaggedError<WrongInput>()("WrongInput", {
  program: Schema.String,
  input: Schema.String,
  expected: Schema.String,
  given: Schema.String
}) {
  override get message() {
    return `the program "${this.program}" needs ${this.expected} for its input "${this.input}"; given: ${this.given}`
  }
}

/** Values were written that do not fit the variables. */
export class WrongVariables extends Schema.TaggedError<WrongVariables>()("WrongVariables", {
  unknown: Schema.Array(Schema.String),
  wrongSize: Schema.Array(Schema.Struct({ name: Schema.String, expected: Schema.Finite, given: Schema.Finite }))
}) {
  override get message() {
    const unknown = this.unknown.length > 0 ? [`no such variable: ${this.unknown.join(", ")}`] : []
    const sizes = this.wrongSize.map(({ name, expected, given }) => `${name} has ${expected} elements, not ${given}`)
    return `the values do not fit the network's variables: ${[...unknown, ...sizes].join("; ")}`
  }
}

/** A program would read variables whose initial values are drawn, but have not been drawn yet. */
export class UninitialisedVariables extends Schema.TaggedError<UninitialisedVariables>()("UninitialisedVariables", {
  program: Schema.String,
  names: Schema.Array(Schema.String)
}) {
  override get message() {
    const shown = this.names.slice(0, 3).join(", ")
    const more = this.names.length > 3 ? ` and ${this.names.length - 3} more` : ""
    return `the program "${this.program}" reads variables that have no value yet (${shown}${more}); draw their initial values with their initialisers and write them before running it (Initialise.write of @uninet/trainer does both)`
  }
}

/** A device does not exist, something it needs is not installed, or its driver failed to start. */
export class DeviceUnavailable extends Schema.TaggedError<DeviceUnavailable>()("DeviceUnavailable", {
  device: Schema.String,
  reason: Schema.String,
  /** What to do, in one sentence. */
  remedy: Schema.String
}) {
  override get message() {
    return `the device ${this.device} cannot be used: ${this.reason}. ${this.remedy}`
  }
}

/** A program needs more memory than the device has. */
export class OutOfDeviceMemory extends Schema.TaggedError<OutOfDeviceMemory>()("OutOfDeviceMemory", {
  engine: Schema.String,
  program: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `${this.engine} ran out of memory in the program "${this.program}" (${reason(this.cause)}). Use a smaller batch or another device.`
  }
}

/** An engine lacks a kernel that an op needs. */
export class MissingKernel extends Schema.TaggedError<MissingKernel>()("MissingKernel", {
  engine: Schema.String,
  program: Schema.String,
  /** The op, with its layer. */
  op: Schema.String,
  kernel: Schema.String
}) {
  override get message() {
    return `${this.engine} has no kernel ${this.kernel}, which ${this.op} of the program "${this.program}" needs. Use another device.`
  }
}

/** Every error that an engine can fail with. */
export type RuntimeError =
  | CompileFailed
  | RunFailed
  | WrongInput
  | WrongVariables
  | UninitialisedVariables
  | OutOfDeviceMemory
  | MissingKernel

const reason = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

const outOfMemory =
  /out of memory|\bOOM\b|bad_alloc|failed to allocate|allocation failed|memory access out of bounds|cannot enlarge memory/i

/** What an engine threw during a run. Out of memory is recognised by its wording, as no engine has an error code for it. */
export const failedRun = (engine: string, program: string, cause: unknown): RunFailed | OutOfDeviceMemory =>
  outOfMemory.test(reason(cause))
    ? new OutOfDeviceMemory({ engine, program, cause })
    : new RunFailed({ engine, program, cause })
