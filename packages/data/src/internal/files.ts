/**
 * Files, with errors that say which and what to do.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import { basename, join } from "node:path"
import { promisify } from "node:util"
import { gunzip } from "node:zlib"
import { CorruptFile, FileUnavailable } from "../DataError.ts"

const unzip = promisify(gunzip)

const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : String(cause)

const reasons: Record<string, string> = {
  ENOENT: "no such file or folder",
  EACCES: "permission denied",
  EISDIR: "a folder where a file is expected",
  ENOTDIR: "a file where a folder is expected"
}

const unavailable = (path: string, remedy: string) => (cause: unknown) =>
  new FileUnavailable({ path, reason: reasons[codeOf(cause)] ?? codeOf(cause), remedy })

/** A file's bytes. */
export const read = (path: string, remedy: string): Effect.Effect<Buffer, FileUnavailable> =>
  Effect.tryPromise({ try: () => fs.readFile(path), catch: unavailable(path, remedy) })

/** A file's bytes, unpacked where its name ends in `.gz`. */
export const readUnzipped = (path: string, remedy: string): Effect.Effect<Buffer, FileUnavailable | CorruptFile> =>
  path.endsWith(".gz")
    ? Effect.flatMap(read(path, remedy), (packed) =>
        Effect.tryPromise({
          try: () => unzip(packed),
          catch: (cause) =>
            new CorruptFile({
              path,
              reason: codeOf(cause) === "Z_BUF_ERROR" ? "the gzip stream is cut short" : "not a valid gzip stream",
              remedy: "Fetch the file again"
            })
        })
      )
    : read(path, remedy)

export interface Entry {
  readonly name: string
  readonly folder: boolean
}

/** What a folder holds, sorted by name (by code unit, so the same everywhere); links count as what they point to. */
export const list = (path: string, remedy: string): Effect.Effect<ReadonlyArray<Entry>, FileUnavailable> =>
  Effect.tryPromise({
    try: async () => {
      const entries = await fs.readdir(path, { withFileTypes: true })
      const known = await Promise.all(
        entries.map(async (entry) => ({
          name: entry.name,
          folder: entry.isSymbolicLink()
            ? await fs.stat(join(path, entry.name)).then(
                (stat) => stat.isDirectory(),
                () => false
              )
            : entry.isDirectory()
        }))
      )
      return known.sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    catch: unavailable(path, remedy)
  })

/** The first of these names that the folder holds, as a path. */
export const find = (
  folder: string,
  names: ReadonlyArray<string>,
  remedy: string
): Effect.Effect<string, FileUnavailable> =>
  Effect.flatMap(list(folder, remedy), (entries) => {
    const present = new Set(entries.map((entry) => entry.name))
    const found = names.find((name) => present.has(name))
    return found === undefined
      ? Effect.fail(new FileUnavailable({ path: join(folder, names[0]!), reason: "no such file", remedy }))
      : Effect.succeed(join(folder, found))
  })

/** The lines of a text file that are not empty, or nothing where there is no such file. */
export const lines = (path: string): Effect.Effect<ReadonlyArray<string> | undefined> =>
  read(path, "").pipe(
    Effect.map((text) =>
      text
        .toString("utf8")
        .split(/\r?\n/)
        .map((line) => line.trim())
        .filter((line) => line !== "")
    ),
    Effect.orElseSucceed(() => undefined)
  )

/** The last part of a path. */
export const nameOf = (folder: string): string => basename(folder.replace(/\/+$/, "")) || folder
