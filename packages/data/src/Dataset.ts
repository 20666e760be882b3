/**
 * A data set in three splits, which trainers, searches and `uninet data` all build on. Its examples have named inputs of any shape, and a
 * target; labelled images (`ImageDataset`) are one kind.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Augmentation } from "./Augmentation.ts"
import { NotImages, type DataError } from "./DataError.ts"

/** Channels, height and width of every image, in pixels. */
export interface ImageShape {
  /** 1 for greyscale, 3 for colour. */
  readonly channels: number
  /** Pixels. */
  readonly height: number
  /** Pixels. */
  readonly width: number
}

/** One named part of every example: its shape without the batch dimension (`[]` for a single number) and element type. */
export interface Feature {
  readonly shape: ReadonlyArray<number>
  readonly dtype: "float32" | "int32"
}

/** 32-bit floats of this shape: `float32(13)` is a row of 13, `float32()` a single number. */
export const float32 = (...shape: ReadonlyArray<number>): Feature => ({ shape, dtype: "float32" })

/** 32-bit integers of this shape: `int32()` is a label, `int32(32, 32)` a mask of labels. */
export const int32 = (...shape: ReadonlyArray<number>): Feature => ({ shape, dtype: "int32" })

/** The numbers of a batch, by the feature's element type. */
export type Values = Float32Array | Int32Array

/** A batch's inputs, by the names of a model's inputs. */
export type Inputs = Readonly<Record<string, Values>>

/** A batch of examples, ready for a network. */
export interface Batch<out I extends Inputs = Inputs, out T extends Values = Values> {
  /** Position in the epoch, from 0; what `startAt` takes. */
  readonly index: number
  /** Examples in this batch. */
  readonly size: number
  /** For every feature in the data set's `inputs`: `[size, ...shape]`, row-major. */
  readonly inputs: I
  /** `[size, ...targets.shape]`, row-major. */
  readonly targets: T
  /** `[size]`: each example's index in its split. */
  readonly indexes: Uint32Array
}

/**
 * A batch of labelled images: `inputs.image` is `[size, channels, height, width]`, `(byte / 255 - mean) / deviation` per channel; `targets`
 * is `[size]`, the index of the class.
 */
export type ImageBatch = Batch<{ readonly image: Float32Array }, Int32Array>

/** The random choices of one epoch: equal seeds and epochs give equal order and equal augmentation. */
export interface Shuffle {
  readonly seed: string | number
  /** Default 0. */
  readonly epoch?: number
}

/** How a split is divided into batches, in which order, and how its examples are augmented. */
export interface BatchOptions {
  /** Examples per batch; the last batch of an epoch may be smaller. A positive integer. */
  readonly batch: number
  /** Omit it for the split's own order (augmentation, if any, then draws from seed 0, epoch 0). */
  readonly shuffle?: Shuffle
  /**
   * Applied to every example; its draws depend only on the seed, the epoch and the example's index. Works only on images that come from
   * bytes: with at least one step, any other data set fails with `CannotAugment`.
   */
  readonly augment?: Augmentation
  /** Leaves out a last batch that is not full. Default false. */
  readonly dropLast?: boolean
  /** Index of the first batch, to resume an epoch. The result is the same as skipping that many batches, but they are never made. Default 0. */
  readonly startAt?: number
  /** Batches made ahead of the one requested. Default: 0 for data in memory, 2 if it is decoded or streamed. */
  readonly prefetch?: number
  /**
   * Whether a batch's inputs may reuse the memory of an earlier batch: for a loop that has finished with a batch when it requests the next.
   * Allocating memory for every batch costs more than normalising it. Default false.
   */
  readonly reuse?: boolean
}

/** A part of a data set: for training, for choosing, and for the reported figure. */
export type SplitName = "train" | "validation" | "test"

/** One split. Its order is fixed, so an index names an example. */
export interface Split<out B extends Batch = Batch> {
  readonly name: SplitName
  /** The number of examples. */
  readonly size: number
  /** For a split of files: how many other files were left out because their names are not those of images. */
  readonly leftOut?: number
  /** The target of every example, in order: `[size, ...targets.shape]`. */
  readonly targets: Effect.Effect<B["targets"], DataError>
  /** The examples at these indexes, in the order requested, without augmentation. */
  readonly read: (indexes: ArrayLike<number>) => Effect.Effect<B, DataError>
  /** One epoch (or the rest of it, with `startAt`). Equal options give equal batches, whatever the prefetching or the timing of workers. */
  readonly batches: (options: BatchOptions) => Stream.Stream<B, DataError>
  /** Identifies its examples, if the layer can do so better or more cheaply than with all targets and a sample of examples (`Content.of`). */
  readonly content?: Effect.Effect<string, DataError>
  /** The whole split in order, as one batch. For data sets that fit in memory as 32-bit floats. */
  readonly all: Effect.Effect<B, DataError>
}

