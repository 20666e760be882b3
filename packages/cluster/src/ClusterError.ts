/** What can go wrong between the machines of a search, each in a sentence with the remedy. No message contains a password. */
import * as Schema from "effect/Schema"

/** The database refuses the connection: wrong password, no such database, an invalid URL. Trying again would not help. */
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

/** The database could not be reached or did not answer within the time limit. Everything that was stored will be there when it is back. */
export class DatabaseUnavailable extends Schema.TaggedError<DatabaseUnavailable>()("DatabaseUnavailable", {
  database: Schema.String,
  /** How long it was tried, in seconds. */
  seconds: Schema.Finite,
  problem: Schema.String
}) {
  override get message() {
    return `The database ${this.database} could not be used for ${Math.round(this.seconds)} s: ${this.problem}. Nothing is lost; bring it back up, then resume.`
  }
}

/** The driver and a worker have different versions, whose results must not be mixed. */
export class VersionMismatch extends Schema.TaggedError<VersionMismatch>()("VersionMismatch", {
  /** Which of the two this process is. */
  role: Schema.Literals(["search", "worker"]),
  version: Schema.String,
  other: Schema.String,
  otherVersion: Schema.String
}) {
  override get message() {
    return `This ${this.role} is uninet ${this.version}, and ${this.other} on the same database is uninet ${this.otherVersion}. Install the same version on all machines, or use another database.`
  }
}

/** Another process is already driving the search. */
export class SearchTaken extends Schema.TaggedError<SearchTaken>()("SearchTaken", {
  search: Schema.String,
  pid: Schema.Int,
  host: Schema.String
}) {
  override get message() {
    return `The search ${this.search} is already driven by process ${this.pid} on ${this.host}. Wait for it or stop it, then resume.`
  }
}

/** The name in the database belongs to a search with another evaluator. */
export class SearchForeign extends Schema.TaggedError<SearchForeign>()("SearchForeign", {
  search: Schema.String,
  database: Schema.String
}) {
  override get message() {
    return `The name ${this.search} belongs to a search with different settings on ${this.database}. Give the same settings, or another name.`
  }
}

/** A worker cannot evaluate a search's trials: the module or the data set is missing, or its disk is full. */
export class WorkerUnable extends Schema.TaggedError<WorkerUnable>()("WorkerUnable", {
  search: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `This worker cannot evaluate the search ${this.search}: ${this.problem} Its trials are left to other workers.`
  }
}

/** Why a connection fails: the database refuses it, or is unavailable. */
export type DatabaseError = DatabaseRefused | DatabaseUnavailable
