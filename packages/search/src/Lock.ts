/**
 * One holder of a file at a time, by a lock of the operating system. The lock is released when the process that holds it ends, however that
 * happens. It does not rely on process numbers, which containers share and systems reuse.
 *
 * It is SQLite's lock on a separate file, `<file>-lock`, held `EXCLUSIVE`. The file exists while somebody holds the lock, and says who.
 *
 * @example
 * ```ts
 * import { Lock } from "@uninet/search"
 *
 * console.log(Lock.pathOf("runs/demo/journal.db"))
 * ```
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { randomInt } from "node:crypto"
import { accessSync, constants, existsSync, rmSync } from "node:fs"
import { hostname } from "node:os"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"

/** The holder of a lock, for people to read: a process number means something only on its own machine and in its own container. */
export const Holder = Schema.Struct({ pid: Schema.Int, host: Schema.String })
export type Holder = typeof Holder.Type

/** Another process holds the lock, or another part of this one does. */
export class Locked extends Schema.TaggedError<Locked>()("Locked", {
  file: Schema.String,
  /** `null` if it has only just taken it. */
  holder: Schema.NullOr(Holder)
}) {
  override get message() {
    return `${this.file} is in use by ${print(this.holder)}. Wait for it, or end it.`
  }
}

/** The lock could not be taken for another reason: its folder is missing or not writable. */
export class LockFailed extends Schema.TaggedError<LockFailed>()("LockFailed", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.file} cannot be locked (${this.reason}). Give yourself write permission in its folder.`
  }
}

/** A holder in words, such as `process 123 on here`, or `another process` if it is not known which. */
export const print = (holder: Holder | null): string =>
  holder === null ? "another process" : `process ${holder.pid} on ${holder.host}`

/** The path of a file's lock: its name with `-lock` appended. */
export const pathOf = (file: string): string => `${file}-lock`

/** How long to wait for a lock: a process that only looks who holds it takes it for a moment. */
const patience = 1000

const codeOf = (cause: unknown): number =>
  cause instanceof Error && "errcode" in cause && typeof cause.errcode === "number" ? cause.errcode & 0xff : 0
const busy = 5
const isBusy = (cause: unknown) => codeOf(cause) === busy

/**
 * Reads a lock's file, whoever holds it. SQLite keeps track of the files it has open: opening this one in another way would release this
 * process's own lock.
 */
const peek = <A>(path: string, read: (db: DatabaseSync) => A): A | undefined => {
  const address = pathToFileURL(path)
  address.searchParams.set("immutable", "1")
  try {
    const db = new DatabaseSync(address, { readOnly: true })
    try {
      return read(db)
    } finally {
      db.close()
    }
  } catch {
    // It is gone, or is just being created.
    return undefined
  }
}

const tokenOf = (path: string) => peek(path, (db) => db.prepare("pragma user_version").get()?.["user_version"])

const named = (path: string): Holder | null => {
  const row = peek(path, (db) => db.prepare("select pid, host from holder").get())
  return row === undefined ? null : { pid: Number(row["pid"]), host: String(row["host"]) }
}

/** Locks the file at the path, unless somebody else has locked it. */
const take = (path: string): DatabaseSync | "taken" => {
  for (;;) {
    const token = randomInt(2 ** 31 - 1)
    const db = new DatabaseSync(path, { timeout: patience })
    try {
      // In this mode the lock stays after the transaction.
      db.exec(
        `pragma locking_mode = exclusive; pragma journal_mode = memory; pragma synchronous = off;
        begin exclusive;
        pragma user_version = ${token};
        create table if not exists holder (pid integer not null, host text not null);
        delete from holder`
      )
      db.prepare("insert into holder (pid, host) values (?, ?)").run(process.pid, hostname())
      db.exec("commit")
    } catch (cause) {
      db.close()
      if (isBusy(cause)) return "taken"
      // The file that was opened may have been removed by its last holder.
      if (existsSync(path)) throw cause
      continue
    }
    // Removed meanwhile, it would lock nothing.
    if (tokenOf(path) === token) return db
    db.close()
  }
}

/** Removes the file while it is still held, so that the next process to open the path opens a new file. */
const release = (path: string, db: DatabaseSync) => {
  const remove = () => {
    try {
      rmSync(path, { force: true })
    } catch {
      // Windows does not remove a file that is open.
    }
  }
  remove()
  db.close()
  if (process.platform === "win32") remove()
}

/** The system's reason for refusing, if that is clearer than SQLite's. */
const reasonOf = (path: string, cause: unknown): string => {
  try {
    accessSync(dirname(path), constants.W_OK)
  } catch (refused) {
    if (refused instanceof Error) return refused.message
  }
  return cause instanceof Error ? cause.message : String(cause)
}

/**
 * Holds the lock of a file until the scope ends. The file itself need not exist.
 *
 * Fails with `Locked` if somebody else holds it, in this process or another, and with `LockFailed` if its folder is missing or not
 * writable.
 *
 * @example
 * ```ts
 * import { Lock } from "@uninet/search"
 * import { Console, Effect } from "effect"
 *
 * // Of two that want to write notes.json, one does.
 * const program = Effect.gen(function* () {
 *   yield* Lock.hold("notes.json")
 *   yield* Console.log(Lock.print(Lock.holderOf("notes.json") ?? null), Lock.pathOf("notes.json"))
 *   yield* Effect.scoped(Lock.hold("notes.json")).pipe(Effect.catchTag("Locked", ({ message }) => Console.log(message)))
 * })
 * Effect.runPromise(Effect.scoped(program))
 * ```
 */
export const hold = (file: string): Effect.Effect<void, Locked | LockFailed, Scope.Scope> => {
  const path = pathOf(file)
  const acquire = Effect.try({
    try: () => take(path),
    catch: (cause) => new LockFailed({ file, reason: reasonOf(path, cause) })
  }).pipe(
    Effect.flatMap((taken) =>
      taken === "taken" ? Effect.fail(new Locked({ file, holder: named(path) })) : Effect.succeed(taken)
    )
  )
  return Effect.asVoid(Effect.acquireRelease(acquire, (db) => Effect.sync(() => release(path, db))))
}

/** The holder of a file's lock; `undefined` if there is none, `null` if the holder has only just taken it. */
export const holderOf = (file: string): Holder | null | undefined => {
  const path = pathOf(file)
  if (!existsSync(path)) return undefined
  try {
    const db = new DatabaseSync(path, { readOnly: true, timeout: 0 })
    try {
      db.prepare("pragma user_version").get()
      db.prepare("select count(*) from sqlite_schema").get()
    } finally {
      db.close()
    }
    // Its last holder was killed.
    return undefined
  } catch (cause) {
    return isBusy(cause) ? named(path) : undefined
  }
}
