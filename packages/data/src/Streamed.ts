/**
 * A data set from the user's own streams: generated, fetched or decoded as they are read, never held as a whole.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Prng } from "@uninet/search-space"
import { InvalidOption, InvalidSamples, LabelOutOfRange, type DataError } from "./DataError.ts"
import {
  Dataset,
  type Batch,
  type BatchOptions,
  type DatasetShape,
  type ImageShape,
  type Split,
  type SplitName
} from "./Dataset.ts"
import * as augment from "./internal/augment.ts"
import * as order from "./internal/order.ts"
import * as pixels from "./internal/pixels.ts"
import * as split from "./internal/split.ts"

/** One labelled image: `image` is `[channels, height, width]`, a byte a value. */
export interface Sample {
  readonly image: Uint8Array
  readonly label: number
}

/** A stream that gives the same `size` samples in the same order every time it is run. */
export interface Samples<E> {
  readonly size: number
  readonly samples: Stream.Stream<Sample, E>
}

export interface StreamedOptions<E> {
  readonly name: string
  readonly classes: ReadonlyArray<string>
  readonly image: ImageShape
  readonly train: Samples<E>
  readonly validation: Samples<E>
  readonly test: Samples<E>
  /** Per channel, of bytes / 255. Default: one pass over `train` when the layer is built (both must be given to avoid it). */
  readonly mean?: ReadonlyArray<number>
  readonly deviation?: ReadonlyArray<number>
  /**
   * Samples held at once to draw the next from when shuffling (as `tf.data`'s `shuffle`): the larger, the better mixed. Default 1024.
   */
  readonly shuffleBuffer?: number
}

interface Indexed extends Sample {
  readonly index: number
}

/** The samples with their places, checked: shape, label and, at the end, count. */
const checked = <E>(options: StreamedOptions<E>, name: SplitName): Stream.Stream<Indexed, DataError> => {
  const { classes, image } = options
  const { samples, size } = options[name]
  const source = options.name
  const volume = pixels.volume(image)
  const invalid = (reason: string, remedy: string) => new InvalidSamples({ source, split: name, reason, remedy })
  const count = `Give it samples: ${size}, or the size that the stream has`
  const check = (sample: Sample, index: number): Effect.Effect<Indexed, DataError> => {
    if (index >= size) return Effect.fail(invalid(`its stream gives more than ${size} samples`, count))
    if (sample.image.length !== volume) {
      const shape = `${image.channels}×${image.height}×${image.width}`
      return Effect.fail(
        invalid(`sample ${index} has ${sample.image.length} bytes, not ${shape}`, "Give every image that shape")
      )
    }
    const { label } = sample
    return Number.isInteger(label) && label >= 0 && label < classes.length
      ? Effect.succeed({ image: sample.image, label, index })
      : Effect.fail(new LabelOutOfRange({ source: `${source}, ${name} split`, index, label, classes: classes.length }))
  }
  return Stream.suspend(() => {
    let seen = 0
    return samples.pipe(
      Stream.mapError((cause): DataError => invalid(`its stream failed: ${String(cause)}`, "Mend the stream")),
      Stream.mapEffect(check),
      Stream.tap(() => Effect.sync(() => (seen += 1))),
      Stream.concat(
        Stream.suspend(() =>
          seen === size ? Stream.empty : Stream.fail(invalid(`its stream ends after ${seen} of ${size} samples`, count))
        )
      )
    )
  })
}

/** Gives a random one of up to `capacity` samples, each replaced by the next of the stream. */
const shuffled = <E>(stream: Stream.Stream<Indexed, E>, prng: Prng.Prng, capacity: number): Stream.Stream<Indexed, E> =>
  Stream.suspend(() => {
    const held: Array<Indexed> = []
    const draw = (): Indexed => {
      const place = prng.nextInt(held.length)
      const sample = held[place]!
      const last = held.pop()!
      if (place < held.length) held[place] = last
      return sample
    }
    return Stream.concat(
      stream.pipe(
        Stream.map((sample) => {
          held.push(sample)
          return held.length > capacity ? [draw()] : []
        }),
        Stream.flattenIterable
      ),
      Stream.suspend(() => Stream.fromIterable(Array.from({ length: held.length }, draw)))
    )
  })

