/**
 * A worker's folder for a training that is kept (`Trial.keep`): filled from the database before the trial is evaluated, then read and
 * removed.
 *
 * Names come from the database, to which others write: only plain names are joined to a path.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import { join } from "node:path"

/** Files by name. */
export type Files = ReadonlyMap<string, Uint8Array>

/** Whether a name is that of a file in a folder and cannot lead out of it. */
export const isPlain = (name: string): boolean => /^[\w.-]{1,200}$/.test(name) && !/^\.+$/.test(name)

/** Makes the folder hold these files and no others. */
export const fill = (folder: string, files: Files): Effect.Effect<void, PlatformError.PlatformError> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    yield* fs.remove(folder, { recursive: true, force: true })
    yield* fs.makeDirectory(folder, { recursive: true })
    for (const [name, content] of files) if (isPlain(name)) yield* fs.writeFile(join(folder, name), content)
  }).pipe(Effect.provide(NodeFileSystem.layer))

/**
 * The content of the folder, which is removed afterwards. What cannot be read is left out: the training then continues from an earlier
 * point, with the same result.
 */
export const empty = (folder: string): Effect.Effect<Files> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const names = yield* fs.readDirectory(folder)
    const files = yield* Effect.forEach(names.filter(isPlain), (name) =>
      Effect.map(fs.readFile(join(folder, name)), (content) => [name, content] as const)
    )
    yield* fs.remove(folder, { recursive: true, force: true })
    return new Map(files)
  }).pipe(
    Effect.orElseSucceed((): Files => new Map()),
    Effect.provide(NodeFileSystem.layer)
  )
