/**
 * A `Split` from what can read samples by index.
 */
import type { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Augmentation } from "../Augmentation.ts"
import type { DataError } from "../DataError.ts"
import { InvalidOption } from "../DataError.ts"
import { batchCount, type Batch, type BatchOptions, type Split, type SplitName } from "../Dataset.ts"
import type { Key } from "./draws.ts"
import { epochRandom, identity } from "./order.ts"

/** The steps of an epoch and the words that its samples' draws start from; can be posted to a worker. */
export interface Augmenting {
  readonly steps: Augmentation
  readonly key: Key
}

/** Random access to samples. */
export interface Source {
  readonly name: SplitName
  readonly size: number
  readonly labels: Effect.Effect<Int32Array, DataError>
  /** Batches to make ahead unless the caller says otherwise. */
  readonly prefetch: number
  /**
   * Fetches samples (ahead of their use, where prefetching) and gives what makes them into normalised images, augmented if asked.
   * In between a source may hold them in less memory than 32-bit floats take. `floats` gives the memory for so many values, which may hold an
   * earlier batch's.
   */
  readonly fetch: (
    indexes: Uint32Array,
    augmenting: Augmenting | undefined,
    floats: (length: number) => Float32Array
  ) => Effect.Effect<() => Float32Array, DataError>
}

const whole = (option: string, value: number | undefined, minimum: number) =>
  value === undefined || (Number.isSafeInteger(value) && value >= minimum)
    ? undefined
    : new InvalidOption({ option, value, expected: `a whole number of at least ${minimum}` })

/** What is wrong with these options, if anything. */
export const validate = (options: BatchOptions): InvalidOption | undefined =>
  whole("batch", options.batch, 1) ??
  whole("startAt", options.startAt, 0) ??
  whole("prefetch", options.prefetch, 0) ??
  whole("epoch", options.shuffle?.epoch, 0)

/** What is wrong with these sample indexes, if anything. */
export const outside = (name: SplitName, size: number, indexes: ReadonlyArray<number>): InvalidOption | undefined => {
  const wrong = indexes.find((index) => !Number.isSafeInteger(index) || index < 0 || index >= size)
  return wrong === undefined
    ? undefined
    : new InvalidOption({
        option: `sample index of the ${name} split`,
        value: wrong,
        expected: `a whole number from 0 to ${size - 1}`
      })
}

/** The augmentation of an epoch, drawing from the epoch's generator. */
export const augmenting = (options: BatchOptions, epoch: Prng.Prng): Augmenting | undefined => {
  if (options.augment === undefined || options.augment.length === 0) return undefined
  const draws = epoch.split("augment")
  return { steps: options.augment, key: [draws.nextUint32(), draws.nextUint32()] }
}

/**
 * Runs `make` for `from`, …, `to − 1` with results in order. While one is in use, the `ahead` next ones are being made; a failure
 * comes out in its turn, after every result before it.
 */
export const inOrder = <A, E>(
  from: number,
  to: number,
  ahead: number,
  make: (index: number) => Effect.Effect<A, E>
): Stream.Stream<A, E> => {
  const each = (take: (index: number) => Effect.Effect<A, E>) =>
    Stream.unfold(from, (index) =>
      index >= to ? Effect.undefined : Effect.map(take(index), (made) => [made, index + 1] as const)
    )
  if (ahead === 0) return each(make)
  return Stream.unwrap(
    Effect.map(Effect.scope, (scope) => {
      const running: Array<Fiber.Fiber<A, E>> = []
      return each((index) =>
        Effect.gen(function* () {
          while (index + running.length < Math.min(to, index + 1 + ahead)) {
            running.push(yield* Effect.forkIn(make(index + running.length), scope))
          }
          return yield* Fiber.join(running.shift()!)
        })
      )
    })
  )
}

const fresh = (length: number): Float32Array => new Float32Array(length)

