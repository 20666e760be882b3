/**
 * The record of a search: what was proposed and what came of it, appended event by event. Each event is stored before the search acts on
 * it.
 *
 * Given the same outcomes in the same order, a search does the same, so the journal is all it needs to continue after a crash. Ordered by
 * trial and step, the journal is the same for every run of a search, at any number of workers, apart from times.
 */
import { Lesson } from "@uninet/controller"
import { Surroundings } from "@uninet/trainer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Curves from "./internal/curve.ts"
import * as Sqlite from "./internal/sqlite.ts"
import * as Schemas from "./internal/sqliteSchema.ts"
import { type JournalError, JournalForeign, JournalInUse, JournalMixed, JournalUnreadable } from "./JournalError.ts"
import * as Lock from "./Lock.ts"
import { type Curve, joined, Place, Training } from "./Training.ts"
import { Evaluation, Reason } from "./Trial.ts"

/** By name. */
const Costs = Schema.Record(Schema.String, Schema.Finite)

const Rung = Schema.optionalKey(Schema.Int)

/** What can happen to a trial. */
export const Entry = Schema.TaggedUnion({
  /** The strategy proposed it and it meets the constraints: it will be evaluated. */
  Proposed: {
    trial: Schema.Int,
    hash: Schema.String,
    point: Schema.Json,
    /** The point on one line, for people. */
    line: Schema.String,
    costs: Costs,
    seed: Schema.String,
    /** The trial that failed before and is now retried with another seed. The retry does not count as a trial of the search in addition to that one. */
    again: Schema.optionalKey(Schema.Int)
  },
  /** It was refused before any training. */
  Refused: {
    trial: Schema.Int,
    hash: Schema.String,
    point: Schema.Json,
    why: Schema.String,
    /** The reward expected of it, if the screen left it out. */
    expected: Schema.optionalKey(Schema.Finite)
  },
  /** It is the same point as an earlier trial's, and takes over that trial's outcome. */
  Repeated: { trial: Schema.Int, hash: Schema.String, point: Schema.Json, of: Schema.Int },
  /** It has a result. `rung`, counted from 0, is present if the search has several (`Fidelity`). */
  Finished: { trial: Schema.Int, rung: Rung, evaluation: Evaluation, reward: Schema.Finite },
  Failed: { trial: Schema.Int, rung: Rung, reason: Reason, detail: Schema.String },
  /**
   * From this trial on another strategy proposes; it was told of all earlier trials. Those in `open` were proposed by the previous strategy
   * but never started, so they are left for the new one to propose.
   */
  HandedOver: { trial: Schema.Int, strategy: Schema.String, open: Schema.Array(Schema.Int) },
  /** From this trial on, these failed trials are retried, one after the other. */
  Retrying: { trial: Schema.Int, of: Schema.Array(Schema.Int) },
  /** After the search: one of the best was trained again, for this many epochs, to choose the best of all by validation. */
  Compared: { trial: Schema.Int, evaluation: Evaluation, asked: Schema.optionalKey(Schema.Int) },
  /** After the search: the best of all was trained once more, on the validation split's examples too. */
  Retrained: { trial: Schema.Int, epochs: Schema.Finite },
  /** After the search: the best of all was tested once, on examples on which no choice was based. */
  Tested: { trial: Schema.Int, measures: Schema.Record(Schema.String, Schema.Finite) }
})
export type Entry = typeof Entry.Type
/** The entry with a tag. */
export type EntryOf<Tag extends Entry["_tag"]> = Extract<Entry, { readonly _tag: Tag }>

/** An entry as it is stored. */
export interface Stored {
  readonly entry: Entry
  /** When it was stored, in milliseconds since 1970. */
  readonly at: number
}

/** How the evaluation behind an entry was done. */
export interface Trained extends Training {
  /** The trial's number, from 0. */
  readonly trial: number
  /** The entry's step: `stepOf`. */
  readonly step: number
}

