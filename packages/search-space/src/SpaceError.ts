/** Errors about a space, its tokens, or a value that should be in it; each error carries the path to the fault. */
import * as Schema from "effect/Schema"
import { showPath, showValue } from "./internal/stable.ts"

const Path = Schema.Array(Schema.Union([Schema.String, Schema.Finite]))

/** One fault in a declaration: where it is, what it is, and how to fix it. */
export const Problem = Schema.Struct({ path: Path, problem: Schema.String, remedy: Schema.String })
export type Problem = typeof Problem.Type

/** A declaration that does not make a space: an empty choice, duplicate names, a cyclic condition, … Holds all its faults. */
export class InvalidSpace extends Schema.TaggedError<InvalidSpace>()("InvalidSpace", {
  problems: Schema.NonEmptyArray(Problem)
}) {
  override get message() {
    const lines = this.problems.map((p) => `${showPath(p.path)}: ${p.problem}. ${p.remedy}`)
    return lines.length === 1 ? `Invalid search space: ${lines[0]}` : `Invalid search space:\n- ${lines.join("\n- ")}`
  }
}

/** A token sequence that is not in the space: too short, too long, or with a token that is not an option of its choice. */
export class InvalidTokens extends Schema.TaggedError<InvalidTokens>()("InvalidTokens", {
  /** The position in the sequence. */
  position: Schema.Int,
  /** The path of the choice at that position; empty if there is none. */
  path: Path,
  problem: Schema.String
}) {
  override get message() {
    return `Token ${this.position} (${showPath(this.path)}): ${this.problem}. Use tokens from Space.encode or Space.next of this space.`
  }
}

/** A value that is not a point of the space, with the path to its first fault. */
export class NotInSpace extends Schema.TaggedError<NotInSpace>()("NotInSpace", {
  path: Path,
  value: Schema.Unknown,
  /** What the space expects there, in words. */
  expected: Schema.String
}) {
  override get message() {
    return (
      `Not in this search space: at ${showPath(this.path)}, found ${clip(showValue(this.value))} but expected ${this.expected}. ` +
      "Use the space that the value was made with, or change the value there."
    )
  }
}

/** An index outside 0 … count − 1. Both are decimal strings, since a space can have more points than a number can hold. */
export class InvalidIndex extends Schema.TaggedError<InvalidIndex>()("InvalidIndex", {
  index: Schema.String,
  count: Schema.String
}) {
  override get message() {
    return `Index ${this.index} is outside this space, which has ${this.count} points. Use an integer of at least 0 and below ${this.count}.`
  }
}

/** A space whose points cannot be numbered or enumerated because it has a continuous choice. */
export class InfiniteSpace extends Schema.TaggedError<InfiniteSpace>()("InfiniteSpace", {
  /** The first continuous choice. */
  path: Path
}) {
  override get message() {
    return `This space has infinitely many points, so they cannot be numbered or enumerated: ${showPath(this.path)} is continuous. Sample the space, or list some values there instead (Choice.ordered).`
  }
}

const clip = (text: string) => (text.length > 200 ? `${text.slice(0, 200)}…` : text)
