/**
 * Training and evaluation of architectures.
 *
 * `fit` is a stream: it tells how training goes, step by step, and ends with the trained network. Interrupting the stream stops the training
 * after the step that is running.
 */
import { Dataset } from "@uninet/data"
import { Shape } from "@uninet/graph"
import { Network } from "@uninet/network"
import { Regularisation } from "@uninet/nn"
import { type Data, type Executable, Runtime } from "@uninet/runtime"
import { type Architecture, Prng } from "@uninet/search-space"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Initialise from "./Initialise.ts"
import type { Recipe } from "./Recipe.ts"
import { rate } from "./Schedule.ts"
import { DatasetMismatch, Diverged, TooFewImages, type TrainError } from "./TrainError.ts"
import * as TrainingProgram from "./TrainingProgram.ts"

/** How well a network does on a split. */
export interface Score {
  /** Share of images whose most likely class is theirs. */
  readonly top1: number
  /** Mean cross entropy, without label smoothing. */
  readonly loss: number
  readonly images: number
}

/** A network's parameters and running statistics, by name. */
export type Weights = ReadonlyMap<string, Float32Array>

export type TrainEvent =
  | {
      readonly _tag: "Step"
      /** Counted from 0 over the whole run. */
      readonly step: number
      readonly steps: number
      readonly epoch: number
      /** Of this step's batch, with label smoothing. */
      readonly loss: number
      readonly learningRate: number
      readonly imagesPerSecond: number
    }
  | {
      readonly _tag: "Epoch"
      readonly epoch: number
      readonly epochs: number
      readonly loss: number
      readonly validation: Score
    }
  | {
      readonly _tag: "Finished"
      readonly weights: Weights
      /** After the last epoch. */
      readonly validation: Score
      readonly steps: number
      /** Wall time of building, compiling, training and validating. */
      readonly seconds: number
    }

export interface FitOptions {
  readonly recipe: Recipe
  /** Decides first weights, order of the images, and noise. */
  readonly seed: string | number
  /** Validate after every epoch, not only after the last one. Default false. */
  readonly validateEveryEpoch?: boolean
}

/** Images per step of an evaluation: results do not depend on it. */
const evaluationBatch = 128

/** Checks that the data set's images and classes are the architecture's. */
const matches = Effect.fnUntraced(function* (architecture: Architecture.Architecture) {
  const data = yield* Dataset.Dataset
  const { channels, height, width } = data.image
  const expected = [architecture.image.channels, architecture.image.height, architecture.image.width]
  if (!Shape.equals(expected, [channels, height, width]))
    return yield* new DatasetMismatch({
      dataset: data.name,
      what: "images",
      architecture: expected.join("×"),
      data: [channels, height, width].join("×")
    })
  if (architecture.classes !== data.classes.length)
    return yield* new DatasetMismatch({
      dataset: data.name,
      what: "class counts",
      architecture: String(architecture.classes),
      data: String(data.classes.length)
    })
  return data
})

/** Fills the last batch of an evaluation up to the program's size with images of zeros, whose results are dropped. */
const padded = (images: Float32Array, batch: number, perImage: number): Float32Array => {
  if (images.length === batch * perImage) return images
  const out = new Float32Array(batch * perImage)
  out.set(images)
  return out
}

const scoreOf = <Name extends string>(
  executable: Executable<Name>,
  name: Name,
  split: Dataset.Split,
  perImage: number
): Effect.Effect<Score, TrainError> =>
  split.batches({ batch: evaluationBatch }).pipe(
    Stream.mapEffect((batch) =>
      Effect.map(
        executable.run(name, { [TrainingProgram.names.image]: padded(batch.images, evaluationBatch, perImage) }),
        (outputs) => tally(outputs[TrainingProgram.names.logits], batch.labels)
      )
    ),
    Stream.runFold(
      () => ({ correct: 0, loss: 0, images: 0 }),
      (sum, one) => ({ correct: sum.correct + one.correct, loss: sum.loss + one.loss, images: sum.images + one.images })
    ),
    Effect.map(({ correct, loss, images }) => ({ top1: correct / images, loss: loss / images, images }))
  )

/** Correct predictions and summed cross entropy of logits `[≥ labels, classes]`. */
const tally = (logits: Data, labels: Int32Array) => {
  const images = labels.length
  const classes = logits.length / evaluationBatch
  let correct = 0
  let loss = 0
  for (let i = 0; i < images; i++) {
    const row = logits.subarray(i * classes, (i + 1) * classes)
    let best = 0
    for (let k = 1; k < classes; k++) if (row[k] > row[best]) best = k
    if (best === labels[i]) correct++
    let sum = 0
    for (let k = 0; k < classes; k++) sum += Math.exp(row[k] - row[best])
    loss += Math.log(sum) + row[best] - row[labels[i]]
  }
  return { correct, loss, images }
}

