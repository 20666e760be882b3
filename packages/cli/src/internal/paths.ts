/** Paths that stay valid when a project is moved: relative to the folder in which a command runs, if they are inside it. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { dirname, isAbsolute, relative, resolve, sep } from "node:path"

/** A path in its stored form. */
export const portable = (path: string): string => {
  const below = relative(process.cwd(), path)
  return isAbsolute(below) || below.startsWith("..") ? path : below.split(sep).join("/")
}

/** The file of a stored path: relative to here, or otherwise to the nearest folder above `beside` that has it. */
export const find = Effect.fnUntraced(function* (path: string, beside: string) {
  const fs = yield* FileSystem.FileSystem
  const isThere = (file: string) => Effect.orElseSucceed(fs.exists(file), () => false)
  const here = resolve(path)
  if (yield* isThere(here)) return here
  if (isAbsolute(path)) return undefined
  for (let folder = resolve(beside); ; folder = dirname(folder)) {
    const file = resolve(folder, path)
    if (yield* isThere(file)) return file
    if (dirname(folder) === folder) return undefined
  }
})
