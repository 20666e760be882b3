/** The folder of a training: what it was told, its metrics, its checkpoints and its best weights. */
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

/** What `train.json` holds: everything that decides the result, on one kind of machine. */
export const Settings = Schema.Struct({
  /** As it was named. */
  name: Schema.String,
  network: networks.Network,
  /** The file of the first weights, where they were not drawn. */
  weights: Schema.optionalKey(Schema.String),
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

/** Writes the settings into a new folder. */
export const begin = Effect.fnUntraced(function* (folder: string, settings: Settings) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(folder, files.settings)
  if (yield* Effect.orElseSucceed(fs.exists(file), () => false)) {
    const name = yield* runFolder.shown(folder)
    return yield* fault(
      `--out ${name} already holds a training. Go on with it by --resume ${name}, or give a new folder; nothing was changed.`
    )
  }
  const { undo } = yield* runFolder.create(folder)
  yield* runFolder
    .write(file, `${JSON.stringify(Schema.encodeSync(Settings)(settings), null, 2)}\n`, "Make room, then begin again.")
    .pipe(Effect.onError(() => undo))
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
    fault(`${flag} ${name} has no ${files.settings}. Give the folder of a uninet train.`)
  )
  return yield* Effect.mapError(Schema.decodeEffect(Text)(text), (error) =>
    fault(
      `${flag} ${name}: its ${files.settings} is damaged or of another version (${error.message.split("\n").join(" ")}). Train anew.`
    )
  )
})
