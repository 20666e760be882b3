/** Training and validation as one training split: for a final training, once everything has been chosen. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import * as Stream from "effect/Stream"
import { type Batch, batchCount, type DatasetShape, type Split, type Values } from "./Dataset.ts"
import * as split from "./internal/split.ts"
import * as values from "./internal/values.ts"

/** The examples of one batch followed by those of the other, whose indexes continue after the first split's `size`. */
const concat = <B extends Batch>(size: number, one: B, other: B): B => ({
  ...one,
  size: one.size + other.size,
  inputs: Record.intersection(one.inputs, other.inputs, (array, next) => values.concat<Values>(array, next)),
  targets: values.concat(one.targets, other.targets),
  indexes: Uint32Array.from([...one.indexes, ...other.indexes.map((index) => index + size)])
})

/** A batch's examples in the order of these positions. */
const ordered = <B extends Batch>(batch: B, places: ReadonlyArray<number>): B => {
  const pick = <T extends Values>(array: T): T => values.gather(array, places, array.length / Math.max(1, batch.size))
  const indexes = Array.from(batch.indexes)
  return {
    ...batch,
    inputs: Record.map(batch.inputs, pick<Values>),
    targets: pick(batch.targets),
    indexes: Uint32Array.from(places, (place) => Arr.getUnsafe(indexes, place))
  }
}

/** For splits that were not made here: the batches of one after those of the other. */
const inTurn = <B extends Batch>(a: Split<B>, b: Split<B>): Split<B> => {
  const size = a.size + b.size
  const both = (one: B, other: B) => concat(a.size, one, other)
  return {
    name: a.name,
    size,
    targets: Effect.zipWith(a.targets, b.targets, (one, other) => values.concat<Values>(one, other)),
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
      const before = batchCount(options)(a)
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
 * The data set with the validation split's samples added to its training split, and an empty validation split. The normalisation does not
 * change.
 *
 * @example
 * ```ts
 * import { Joined, Memory } from "@uninet/data"
 * import { Console, Effect } from "effect"
 *
 * const squares = Memory.make({
 *   name: "two squares",
 *   classes: ["black", "white"],
 *   image: { channels: 1, height: 1, width: 1 },
 *   train: { images: Uint8Array.of(0, 255, 0, 255), labels: [0, 1, 0, 1] },
 *   validation: { size: 1, seed: "validation" },
 *   test: { images: Uint8Array.of(51), labels: [0] }
 * })
 * // For the last training, when everything has been chosen.
 * const program = Effect.gen(function* () {
 *   const data = yield* squares
 *   const all = Joined.withValidation(data)
 *   yield* Console.log(data.train.size, all.train.size, all.validation.size) // 3 4 0
 * })
 * Effect.runPromise(program)
 * ```
 */
export const withValidation = <D extends DatasetShape>(data: D): D => {
  const { train, validation } = data
  if (validation.size === 0) return data
  return {
    ...data,
    train: split.join(train, validation) ?? inTurn(train, validation),
    validation: {
      ...validation,
      size: 0,
      content: Effect.succeed(""),
      targets: Effect.map(validation.read([]), ({ targets }) => targets),
      read: () => validation.read([]),
      all: validation.read([]),
      batches: () => Stream.empty
    }
  }
}
