import * as Schema from "effect/Schema"

/** A file of a search's trials could not be written. */
export class TrialsNotWritten extends Schema.TaggedError<TrialsNotWritten>()("TrialsNotWritten", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.path} cannot be written (${this.problem}). Give a new path in a folder that you can write to and that has room.`
  }
}