/** The numbers by which values were normalised: `(value - mean) / deviation`, element by element. */
export interface Normalisation {
  readonly mean: ReadonlyArray<number>
  readonly deviation: ReadonlyArray<number>
}

/** What a layer provides. */
export interface DatasetShape<out B extends Batch = Batch> {
  readonly name: string
  /** The inputs of every example, by the names of a model's inputs. */
  readonly inputs: { readonly [Name in keyof B["inputs"]]: Feature }
  /** The target of every example. */
  readonly targets: Feature
  /** Class names by label, if the targets are classes. */
  readonly classes?: ReadonlyArray<string>
  /** The shape of the input `image`, if it is an image of bytes. */
  readonly image?: ImageShape
  /** Per channel of the input `image`: of the training split's bytes / 255 (or the layer's documented constants). */
  readonly mean?: ReadonlyArray<number>
  /** Standard deviation per channel, on the same scale as `mean`. */
  readonly deviation?: ReadonlyArray<number>
  /**
   * Where images come from files of any size: the fraction of the resized image's edge that the centre crop keeps in evaluation. Default 1:
   * the whole file is resized to the images' size.
   */
  readonly cropRatio?: number
  /**
   * The inputs that were standardised, and with which values: one number per index of the first dimension of their shape (a row's columns,
   * an image's channels). To run a trained model on new examples, standardise them in the same way.
   */
  readonly standardised?: Readonly<Record<string, Normalisation>>
  /** Whether native code decodes or resizes the examples, which may round differently on another kind of machine. Default: no. */
  readonly isNative?: boolean
  readonly train: Split<B>
  /** For choosing between networks. */
  readonly validation: Split<B>
  /** For the final figure only; a search never reads it. */
  readonly test: Split<B>
}

/** A data set of labelled images: what most layers of this package make. */
export interface ImageDataset extends DatasetShape<ImageBatch> {
  readonly classes: ReadonlyArray<string>
  readonly image: ImageShape
  readonly mean: ReadonlyArray<number>
  readonly deviation: ReadonlyArray<number>
}

/**
 * The data set in use. Layers: `Mnist`, `Idx`, `Cifar`, `ImageFolder`, `Memory` and `Streamed` for labelled images, `Examples` and `StreamedExamples`
 * for examples of any kind.
 *
 * @example
 * ```ts
 * import { Dataset, Mnist } from "@uninet/data"
 * import { Effect, Stream } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const data = yield* Dataset.Dataset
 *   yield* data.train.batches({ batch: 64, shuffle: { seed: "demo", epoch: 0 } }).pipe(
 *     Stream.take(1),
 *     Stream.runForEach((batch) => Effect.log(`${batch.size} examples, first target ${batch.targets[0]}`))
 *   )
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Mnist.layer)))
 * ```
 */
export class Dataset extends Context.Service<Dataset, DatasetShape>()("@uninet/data/Dataset") {}

/** The inputs and targets of a data set of labelled images. */
export const imageFeatures = ({ channels, height, width }: ImageShape) =>
  ({
    inputs: { image: { shape: [channels, height, width], dtype: "float32" } },
    targets: { shape: [], dtype: "int32" }
  }) satisfies Pick<ImageDataset, "inputs" | "targets">

const isFeature = (feature: Feature | undefined, { dtype, shape }: Feature): boolean =>
  feature?.dtype === dtype && feature.shape.length === shape.length && shape.every((n, i) => n === feature.shape[i])

/**
 * Whether these are labelled images: a single input `image` with the shape that `image` gives, a class as the target, and a known mean and
 * deviation.
 *
 * @example
 * ```ts
 * import { Dataset, Mnist } from "@uninet/data"
 * import { Effect } from "effect"
 *
 * const edge = Effect.map(Dataset.Dataset, (data) => (Dataset.isImages(data) ? data.image.height : undefined))
 * Effect.runPromise(Effect.provide(edge, Mnist.layer)).then(console.log)
 * ```
 */
export const isImages = (data: DatasetShape): data is ImageDataset => {
  const { classes, deviation, image, inputs, mean, targets } = data
  if (classes === undefined || image === undefined || mean === undefined || deviation === undefined) return false
  const expected = imageFeatures(image)
  return (
    Object.keys(inputs).length === 1 &&
    isFeature(inputs["image"], expected.inputs.image) &&
    isFeature(targets, expected.targets)
  )
}

