/** The SQLite file behind a journal: one header, and rows that are only ever added. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync
} from "node:fs"
import { hostname } from "node:os"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { JournalLocked, JournalNotWritten, JournalUnreadable } from "../JournalError.ts"
import * as Lock from "../Lock.ts"
import { addEntry, addPlace, addTraining, applicationId, begin, schema, trainings, version } from "./sqliteSchema.ts"

export interface Row {
  readonly trial: number
  readonly step: number
  readonly kind: string
  readonly at: number
  readonly data: string
}

/** How the evaluation behind a row was done. */
export interface TrainingRow {
  readonly trial: number
  readonly step: number
  /** JSON. There are few different ones and they are long, so the file stores each once. */
  readonly place: string
  readonly begun: number
  readonly ended: number
  readonly curve: Uint8Array | null
}

export interface File {
  /** Whether the end of it may be missing: it was not closed, and its log (`-wal`) is gone. */
  readonly isCut: boolean
  /** The header's text, if one was written. */
  readonly header: Effect.Effect<string | undefined, JournalUnreadable>
  readonly begin: (header: string) => Effect.Effect<void, JournalNotWritten>
  /** Replaces the header's text. */
  readonly rewrite: (header: string) => Effect.Effect<void, JournalNotWritten>
  /** Returns when the row is on disk. Rows added in one turn of the event loop share a commit. */
  readonly add: (row: Row, training?: TrainingRow) => Effect.Effect<void, JournalNotWritten>
  /** All rows, by trial and step; or only those added at or after a time. */
  readonly rows: (since?: number) => Effect.Effect<ReadonlyArray<Row>, JournalUnreadable>
  /** How many rows there are. */
  readonly count: Effect.Effect<number, JournalUnreadable>
  /** The stored trainings, by trial and step: of all trials, or of some. */
  readonly trainings: (trials?: Iterable<number>) => Effect.Effect<ReadonlyArray<TrainingRow>, JournalUnreadable>
}

export type Durability = "process" | "power"

const synchronous = { process: "normal", power: "full" }

const restore = "Restore it from a copy, or start a new search in another folder; the file was left as it is"
const permit = "Give yourself write permission in its folder, then resume, or start a new search in another one"
const magic = "SQLite format 3\0"

const problemOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

/** What is wrong with the file. Checked before SQLite opens it, because SQLite would write to some files. */
const faultOf = (path: string): string | undefined => {
  if (!existsSync(path)) return undefined
  if (!statSync(path).isFile()) return "is not a file"
  const first = firstBytes(path)
  if (first === "") return existsSync(`${path}-wal`) ? undefined : "is empty"
  if (first !== magic) return "is not a journal: it is not an SQLite file"
  return undefined
}

const firstBytes = (path: string): string => {
  const opened = openSync(path, "r")
  try {
    const bytes = Buffer.alloc(magic.length)
    return bytes.subarray(0, readSync(opened, bytes)).toString("latin1")
  } finally {
    closeSync(opened)
  }
}

/** Where the folder is read-only, no log can be created next to the file; but then nobody can be writing to it either. */
const addressOf = (path: string): string | URL => {
  const address = pathToFileURL(path)
  address.searchParams.set("immutable", "1")
  try {
    accessSync(dirname(path), constants.W_OK)
    return path
  } catch {
    return existsSync(`${path}-wal`) ? path : address
  }
}

const numberOf = (row: Record<string, unknown> | undefined, column: string): number => Number(row?.[column] ?? 0)

/** The file's name while it is being created, before it has its header. */
const unmade = (path: string) => `${path}.new`

/** Creates the file with its header in it, whole or not at all: under another name, flushed to disk by SQLite, and renamed. */
const makeFile = (path: string, header: string) => {
  const made = unmade(path)
  // What a start that was killed left behind; the lock is ours.
  for (const end of ["", "-journal", "-wal", "-shm"]) rmSync(`${made}${end}`, { force: true })
  const db = new DatabaseSync(made)
  try {
    db.exec(`${toTheDisk} pragma synchronous = full; begin; ${schema}`)
    db.prepare(begin).run(header, Date.now())
    db.exec("commit")
  } finally {
    db.close()
  }
  renameSync(made, path)
  syncFolder(dirname(path))
}

/** A name is on disk once its folder is synced; Windows has no such thing. */
const syncFolder = (folder: string) => {
  try {
    const opened = openSync(folder, "r")
    fsyncSync(opened)
    closeSync(opened)
  } catch {
    // The best the system can do.
  }
}

/** On macOS, synced data may still be on its way to the disk: this waits for it there, and does nothing elsewhere. */
const toTheDisk = "pragma fullfsync = on; pragma checkpoint_fullfsync = on;"

/**
 * The number of log pages, and the milliseconds, after which the log is merged into the file, so that a copy of the file alone has all but
 * the latest entries.
 */
const loggedPages = 64
const loggedTime = 10_000