/** What identifies a search. */
export const Identity = Schema.Struct({
  /** `ModelSpace.fingerprint`: the space, its networks, and their task. */
  space: Schema.String,
  seed: Schema.String,
  /** Everything else that decides the results: strategy, reward, constraints, data set, recipe, … Plain JSON. */
  settings: Schema.Record(Schema.String, Schema.Json),
  /** What does not decide the results of trials, such as how many there should be. Not compared; taken from the last search that opened the journal. */
  notes: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)),
  /**
   * What else decided the results: data content, software, engine, machine. More than one if the search was resumed under different ones
   * and this was allowed. Absent in journals from before it was recorded, and if the search does not say.
   */
  surroundings: Schema.optionalKey(Schema.Array(Surroundings.Surroundings)),
  /** The results of earlier searches that it learns from; `settings` holds their digest. */
  lessons: Schema.optionalKey(Schema.Array(Lesson.Lesson))
})
export type Identity = typeof Identity.Type

/** Where a search keeps its record. */
export class Journal extends Context.Service<
  Journal,
  {
    /** Starts the record of a search, or checks that it belongs to this search and returns what it holds. */
    readonly open: (identity: Identity) => Effect.Effect<ReadonlyArray<Stored>, JournalError>
    /** Stores an entry, with how its evaluation was done if that is known. Once it returns, both survive a crash. */
    readonly append: (entry: Entry, training?: Training) => Effect.Effect<void, JournalError>
    /** Everything that is stored, by trial and step. */
    readonly entries: Effect.Effect<ReadonlyArray<Stored>, JournalError>
    /** Learning curves and the workers that trained, by trial and step: of all trials, or of some. A custom journal may keep none. */
    readonly trainings?: (trials?: Iterable<number>) => Effect.Effect<ReadonlyArray<Trained>, JournalError>
  }
>()("@uninet/search/Journal") {}

/**
 * The place of an entry among those of its trial: 0 for its proposal, 1 + rung for its results, higher for the finals. Entries about the
 * search itself are below 0.
 */
export const stepOf = (entry: Entry): number =>
  Entry.match(entry, {
    HandedOver: () => -2,
    Retrying: () => -1,
    Proposed: () => 0,
    Refused: () => 0,
    Repeated: () => 0,
    Finished: ({ rung = 0 }) => 1 + rung,
    Failed: ({ rung = 0 }) => 1 + rung,
    Compared: () => afterSearch,
    Retrained: () => afterSearch + 1,
    Tested: () => afterSearch + 2
  })

/** Steps from here on belong to what follows the search. */
const afterSearch = 1000

/**
 * A trial's learning curve in the search, over all its rungs, from its `trainings`; `undefined` if none was kept. Trainings after the
 * search (the comparison and the final training) are left out.
 *
 * @example
 * ```ts
 * import { Journal, Training } from "@uninet/search"
 *
 * // A trial whose second rung went on from its first.
 * const [first, second] = [Training.recorder(), Training.recorder()]
 * first.epoch(0, 0.9, { accuracy: 0.7 })
 * second.epoch(1, 0.5, { accuracy: 0.8 })
 * second.epoch(2, 0.3, { accuracy: 0.85 })
 * const trained = (step: number, { curve }: Training.Recorder): Journal.Trained => ({
 *   trial: 12,
 *   step,
 *   place: Training.here({ engine: "loops portable" }),
 *   begun: 0,
 *   ended: 1000,
 *   curve: curve()
 * })
 * console.log(Journal.curveOf([trained(1, first), trained(2, second)])) // three epochs
 * ```
 */
export const curveOf = (trainings: ReadonlyArray<Trained>): Curve | undefined => {
  const curves = trainings.flatMap(({ curve, step }) => (curve === undefined || step >= afterSearch ? [] : [curve]))
  return curves.length === 0 ? undefined : joined(curves)
}

/** A journal in memory, for tests and for searches that will not be resumed. */
export const memory: Layer.Layer<Journal> = Layer.sync(Journal, () => {
  const stored: Array<Stored> = []
  const trained: Array<Trained> = []
  const entries = Effect.sync(() =>
    [...stored].sort((a, b) => a.entry.trial - b.entry.trial || stepOf(a.entry) - stepOf(b.entry))
  )
  return Journal.of({
    open: () => entries,
    append: (entry, training) =>
      Effect.sync(() => {
        stored.push({ entry, at: Date.now() })
        if (isTraining(training)) trained.push({ ...training, trial: entry.trial, step: stepOf(entry) })
      }),
    entries,
    trainings: (trials) =>
      Effect.sync(() => {
        const wanted = trials === undefined ? undefined : new Set(trials)
        return trained
          .filter(({ trial }) => wanted?.has(trial) ?? true)
          .sort((a, b) => a.trial - b.trial || a.step - b.step)
      })
  })
})

