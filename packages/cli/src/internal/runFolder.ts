/** The folder of a search: its journal, and in the end the best network. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { type CliFault, fault } from "./CliFault.ts"

export type Services = FileSystem.FileSystem | Path.Path

export const files = {
  journal: "journal.db",
  best: "best.json",
  onnx: "best.onnx",
  weights: "best.safetensors"
} as const

/** Trainings that are to be gone on with; gone when the search is finished. */
export const checkpoints = "checkpoints"

/** The path as a person would type it from here. */
export const shown = Effect.fnUntraced(function* (folder: string) {
  const path = yield* Path.Path
  const relative = path.relative(process.cwd(), folder)
  return relative.startsWith("..") || relative === "" ? folder : relative
})

/** A new folder for a search, made with those above it. Fails where it holds anything. */
export const create = Effect.fnUntraced(function* (folder: string): Effect.fn.Return<void, CliFault, Services> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const name = yield* shown(folder)
  const cannot = (problem: { readonly message: string }) =>
    fault(`--out ${name} cannot be used: ${problem.message}. Give a folder that you may write to.`)
  const exists = yield* Effect.mapError(fs.exists(folder), cannot)
  if (exists) {
    const found = yield* Effect.mapError(fs.readDirectory(folder), () =>
      fault(`--out ${name} is not a folder. Give the path of a new folder.`)
    )
    if (found.includes(files.journal))
      return yield* fault(
        `--out ${name} already holds a search. Go on with it by --resume ${name}, or give a new folder; nothing was changed.`
      )
    if (found.length > 0) return yield* fault(`--out ${name} is not empty. Give a new folder; nothing was changed.`)
  }
  yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), cannot)
  // Found out now and not after the first trial.
  const probe = path.join(folder, ".writable")
  yield* Effect.mapError(Effect.andThen(fs.writeFileString(probe, ""), fs.remove(probe)), cannot)
})

const two = (n: number) => String(n).padStart(2, "0")

/** `runs/2026-01-31-120000-ppo`, or with `-2`, `-3`, … where that is taken. */
export const fresh = Effect.fnUntraced(function* (strategy: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const now = new Date()
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`
  const hour = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`
  const base = path.resolve("runs", `${day}-${hour}-${strategy}`)
  let folder = base
  for (let i = 2; yield* Effect.orElseSucceed(fs.exists(folder), () => false); i++) folder = `${base}-${i}`
  return folder
})

/** Writes a file so that it is whole or not there. */
export const write = Effect.fnUntraced(function* (file: string, content: Uint8Array | string) {
  const fs = yield* FileSystem.FileSystem
  const unfinished = `${file}.part`
  yield* (
    typeof content === "string" ? fs.writeFileString(unfinished, content) : fs.writeFile(unfinished, content)
  ).pipe(
    Effect.andThen(fs.rename(unfinished, file)),
    Effect.mapError((error) =>
      fault(`${file} cannot be written: ${error.message}. The journal is kept; make room, then resume.`)
    )
  )
})
