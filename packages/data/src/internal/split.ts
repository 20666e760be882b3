/**
 * A `Split` from what can read samples by index.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Augmentation } from "../Augmentation.ts"
import type { DataError } from "../DataError.ts"
import { InvalidOption } from "../DataError.ts"
import type { Batch, BatchOptions, Split, SplitName } from "../Dataset.ts"
import { epochRandom, identity } from "./order.ts"
import type { Prng } from "@uninet/search-space"

/** The steps of an epoch and the generator that its samples' draws are split from (made again from seed and epoch in a worker). */
export interface Augmenting {
  readonly steps: Augmentation
  readonly seed: string | number
  readonly epoch: number
  readonly random: Prng.Prng
}

/** Random access to samples; makes normalised images, augmented if asked. */
export interface Source {
  readonly name: SplitName
  readonly size: number
  readonly labels: Effect.Effect<Int32Array, DataError>
  /** Batches to make ahead unless the caller says otherwise. */
  readonly prefetch: number
  readonly images: (indexes: Uint32Array, augmenting: Augmenting | undefined) => Effect.Effect<Float32Array, DataError>
}

const whole = (option: string, value: number | undefined, minimum: number) =>
  value === undefined || (Number.isSafeInteger(value) && value >= minimum)
    ? undefined
    : new InvalidOption({ option, value, expected: `a whole number of at least ${minimum}` })

/** What is wrong with these options, if anything. */
export const validate = (options: BatchOptions): InvalidOption | undefined => {
  return (
    whole("batch", options.batch, 1) ??
    whole("startAt", options.startAt, 0) ??
    whole("prefetch", options.prefetch, 0) ??
    whole("epoch", options.shuffle?.epoch, 0)
  )
}

/** Batches in an epoch of `size` samples. */
export const batchCount = (size: number, options: Pick<BatchOptions, "batch" | "dropLast">): number =>
  options.dropLast === true ? Math.floor(size / options.batch) : Math.ceil(size / options.batch)

/**
 * Runs `make` for `from`, …, `to − 1` with results in order, at most `ahead` of them made before they are asked for. A failure
 * comes out in its turn, after every result before it.
 */
export const inOrder = <A, E>(
  from: number,
  to: number,
  ahead: number,
  make: (index: number) => Effect.Effect<A, E>
): Stream.Stream<A, E> =>
  ahead === 0
    ? Stream.unfold(from, (index) =>
        index >= to ? Effect.undefined : Effect.map(make(index), (made) => [made, index + 1] as const)
      )
    : Stream.range(from, to - 1, 1).pipe(
        Stream.mapEffect((index) => Effect.exit(make(index)), { concurrency: ahead + 1 }),
        Stream.mapEffect((exit) => exit)
      )

export const make = (source: Source): Split => {
  const batch = (index: number, indexes: Uint32Array, augmenting: Augmenting | undefined) =>
    Effect.zipWith(source.images(indexes, augmenting), source.labels, (images, labels): Batch => ({
      index,
      size: indexes.length,
      images,
      labels: Int32Array.from(indexes, (sample) => labels[sample]!),
      indexes
    }))

  const read = (indexes: ArrayLike<number>) =>
    Effect.suspend(() => {
      const wanted = Array.from(indexes)
      const wrong = wanted.find((index) => !Number.isSafeInteger(index) || index < 0 || index >= source.size)
      return wrong === undefined
        ? batch(0, Uint32Array.from(wanted), undefined)
        : Effect.fail(
            new InvalidOption({
              option: `sample index of the ${source.name} split`,
              value: wrong,
              expected: `a whole number from 0 to ${source.size - 1}`
            })
          )
    })

  return {
    name: source.name,
    size: source.size,
    labels: source.labels,
    read,
    all: Effect.suspend(() => batch(0, identity(source.size), undefined)),
    batches: (options) =>
      Stream.suspend((): Stream.Stream<Batch, DataError> => {
        const invalid = validate(options)
        if (invalid !== undefined) return Stream.fail(invalid)
        const { seed = 0, epoch = 0 } = options.shuffle ?? {}
        const random = epochRandom(seed, epoch)
        const order =
          options.shuffle === undefined ? identity(source.size) : random.split("order").permutation(source.size)
        const augmenting =
          options.augment === undefined || options.augment.length === 0
            ? undefined
            : { steps: options.augment, seed, epoch, random: random.split("augment") }
        return inOrder(
          options.startAt ?? 0,
          batchCount(source.size, options),
          options.prefetch ?? source.prefetch,
          (index) => batch(index, order.slice(index * options.batch, (index + 1) * options.batch), augmenting)
        )
      })
  }
}