/** How to treat an existing file, and how durably entries are stored. */
export interface SqliteOptions {
  /**
   * What to do if the file already holds a search. `refuse` (the default) fails with `JournalInUse`; `resume` continues it, or starts one
   * if there is none.
   */
  readonly existing?: "refuse" | "resume"
  /**
   * What an entry survives once `append` has returned. With `power` (the default), also a power failure of the machine; with `process`, the
   * end of any process, which is faster where trials take milliseconds. After a power failure the last entries may be missing with
   * `process`. With both, the file is sound, and the resumed search is the same.
   */
  readonly durability?: Sqlite.Durability
  /**
   * If the search is resumed under different surroundings from the journal's, `refuse` (the default) fails with `JournalMixed`; `allow`
   * adds them to the journal, which says from then on that it is a mixture.
   */
  readonly mixed?: "refuse" | "allow"
  /**
   * If the search is resumed with another strategy than the journal's, `refuse` (the default) fails with `JournalForeign`; `replace`
   * records in the journal the trial from which the new strategy proposes.
   */
  readonly strategy?: "refuse" | "replace"
}

/**
 * A record in one SQLite file, with a write-ahead log next to it while it is open. The file appears when the search opens the journal, and
 * always with the search's identity in it: whole or not at all. The log is merged into it now and then, so a copy of the file alone lacks
 * at most the last entries.
 *
 * Every entry is on disk before `append` returns; entries that arrive together share one commit. The table `entry` is append-only: triggers
 * refuse changes. Read it with any SQLite tool: `select * from entry order by trial, step`. Learning curves are in a separate table, four
 * bytes per number, so that reading only the entries does not read the curves.
 *
 * One process writes at a time. Fails with `JournalLocked` while another process is writing, and with `JournalUnreadable` if the file is
 * not a journal of this version or is damaged; nothing is changed then.
 */
export const sqlite = (path: string, options: SqliteOptions = {}): Layer.Layer<Journal, JournalError> =>
  Layer.effect(
    Journal,
    Effect.map(Sqlite.open(path, { durability: options.durability ?? "power" }), (file) => {
      const entries = Effect.flatMap(file.rows(), (rows) => storedOf(path, rows))
      const append = (entry: Entry, training?: Training) => {
        const [trial, step] = [entry.trial, stepOf(entry)]
        return file.add(
          { trial, step, kind: entry._tag, at: Date.now(), data: encodeEntry(entry) },
          rowOf(trial, step, training)
        )
      }
      return Journal.of({
        entries,
        trainings: (trials) => Effect.map(file.trainings(trials), trainedOf),
        open: Effect.fnUntraced(function* (identity) {
          const header = yield* file.header
          if (header === undefined) {
            yield* file.begin(encodeIdentity(identity))
            return []
          }
          const before = yield* decodeIdentity(path, header)
          const stored = yield* entries
          const found = differing(strategyNow(before, stored), identity)
          if (stored.length > 0 && options.existing !== "resume")
            return yield* new JournalInUse({ path, trials: countTrials(stored) })
          const isReplaced = found?.field === "strategy" && options.strategy === "replace"
          if (found !== undefined && !isReplaced) return yield* new JournalForeign({ path, ...found })
          const surroundings = yield* together(path, stored.length, options, before, identity)
          const now = {
            ...before,
            ...(identity.notes === undefined ? {} : { notes: identity.notes }),
            ...(surroundings === undefined ? {} : { surroundings })
          }
          if (JSON.stringify(now) !== JSON.stringify(before)) yield* file.rewrite(encodeIdentity(now))
          if (!isReplaced) return stored
          const strategy = String(identity.settings["strategy"])
          yield* append({ _tag: "HandedOver", strategy, ...nextOf(stored) })
          return yield* entries
        }),
        append
      })
    })
  )

/** Some SQL, with the values for its question marks; without values it may be several statements. */
export interface Statement {
  readonly sql: string
  readonly parameters: ReadonlyArray<string | number | Uint8Array | null>
}