/** The lock of an earlier version, which only knew a process number: a file with that number in it. */
const earlier = (path: string): Lock.Holder | undefined => {
  const old = `${path}.lock`
  try {
    const holder = Schema.decodeSync(Schema.fromJsonString(Lock.Holder))(readFileSync(old, "utf8"))
    if (holder.host !== hostname()) return holder
    process.kill(holder.pid, 0)
    return holder
  } catch (cause) {
    // It exists, and belongs to another user.
    if (cause instanceof Error && "code" in cause && cause.code === "EPERM") return { pid: 0, host: hostname() }
    rmSync(old, { force: true })
    return undefined
  }
}

/** One writer at a time. */
const locked = (path: string): Effect.Effect<void, JournalLocked | JournalUnreadable, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Lock.hold(path)
    const holder = yield* Effect.sync(() => earlier(path))
    if (holder !== undefined) return yield* new JournalLocked({ path, holder })
  }).pipe(
    Effect.catchTags({
      Locked: ({ holder }) => new JournalLocked({ path, holder }),
      LockFailed: ({ reason }) =>
        new JournalUnreadable({ path, problem: `cannot be locked (${reason})`, remedy: permit })
    })
  )

/** Rolls back a write whose process was killed in the middle of it: until then the file cannot be opened just for reading. */
const settle = (path: string) => {
  if (!existsSync(`${path}-journal`)) return
  const db = new DatabaseSync(path, { timeout: 5000 })
  try {
    db.prepare("select 1 from sqlite_schema").get()
  } finally {
    db.close()
  }
}

const selectRows = (where: string) => `select trial, step, kind, at, data from entry ${where} order by trial, step`

