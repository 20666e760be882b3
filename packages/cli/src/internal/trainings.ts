/** The current state of a training's folder: what is trained, how far it is, and which process is working on it. */
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
  /** `null` for a process that has only just started. */
  readonly holder: Lock.Holder | null | undefined
  /** As it was given. */
  readonly network: string
  readonly dataset: string
  /** Completed epochs, and how many there are in total. */
  readonly epochs: number
  readonly of: number
  /** The best epoch's measures on the validation split; `null` before the first. */
  readonly best: Readonly<Record<string, number>> | null
}

/** The part of `metrics.jsonl` that describes an epoch. */
const Epoch = Schema.fromJsonString(
  Schema.Struct({
    _tag: Schema.Literal("Epoch"),
    epoch: Schema.Int,
    validation: Schema.Struct({ measures: Schema.Record(Schema.String, Schema.Finite) }),
    isBest: Schema.Boolean
  })
)
const epochOf = Schema.decodeUnknownOption(Epoch)

/** The status of a training; fails if the folder does not belong to one. */
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

/** The first measure, which is the deciding one. */
export const bestOf = ({ best }: Training): string => {
  const [first] = Object.entries(best ?? {})
  return first === undefined ? "" : `${first[0]} ${format.number(first[1])}`
}
