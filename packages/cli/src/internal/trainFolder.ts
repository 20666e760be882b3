/** The folder of a training: its settings, its metrics, its checkpoints and its best weights. */
import { Lock } from "@uninet/search"
import { Checkpoints, Recipe } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { type CliFault, fault } from "./CliFault.ts"
import * as Device from "./device.ts"
import * as networks from "./networks.ts"
import * as runFolder from "./runFolder.ts"

export const files = {
  settings: "train.json",
  metrics: "metrics.jsonl",
  result: "result.json",
  best: Checkpoints.bestFile
} as const

/** The content of `train.json`: everything that decides the result, on one kind of machine. */
export const Settings = Schema.Struct({
  /** As it was given. */
  name: Schema.String,
  network: networks.Network,
  /** The file of the initial weights, if they were not drawn. */
  weights: Schema.optionalKey(Schema.String),
  /** The folder or file of the teacher, if it has one. */
  teacher: Schema.optionalKey(Schema.String),
  /** A name or a folder. */
  dataset: Schema.String,
  skipBad: Schema.Boolean,
  recipe: Recipe.Recipe,
  seed: Schema.String,
  threads: Schema.Int,
  device: Schema.Literals(Device.chosen).pipe(Schema.withDecodingDefaultKey(Effect.succeed(Device.standard)))
})
export type Settings = typeof Settings.Type

const Text = Schema.fromJsonString(Settings)

/** The file whose lock a training holds. */
const lockedFile = (folder: string) => Path.Path.pipe(Effect.map((path) => path.join(folder, files.settings)))

/** The process that is training in a folder, if any; `null` if it has only just started. */
export const holderOf = (folder: string) => Effect.map(lockedFile(folder), Lock.holderOf)

/** Locks the folder until the scope ends. `flag`: how it was given. */
export const hold = Effect.fnUntraced(function* (folder: string, flag: string) {
  const name = yield* runFolder.shown(folder)
  yield* Effect.catchTags(Lock.hold(yield* lockedFile(folder)), {
    Locked: ({ holder }) =>
      fault(`${flag} ${name} is in use by ${Lock.print(holder)}. Wait for that training, or end it.`),
    LockFailed: ({ reason }) =>
      fault(`${flag} ${name} cannot be locked (${reason}). Give yourself write permission there.`)
  })
})

/** A training that has begun. */
export interface Begun {
  readonly folder: string
  /** Removes the folder when the scope ends, for a training that was refused before its first step. */
  readonly refuse: Effect.Effect<void>
}

/** Creates a new folder, locks it until the scope ends, and writes the settings into it. */
export const begin = Effect.fnUntraced(function* (place: runFolder.Place, settings: Settings) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const taken = Effect.gen(function* () {
    const name = yield* runFolder.shown(place.folder)
    if (!place.isAny && (yield* runFolder.has(place.folder, files.settings)))
      return yield* fault(
        `--out ${name} already holds a training. Continue it with --resume ${name}, or give a new folder; nothing was changed.`
      )
  })
  yield* taken
  const { folder, undo } = yield* runFolder.create(place)
  let isRefused = false
  const written = Effect.forEach([files.settings, files.metrics], (name) => fs.remove(path.join(folder, name)))
  // Runs after its lock is released.
  yield* Effect.addFinalizer(() => Effect.andThen(isRefused ? Effect.ignore(written) : Effect.void, undo))
  const file = path.join(folder, files.settings)
  yield* hold(folder, "--out")
  // Another process may have started there between the two.
  yield* taken
  const text = `${JSON.stringify(Schema.encodeSync(Settings)(settings), null, 2)}\n`
  yield* runFolder.write(file, text, "Free disk space, then start again.")
  const refuse = Effect.sync(() => {
    isRefused = true
  })
  return { folder, refuse } satisfies Begun
})

/** The settings of a folder, given as `flag`. */
export const settings = Effect.fnUntraced(function* (
  folder: string,
  flag: string
): Effect.fn.Return<Settings, CliFault, runFolder.Services> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const name = yield* runFolder.shown(folder)
  const text = yield* Effect.mapError(fs.readFileString(path.join(folder, files.settings)), () =>
    fault(`${flag} ${name} has no ${files.settings}. Give a folder that uninet train wrote.`)
  )
  return yield* Effect.mapError(Schema.decodeEffect(Text)(text), (error) =>
    fault(
      `${flag} ${name}: its ${files.settings} is damaged or of another version (${error.message.split("\n").join(" ")}). Start a new training.`
    )
  )
})
