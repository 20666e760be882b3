/** Reads files, with errors that name the file and the remedy. */
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import { basename, join } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { promisify } from "node:util"
import { createGunzip, gunzip } from "node:zlib"
import { CorruptFile, FileUnavailable } from "../DataError.ts"

const unzip = promisify(gunzip)

const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : String(cause)

const reasons: Record<string, string> = {
  ENOENT: "no such file or folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "a folder where a file is expected",
  ELOOP: "a link that leads back to itself",
  ENAMETOOLONG: "a name that is too long",
  EMFILE: "too many files are open",
  ERR_FS_FILE_TOO_LARGE: "it is larger than 2 GiB",
  ENOTDIR: "a file where a folder is expected"
}

const unavailable = (path: string, remedy: string) => (cause: unknown) =>
  new FileUnavailable({ path, reason: reasons[codeOf(cause)] ?? codeOf(cause), remedy })

/** A file's bytes. */
export const read = (path: string, remedy: string): Effect.Effect<Buffer, FileUnavailable> =>
  Effect.tryPromise({ try: () => fs.readFile(path), catch: unavailable(path, remedy) })

/** The size of a file in bytes. */
export const sizeOf = (path: string): Effect.Effect<number, FileUnavailable> =>
  Effect.tryPromise({
    try: async () => (await fs.stat(path)).size,
    catch: unavailable(path, "Give a file that can be read")
  })

/** The first `length` bytes of a gzip stream's content, or as many as there are. */
const beginning = (packed: Buffer, length: number): Effect.Effect<Buffer> =>
  Effect.promise(async () => {
    const parts: Array<Buffer> = []
    let found = 0
    // A broken stream gives what it has: unpacking it as a whole reports what is wrong.
    await pipeline(Readable.from([packed]), createGunzip(), async (content: AsyncIterable<Buffer>) => {
      for await (const part of content) {
        parts.push(part)
        found += part.length
        if (found >= length) return
      }
    }).catch(() => {})
    return Buffer.concat(parts).subarray(0, length)
  })

/** The size of a file in bytes, from its first `length` bytes. */
export interface Sized {
  readonly length: number
  readonly sizeOf: (start: Buffer) => Effect.Effect<number, CorruptFile>
}

/** A file is held in memory as a whole: at most 2 GiB. */
const most = 2 ** 31 - 1

/** A file's bytes, unpacked if its name ends in `.gz`, up to the size that its own header gives. */
export const readUnzipped = Effect.fn("files.readUnzipped")(function* (
  path: string,
  remedy: string,
  { length, sizeOf }: Sized
): Effect.fn.Return<Buffer, FileUnavailable | CorruptFile> {
  const bytes = yield* read(path, remedy)
  if (!path.endsWith(".gz")) return bytes
  const start = yield* beginning(bytes, length)
  // One byte more, so that content that is too long is detected.
  const maxOutputLength = start.length < length ? length : Math.min(most, (yield* sizeOf(start)) + 1)
  return yield* Effect.tryPromise({
    try: () => unzip(bytes, { maxOutputLength }),
    catch: (cause) => new CorruptFile({ path, reason: reasonOfGzip(codeOf(cause)), remedy: "Fetch the file again" })
  })
})

const reasonOfGzip = (code: string): string =>
  code === "Z_BUF_ERROR"
    ? "the gzip stream is cut short"
    : code === "ERR_BUFFER_TOO_LARGE"
      ? "the gzip stream unpacks to more than its own header says, or to more than 2 GiB"
      : "not a valid gzip stream"

export interface Entry {
  readonly name: string
  readonly folder: boolean
}

/** The content of a folder, sorted by name (by code unit, so it is the same everywhere); links count as what they point to. */
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

/** The first of these names that exists in the folder, as a path. */
export const find = (
  folder: string,
  names: Arr.NonEmptyReadonlyArray<string>,
  remedy: string
): Effect.Effect<string, FileUnavailable> =>
  Effect.flatMap(list(folder, remedy), (entries) => {
    const present = new Set(entries.map((entry) => entry.name))
    const found = names.find((name) => present.has(name))
    return found === undefined
      ? Effect.fail(new FileUnavailable({ path: join(folder, names[0]), reason: "no such file", remedy }))
      : Effect.succeed(join(folder, found))
  })

/** The non-empty lines of a text file, or nothing if there is no such file. */
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
