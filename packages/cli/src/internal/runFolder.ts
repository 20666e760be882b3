/** The folder of a search: its journal, and in the end the best network. */
import { WholeFile } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import { rmdirSync } from "node:fs"
import { type CliFault, fault, usage } from "./CliFault.ts"

export type Services = FileSystem.FileSystem | Path.Path

export const files = {
  journal: "journal.db",
  best: "best.json",
  onnx: "best.onnx",
  weights: "best.safetensors"
} as const

/** Trainings that are to be gone on with; gone when the search is finished. */
export const checkpoints = "checkpoints"

/** The path as a person would type it from here: nothing that could be taken for a flag. */
export const shown = Effect.fnUntraced(function* (folder: string) {
  const path = yield* Path.Path
  const relative = path.relative(process.cwd(), folder)
  const short = relative.startsWith("..") || relative === "" ? folder : relative
  return short.startsWith("-") ? `./${short}` : short
})

/** What a process that was ended in its first moments leaves: nothing was begun yet, and whoever begins anew need not mind it. */
const isLeftover = (name: string): boolean =>
  name.endsWith(WholeFile.unfinished) || name === probe || /^\w+\.(db|json)(\.new|\.lock|-lock)/.test(name)

const probe = ".writable"

/** A folder that something is begun in. */
export interface Created {
  readonly folder: string
  /** Takes it away again if nothing is in it. */
  readonly undo: Effect.Effect<void>
}

/** Where something is to be begun. */
export interface Place {
  readonly folder: string
  /** Whether nobody asked for just this one: where it is taken, the next one of its name with a number is as good. */
  readonly isAny: boolean
}

/** Makes a folder that was not there: of two that want it at once one has it. */
const claim = Effect.fnUntraced(function* (wanted: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  yield* fs.makeDirectory(path.dirname(wanted), { recursive: true })
  for (let i = 1; ; i++) {
    const folder = i === 1 ? wanted : `${wanted}-${i}`
    const made = yield* Effect.result(fs.makeDirectory(folder))
    if (made._tag === "Success") return folder
    if (made.failure.reason._tag !== "AlreadyExists") return yield* made.failure
  }
})

/** A new folder for a run, made with those above it. Fails where it holds anything. */
export const create = Effect.fnUntraced(function* (place: Place): Effect.fn.Return<Created, CliFault, Services> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const asked = yield* shown(place.folder)
  const refused = (problem: { readonly message: string }) =>
    fault(`--out ${asked} cannot be used: ${problem.message}. Give a folder that you may write to.`)
  const folder = place.isAny ? yield* Effect.mapError(claim(place.folder), refused) : place.folder
  const name = yield* shown(folder)
  const cannot = (problem: { readonly message: string }) =>
    fault(`--out ${name} cannot be used: ${problem.message}. Give a folder that you may write to.`)
  const exists = !place.isAny && (yield* Effect.mapError(fs.exists(folder), cannot))
  if (exists) {
    const found = yield* Effect.mapError(fs.readDirectory(folder), () =>
      fault(`--out ${name} is not a folder. Give the path of a new folder.`)
    )
    if (found.includes(files.journal))
      return yield* usage(
        `--out ${name} already holds a search. Go on with it by --resume ${name}, or give a new folder; nothing was changed.`
      )
    if (!found.every(isLeftover))
      return yield* usage(`--out ${name} is not empty. Give a new folder; nothing was changed.`)
  }
  yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), cannot)
  yield* WholeFile.syncFolder(path.dirname(path.resolve(folder)))
  // Found out now and not after the first trial.
  const file = path.join(folder, probe)
  yield* Effect.mapError(Effect.andThen(fs.writeFileString(file, ""), fs.remove(file)), cannot)
  return {
    folder,
    // Where another one has begun there meanwhile it is not empty.
    undo: exists ? Effect.void : Effect.ignore(Effect.try(() => rmdirSync(folder)))
  }
})

/** Whether a folder has a file. */
export const has = Effect.fnUntraced(function* (folder: string, file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  return yield* Effect.orElseSucceed(fs.exists(path.join(folder, file)), () => false)
})

const two = (n: number) => String(n).padStart(2, "0")

/** `runs/2026-01-31-120000-ppo`, or with `-2`, `-3`, … where that is taken when it is made. */
export const fresh = Effect.fnUntraced(function* (strategy: string): Effect.fn.Return<Place, never, Path.Path> {
  const path = yield* Path.Path
  const now = new Date()
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`
  const hour = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`
  return { folder: path.resolve("runs", `${day}-${hour}-${strategy}`), isAny: true }
})

/** A folder that was asked for. */
export const asked = (folder: string): Place => ({ folder, isAny: false })

/** What the system said, without the call and the path. */
export const reasonOf = ({ message, reason }: PlatformError): string =>
  reason.cause instanceof Error ? reason.cause.message.replace(/,.*$/, "") : message

/** Writes a file so that it is whole or not there, and on the disk when it is said to be. `remedy`: what is said where that fails. */
export const write = (
  file: string,
  content: Uint8Array | string,
  remedy: string
): Effect.Effect<void, CliFault, Services> =>
  Effect.catch(WholeFile.write(file, content), (error) =>
    Effect.flatMap(shown(file), (name) => fault(`${name} cannot be written: ${reasonOf(error)}. ${remedy}`))
  )
