/** The best network of a search as files: what it is, its weights, and an ONNX model. */
import type { Dataset } from "@uninet/data"
import type { Dsms } from "@uninet/dsm"
import { Format, type Trained } from "@uninet/export"
import type { GraphError } from "@uninet/graph"
import { type ArchitectureError, Network, NetworkCosts } from "@uninet/network"
import type { Operators } from "@uninet/operators"
import type { Finals } from "@uninet/search"
import { Architecture } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { type CliFault, fault } from "./CliFault.ts"
import * as runFolder from "./runFolder.ts"

/** What `best.json` holds. */
export const Best = Schema.Struct({
  trial: Schema.Int,
  hash: Schema.String,
  seed: Schema.String,
  dataset: Schema.String,
  costs: Schema.Struct({
    parameters: Schema.Finite,
    macs: Schema.Finite,
    flops: Schema.Finite,
    fvcoreCount: Schema.Finite,
    activationBytes: Schema.Finite
  }),
  metrics: Schema.Struct({
    reward: Schema.Finite,
    /** On the validation split, after a trial's short training and after the final one. */
    searchAccuracy: Schema.Finite,
    validationAccuracy: Schema.Finite,
    validationLoss: Schema.Finite,
    epochs: Schema.Finite,
    testAccuracy: Schema.Finite,
    testLoss: Schema.Finite
  }),
  /** The images that the weights in the files were trained on; they were tested with these, and chosen after a training on `train` alone. */
  trainedOn: Schema.optionalKey(Schema.Literals(["train", "train+validation"])),
  architecture: Architecture.Architecture
})
export type Best = typeof Best.Type

export type WriteError = ArchitectureError | GraphError | Format.FormatError | CliFault

/** Writes the files of the best network; `best.json` last, so that its being there says that the rest is. */
export const write = Effect.fnUntraced(function* (
  folder: string,
  finished: Finals.Finished,
  about: {
    readonly dataset: Dataset.ImageDataset
    readonly datasetName: string
    readonly seed: string
    readonly searchAccuracy: number
  }
): Effect.fn.Return<Best, WriteError, Operators | Dsms | Path.Path | runFolder.Services> {
  const path = yield* Path.Path
  const { test, winner } = finished
  const network = yield* Network.fromServices(winner.architecture)
  const costs = yield* Effect.fromResult(NetworkCosts.of(network))
  const best: Best = {
    trial: winner.trial,
    hash: winner.hash,
    seed: about.seed,
    dataset: about.datasetName,
    costs: {
      parameters: costs.parameters,
      macs: costs.macs,
      flops: costs.flops,
      fvcoreCount: costs.fvcoreCount,
      activationBytes: costs.activationBytes.inference
    },
    metrics: {
      reward: winner.reward,
      searchAccuracy: about.searchAccuracy,
      validationAccuracy: winner.evaluation.accuracy,
      validationLoss: winner.evaluation.metrics["loss"] ?? 0,
      epochs: winner.evaluation.epochs ?? 0,
      testAccuracy: test.top1,
      testLoss: test.loss
    },
    trainedOn: finished.trainedOn,
    architecture: winner.architecture
  }
  const { classes, cropRatio = 1, deviation, mean } = about.dataset
  const trained: Trained.Trained = {
    network,
    weights: winner.weights,
    card: {
      architecture: winner.architecture,
      classes,
      mean,
      deviation,
      cropRatio,
      provenance: {
        run: path.basename(folder),
        trial: String(winner.trial),
        seed: about.seed,
        dataset: about.dataset.name,
        validationAccuracy: String(winner.evaluation.accuracy),
        testAccuracy: String(test.top1)
      }
    }
  }
  for (const file of [
    yield* Effect.fromResult(Format.onnx(trained)),
    yield* Effect.fromResult(Format.safetensors(trained))
  ])
    yield* runFolder.write(path.join(folder, `best${file.extension}`), file.content)
  const text = `${JSON.stringify(best, null, 2)}\n`
  yield* runFolder.write(path.join(folder, runFolder.files.best), text)
  return best
})

/** What `best.json` says. */
export const read = Effect.fnUntraced(function* (text: string, name: string) {
  return yield* Effect.mapError(Schema.decodeEffect(Schema.fromJsonString(Best))(text), () =>
    fault(`${name} is damaged. Remove it and resume the search: the journal has everything that is needed.`)
  )
})
