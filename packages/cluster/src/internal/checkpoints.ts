/**
 * A worker's folder of a training that is kept (`Trial.keep`): filled with what the database has of it before the trial is evaluated, read and removed afterwards.
 *
 * What cannot be written or read is left out: the training then begins at its start, to the same result.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { join } from "node:path"

/** Files by name. */
export type Files = ReadonlyMap<string, Uint8Array>

/** Makes the folder hold these files and no others. */
export const fill = (folder: string, files: Files): Effect.Effect<void> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    yield* fs.remove(folder, { recursive: true, force: true })
    yield* fs.makeDirectory(folder, { recursive: true })
    yield* Effect.forEach(files, ([name, content]) => fs.writeFile(join(folder, name), content), { discard: true })
  }).pipe(Effect.ignore, Effect.provide(NodeFileSystem.layer))

/** What the folder holds; it is gone afterwards. */
export const empty = (folder: string): Effect.Effect<Files> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const names = yield* fs.readDirectory(folder)
    const files = yield* Effect.forEach(names, (name) =>
      Effect.map(fs.readFile(join(folder, name)), (content) => [name, content] as const)
    )
    yield* fs.remove(folder, { recursive: true, force: true })
    return new Map(files)
  }).pipe(
    Effect.orElseSucceed((): Files => new Map()),
    Effect.provide(NodeFileSystem.layer)
  )