/**
 * The statements that create a journal's file in an empty database of any SQLite. For a search that kept its journal in `memory` because
 * there are no files, as in a browser. The file is the same as one written by `sqlite`; save it as `journal.db` in a folder, and `uninet
 * search --resume` continues it.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Evaluator, Journal, Search } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Result } from "effect"
 * import { DatabaseSync } from "node:sqlite"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const options = { trials: 4, seed: "demo" }
 * const program = Effect.gen(function* () {
 *   yield* Search.run(cells, options)
 *   const { entries } = yield* Journal.Journal
 *   const identity = yield* Search.identity(cells, options)
 *   // As a page does with the SQLite that it has; here with Node's.
 *   const database = new DatabaseSync(":memory:")
 *   for (const { parameters, sql } of Journal.statements(identity, yield* entries))
 *     if (parameters.length === 0) database.exec(sql)
 *     else database.prepare(sql).run(...parameters)
 *   yield* Console.log(database.prepare("select count(*) as entries from entry").get())
 * }).pipe(Effect.scoped, Effect.provide([Random.layer(), evaluator, Journal.memory]))
 * Effect.runPromise(program)
 * ```
 */
export const statements = (
  identity: Identity,
  entries: ReadonlyArray<Stored>,
  trainings: ReadonlyArray<Trained> = []
): ReadonlyArray<Statement> => [
  { sql: Schemas.schema, parameters: [] },
  { sql: Schemas.begin, parameters: [encodeIdentity(identity), Math.min(Date.now(), ...entries.map(({ at }) => at))] },
  ...entries.map(({ at, entry }) => ({
    sql: Schemas.addEntry,
    parameters: [entry.trial, stepOf(entry), entry._tag, at, encodeEntry(entry)]
  })),
  ...trainings.flatMap((each) => {
    const row = rowOf(each.trial, each.step, each)
    return row === undefined
      ? []
      : [
          { sql: Schemas.addPlace, parameters: [row.place] },
          { sql: Schemas.addTraining, parameters: [row.trial, row.step, row.begun, row.ended, row.curve, row.place] }
        ]
  })
]

/** What a journal's file holds. */
export interface Read {
  readonly identity: Identity
  readonly entries: ReadonlyArray<Stored>
  /**
   * Whether the last entries may be missing: the writing process was killed, and the log that SQLite keeps next to the file (`-wal`) was
   * lost or left behind.
   */
  readonly isCut: boolean
}

/** A journal's file, kept open for reading. */
export interface Reader {
  /** Its current identity: the notes are those of the last search that opened it. */
  readonly identity: Effect.Effect<Identity, JournalUnreadable>
  /** The number of entries. A cheap way to see whether there are new ones. */
  readonly count: Effect.Effect<number, JournalUnreadable>
  /** All entries by trial and step, or only those stored at or after a time (milliseconds since 1970). */
  readonly entries: (since?: number) => Effect.Effect<ReadonlyArray<Stored>, JournalUnreadable>
  /** The same, for entries that can be read, with the number of those that cannot: for showing whatever there is. */
  readonly readable: (
    since?: number
  ) => Effect.Effect<{ readonly entries: ReadonlyArray<Stored>; readonly damaged: number }, JournalUnreadable>
  /** Learning curves and the workers that trained, by trial and step: of all trials, or of some; nothing is read for the others. */
  readonly trainings: (trials?: Iterable<number>) => Effect.Effect<ReadonlyArray<Trained>, JournalUnreadable>
  /** As in `Read`. */
  readonly isCut: boolean
}

/**
 * Opens a journal's file for reading, without changing it; a search may be writing to it. Fails with `JournalUnreadable` if it is not a
 * journal or is damaged.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Evaluator, Journal, Search } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const program = Effect.gen(function* () {
 *   yield* Search.run(cells, { trials: 4, seed: "demo" }).pipe(
 *     Effect.provide([Random.layer(), evaluator, Journal.sqlite("reader.db", { existing: "resume" })])
 *   )
 *   const reader = yield* Journal.reader("reader.db")
 *   yield* Console.log(yield* reader.count, Journal.curveOf(yield* reader.trainings([2]))) // undefined: nothing was trained
 * })
 * Effect.runPromise(Effect.scoped(program))
 * ```
 */
