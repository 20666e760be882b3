/** A data set, a network and a recipe that train in a moment. */
import { Augmentation, type DataError, type Dataset, Memory } from "@uninet/data"
import { OnnxRuntime, type Runtime } from "@uninet/runtime"
import { ModelSpace } from "@uninet/model-space"
import { Prng } from "@uninet/search-space"
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { Average, Recipe, Trainer } from "@uninet/trainer"

const size = 8
const classes = ["north west", "north east", "south west", "south east"]

/** Noisy images with one bright quarter, which is the class. */
const samples = (n: number, seed: string): Memory.Samples => {
  const prng = Prng.fromSeed(seed)
  const images = new Uint8Array(n * size * size)
  const labels = Int32Array.from({ length: n }, () => prng.nextInt(classes.length))
  for (let i = 0; i < n; i++)
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        const quarter = (y < size / 2 ? 0 : 2) + (x < size / 2 ? 0 : 1)
        images[(i * size + y) * size + x] = prng.nextInt(150) + (quarter === labels[i] ? 60 : 0)
      }
  return { images, labels }
}

export const dataset = (train = 88): Layer.Layer<Dataset.Dataset, DataError.DataError> =>
  Memory.layer({
    name: "quarters",
    classes,
    image: { channels: 1, height: size, width: size },
    train: samples(train, "train"),
    validation: samples(40, "validation"),
    test: samples(200, "test")
  })

/** The same, with the labels of two training examples swapped. */
export const relabelled: Layer.Layer<Dataset.Dataset, DataError.DataError> = Layer.suspend(() => {
  const train = samples(88, "train")
  const labels = Int32Array.from(train.labels)
  const other = labels.findIndex((label) => label !== labels[0])
  ;[labels[0], labels[other]] = [labels[other] ?? 0, labels[0] ?? 0]
  return Memory.layer({
    name: "quarters",
    classes,
    image: { channels: 1, height: size, width: size },
    train: { ...train, labels },
    validation: samples(40, "validation"),
    test: samples(200, "test")
  })
})

export const architecture: Architecture.Architecture = {
  image: { channels: 1, height: size, width: size },
  classes: classes.length,
  stem: { channels: 8, stride: 1 },
  stages: [
    { operator: "DWConv", dsm: null, expansion: 1, channels: 8, repeats: 1, stride: 1 },
    { operator: "DWConv", dsm: "L", expansion: 2, channels: 16, repeats: 2, stride: 2 }
  ],
  head: { channels: 32 },
  headDim: 16
}

/** An architecture's network, ready to be trained. */
export const networkOf = (architecture: Architecture.Architecture): ModelSpace.Trainable => {
  const {
    classes,
    image: { channels, ...image }
  } = architecture
  const of = Result.getOrThrow(UniNetSpace.models({ image, channels, classes }))
  return Result.getOrThrow(ModelSpace.trainable(architecture)(of))
}

export const network = networkOf(architecture)

/** Everything at once: augmentation, mixing, noise, clipping, groups, averages. */
export const recipe: Recipe.Recipe = {
  ...Recipe.proxy,
  epochs: 3,
  batch: 16,
  learningRate: 5e-3,
  gradientClip: 1,
  groups: [{ prefix: "classifier", learningRate: 0.5, weightDecay: 1 }],
  mix: Recipe.Mixing.make({ mixup: 0.4, cutmix: 1, probability: 0.5 }),
  augmentation: [Augmentation.randomCrop(1), Augmentation.randomErasing({ probability: 0.2 })],
  stochasticDepth: 0.2,
  dropout: 0.1,
  average: Average.Average.make({ decay: 0.9 })
}

export const layer = (train?: number): Layer.Layer<Trainer | Dataset.Dataset | Runtime, DataError.DataError> =>
  Trainer.layer.pipe(Layer.provideMerge(Layer.mergeAll(dataset(train), OnnxRuntime.cpu())))
