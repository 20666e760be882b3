import * as Schema from "effect/Schema"

/** What a person has to know and do, in one sentence. `usage` distinguishes a mistake in the command line (exit code 2) from other failures (1). */
export class CliFault extends Schema.TaggedError<CliFault>()("CliFault", {
  problem: Schema.String,
  usage: Schema.Boolean
}) {
  override get message() {
    return this.problem
  }
}

/** A mistake in the command line. */
export const usage = (problem: string) => new CliFault({ problem, usage: true })

/** Anything else that went wrong. */
export const fault = (problem: string) => new CliFault({ problem, usage: false })

/** An error's message, after the flag that caused it. */
export const at =
  (flag: string) =>
  (error: { readonly message: string }): CliFault =>
    fault(`${flag}: ${error.message}`)

/** The same for a mistake in the command line. */
export const usageAt =
  (flag: string) =>
  (error: { readonly message: string }): CliFault =>
    usage(`${flag}: ${error.message}`)

/** Any error with its message: a command fails with nothing else. */
export const said = <E extends { readonly message: string }>(error: E | CliFault): CliFault =>
  error instanceof CliFault ? error : fault(error.message)
