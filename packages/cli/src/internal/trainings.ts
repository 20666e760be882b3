/** A training's folder as it stands: what is trained, how far that is, and who works on it. */
import type { Lock } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as format from "./format.ts"
import * as runFolder from "./runFolder.ts"
import * as trainFolder from "./trainFolder.ts"

export interface Training {
  readonly folder: string
  readonly name: string
  readonly state: "running" | "finished" | "stopped"
  /** `null` for one that has only just begun. */
  readonly holder: Lock.Holder | null | undefined
  /** As it was named. */
  readonly network: string
  readonly dataset: string
  /** Epochs that are over, and how many there are to be. */
  readonly epochs: number
  readonly of: number
  /** The best epoch's measures on the validation split; `null` before the first. */
  readonly best: Readonly<Record<string, number>> | null
}

/** What of `metrics.jsonl` tells of an epoch. */
const Epoch = Schema.fromJsonString(
  Schema.Struct({
    _tag: Schema.Literal("Epoch"),
    epoch: Schema.Int,
    validation: Schema.Struct({ measures: Schema.Record(Schema.String, Schema.Finite) }),
    isBest: Schema.Boolean
  })
)
const epochOf = Schema.decodeUnknownOption(Epoch)

/** How a training stands; fails where the folder is none's. */
export const status = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const settings = yield* trainFolder.settings(folder, "")
  const holder = yield* trainFolder.holderOf(folder)
  const text = yield* Effect.orElseSucceed(fs.readFileString(path.join(folder, trainFolder.files.metrics)), () => "")
  const epochs = text.split("\n").flatMap((line) => Option.toArray(epochOf(line)))
  const isFinished = yield* runFolder.has(folder, trainFolder.files.result)
  const { dataset, name: network, recipe } = settings
  const training: Training = {
    folder,
    name: yield* runFolder.shown(folder),
    state: holder !== undefined ? "running" : isFinished ? "finished" : "stopped",
    holder,
    network,
    dataset,
    epochs: epochs.reduce((most, { epoch }) => Math.max(most, epoch + 1), 0),
    of: recipe.epochs,
    best: epochs.findLast(({ isBest }) => isBest)?.validation.measures ?? null
  }
  return training
})

/** The first measure there is, which is the one that decides. */
export const bestOf = ({ best }: Training): string => {
  const [first] = Object.entries(best ?? {})
  return first === undefined ? "" : `${first[0]} ${format.number(first[1])}`
}
