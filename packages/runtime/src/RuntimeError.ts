import * as Schema from "effect/Schema"

/** The engine refused a program. */
export class CompileFailed extends Schema.TaggedError<CompileFailed>()("CompileFailed", {
  engine: Schema.String,
  program: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `${this.engine} cannot compile the program "${this.program}": ${reason(this.cause)}`
  }
}

/** The engine failed while it ran a program. */
export class RunFailed extends Schema.TaggedError<RunFailed>()("RunFailed", {
  engine: Schema.String,
  program: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `${this.engine} failed in the program "${this.program}": ${reason(this.cause)}`
  }
}

/** A run was given an input of the wrong size or element type, or not given one it needs. */
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

export type RuntimeError = CompileFailed | RunFailed | WrongInput | WrongVariables

const reason = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))
