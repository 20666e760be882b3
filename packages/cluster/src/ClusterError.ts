/** What can go wrong between the machines of a search, each in a sentence with the remedy. No message holds a password. */
import * as Schema from "effect/Schema"

/** The database refuses: wrong password, no such database, a URL that is none. Trying again would not help. */
export class DatabaseRefused extends Schema.TaggedError<DatabaseRefused>()("DatabaseRefused", {
  /** Host, port and database, without credentials. */
  database: Schema.String,
  problem: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return `The database ${this.database} cannot be used: ${this.problem}. ${this.remedy}.`
  }
}

/** The database could not be reached, or did nothing that it was asked for, for longer than was to be waited. Everything that was stored is there when it is back. */
export class DatabaseUnavailable extends Schema.TaggedError<DatabaseUnavailable>()("DatabaseUnavailable", {
  database: Schema.String,
  /** How long it was tried, in seconds. */
  seconds: Schema.Finite,
  problem: Schema.String
}) {
  override get message() {
    return `The database ${this.database} could not be used for ${Math.round(this.seconds)} s: ${this.problem}. Nothing is lost; bring it back, then go on.`
  }
}

/** Driver and worker are of different versions, whose results are not to be mixed. */
export class VersionMismatch extends Schema.TaggedError<VersionMismatch>()("VersionMismatch", {
  /** Which of the two this is. */
  role: Schema.Literals(["search", "worker"]),
  version: Schema.String,
  other: Schema.String,
  otherVersion: Schema.String
}) {
  override get message() {
    return `This ${this.role} is uninet ${this.version}, and ${this.other} on the same database is uninet ${this.otherVersion}. Install the same version on all machines, or use another database.`
  }
}

/** The search is driven by another process already. */
export class SearchTaken extends Schema.TaggedError<SearchTaken>()("SearchTaken", {
  search: Schema.String,
  pid: Schema.Int,
  host: Schema.String
}) {
  override get message() {
    return `The search ${this.search} is driven by process ${this.pid} on ${this.host} already. Wait for it or stop it, then resume.`
  }
}

/** The name on the database belongs to a search with another evaluator. */
export class SearchForeign extends Schema.TaggedError<SearchForeign>()("SearchForeign", {
  search: Schema.String,
  database: Schema.String
}) {
  override get message() {
    return `The name ${this.search} belongs to a search with other settings on ${this.database}. Give the same settings, or another name.`
  }
}

/** A worker cannot evaluate what a search asks of it: the module or the data set is not there, or its disk is full. */
export class WorkerUnable extends Schema.TaggedError<WorkerUnable>()("WorkerUnable", {
  search: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `This worker cannot evaluate the search ${this.search}: ${this.problem} Its trials are left to other workers.`
  }
}

/** What a connection fails with: a database that refuses, or one that is away. */
export type DatabaseError = DatabaseRefused | DatabaseUnavailable