/** Opens or creates the file; it is closed with the scope. A file that is not a journal, or is damaged, is not changed. */
export const open = (
  path: string,
  { durability }: { readonly durability: Durability | "readOnly" }
): Effect.Effect<File, JournalUnreadable | JournalLocked, Scope.Scope> =>
  Effect.gen(function* () {
    const readOnly = durability === "readOnly"
    const unreadable = (problem: string, remedy = restore) => new JournalUnreadable({ path, problem, remedy })
    const reading = <A>(run: () => A) =>
      Effect.try({ try: run, catch: (cause) => unreadable(`cannot be read (${problemOf(cause)})`) })
    const notWritten = (cause: unknown) => new JournalNotWritten({ path, problem: problemOf(cause) })

    const fault = yield* reading(() => faultOf(path))
    if (fault !== undefined) return yield* unreadable(fault)
    if (!existsSync(path) && readOnly) return yield* unreadable("does not exist", "Give the folder of a search")
    if (!readOnly) {
      yield* Effect.try({
        try: () => mkdirSync(dirname(path), { recursive: true }),
        catch: (cause) => unreadable(`cannot be created: its folder cannot be created (${problemOf(cause)})`, permit)
      })
      yield* locked(path)
    }

    // A reader creates an empty one.
    const hadLog = yield* reading(() => (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0)
    /** Absent until the file has its header. */
    let db: DatabaseSync | undefined
    let checkpointed = performance.now()
    const checkpoint = (how: "passive" | "truncate") => {
      checkpointed = performance.now()
      db?.exec(`pragma wal_checkpoint(${how})`)
    }
    let isWriting = false
    /** Records in the file that it is being written to: from now on the log is part of it. */
    const write = (opened: DatabaseSync) => {
      if (isWriting) return
      isWriting = true
      opened.exec(
        `${toTheDisk} pragma journal_mode = wal; pragma synchronous = ${synchronous[durability === "process" ? "process" : "power"]}; pragma wal_autocheckpoint = ${loggedPages}`
      )
      opened.exec(`${trainings} create table if not exists writing (since integer not null); delete from writing`)
      opened.prepare("insert into writing (since) values (?)").run(Date.now())
      checkpoint("truncate")
      // An empty log would be taken for a lost one.
      opened.exec("update writing set since = since + 1")
    }
    type Waiting = {
      readonly row: Row
      readonly training: TrainingRow | undefined
      readonly resume: (done: Effect.Effect<void, JournalNotWritten>) => void
    }
    let waiting: Array<Waiting> = []
    const flush = () => {
      const batch = waiting
      waiting = []
      if (batch.length === 0) return
      let outcome: Effect.Effect<void, JournalNotWritten> = Effect.void
      try {
        if (db === undefined) throw new Error("it has not been opened")
        write(db)
        const insert = db.prepare(addEntry)
        db.exec("begin immediate")
        for (const { row } of batch) insert.run(row.trial, row.step, row.kind, row.at, row.data)
        addTrainings(
          db,
          batch.flatMap(({ training }) => (training === undefined ? [] : [training]))
        )
        db.exec("commit")
      } catch (cause) {
        outcome = Effect.fail(notWritten(cause))
        if (db?.isTransaction === true) db.exec("rollback")
      }
      for (const { resume } of batch) resume(outcome)
      // What was stored is safe in the log, whether it is merged into the file now or later.
      if (performance.now() - checkpointed > loggedTime) ignoring(() => checkpoint("passive"))
    }
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        flush()
        if (isWriting) ignoring(() => db?.exec("delete from writing"))
        db?.close()
      })
    )

    if (existsSync(path)) {
      if (readOnly) yield* reading(() => settle(path))
      const opened = yield* reading(
        () => new DatabaseSync(readOnly ? addressOf(path) : path, { readOnly, timeout: 5000 })
      )
      db = opened
      const { application, tables, written } = yield* reading(() => ({
        application: numberOf(opened.prepare("pragma application_id").get(), "application_id"),
        written: numberOf(opened.prepare("pragma user_version").get(), "user_version"),
        tables: numberOf(opened.prepare("select count(*) as tables from sqlite_schema").get(), "tables")
      }))
      if (tables === 0) return yield* unreadable("is half-written: it holds no search yet")
      if (application !== applicationId) return yield* unreadable("is an SQLite file, but not a uninet journal")
      if (written !== version)
        return yield* unreadable(
          `has version ${written}, but this uninet reads version ${version}`,
          "Use the uninet that wrote it, or start a new search in another folder"
        )
      const check = yield* reading(() => opened.prepare("pragma quick_check(1)").get())
      if (check?.["quick_check"] !== "ok") return yield* unreadable(`is damaged (${String(check?.["quick_check"])})`)
    }
    /** The last writer did not close the file properly, and the log with the latest entries is gone. */
    const isCut = yield* reading(
      () =>
        db !== undefined &&
        !hadLog &&
        !(readOnly && Lock.holderOf(path) !== undefined) &&
        db.prepare("select 1 from sqlite_schema where name = 'writing'").get() !== undefined &&
        db.prepare("select 1 from writing limit 1").get() !== undefined
    )
    return {
      isCut,
      header: reading(() => {
        const row = db?.prepare("select identity from search").get()
        return row === undefined ? undefined : String(row["identity"])
      }),
      begin: (header) =>
        Effect.try({
          try: () => {
            makeFile(path, header)
            db = new DatabaseSync(path, { timeout: 5000 })
            write(db)
          },
          catch: notWritten
        }),
      rewrite: (header) =>
        Effect.try({
          try: () => {
            if (db === undefined) return
            write(db)
            db.prepare("update search set identity = ?").run(header)
          },
          catch: notWritten
        }),
      add: (row, training) =>
        Effect.callback<void, JournalNotWritten>((resume) => {
          waiting.push({ row, training, resume })
          if (waiting.length === 1) setImmediate(flush)
        }),
      rows: (since) =>
        reading(() =>
          (since === undefined
            ? (db?.prepare(selectRows("")).all() ?? [])
            : (db?.prepare(selectRows("where at >= ?")).all(since) ?? [])
          ).map((row) => ({
            trial: numberOf(row, "trial"),
            step: numberOf(row, "step"),
            kind: String(row["kind"]),
            at: numberOf(row, "at"),
            data: String(row["data"])
          }))
        ),
      count: reading(() => numberOf(db?.prepare("select count(*) as rows from entry").get(), "rows")),
      trainings: (trials) => reading(() => (db === undefined ? [] : readTrainings(db, trials)))
    } satisfies File
  })

/** Adds what is known of trainings, in the same transaction as their rows. */
const addTrainings = (db: DatabaseSync, rows: ReadonlyArray<TrainingRow>) => {
  if (rows.length === 0) return
  const name = db.prepare(addPlace)
  const insert = db.prepare(addTraining)
  for (const { begun, curve, ended, place, step, trial } of rows) {
    name.run(place)
    insert.run(trial, step, begun, ended, curve, place)
  }
}

const readTrainings = (db: DatabaseSync, trials: Iterable<number> | undefined): ReadonlyArray<TrainingRow> => {
  if (db.prepare("select 1 from sqlite_schema where name = 'training'").get() === undefined) return []
  const select = `select trial, step, place.place as place, begun, ended, curve from training join place on place.id = training.place`
  const order = "order by trial, step"
  const rows =
    trials === undefined
      ? db.prepare(`${select} ${order}`).all()
      : db
          .prepare(`${select} where trial in (select value from json_each(?)) ${order}`)
          .all(JSON.stringify([...trials]))
  return rows.map((row) => ({
    trial: numberOf(row, "trial"),
    step: numberOf(row, "step"),
    place: String(row["place"]),
    begun: numberOf(row, "begun"),
    ended: numberOf(row, "ended"),
    curve: row["curve"] instanceof Uint8Array ? row["curve"] : null
  }))
}

/** Runs something that may fail without harm. */
const ignoring = (run: () => void) => {
  try {
    run()
  } catch {
    // It is tried again when there is more to write.
  }
}
