/** Paths that stay right when a project is moved: told from the folder in which a command runs, where it is below that. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { dirname, isAbsolute, relative, resolve, sep } from "node:path"

/** A path as it is kept. */
export const portable = (path: string): string => {
  const below = relative(process.cwd(), path)
  return isAbsolute(below) || below.startsWith("..") ? path : below.split(sep).join("/")
}

/** Where a kept path's file is: from here, or else from the nearest folder above `beside` that has it. */
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