/** Memory that is handed out again once it was given back. */
const pool = () => {
  const free: Array<Float32Array> = []
  return {
    take: (length: number): Float32Array => {
      const found = free.findIndex((floats) => floats.length === length)
      return found < 0 ? fresh(length) : free.splice(found, 1)[0]!
    },
    giveBack: (floats: Float32Array): void => void free.push(floats)
  }
}

/** What the splits that were made here read from. */
const sources = new WeakMap<Split, Source>()

/** One source after the other, the first one's name kept. `undefined` where a split was not made here. */
export const join = (first: Split, second: Split): Split | undefined => {
  const [a, b] = [sources.get(first), sources.get(second)]
  if (a === undefined || b === undefined) return undefined
  return make({
    name: a.name,
    size: a.size + b.size,
    prefetch: Math.max(a.prefetch, b.prefetch),
    labels: Effect.zipWith(a.labels, b.labels, (one, other) => Int32Array.from([...one, ...other])),
    fetch: (indexes, augmenting, memory) => {
      const places = Array.from(indexes, (_, place) => place)
      const [ours, theirs] = [places.filter((i) => indexes[i]! < a.size), places.filter((i) => indexes[i]! >= a.size)]
      const read = (source: Source, from: ReadonlyArray<number>, offset: number) =>
        from.length === 0
          ? Effect.succeed(() => fresh(0))
          : source.fetch(
              Uint32Array.from(from, (i) => indexes[i]! - offset),
              augmenting,
              fresh
            )
      return Effect.zipWith(read(a, ours, 0), read(b, theirs, a.size), (one, other) => () => {
        const parts = [
          { from: ours, images: one() },
          { from: theirs, images: other() }
        ]
        const floats = parts.reduce((sum, { images }) => sum + images.length, 0)
        const volume = floats / Math.max(1, indexes.length)
        const out = memory(floats)
        for (const { from, images } of parts)
          from.forEach((place, i) => out.set(images.subarray(i * volume, (i + 1) * volume), place * volume))
        return out
      })
    }
  })
}

export const make = (source: Source): Split => {
  const fetch = (index: number, indexes: Uint32Array, augmenting: Augmenting | undefined, floats = fresh) =>
    Effect.zipWith(source.fetch(indexes, augmenting, floats), source.labels, (images, labels) => (): Batch => ({
      index,
      size: indexes.length,
      images: images(),
      labels: Int32Array.from(indexes, (sample) => labels[sample]!),
      indexes
    }))
  const batch = (indexes: Uint32Array) => Effect.map(fetch(0, indexes, undefined), (finish) => finish())

  const read = (indexes: ArrayLike<number>) =>
    Effect.suspend(() => {
      const wanted = Array.from(indexes)
      const wrong = outside(source.name, source.size, wanted)
      return wrong === undefined ? batch(Uint32Array.from(wanted)) : Effect.fail(wrong)
    })

  const made: Split = {
    name: source.name,
    size: source.size,
    labels: source.labels,
    read,
    all: Effect.suspend(() => batch(identity(source.size))),
    batches: (options) =>
      Stream.suspend((): Stream.Stream<Batch, DataError> => {
        const invalid = validate(options)
        if (invalid !== undefined) return Stream.fail(invalid)
        const random = epochRandom(options.shuffle?.seed ?? 0, options.shuffle?.epoch ?? 0)
        const steps = augmenting(options, random)
        const order =
          options.shuffle === undefined ? identity(source.size) : random.split("order").permutation(source.size)
        const { giveBack, take } = options.reuse === true ? pool() : { giveBack: () => {}, take: fresh }
        let inUse: Float32Array | undefined
        return inOrder(
          options.startAt ?? 0,
          batchCount(source, options),
          options.prefetch ?? source.prefetch,
          (index) => fetch(index, order.slice(index * options.batch, (index + 1) * options.batch), steps, take)
        ).pipe(
          Stream.map((finish) => {
            // Asked for, so the one before is done with.
            if (inUse !== undefined) giveBack(inUse)
            const made = finish()
            inUse = made.images
            return made
          })
        )
      })
  }
  sources.set(made, source)
  return made
}
