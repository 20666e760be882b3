/**
 * A data set of labelled images in three splits: what a trainer, a search and `uninet data` are written against.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Augmentation } from "./Augmentation.ts"
import type { DataError } from "./DataError.ts"

/** Channels, height and width of every image, in pixels. */
export interface ImageShape {
  readonly channels: number
  readonly height: number
  readonly width: number
}

/**
 * Some samples, ready for a network.
 *
 * - `images`: `[size, channels, height, width]`, row-major, `(byte / 255 - mean) / deviation` per channel
 * - `labels`: `[size]`, the index of the class
 * - `indexes`: `[size]`, each sample's index in its split
 */
export interface Batch {
  /** Position in the epoch, from 0; what `startAt` takes. */
  readonly index: number
  readonly size: number
  readonly images: Float32Array
  readonly labels: Int32Array
  readonly indexes: Uint32Array
}

/** The random choices of one epoch: equal seed and epoch give equal order and equal augmentation. */
export interface Shuffle {
  readonly seed: string | number
  /** Default 0. */
  readonly epoch?: number
}

export interface BatchOptions {
  /** Samples per batch; the last batch of an epoch may be smaller. A positive integer. */
  readonly batch: number
  /** Leave it out for the split's own order (augmentation, if any, then draws from seed 0, epoch 0). */
  readonly shuffle?: Shuffle
  /** Applied to every sample; its draws depend on seed, epoch and the sample's index only. */
  readonly augment?: Augmentation
  /** Leave out a last batch that is not full. Default false. */
  readonly dropLast?: boolean
  /** Index of the first batch, to resume an epoch. Equal to dropping that many batches, without making them. Default 0. */
  readonly startAt?: number
  /** Batches made ahead of the one asked for. Default: 0 for data in memory, 2 where it is decoded or streamed. */
  readonly prefetch?: number
  /**
   * Whether a batch's images may stand in the memory of an earlier one's: for a loop that is done with a batch when it asks for the next. New
   * memory for every batch costs more than normalising it does. Default false.
   */
  readonly reuse?: boolean
}

export type SplitName = "train" | "validation" | "test"

/** One split. Its order is fixed, so an index names a sample. */
export interface Split {
  readonly name: SplitName
  readonly size: number
  /** The class index of every sample, in order. */
  readonly labels: Effect.Effect<Int32Array, DataError>
  /** The samples at these indexes, in the order asked for, not augmented. */
  readonly read: (indexes: ArrayLike<number>) => Effect.Effect<Batch, DataError>
  /** One epoch (or its rest, with `startAt`). Equal options give equal batches, whatever the prefetching or the workers' timing. */
  readonly batches: (options: BatchOptions) => Stream.Stream<Batch, DataError>
  /** The whole split in order, as one batch. For sets that fit in memory as 32-bit floats. */
  readonly all: Effect.Effect<Batch, DataError>
}

/** What a layer supplies. */
export interface DatasetShape {
  readonly name: string
  /** Class names, by label. */
  readonly classes: ReadonlyArray<string>
  readonly image: ImageShape
  /** Per channel, of the training split's bytes / 255 (or the layer's documented constants). */
  readonly mean: ReadonlyArray<number>
  /** Standard deviation per channel, on the same scale as `mean`. */
  readonly deviation: ReadonlyArray<number>
  /**
   * Where images come from files of any size: the part of the resized image's edge that the centre crop keeps in evaluation. Default 1: a file is
   * resized to the images' size whole.
   */
  readonly cropRatio?: number
  readonly train: Split
  /** For choosing between networks. */
  readonly validation: Split
  /** For the final figure only; a search never reads it. */
  readonly test: Split
}

/**
 * The data set in use. Layers: `Mnist`, `Idx`, `Cifar`, `ImageFolder`, `Memory` and `Streamed`.
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
 *     Stream.runForEach((batch) => Effect.log(`${batch.size} images, first label ${batch.labels[0]}`))
 *   )
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Mnist.layer)))
 * ```
 */
export class Dataset extends Context.Service<Dataset, DatasetShape>()("@uninet/data/Dataset") {}

/** The splits, in the order they are used. */
export const splits = (dataset: DatasetShape): ReadonlyArray<Split> => [dataset.train, dataset.validation, dataset.test]

/** Batches in an epoch of a split: what `batches` with these options gives, `startAt` aside. */
export const batchCount = (split: Pick<Split, "size">, options: Pick<BatchOptions, "batch" | "dropLast">): number =>
  options.dropLast === true ? Math.floor(split.size / options.batch) : Math.ceil(split.size / options.batch)

const changed =
  (change: (batch: Batch) => Batch) =>
  (split: Split): Split => ({
    ...split,
    read: (indexes) => Effect.map(split.read(indexes), change),
    all: Effect.map(split.all, change),
    batches: (options) => Stream.map(split.batches(options), change)
  })

/** The data set with every batch changed by `change`, which keeps the samples and their order. */
export const mapBatches =
  (change: (batch: Batch) => Batch) =>
  (data: DatasetShape): DatasetShape => {
    const split = changed(change)
    return { ...data, train: split(data.train), validation: split(data.validation), test: split(data.test) }
  }