const fit =
  (sets: Network.Sets, runtime: Runtime["Service"], dataset: Dataset.DatasetShape) =>
  (architecture: Architecture.Architecture, options: FitOptions): Stream.Stream<TrainEvent, TrainError> =>
    Stream.callback<TrainEvent, TrainError>((queue) =>
      Effect.gen(function* () {
        const started = performance.now()
        const { recipe } = options
        const data = yield* Effect.provideService(matches(architecture), Dataset.Dataset, dataset)
        const stepsPerEpoch = Math.floor(data.train.size / recipe.batch)
        if (stepsPerEpoch === 0)
          return yield* new TooFewImages({ dataset: data.name, images: data.train.size, batch: recipe.batch })
        const network = yield* Effect.fromResult(Network.make(architecture, sets))
        const training = yield* Effect.fromResult(TrainingProgram.make(network, recipe))
        const evaluation = yield* Effect.fromResult(Network.evaluation(network, { batch: evaluationBatch }))
        const executable = yield* runtime.compile({ training, evaluation })
        const prng = Prng.fromSeed(options.seed)
        yield* executable.write(Initialise.values(training.variables, prng.split("weights")))

        const { channels, height, width } = architecture.image
        const perImage = channels * height * width
        const steps = recipe.epochs * stepsPerEpoch
        const noise = training.inputs.filter(Regularisation.isNoise)
        const noiseOf = prng.split("noise")
        let step = 0
        let validation: Score | undefined
        for (let epoch = 0; epoch < recipe.epochs; epoch++) {
          let total = 0
          let last = performance.now()
          const batches = data.train.batches({
            batch: recipe.batch,
            shuffle: { seed: String(options.seed), epoch },
            dropLast: true
          })
          yield* Stream.runForEach(batches, (batch) =>
            Effect.gen(function* () {
              const learningRate = rate(recipe.schedule, recipe.learningRate, {
                step,
                stepsPerEpoch,
                epochs: recipe.epochs
              })
              const outputs = yield* executable.run("training", {
                [TrainingProgram.names.image]: batch.images,
                [TrainingProgram.names.labels]: batch.labels,
                [TrainingProgram.names.learningRate]: Float32Array.of(learningRate),
                [TrainingProgram.names.step]: Float32Array.of(step + 1),
                ...Object.fromEntries(
                  noise.map((input) => [
                    input.attributes.name,
                    Float32Array.from({ length: Shape.size(input.shape) }, () => noiseOf.nextFloat())
                  ])
                )
              })
              const loss = outputs[TrainingProgram.names.loss][0]
              if (!Number.isFinite(loss)) return yield* new Diverged({ step, learningRate, loss })
              total += loss
              const now = performance.now()
              const imagesPerSecond = (1000 * recipe.batch) / (now - last)
              last = now
              yield* Queue.offer(queue, { _tag: "Step", step, steps, epoch, loss, learningRate, imagesPerSecond })
              step++
            })
          )
          const isLast = epoch === recipe.epochs - 1
          if (!isLast && options.validateEveryEpoch !== true) continue
          validation = yield* scoreOf(executable, "evaluation", data.validation, perImage)
          yield* Queue.offer(queue, {
            _tag: "Epoch",
            epoch,
            epochs: recipe.epochs,
            loss: total / stepsPerEpoch,
            validation
          })
        }
        const kept = new Set(evaluation.variables.map((v) => v.attributes.name))
        const weights = new Map<string, Float32Array>()
        for (const [name, value] of yield* executable.read)
          if (kept.has(name) && value instanceof Float32Array) weights.set(name, value)
        const seconds = (performance.now() - started) / 1000
        yield* Queue.offer(queue, {
          _tag: "Finished",
          weights,
          validation: validation ?? { top1: 0, loss: 0, images: 0 },
          steps,
          seconds
        })
        yield* Queue.end(queue)
      }).pipe(
        Effect.scoped,
        Effect.catch((error) => Queue.fail(queue, error))
      )
    )

const evaluate =
  (sets: Network.Sets, runtime: Runtime["Service"], dataset: Dataset.DatasetShape) =>
  (
    architecture: Architecture.Architecture,
    weights: Weights,
    split: Dataset.SplitName
  ): Effect.Effect<Score, TrainError> =>
    Effect.gen(function* () {
      const data = yield* Effect.provideService(matches(architecture), Dataset.Dataset, dataset)
      const network = yield* Effect.fromResult(Network.make(architecture, sets))
      const evaluation = yield* Effect.fromResult(Network.evaluation(network, { batch: evaluationBatch }))
      const executable = yield* runtime.compile({ evaluation })
      yield* executable.write(weights)
      const { channels, height, width } = architecture.image
      return yield* scoreOf(executable, "evaluation", data[split], channels * height * width)
    }).pipe(Effect.scoped)

/** Trains and evaluates networks on the data set and the engine that its layer was given. */
export class Trainer extends Context.Service<
  Trainer,
  {
    /** Trains from first weights drawn by the seed. The same options give the same network, bit for bit, on the same machine and engine. */
    readonly fit: (
      architecture: Architecture.Architecture,
      options: FitOptions
    ) => Stream.Stream<TrainEvent, TrainError>
    /** Scores a trained network on a split, with running statistics. */
    readonly evaluate: (
      architecture: Architecture.Architecture,
      weights: Weights,
      split: Dataset.SplitName
    ) => Effect.Effect<Score, TrainError>
  }
>()("@uninet/trainer/Trainer") {
  /** With UniNet's own operators and modules, or a set of one's own. */
  static readonly layer = (
    sets: Network.Sets = Network.standard
  ): Layer.Layer<Trainer, never, Runtime | Dataset.Dataset> =>
    Layer.effect(
      Trainer,
      Effect.gen(function* () {
        const runtime = yield* Runtime
        const dataset = yield* Dataset.Dataset
        return Trainer.of({ fit: fit(sets, runtime, dataset), evaluate: evaluate(sets, runtime, dataset) })
      })
    )
}
