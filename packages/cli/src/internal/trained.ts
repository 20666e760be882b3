/** A network with its weights, from a run or a file. */
import { ModelSpace } from "@uninet/model-space"
import { Model, Safetensors, Weights } from "@uninet/nn"
import { SpaceSource } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { at, type CliFault, fault } from "./CliFault.ts"
import * as networks from "./networks.ts"
import * as paths from "./paths.ts"
import * as runFolder from "./runFolder.ts"
import * as trainFolder from "./trainFolder.ts"

export interface Trained extends networks.Found {
  readonly network: ModelSpace.Trainable
  readonly weights: Weights.Weights
  /** The file, as you would type it. */
  readonly name: string
  readonly metadata: Readonly<Record<string, string>>
}

/** The network and weights in a file; `known`: for a file that does not say which network it belongs to. */
const readFile = Effect.fnUntraced(function* (
  file: string,
  override: Option.Option<string>,
  known: networks.Found | undefined
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const name = yield* runFolder.shown(file)
  const bytes = yield* Effect.mapError(fs.readFile(file), () =>
    fault(`${name} cannot be read. Give the folder of a training or search that has saved its best weights.`)
  )
  const decoded = yield* Effect.mapError(Effect.fromResult(Safetensors.decode(bytes)), at(name))
  const kept = networks.inMetadata(decoded.metadata)
  if (known === undefined && Option.isNone(kept))
    return yield* fault(
      `${name} does not say which network it belongs to. Give a file that uninet train or search wrote.`
    )
  const found = known ?? (yield* networks.open(Option.getOrThrow(kept), { beside: path.dirname(file), name, override }))
  return yield* Effect.mapError(
    Effect.gen(function* () {
      const network = yield* Effect.fromResult(ModelSpace.trainable(found.point, networks.toJson(found))(found.of))
      const program = yield* Effect.fromResult(Model.evaluation()(network.model))
      const weights = yield* Effect.fromResult(Weights.fromSafetensors(program)(decoded))
      const wrong = [...weights].find(([, values]) => !values.every(Number.isFinite))
      if (wrong !== undefined)
        return yield* fault(
          `it holds numbers that are not finite, in ${wrong[0]}: its training diverged. Train it again with a lower learning rate.`
        )
      return { ...found, network, weights, name, metadata: decoded.metadata } satisfies Trained
    }),
    at(name)
  )
})

/** The network and the weights in a folder that `uninet train` or `uninet search` wrote, or in a safetensors file that contains both. */
export const read = Effect.fnUntraced(function* (run: string, override: Option.Option<string>) {
  const path = yield* Path.Path
  return yield* readFile(
    run.endsWith(".safetensors") ? run : path.join(run, trainFolder.files.best),
    override,
    undefined
  )
})

/** Weights for a known network, from a file that another program may have written. */
export const readFor = (network: networks.Found, file: string) => readFile(file, Option.none(), network)

/** The part of a run's `train.json` or `best.json` that tells where its network comes from. */
const Settings = Schema.fromJsonString(
  Schema.Struct({
    dataset: Schema.optionalKey(Schema.String),
    skipBad: Schema.optionalKey(Schema.Boolean),
    seed: Schema.optionalKey(Schema.String),
    trial: Schema.optionalKey(Schema.Int),
    trainedOn: Schema.optionalKey(Schema.String)
  })
)

/** The data set, seed and trial of a run, as far as its folder says. */
export const settingsOf = Effect.fnUntraced(function* (
  run: string
): Effect.fn.Return<typeof Settings.Type, CliFault, runFolder.Services> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = /\.(safetensors|json)$/.test(run) ? path.dirname(run) : run
  for (const file of [trainFolder.files.settings, runFolder.files.best]) {
    const text = yield* Effect.option(fs.readFileString(path.join(folder, file)))
    if (Option.isNone(text)) continue
    const found = yield* Effect.option(Schema.decodeEffect(Settings)(text.value))
    if (Option.isNone(found))
      return yield* fault(
        `${yield* runFolder.shown(path.join(folder, file))} is damaged, or was written by another program. Put back the one that uninet wrote.`
      )
    const { dataset, ...rest } = found.value
    if (dataset === undefined) return rest
    const there = SpaceSource.isModule(dataset) ? yield* paths.find(dataset, folder) : dataset
    return { ...rest, dataset: there ?? dataset }
  }
  return {}
})
