/**
 * A data set of labelled images from your own streams: generated, fetched or decoded as they are read, and never held in memory as a whole.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { InvalidSamples, LabelOutOfRange, type DataError } from "./DataError.ts"
import {
  Dataset,
  type ImageBatch,
  type ImageDataset,
  imageFeatures,
  type ImageShape,
  type Split,
  type SplitName
} from "./Dataset.ts"
import * as augment from "./internal/augment.ts"
import * as pixels from "./internal/pixels.ts"
import * as streamed from "./internal/streamed.ts"

/** One labelled image: `image` is `[channels, height, width]`, one byte per value. */
export interface Sample {
  readonly image: Uint8Array
  /** The index of the class, from 0. */
  readonly label: number
}

/** A stream that gives the same `size` samples in the same order every time it is run. */
export interface Samples<E> {
  /** The number of samples. */
  readonly size: number
  readonly samples: Stream.Stream<Sample, E>
}

/** The three splits as streams of images, and the names of the classes. */
export interface StreamedOptions<E> {
  readonly name: string
  readonly classes: ReadonlyArray<string>
  readonly image: ImageShape
  readonly train: Samples<E>
  readonly validation: Samples<E>
  readonly test: Samples<E>
  /** Per channel, of bytes / 255. Default: computed in one pass over `train` when the layer is built (give both to avoid the pass). */
  readonly mean?: ReadonlyArray<number>
  readonly deviation?: ReadonlyArray<number>
  /**
   * Samples held at once to draw the next from when shuffling (as in `tf.data`'s `shuffle`): the larger, the better mixed. Default 1024.
   */
  readonly shuffleBuffer?: number
}

/** What is wrong with a sample: its image's length or its label. */
const check =
  <E>({ classes, image, name: source }: StreamedOptions<E>, name: SplitName) =>
  (sample: Sample, index: number): DataError | undefined => {
    if (sample.image.length !== pixels.volume(image)) {
      const shape = `${image.channels}×${image.height}×${image.width}`
      const reason = `sample ${index} has ${sample.image.length} bytes, not ${shape}`
      return new InvalidSamples({ source, split: name, reason, remedy: "Give every image that shape" })
    }
    const { label } = sample
    return Number.isInteger(label) && label >= 0 && label < classes.length
      ? undefined
      : new LabelOutOfRange({ source: `${source}, ${name} split`, index, label, classes: classes.length })
  }

const streamedSplit = <E>(
  options: StreamedOptions<E>,
  mean: ReadonlyArray<number>,
  deviation: ReadonlyArray<number>,
  name: SplitName
): Split<ImageBatch> => {
  const { image } = options
  const tables = pixels.tables(mean, deviation)
  const fill = augment.fillOf(mean)
  const volume = pixels.volume(image)
  const area = image.height * image.width
  return streamed.make({
    source: options.name,
    name,
    ...options[name],
    shuffleBuffer: options.shuffleBuffer ?? streamed.standardBuffer,
    plain: false,
    check: check(options, name),
    inputs: (samples, augmenting) => {
      const images = new Float32Array(samples.length * volume)
      for (const [place, { index, sample }] of samples.entries()) {
        const at = place * volume
        if (augmenting === undefined) pixels.normalise(tables, area, sample.image, 0, images, at)
        else {
          const { key, steps } = augmenting
          augment.sample(steps, key, index, { ...image, bytes: sample.image }, fill, tables, images, at)
        }
      }
      return { image: images }
    },
    targets: (samples) => Int32Array.from(samples, ({ label }) => label)
  })
}

/** Mean and deviation of the training stream, in one pass. */
const measure = <E>(options: StreamedOptions<E>) =>
  Effect.gen(function* () {
    const counter = pixels.counter(options.image)
    const stream = streamed.checked({
      source: options.name,
      name: "train",
      ...options.train,
      check: check(options, "train")
    })
    yield* Stream.runForEach(stream, ({ sample }) => Effect.sync(() => counter.add(sample.image, 0)))
    return counter.result()
  })

/**
 * The data set of three streams. An epoch runs the split's stream once. `startAt` runs it from its beginning and skips what was done, so a
 * resumed epoch is the same as an uninterrupted one.
 *
 * Fails with `InvalidOption`, and, here or when a split is read, with `InvalidSamples` (a stream that fails, ends early, gives too much or
 * a wrong shape) or `LabelOutOfRange`.
 *
 * @example
 * ```ts
 * import { Streamed } from "@uninet/data"
 * import { Console, Effect, Stream } from "effect"
 *
 * // Images that would not fit in memory, made or fetched on demand; every epoch sees the same ones.
 * const stripes = (size: number) => ({
 *   size,
 *   samples: Stream.range(0, size - 1).pipe(
 *     Stream.map((i) => ({ image: Uint8Array.of(i % 2 === 0 ? 0 : 255, 128), label: i % 2 }))
 *   )
 * })
 * Streamed.make({
 *   name: "stripes",
 *   classes: ["dark", "light"],
 *   image: { channels: 1, height: 1, width: 2 },
 *   train: stripes(100),
 *   validation: stripes(10),
 *   test: stripes(10)
 * }).pipe(
 *   Effect.flatMap((data) => Stream.runCount(data.train.batches({ batch: 32, shuffle: { seed: "demo" } }))),
 *   Effect.flatMap((batches) => Console.log(batches)), // 4
 *   Effect.runPromise
 * )
 * ```
 */
export const make = <E>(options: StreamedOptions<E>): Effect.Effect<ImageDataset, DataError> =>
  Effect.gen(function* () {
    yield* streamed.checkOptions(options)
    const { mean, deviation } =
      options.mean !== undefined && options.deviation !== undefined
        ? { mean: options.mean, deviation: options.deviation }
        : yield* measure(options)
    const make = (name: SplitName) => streamedSplit(options, mean, deviation, name)
    return {
      name: options.name,
      classes: options.classes,
      image: options.image,
      ...imageFeatures(options.image),
      mean,
      deviation,
      train: make("train"),
      validation: make("validation"),
      test: make("test")
    }
  })

/** The layer of `make`. */
export const layer = <E>(options: StreamedOptions<E>): Layer.Layer<Dataset, DataError> =>
  Layer.effect(Dataset, make(options))
