/** What a report says about one search besides its trials. */
import { Fidelity, type Journal } from "@uninet/search"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Row from "./Row.ts"
import { type Table, of as tableOf } from "./Table.ts"

const Direction = Schema.Literals(["higher", "lower"])
const Objective = Schema.Struct({ name: Schema.String, direction: Direction })
const Bound = Schema.Struct({
  name: Schema.String,
  min: Schema.NullOr(Schema.Finite),
  max: Schema.NullOr(Schema.Finite)
})

/** A search in words and numbers. */
export const Info = Schema.Struct({
  /** Its folder, as you would type it. */
  name: Schema.String,
  state: Schema.Literals(["running", "finished", "stopped"]),
  /** When its first entry was written, in milliseconds since 1970; `null` if it has none. */
  begun: Schema.NullOr(Schema.Finite),
  /** How many trials it was asked for; `null` if its journal does not say. */
  asked: Schema.NullOr(Schema.Finite),
  strategy: Schema.String,
  seed: Schema.String,
  /** The deciding measure; `null` if its journal does not say. */
  decides: Schema.NullOr(Schema.String),
  measures: Schema.Array(Schema.Struct({ ...Objective.fields, isShare: Schema.Boolean })),
  objectives: Schema.Array(Objective),
  bounds: Schema.Array(Bound),
  /** The epochs of its rungs; empty if every trial is trained to the end. */
  rungs: Schema.Array(Schema.Finite),
  /** Everything else that decides its results, for people. */
  settings: Schema.Array(Schema.Tuple([Schema.String, Schema.String])),
  /** What a reader has to know, one sentence each. */
  notes: Schema.Array(Schema.String),
  /** A command that retrains a trial when its number is appended; `null` if there is none. */
  replay: Schema.NullOr(Schema.String)
})
export type Info = typeof Info.Type

/** What is known of a search besides its journal. */
export interface About {
  readonly name: string
  readonly state: Info["state"]
  readonly replay?: string
  readonly notes?: ReadonlyArray<string>
}

/** A search: its description, and its rows, which may grow. */
export interface Run {
  readonly info: Info
  readonly log: Row.Log
}

const Notes = Schema.Struct({
  trials: Schema.optionalKey(Schema.Finite),
  mixed: Schema.optionalKey(Schema.Boolean),
  task: Schema.optionalKey(
    Schema.Struct({
      decides: Schema.String,
      measures: Schema.Record(Schema.String, Direction),
      shares: Schema.Array(Schema.String)
    })
  )
})
const Settings = Schema.Struct({
  strategy: Schema.optionalKey(Schema.String),
  fidelity: Schema.optionalKey(Fidelity.Fidelity),
  objectives: Schema.optionalKey(Schema.Array(Objective)),
  constraints: Schema.optionalKey(Schema.Array(Bound))
})

// Unexpected values are treated as missing: a report shows what there is.
const notesOf = Schema.decodeUnknownOption(Notes)
const settingsOf = Schema.decodeUnknownOption(Settings)

/** The direction of a measure about which the journal says nothing, guessed from its name. */
const guessed = (name: string): "higher" | "lower" =>
  /loss|error|mae|mse|rmse|perplexity|latency|seconds/i.test(name) ? "lower" : "higher"

const shown = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value))

/** The epochs of its rungs. */
const rungsOf = ({ fidelity = Fidelity.full }: typeof Settings.Type) => (fidelity._tag === "Full" ? [] : fidelity.rungs)

const readSettings = (identity: Journal.Identity): typeof Settings.Type =>
  Option.getOrElse(settingsOf(identity.settings), () => ({}))

/** A page's description of a search besides its rows: when it began, how many trials it was asked for, and its goals. */
export const informed = (
  { identity, isCut }: Pick<Journal.Read, "identity" | "isCut">,
  { rows }: Row.Log,
  about: About
): Info => {
  const notes = Option.getOrElse(notesOf(identity.notes ?? {}), (): typeof Notes.Type => ({}))
  const settings = readSettings(identity)
  const named = new Set<string>(Object.keys(notes.task?.measures ?? {}))
  let results = 0
  let first = Infinity
  for (const { begun, measures, reward } of rows.values()) {
    for (const name in measures) named.add(name)
    if (reward !== null) results++
    first = Math.min(first, begun ?? Infinity)
  }
  return {
    name: about.name,
    state: about.state,
    begun: Number.isFinite(first) ? first : null,
    asked: notes.trials ?? null,
    strategy: settings.strategy ?? "a custom strategy",
    seed: identity.seed,
    decides: notes.task?.decides ?? null,
    measures: [...named].map((name) => ({
      name,
      direction: notes.task?.measures[name] ?? guessed(name),
      isShare: notes.task?.shares.includes(name) ?? false
    })),
    objectives: settings.objectives ?? [],
    bounds: settings.constraints ?? [],
    rungs: rungsOf(settings),
    settings: Object.entries(identity.settings)
      .filter(([name, value]) => !["strategy", "objectives", "constraints"].includes(name) && value !== null)
      .map(([name, value]) => [name, shown(value)] as const),
    notes: [
      ...(rows.size === 0 ? ["It has no trials yet."] : results === 0 ? ["No trial has a result yet."] : []),
      ...(results === 1 ? ["Only one trial has a result: there is nothing to compare it with."] : []),
      ...(about.state === "running" ? ["It is running: this is how it stands now."] : []),
      ...(isCut ? ["Its last trials may be missing: the log next to its journal (journal.db-wal) is missing."] : []),
      ...(notes.mixed === true || (identity.surroundings?.length ?? 0) > 1
        ? ["A mixture: its trials ran with different data, software, engines or kinds of machines, as was allowed."]
        : []),
      ...(notes.task === undefined && named.size > 0
        ? ["Its journal does not say in which direction its measures are better: that is guessed from their names."]
        : []),
      ...(about.notes ?? [])
    ],
    replay: about.replay ?? null
  }
}

/** A search in its current state, from what its journal holds. `trainings` (default none) are its learning curves. */
export const of = (
  { trainings = [], ...read }: Journal.Read & { readonly trainings?: ReadonlyArray<Journal.Trained> },
  about: About
): Run => {
  const log = Row.log(rungsOf(readSettings(read.identity)).at(-1) ?? null)
  for (const stored of read.entries) log.add(stored)
  for (const trained of trainings) log.train(trained)
  return { info: informed(read, log, about), log }
}

/** The search's trials in their current state, as columns. */
export const table = ({ log }: Run): Table => tableOf([...log.rows.values()])
