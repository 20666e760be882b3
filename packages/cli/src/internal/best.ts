/** The best network of a search as files: what it is, its weights, and an ONNX model. */
import type { Dataset } from "@uninet/data"
import type { Dsms } from "@uninet/dsm"
import type { GraphError } from "@uninet/graph"
import { type ArchitectureError, Network, NetworkCosts, Safetensors, Weights } from "@uninet/network"
import { Export } from "@uninet/onnx"
import type { Operators } from "@uninet/operators"
import type { Finals } from "@uninet/search"
import { Architecture } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
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
  architecture: Architecture.Architecture
})
export type Best = typeof Best.Type

export type WriteError = ArchitectureError | GraphError | Export.NotBatchFree | Weights.WeightsMismatch | CliFault

/** Writes the files of the best network; `best.json` last, so that its being there says that the rest is. */
export const write = Effect.fnUntraced(function* (
  folder: string,
  finished: Finals.Finished,
  about: {
    readonly dataset: Dataset.DatasetShape
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
    architecture: winner.architecture
  }
  const { classes, deviation, mean } = about.dataset
  const metadata = {
    architecture: JSON.stringify(winner.architecture),
    classes: JSON.stringify(classes),
    // An image is (byte / 255 - mean) / deviation, channel by channel.
    mean: JSON.stringify(mean),
    deviation: JSON.stringify(deviation),
    testAccuracy: String(test.top1)
  }
  const onnx = Export.toOnnx({
    program: (batch) => Network.evaluation(network, { batch }),
    weights: winner.weights,
    name: "uninet",
    metadata
  })
  const safetensors = Network.evaluation(network).pipe(
    Result.flatMap((program) => Weights.toSafetensors(program, winner.weights, metadata)),
    Result.map(Safetensors.encode)
  )
  yield* runFolder.write(path.join(folder, runFolder.files.onnx), yield* Effect.fromResult(onnx))
  yield* runFolder.write(path.join(folder, runFolder.files.weights), yield* Effect.fromResult(safetensors))
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