const printed = ({ dtype, shape }: Feature) => `[${shape.join(", ")}] (${dtype})`

/**
 * The data set as a data set of labelled images; fails with `NotImages` if it is of another kind.
 *
 * @example
 * ```ts
 * import { Dataset, Examples } from "@uninet/data"
 * import { Console, Effect } from "effect"
 *
 * // Rows of numbers with masks of 2 × 2 labels are no labelled images, and the error says what they are.
 * const masks = Examples.make({
 *   name: "masks",
 *   inputs: { row: Dataset.float32(4) },
 *   targets: Dataset.int32(2, 2),
 *   classes: ["ground", "water"],
 *   train: { inputs: { row: [1, 2, 3, 4] }, targets: [0, 1, 1, 0] },
 *   validation: { inputs: { row: [1, 2, 3, 4] }, targets: [0, 1, 1, 0] },
 *   test: { inputs: { row: [1, 2, 3, 4] }, targets: [0, 1, 1, 0] }
 * })
 * masks.pipe(
 *   Effect.flatMap(Dataset.images),
 *   Effect.catchTag("NotImages", ({ message }) => Console.log(message)),
 *   Effect.runPromise
 * )
 * console.log(Dataset.imageFeatures({ channels: 3, height: 32, width: 32 }).inputs.image.shape) // [ 3, 32, 32 ]
 * ```
 */
export const images = (data: DatasetShape): Effect.Effect<ImageDataset, NotImages> =>
  isImages(data)
    ? Effect.succeed(data)
    : Effect.fail(
        new NotImages({
          source: data.name,
          inputs: Object.entries(data.inputs).map(([name, feature]) => `${name} ${printed(feature)}`),
          targets: printed(data.targets)
        })
      )

/** The splits, in the order in which they are used. */
export const splits = <B extends Batch>(dataset: DatasetShape<B>): ReadonlyArray<Split<B>> => [
  dataset.train,
  dataset.validation,
  dataset.test
]

/** The number of batches in one epoch of a split: as many as `batches` gives with these options, ignoring `startAt`. */
export const batchCount =
  (options: Pick<BatchOptions, "batch" | "dropLast">) =>
  (split: Pick<Split, "size">): number =>
    options.dropLast === true ? Math.floor(split.size / options.batch) : Math.ceil(split.size / options.batch)

const changed =
  <B extends Batch>(change: (batch: B) => B) =>
  (split: Split<B>): Split<B> => ({
    ...split,
    read: (indexes) => Effect.map(split.read(indexes), change),
    all: Effect.map(split.all, change),
    batches: (options) => Stream.map(split.batches(options), change)
  })

/**
 * The data set with every batch changed by `change`, which has to keep the examples, their targets and their order.
 *
 * @example
 * ```ts
 * import { Dataset, Memory } from "@uninet/data"
 * import { Console, Effect, Stream } from "effect"
 *
 * const squares = Memory.make({
 *   name: "two squares",
 *   classes: ["black", "white"],
 *   image: { channels: 1, height: 2, width: 2 },
 *   train: { images: new Uint8Array([0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]), labels: [0, 1, 0] },
 *   validation: { images: new Uint8Array(4), labels: [0] },
 *   test: { images: new Uint8Array(4), labels: [0] }
 * })
 * const program = Effect.gen(function* () {
 *   const data = yield* squares
 *   yield* Console.log(Dataset.splits(data).map(({ name, size }) => `${name} ${size}`)) // [ 'train 3', 'validation 1', 'test 1' ]
 *   yield* Console.log(Dataset.batchCount({ batch: 2 })(data.train), Dataset.batchCount({ batch: 2, dropLast: true })(data.train))
 *
 *   // Every batch as its negative.
 *   const turned = (batch: Dataset.ImageBatch): Dataset.ImageBatch => ({
 *     ...batch,
 *     inputs: { image: batch.inputs.image.map((value) => -value) }
 *   })
 *   const negative = Dataset.mapBatches(turned)(data)
 *   yield* negative.train
 *     .batches({ batch: 3 })
 *     .pipe(Stream.runForEach(({ inputs, targets }) => Console.log(targets, inputs.image.slice(0, 8))))
 * })
 * Effect.runPromise(program)
 * ```
 */
export const mapBatches =
  <B extends Batch>(change: (batch: B) => B) =>
  <D extends DatasetShape<B>>(data: D): D => {
    const split = changed(change)
    return { ...data, train: split(data.train), validation: split(data.validation), test: split(data.test) }
  }