export const reader = (path: string): Effect.Effect<Reader, JournalUnreadable, Scope.Scope> =>
  Effect.gen(function* () {
    // A reader takes no lock.
    const file = yield* Effect.catchTag(Sqlite.open(path, { durability: "readOnly" }), "JournalLocked", Effect.die)
    const identity = Effect.flatMap(file.header, (header) =>
      header === undefined ? unreadable(path, "is half-written: it holds no search yet") : decodeIdentity(path, header)
    )
    yield* identity
    return {
      identity,
      count: file.count,
      entries: (since) => Effect.flatMap(file.rows(since), (rows) => storedOf(path, rows)),
      readable: (since) => Effect.map(file.rows(since), readableOf),
      trainings: (trials) => Effect.map(file.trainings(trials), trainedOf),
      isCut: file.isCut
    } satisfies Reader
  })

/**
 * Reads everything in a journal's file, without changing it; a search may be writing to it. Fails with `JournalUnreadable` if it is not a
 * journal or is damaged.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Evaluator, Journal, Search } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const program = Effect.gen(function* () {
 *   yield* Search.run(cells, { trials: 4, seed: "demo" }).pipe(
 *     Effect.provide([Random.layer(), evaluator, Journal.sqlite("read.db", { existing: "resume" })])
 *   )
 *   const { entries, identity } = yield* Journal.read("read.db")
 *   yield* Console.log(identity.seed, Journal.countTrials(entries), Search.begunIn(entries)) // demo 4 4
 *   for (const { entry } of entries) yield* Console.log(entry.trial, Journal.stepOf(entry), entry._tag)
 *   yield* Console.log(Journal.nextOf(entries).trial, Journal.holder("read.db")) // 4 undefined: nobody writes to it
 * })
 * Effect.runPromise(program)
 * ```
 */
export const read = (path: string): Effect.Effect<Read, JournalUnreadable> =>
  Effect.gen(function* () {
    const { entries, identity, isCut } = yield* reader(path)
    return { identity: yield* identity, entries: yield* entries(), isCut }
  }).pipe(Effect.scoped)

/** The process that is writing to a journal now: `undefined` if there is none, `null` if it has only just started and has not given its name. */
export const holder = (path: string): Lock.Holder | null | undefined => Lock.holderOf(path)

/** How many different trials the entries are about. Entries about the search itself (a change of strategy, failed trials that are retried) do not count. */
export const countTrials = (entries: ReadonlyArray<Stored>): number =>
  new Set(
    entries.flatMap(({ entry }) => (entry._tag === "HandedOver" || entry._tag === "Retrying" ? [] : [entry.trial]))
  ).size

const IdentityText = Schema.fromJsonString(Identity)
const EntryText = Schema.fromJsonString(Entry)
// Both are plain data of their own types, so encoding cannot fail.
const encodeIdentity = Schema.encodeSync(IdentityText)
const encodeEntry = Schema.encodeSync(EntryText)

const PlaceText = Schema.fromJsonString(Place)
const encodePlace = Schema.encodeSync(PlaceText)
const decodePlace = Schema.decodeOption(PlaceText)
const isTraining = Schema.is(Training)

/** An evaluator may return anything; what is not a training is not kept. */
const rowOf = (trial: number, step: number, training: Training | undefined): Sqlite.TrainingRow | undefined => {
  if (training === undefined || !isTraining(training)) return undefined
  const { begun, curve, ended, place } = training
  return {
    trial,
    step,
    place: encodePlace(place),
    begun,
    ended,
    curve: curve === undefined || curve.epochs.length === 0 ? null : Curves.encode(curve)
  }
}

/** They are not part of the search: what cannot be read is left out. */
const trainedOf = (rows: ReadonlyArray<Sqlite.TrainingRow>): ReadonlyArray<Trained> => {
  const places = new Map<string, Place | undefined>()
  const placeOf = (text: string) => {
    if (!places.has(text)) places.set(text, Option.getOrUndefined(decodePlace(text)))
    return places.get(text)
  }
  return rows.flatMap(({ begun, curve: bytes, ended, place: text, step, trial }) => {
    const place = placeOf(text)
    if (place === undefined) return []
    const curve = bytes === null ? undefined : Curves.decode(bytes)
    return [{ trial, step, place, begun, ended, ...(curve === undefined ? {} : { curve }) }]
  })
}

