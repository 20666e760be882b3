/**
 * A data set of labelled images held in memory as bytes.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { InvalidOption, InvalidSamples, LabelOutOfRange } from "./DataError.ts"
import { Dataset, type ImageDataset, imageFeatures, type ImageShape, type SplitName } from "./Dataset.ts"
import * as augment from "./internal/augment.ts"
import { type Holdout, isHoldout, partition } from "./internal/holdout.ts"
import * as order from "./internal/order.ts"
import * as pixels from "./internal/pixels.ts"
import * as split from "./internal/split.ts"
import * as values from "./internal/values.ts"

/** Labelled images: `images` is `[labels.length, channels, height, width]`, one byte per value. */
export interface Samples {
  readonly images: Uint8Array
  readonly labels: ArrayLike<number>
}

export type { Holdout }

/** The three splits of images and labels, and the names of the classes. */
export interface MemoryOptions {
  readonly name: string
  readonly classes: ReadonlyArray<string>
  readonly image: ImageShape
  readonly train: Samples
  /** Separate samples, or a part of the training split. */
  readonly validation: Samples | Holdout
  /** Separate samples, or a part of the training split (taken after validation's). */
  readonly test: Samples | Holdout
}

const check = (options: MemoryOptions, name: SplitName, samples: Samples) => {
  const size = pixels.volume(options.image)
  const invalid = (reason: string, remedy: string) =>
    new InvalidSamples({ source: options.name, split: name, reason, remedy })
  if (samples.labels.length === 0) return invalid("it holds no samples", "Give it at least one")
  if (samples.images.length !== samples.labels.length * size) {
    const { channels, height, width } = options.image
    return invalid(
      `${samples.images.length} bytes of images do not make ${samples.labels.length} images of ${channels}×${height}×${width}`,
      "Give one image of that shape for every label"
    )
  }
  for (const [index, label] of Array.from(samples.labels).entries()) {
    if (!Number.isInteger(label) || label < 0 || label >= options.classes.length) {
      return new LabelOutOfRange({
        source: `${options.name}, ${name} split`,
        index,
        label,
        classes: options.classes.length
      })
    }
  }
  return undefined
}

/**
 * A data set from arrays. Mean and deviation are those of the training split (without what is held out of it).
 *
 * Fails with `InvalidSamples` (no samples, sizes that disagree), `LabelOutOfRange` or `InvalidOption` (a holdout larger than the data).
 *
 * @example
 * ```ts
 * import { Memory, Report } from "@uninet/data"
 * import { Console, Effect } from "effect"
 * import { writeFileSync } from "node:fs"
 *
 * const squares = Memory.make({
 *   name: "two squares",
 *   classes: ["black", "white"],
 *   image: { channels: 1, height: 2, width: 2 },
 *   train: { images: new Uint8Array([0, 0, 0, 0, 255, 255, 255, 255]), labels: [0, 1] },
 *   validation: { images: new Uint8Array(4), labels: [0] },
 *   test: { images: new Uint8Array(4), labels: [0] }
 * })
 * const program = Effect.gen(function* () {
 *   const data = yield* squares
 *   yield* Console.log(data.mean, data.deviation) // [ 0.5 ] [ 0.5 ]
 *   // What there is of every class, in numbers and as a picture.
 *   const { splits } = yield* Report.describe(data)
 *   yield* Console.log(splits.map(({ counts, name }) => `${name} ${counts}`))
 *   writeFileSync("squares.png", yield* Report.contactSheet({ perClass: 2 })(data))
 * })
 * Effect.runPromise(program)
 * ```
 */
export const make = (
  options: MemoryOptions
): Effect.Effect<ImageDataset, InvalidSamples | LabelOutOfRange | InvalidOption> =>
  Effect.gen(function* () {
    const { train, validation, test } = options
    for (const [name, samples] of [
      ["train", train] as const,
      ["validation", validation] as const,
      ["test", test] as const
    ]) {
      const problem = isHoldout(samples) ? undefined : check(options, name, samples)
      if (problem !== undefined) return yield* problem
    }
    const labels = Int32Array.from(train.labels)
    const parts = yield* partition(labels, options.classes.length, validation, test)
    const counter = pixels.counter(options.image)
    for (const index of parts.train) counter.add(train.images, index * pixels.volume(options.image))
    const { mean, deviation } = counter.result()
    const view = (name: SplitName, samples: Samples | Holdout, part: Uint32Array) =>
      isHoldout(samples)
        ? memorySplit(options.image, mean, deviation, name, train.images, labels, part)
        : memorySplit(
            options.image,
            mean,
            deviation,
            name,
            samples.images,
            Int32Array.from(samples.labels),
            order.identity(samples.labels.length)
          )
    return {
      name: options.name,
      classes: options.classes,
      image: options.image,
      ...imageFeatures(options.image),
      mean,
      deviation,
      train: memorySplit(options.image, mean, deviation, "train", train.images, labels, parts.train),
      validation: view("validation", validation, parts.validation),
      test: view("test", test, parts.test)
    }
  })

/** The samples `part` of `images`, without copying. */
const memorySplit = (
  image: ImageShape,
  mean: ReadonlyArray<number>,
  deviation: ReadonlyArray<number>,
  name: SplitName,
  images: Uint8Array,
  labels: Int32Array,
  part: Uint32Array
) => {
  const tables = pixels.tables(mean, deviation)
  const fill = augment.fillOf(mean)
  const size = pixels.volume(image)
  const area = image.height * image.width
  const places = Array.from(part)
  const own = values.gather(labels, part, 1)
  return split.make({
    name,
    size: part.length,
    targets: Effect.succeed(own),
    prefetch: 0,
    fetch: (indexes, augmenting, { floats }) =>
      Effect.sync(() => {
        const out = floats(indexes.length * size)
        for (const [i, index] of indexes.entries()) {
          const start = Arr.getUnsafe(places, index) * size
          if (augmenting === undefined) {
            pixels.normalise(tables, area, images, start, out, i * size)
            continue
          }
          const { key, steps } = augmenting
          const bytes = images.subarray(start, start + size)
          augment.sample(steps, key, index, { ...image, bytes }, fill, tables, out, i * size)
        }
        return () => ({ image: out })
      })
  })
}

/** The layer of `make`. */
export const layer = (options: MemoryOptions) => Layer.effect(Dataset, make(options))
