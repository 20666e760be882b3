/** Files that are whole or not there. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"

/** What the name of a file that is being written ends with. */
export const unfinished = ".part"

/**
 * Writes a file so that it is whole or not there, whatever happens in between, and on the disk when this ends: under another name, brought to the disk, and
 * renamed. Where it fails an earlier file of the name is as it was.
 */
export const writeWhole = Effect.fnUntraced(function* (
  file: string,
  content: Uint8Array
): Effect.fn.Return<void, PlatformError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const part = `${file}${unfinished}`
  yield* Effect.scoped(
    Effect.gen(function* () {
      const opened = yield* fs.open(part, { flag: "w" })
      yield* opened.writeAll(content)
      yield* opened.sync
    })
  ).pipe(
    Effect.andThen(fs.rename(part, file)),
    // The name is on the disk when the folder is.
    Effect.andThen(
      Effect.scoped(Effect.flatMap(fs.open(path.dirname(file), { flag: "r" }), (folder) => folder.sync)).pipe(
        Effect.ignore
      )
    ),
    Effect.tapError(() => Effect.ignore(fs.remove(part))),
    Effect.uninterruptible
  )
})
