import * as Schema from "effect/Schema"
import * as Lock from "./Lock.ts"

/** The file is not a journal or is cut short, or the system refuses access. */
export class JournalUnreadable extends Schema.TaggedError<JournalUnreadable>()("JournalUnreadable", {
  path: Schema.String,
  problem: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return `The journal ${this.path} ${this.problem}. ${this.remedy}.`
  }
}

/** The journal belongs to another search than the one that is about to write to it. */
export class JournalForeign extends Schema.TaggedError<JournalForeign>()("JournalForeign", {
  path: Schema.String,
  /** What differs: `seed`, `space`, or a setting. */
  field: Schema.String,
  journal: Schema.String,
  search: Schema.String
}) {
  override get message() {
    return `The journal ${this.path} belongs to another search: its ${this.field} is ${this.journal}, not ${this.search}. Give the same ${this.field}, or start the search in another place.`
  }
}

/** The search would continue under different surroundings from those it began with: its trials would not be comparable. */
export class JournalMixed extends Schema.TaggedError<JournalMixed>()("JournalMixed", {
  path: Schema.String,
  /** `the data's content`, `the software`, `the engine`, `the kind of machine`. */
  what: Schema.String,
  journal: Schema.String,
  now: Schema.String
}) {
  override get message() {
    return `The trials of the journal ${this.path} were evaluated under different conditions: ${this.what} was ${this.journal} and is now ${this.now}. Restore what it was, start a new search, or allow a mixture with --allow-mixed, which the journal then records.`
  }
}

/** The journal already holds trials, and the search was not asked to resume it. */
export class JournalInUse extends Schema.TaggedError<JournalInUse>()("JournalInUse", {
  path: Schema.String,
  trials: Schema.Int
}) {
  override get message() {
    return `${this.path} already holds a search of ${this.trials} trial${this.trials === 1 ? "" : "s"}. Resume it (\`existing: "resume"\` of the journal), or start the new one in another place.`
  }
}

/** An entry could not be stored. Everything stored before is intact. */
export class JournalNotWritten extends Schema.TaggedError<JournalNotWritten>()("JournalNotWritten", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `The journal ${this.path} cannot be written: ${this.problem}. Everything up to the last entry is kept; make room or give write permission, then resume the search.`
  }
}

/** Another process is writing to the journal. */
export class JournalLocked extends Schema.TaggedError<JournalLocked>()("JournalLocked", {
  path: Schema.String,
  /** `null` if it has only just started. */
  holder: Schema.NullOr(Lock.Holder)
}) {
  override get message() {
    return `The journal ${this.path} is in use by ${Lock.print(this.holder)}. Wait for that search or stop it.`
  }
}

/** The errors of a journal. */
export type JournalError =
  | JournalUnreadable
  | JournalForeign
  | JournalInUse
  | JournalLocked
  | JournalMixed
  | JournalNotWritten
