/** Files that are whole or not there, and on the disk when they are said to be written. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"

/** What the name of a file that is being written ends with. */
export const unfinished = ".part"

/**
 * Brings what a folder holds to the disk: a new or renamed file is there after a power cut when its folder is. Where the system has no such thing (Windows) nothing happens.
 */
export const syncFolder = (folder: string): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const opened = yield* fs.open(folder, { flag: "r" })
    yield* opened.sync
  }).pipe(Effect.scoped, Effect.ignore)

/**
 * Writes a file so that it is whole or not there, whatever happens in between, and on the disk when this ends: under another name, brought to the disk, and
 * renamed. (Node's `fsync` is `F_FULLFSYNC` on macOS.) Fails where the system refuses it; then an earlier file of the name is as it was.
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
