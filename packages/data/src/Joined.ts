/** Training and validation as one training split: for a last training, once everything has been chosen. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Batch, batchCount, type DatasetShape, type Split } from "./Dataset.ts"
import * as split from "./internal/split.ts"

/** The samples of one batch and then those of the other, whose indexes follow the first split's `size`. */
const concat = (size: number, one: Batch, other: Batch): Batch => {
  const images = new Float32Array(one.images.length + other.images.length)
  images.set(one.images)
  images.set(other.images, one.images.length)
  return {
    index: one.index,
    size: one.size + other.size,
    images,
    labels: Int32Array.from([...one.labels, ...other.labels]),
    indexes: Uint32Array.from([...one.indexes, ...other.indexes.map((index) => index + size)])
  }
}

/** A batch's samples in the order of these places. */
const ordered = (batch: Batch, places: ReadonlyArray<number>): Batch => {
  const volume = batch.images.length / Math.max(1, batch.size)
  const images = new Float32Array(batch.images.length)
  places.forEach((place, i) => images.set(batch.images.subarray(place * volume, (place + 1) * volume), i * volume))
  return {
    ...batch,
    images,
    labels: Int32Array.from(places, (place) => batch.labels[place]!),
    indexes: Uint32Array.from(places, (place) => batch.indexes[place]!)
  }
}

/** Splits of one's own making: the batches of one after those of the other. */
const inTurn = (a: Split, b: Split): Split => {
  const size = a.size + b.size
  const both = (one: Batch, other: Batch) => concat(a.size, one, other)
  return {
    name: a.name,
    size,
    labels: Effect.zipWith(a.labels, b.labels, (one, other) => Int32Array.from([...one, ...other])),
    read: (indexes) =>
      Effect.suspend(() => {
        const wanted = Array.from(indexes)
        const wrong = split.outside(a.name, size, wanted)
        if (wrong !== undefined) return Effect.fail(wrong)
        const ours = wanted.filter((index) => index < a.size)
        const theirs = wanted.filter((index) => index >= a.size)
        const next = { ours: 0, theirs: ours.length }
        const places = wanted.map((index) => (index < a.size ? next.ours++ : next.theirs++))
        const read = Effect.zipWith(a.read(ours), b.read(theirs.map((index) => index - a.size)), both)
        return Effect.map(read, (batch) => ordered(batch, places))
      }),
    all: Effect.zipWith(a.all, b.all, both),
    batches: (options) => {
      const { startAt = 0 } = options
      const before = batchCount(a, options)
      return Stream.concat(
        startAt < before ? a.batches(options) : Stream.empty,
        b.batches({ ...options, startAt: Math.max(0, startAt - before) }).pipe(
          Stream.map((batch) => ({
            ...batch,
            index: batch.index + before,
            indexes: batch.indexes.map((index) => index + a.size)
          }))
        )
      )
    }
  }
}

/**
 * The data set whose training split has the validation split's samples too, and whose validation split is empty. Normalised as before.
 *
 * @example
 * const all = Joined.withValidation(yield* Dataset.Dataset)
 * all.train.size // that of training and validation
 */
export const withValidation = (data: DatasetShape): DatasetShape => {
  const { train, validation } = data
  if (validation.size === 0) return data
  return {
    ...data,
    train: split.join(train, validation) ?? inTurn(train, validation),
    validation: {
      ...validation,
      size: 0,
      labels: Effect.succeed(new Int32Array()),
      read: () => validation.read([]),
      all: validation.read([]),
      batches: () => Stream.empty
    }
  }
}
