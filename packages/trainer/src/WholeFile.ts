/** Writes files that are either whole or absent, and on disk once the write has returned. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"

/** The ending of a file's name while it is being written. */
export const unfinished = ".part"

/**
 * Flushes a folder to disk: a new or renamed file survives a power failure only once its folder is synced. Where the system does not
 * support this (Windows), it does nothing.
 */
export const syncFolder = (folder: string): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const opened = yield* fs.open(folder, { flag: "r" })
    yield* opened.sync
  }).pipe(Effect.scoped, Effect.ignore)

/**
 * Writes a file so that it is whole or absent, whatever happens in between, and on disk when this ends: under another name, flushed to
 * disk, and renamed. (Node's `fsync` is `F_FULLFSYNC` on macOS.) Fails if the system refuses; an earlier file of that name is then
 * unchanged.
 *
 * @example
 * ```ts
 * import { NodeServices } from "@effect/platform-node"
 * import { WholeFile } from "@uninet/trainer"
 * import { Console, Effect, FileSystem } from "effect"
 *
 * // Whatever ends this process in between: the file has all of one text or all of the other.
 * const program = Effect.gen(function* () {
 *   yield* WholeFile.write("notes.txt", "a good one\n")
 *   yield* WholeFile.write("notes.txt", "a better one\n")
 *   yield* WholeFile.syncFolder(".")
 *   yield* Console.log(yield* (yield* FileSystem.FileSystem).readFileString("notes.txt"))
 * })
 * Effect.runPromise(Effect.provide(program, NodeServices.layer))
 * ```
 */
export const write = Effect.fnUntraced(function* (
  file: string,
  content: Uint8Array | string
): Effect.fn.Return<void, PlatformError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const part = `${file}${unfinished}`
  yield* Effect.scoped(
    Effect.gen(function* () {
      const opened = yield* fs.open(part, { flag: "w" })
      yield* opened.writeAll(typeof content === "string" ? new TextEncoder().encode(content) : content)
      yield* opened.sync
    })
  ).pipe(
    Effect.andThen(fs.rename(part, file)),
    Effect.andThen(syncFolder(path.dirname(file))),
    Effect.tapError(() => Effect.ignore(fs.remove(part))),
    Effect.uninterruptible
  )
})
