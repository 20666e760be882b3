/** The best network of a search as files: its description, its weights, and an ONNX model. */
import type { Dataset } from "@uninet/data"
import { Format } from "@uninet/export"
import type { GraphError } from "@uninet/graph"
import type { ModelSpace } from "@uninet/model-space"
import type { Weights } from "@uninet/nn"
import type { Finals } from "@uninet/search"
import { WholeFile } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import type { CliFault } from "./CliFault.ts"
import * as command from "./command.ts"
import * as exports from "./exports.ts"
import * as networks from "./networks.ts"
import * as runFolder from "./runFolder.ts"
import * as trained from "./trained.ts"

const Measures = Schema.Record(Schema.String, Schema.Finite)

/** The content of `best.json`. */
export const Best = Schema.Struct({
  trial: Schema.Int,
  hash: Schema.String,
  seed: Schema.String,
  /** A name, a folder, or the module that has it. */
  dataset: Schema.String,
  skipBad: Schema.optionalKey(Schema.Boolean),
  costs: Schema.Record(Schema.String, Schema.Finite),
  reward: Schema.Finite,
  /** The number of trials among which it is the best. */
  of: Schema.optionalKey(Schema.Int),
  /** Epochs of the final training. */
  epochs: Schema.Finite,
  measures: Schema.Struct({
    /** On the validation split, after the trial's short training and after the final one. */
    search: Measures,
    validation: Measures,
    test: Measures
  }),
  /** The examples that the weights in the files were trained on. These weights were tested; the network was chosen after a training on `train` alone. */
  trainedOn: Schema.Literals(["train", "train+validation"]),
  /** On one line, for people. */
  line: Schema.String,
  network: networks.Network
})
export type Best = typeof Best.Type

export type WriteError = GraphError | ModelSpace.Untrainable | Format.FormatError | CliFault

/** Writes the files of the best network; `best.json` comes last, so if it exists, the others do. */
export const write = Effect.fnUntraced(function* (
  folder: string,
  finished: Finals.Finished<unknown>,
  about: {
    readonly found: Omit<networks.Found, "point">
    readonly data: Dataset.DatasetShape
    readonly dataset: string
    readonly skipBad: boolean
    readonly seed: string
    readonly searched: Readonly<Record<string, number>>
    readonly trials: number
  }
): Effect.fn.Return<Best, WriteError, Path.Path | runFolder.Services> {
  const path = yield* Path.Path
  const { test, trainedOn, winner } = finished
  const network: networks.Found = { ...about.found, point: winner.point }
  const best: Best = {
    trial: winner.trial,
    hash: winner.hash,
    seed: about.seed,
    dataset: about.dataset,
    ...(about.skipBad ? { skipBad: true } : {}),
    costs: winner.costs,
    reward: winner.reward,
    of: about.trials,
    epochs: finished.epochs ?? 0,
    measures: { search: about.searched, validation: winner.evaluation.measures, test: test.measures },
    trainedOn,
    line: winner.line,
    network: networks.kept(network)
  }
  const { decides } = about.found.of.task
  const whole = yield* exports.trained(network, winner.weights, {
    data: about.data,
    metadata: {
      run: path.basename(folder),
      trial: String(winner.trial),
      seed: about.seed,
      dataset: about.data.name,
      trainedOn,
      // These weights have learned the validation examples, so the figure belongs to the weights by which the network was chosen.
      ...(trainedOn === "train+validation"
        ? { [`validation ${decides}, trained on train`]: String(winner.evaluation.measures[decides]) }
        : { [`validation ${decides}`]: String(winner.evaluation.measures[decides]) }),
      ...(test.measures[decides] === undefined ? {} : { [`test ${decides}`]: String(test.measures[decides]) })
    }
  })
  const name = yield* runFolder.shown(folder)
  const remedy = `The journal is kept; free disk space, then continue with: ${command.uninet("search", "--resume", name)}`
  // While one network replaces another, there is no best.json, because it describes the files.
  const before = yield* found(folder)
  if (before !== undefined && before.trial !== best.trial) {
    const fs = yield* FileSystem.FileSystem
    yield* Effect.ignore(fs.remove(path.join(folder, runFolder.files.best)))
    yield* WholeFile.syncFolder(folder)
  }
  for (const file of [
    yield* Effect.fromResult(Format.onnx(whole)),
    yield* Effect.fromResult(Format.safetensors(whole))
  ])
    yield* runFolder.write(path.join(folder, `best${file.extension}`), file.content, remedy)
  const text = `${JSON.stringify(Schema.encodeSync(Schema.toCodecJson(Best))(best), null, 2)}\n`
  yield* runFolder.write(path.join(folder, runFolder.files.best), text, remedy)
  return best
})

/** The content of the folder's `best.json`; `undefined` if there is none that can be read. */
export const found = (folder: string): Effect.Effect<Best | undefined, never, runFolder.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const text = yield* fs.readFileString(path.join(folder, runFolder.files.best))
    return yield* Schema.decodeEffect(Schema.fromJsonString(Best))(text)
  }).pipe(Effect.orElseSucceed(() => undefined))

/** The weights of a trial's network from the folder, if its best is that trial and the files are complete. */
export const weightsOf = (
  folder: string,
  trial: number
): Effect.Effect<Weights.Weights | undefined, never, runFolder.Services> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const best = yield* found(folder)
    if (best?.trial !== trial) return undefined
    return (yield* trained.read(path.resolve(folder), Option.none())).weights
  }).pipe(Effect.orElseSucceed(() => undefined))