const streamedSplit = <E>(
  options: StreamedOptions<E>,
  mean: ReadonlyArray<number>,
  deviation: ReadonlyArray<number>,
  name: SplitName
): Split => {
  const { image } = options
  const { size } = options[name]
  const tables = pixels.tables(mean, deviation)
  const fill = augment.fillOf(mean)
  const volume = pixels.volume(image)
  const area = image.height * image.width
  const stream = checked(options, name)

  const assemble = (
    index: number,
    samples: ReadonlyArray<Indexed>,
    augmenting: split.Augmenting | undefined
  ): Batch => {
    const images = new Float32Array(samples.length * volume)
    for (const [place, sample] of samples.entries()) {
      const at = place * volume
      if (augmenting === undefined) pixels.normalise(tables, area, sample.image, 0, images, at)
      else {
        const { key, steps } = augmenting
        augment.sample(steps, key, sample.index, { ...image, bytes: sample.image }, fill, tables, images, at)
      }
    }
    return {
      index,
      size: samples.length,
      images,
      labels: Int32Array.from(samples, (sample) => sample.label),
      indexes: Uint32Array.from(samples, (sample) => sample.index)
    }
  }

  const batches = (settings: BatchOptions): Stream.Stream<Batch, DataError> =>
    Stream.suspend((): Stream.Stream<Batch, DataError> => {
      const invalid = split.validate(settings)
      if (invalid !== undefined) return Stream.fail(invalid)
      const { batch, dropLast = false, prefetch = 2, shuffle, startAt = 0 } = settings
      const random = order.epochRandom(shuffle?.seed ?? 0, shuffle?.epoch ?? 0)
      const augmenting = split.augmenting(settings, random)
      const ordered =
        shuffle === undefined ? stream : shuffled(stream, random.split("order"), options.shuffleBuffer ?? 1024)
      const made = ordered.pipe(
        Stream.drop(startAt * batch),
        Stream.rechunk(batch),
        Stream.chunks,
        Stream.filter((samples) => !dropLast || samples.length === batch),
        Stream.map((samples, index) => assemble(startAt + index, samples, augmenting))
      )
      return prefetch === 0 ? made : Stream.buffer(made, { capacity: prefetch })
    })

  return {
    name,
    size,
    labels: Stream.runCollect(Stream.map(stream, (sample) => sample.label)).pipe(
      Effect.map((labels) => Int32Array.from(labels))
    ),
    read: (indexes) =>
      Effect.suspend(() => {
        const wanted = Array.from(indexes)
        const wrong = split.outside(name, size, wanted)
        if (wrong !== undefined) return Effect.fail(wrong)
        const picked = new Map<number, Indexed>()
        const set = new Set(wanted)
        return stream.pipe(
          Stream.filter((sample) => set.has(sample.index)),
          Stream.runForEach((sample) => Effect.sync(() => picked.set(sample.index, sample))),
          Effect.map(() =>
            assemble(
              0,
              wanted.flatMap((index) => picked.get(index) ?? []),
              undefined
            )
          )
        )
      }),
    all: Stream.runCollect(stream).pipe(Effect.map((samples) => assemble(0, samples, undefined))),
    batches
  }
}

/** Mean and deviation of the training stream, by one pass of it. */
const measure = <E>(options: StreamedOptions<E>) =>
  Effect.gen(function* () {
    const counter = pixels.counter(options.image)
    yield* Stream.runForEach(checked(options, "train"), (sample) => Effect.sync(() => counter.add(sample.image, 0)))
    return counter.result()
  })

/**
 * The data set of three streams. An epoch runs the split's stream once; `startAt` runs it from its beginning and passes over what
 * was done, so a resumed epoch is the uninterrupted one.
 *
 * Fails with `InvalidOption`, and, here or as a split is read, with `InvalidSamples` (a stream that fails, ends early, gives too
 * much or a wrong shape) or `LabelOutOfRange`.
 */
export const make = <E>(options: StreamedOptions<E>): Effect.Effect<DatasetShape, DataError> =>
  Effect.gen(function* () {
    for (const [option, value] of [
      ["shuffleBuffer", options.shuffleBuffer ?? 1024],
      ["train.size", options.train.size],
      ["validation.size", options.validation.size],
      ["test.size", options.test.size]
    ] as const) {
      if (!Number.isSafeInteger(value) || value < 1) {
        return yield* new InvalidOption({ option, value, expected: "a whole number of at least 1" })
      }
    }
    const { mean, deviation } =
      options.mean !== undefined && options.deviation !== undefined
        ? { mean: options.mean, deviation: options.deviation }
        : yield* measure(options)
    const make = (name: SplitName) => streamedSplit(options, mean, deviation, name)
    return {
      name: options.name,
      classes: options.classes,
      image: options.image,
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