const unreadable = (path: string, problem: string) =>
  new JournalUnreadable({
    path,
    problem,
    remedy: "Restore it from a copy, or start a new search in another folder; the file was left as it is"
  })

const decodeIdentity = (path: string, text: string) =>
  Effect.mapError(Schema.decodeEffect(IdentityText)(text), () => unreadable(path, "has a damaged header"))

const decodeEntry = Schema.decodeUnknownOption(Entry)

/** Decodes the entries of rows. There may be hundreds of thousands, so they are decoded in one go. */
const storedOf = (
  path: string,
  rows: ReadonlyArray<Sqlite.Row>
): Effect.Effect<ReadonlyArray<Stored>, JournalUnreadable> =>
  Effect.suspend(() => {
    const stored: Array<Stored> = []
    for (const { at, data, kind, trial } of rows) {
      const entry = decodeEntry(parsed(data))
      if (entry._tag === "None") return unreadable(path, `has a damaged entry (${kind} of trial ${trial})`)
      stored.push({ entry: entry.value, at })
    }
    return Effect.succeed(stored)
  })

const readableOf = (rows: ReadonlyArray<Sqlite.Row>) => {
  const entries = rows.flatMap(({ at, data }) =>
    Option.match(decodeEntry(parsed(data)), { onSome: (entry): Array<Stored> => [{ entry, at }], onNone: () => [] })
  )
  return { entries, damaged: rows.length - entries.length }
}

/** `undefined` if it is not JSON. */
const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The surroundings of a search that is being resumed, including the current ones. */
const together = (
  path: string,
  entries: number,
  { mixed = "refuse" }: SqliteOptions,
  { surroundings: before = [] }: Identity,
  { surroundings: now }: Identity
): Effect.Effect<Identity["surroundings"], JournalMixed> => {
  const current = now?.at(-1)
  if (current === undefined) return Effect.succeed(before.length === 0 ? undefined : before)
  // The earlier ones produced nothing.
  if (entries === 0) return Effect.succeed([current])
  const found = Surroundings.difference(before, current)
  return found !== undefined && mixed === "refuse"
    ? Effect.fail(new JournalMixed({ path, what: found.what, journal: found.before, now: found.now }))
    : Effect.succeed(Surroundings.together(before, current))
}

/** The identity with the strategy that proposes now. A field that differs only because of the strategy comes last. */
const strategyNow = (identity: Identity, stored: ReadonlyArray<Stored>): Identity => {
  const last = stored.findLast(({ entry }) => entry._tag === "HandedOver")?.entry
  return last?._tag === "HandedOver"
    ? { ...identity, settings: { ...identity.settings, strategy: last.strategy } }
    : identity
}

/** The number of the next new trial (`trial`), and the numbers below it that no entry proposes (`open`). */
export const nextOf = (
  stored: ReadonlyArray<Stored>
): { readonly trial: number; readonly open: ReadonlyArray<number> } => {
  const known = new Set(
    stored.flatMap(({ entry }) =>
      entry._tag === "Proposed" || entry._tag === "Refused" || entry._tag === "Repeated" ? [entry.trial] : []
    )
  )
  let trial = 0
  for (const each of known) trial = Math.max(trial, each + 1)
  return { trial, open: Array.from({ length: trial }, (_, i) => i).filter((i) => !known.has(i)) }
}

/** The first difference between two searches. */
const differing = (journal: Identity, search: Identity) => {
  const flat = ({ seed, settings, space }: Identity): Record<string, unknown> => ({ ...settings, space, seed })
  const [ours, theirs] = [flat(search), flat(journal)]
  const fields = new Set([...Object.keys(ours), ...Object.keys(theirs)])
  // The field that may be replaced comes last: if it is the one found, nothing else differs.
  for (const field of fields.has("strategy")
    ? [...fields].filter((each) => each !== "strategy").concat("strategy")
    : fields) {
    const [mine, its] = [JSON.stringify(ours[field]) ?? "not set", JSON.stringify(theirs[field]) ?? "not set"]
    if (mine !== its) return { field, journal: its, search: mine }
  }
  return undefined
}
