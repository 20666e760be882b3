/** A network with its weights, as a run or a file has it. */
import { Network } from "@uninet/network"
import { Safetensors, Weights } from "@uninet/nn"
import { Architecture } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { at, fault } from "./CliFault.ts"
import * as runFolder from "./runFolder.ts"
import * as trainFolder from "./trainFolder.ts"

const Text = Schema.fromJsonString(Architecture.Architecture)

/**
 * The network and the weights of a folder that `uninet train` or `uninet search` wrote, or of a safetensors file. A file that does not say which network it is
 * of (another program's) is read as `architecture`'s.
 */
export const read = Effect.fnUntraced(function* (run: string, architecture?: Architecture.Architecture) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = run.endsWith(".safetensors") ? run : path.join(run, trainFolder.files.best)
  const name = yield* runFolder.shown(file)
  const bytes = yield* Effect.mapError(fs.readFile(file), () =>
    fault(`${name} cannot be read. Give the folder of a uninet train or search that has saved its best weights.`)
  )
  const decoded = yield* Effect.mapError(Effect.fromResult(Safetensors.decode(bytes)), at(name))
  const known =
    architecture ??
    (yield* Effect.mapError(Schema.decodeUnknownEffect(Text)(decoded.metadata["architecture"]), () =>
      fault(`${name} does not say which network it is of. Give a file that uninet train or search wrote.`)
    ))
  return yield* Effect.mapError(
    Effect.gen(function* () {
      const network = yield* Effect.fromResult(Network.make(known))
      const program = yield* Effect.fromResult(Network.evaluation(network))
      const weights = yield* Effect.fromResult(Weights.fromSafetensors(program, decoded))
      return { network, weights, name, metadata: decoded.metadata }
    }),
    at(name)
  )
})

/** What of a run's `train.json` or `best.json` tells where its network comes from. */
const Settings = Schema.fromJsonString(
  Schema.Struct({
    dataset: Schema.optionalKey(Schema.String),
    seed: Schema.optionalKey(Schema.String),
    trial: Schema.optionalKey(Schema.Int)
  })
)

/** Data set, seed and trial of a run, as far as its folder says so. */
export const settingsOf = Effect.fnUntraced(function* (run: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = run.endsWith(".safetensors") ? path.dirname(run) : run
  for (const file of [trainFolder.files.settings, runFolder.files.best]) {
    const text = yield* Effect.option(fs.readFileString(path.join(folder, file)))
    if (Option.isNone(text)) continue
    const found = yield* Effect.option(Schema.decodeEffect(Settings)(text.value))
    if (Option.isSome(found)) return found.value
  }
  return {}
})
