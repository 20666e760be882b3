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

/** Trainings that are to be continued; removed when the search is finished. */
export const checkpoints = "checkpoints"

/** The path as you would type it from here, in a form that cannot be taken for a flag. */
export const shown = Effect.fnUntraced(function* (folder: string) {
  const path = yield* Path.Path
  const relative = path.relative(process.cwd(), folder)
  const short = relative.startsWith("..") || relative === "" ? folder : relative
  return short.startsWith("-") ? `./${short}` : short
})

/** What a process leaves behind if it is killed in its first moments: nothing had been started, so a new start can ignore it. */
const isLeftover = (name: string): boolean =>
  name.endsWith(WholeFile.unfinished) || name === probe || /^\w+\.(db|json)(\.new|\.lock|-lock)/.test(name)

const probe = ".writable"

/** A folder in which something is started. */
export interface Created {
  readonly folder: string
  /** Removes it again if nothing is in it. */
  readonly undo: Effect.Effect<void>
}

/** Where something is to be started. */
export interface Place {
  readonly folder: string
  /** Whether any folder will do: if this one is taken, the next one with its name and a number is used. */
  readonly isAny: boolean
}

/** Creates a folder that did not exist: of two processes that want it at once, one gets it. */
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

/** A new folder for a run, created with its parents. Fails if it is not empty. */
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
        `--out ${name} already holds a search. Continue it with --resume ${name}, or give a new folder; nothing was changed.`
      )
    if (!found.every(isLeftover))
      return yield* usage(`--out ${name} is not empty. Give a new folder; nothing was changed.`)
  }
  yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), cannot)
  yield* WholeFile.syncFolder(path.dirname(path.resolve(folder)))
  // Found out now rather than after the first trial.
  const file = path.join(folder, probe)
  yield* Effect.mapError(Effect.andThen(fs.writeFileString(file, ""), fs.remove(file)), cannot)
  return {
    folder,
    // Not empty if another process has started there in the meantime.
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

/** `runs/2026-01-31-120000-ppo`, or with `-2`, `-3`, … if that is taken when it is created. */
export const fresh = Effect.fnUntraced(function* (strategy: string): Effect.fn.Return<Place, never, Path.Path> {
  const path = yield* Path.Path
  const now = new Date()
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`
  const hour = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`
  return { folder: path.resolve("runs", `${day}-${hour}-${strategy}`), isAny: true }
})

/** A folder that was asked for. */
export const asked = (folder: string): Place => ({ folder, isAny: false })

/** The system's message, without the call and the path. */
export const reasonOf = ({ message, reason }: PlatformError): string =>
  reason.cause instanceof Error ? reason.cause.message.replace(/,.*$/, "") : message

/** Writes a file so that it is whole or absent, and on disk once this returns. `remedy`: shown if that fails. */
export const write = (
  file: string,
  content: Uint8Array | string,
  remedy: string
): Effect.Effect<void, CliFault, Services> =>
  Effect.catch(WholeFile.write(file, content), (error) =>
    Effect.flatMap(shown(file), (name) => fault(`${name} cannot be written: ${reasonOf(error)}. ${remedy}`))
  )
