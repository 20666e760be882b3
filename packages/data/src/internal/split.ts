/** Makes a `Split` from a source that can read examples by index. */
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Record from "effect/Record"
import * as Stream from "effect/Stream"
import type { Augmentation } from "../Augmentation.ts"
import { CannotAugment, InvalidOption, type DataError } from "../DataError.ts"
import {
  batchCount,
  type Batch,
  type BatchOptions,
  type Inputs,
  type Split,
  type SplitName,
  type Values
} from "../Dataset.ts"
import type { Key } from "./draws.ts"
import { epochRandom, identity } from "./order.ts"
import * as values from "./values.ts"

/** The steps of an epoch, and the words that seed its examples' draws; can be posted to a worker. */
export interface Augmenting {
  readonly steps: Augmentation
  readonly key: Key
}

/** Provides memory for this many numbers, which may still hold an earlier batch's. */
export interface Memory {
  readonly floats: (length: number) => Float32Array
  readonly ints: (length: number) => Int32Array
}

/** Random access to examples. */
export interface Source<out I extends Inputs = Inputs, out T extends Values = Values> {
  readonly name: SplitName
  readonly size: number
  readonly leftOut?: number
  readonly targets: Effect.Effect<T, DataError>
  readonly content?: Effect.Effect<string, DataError>
  /** Batches to make ahead, unless the caller says otherwise. */
  readonly prefetch: number
  /** The name of the data set, if its examples are not images of bytes and so cannot be augmented. */
  readonly plain?: string
  /**
   * Fetches examples (ahead of their use, with prefetching) and returns a function that makes them into a batch's inputs, augmented if
   * requested. In between, a source may hold them in less memory than 32-bit floats take.
   */
  readonly fetch: (
    indexes: Uint32Array,
    augmenting: Augmenting | undefined,
    memory: Memory
  ) => Effect.Effect<() => I, DataError>
}

const whole = (option: string, value: number | undefined, minimum: number) =>
  value === undefined || (Number.isSafeInteger(value) && value >= minimum)
    ? undefined
    : new InvalidOption({ option, value, expected: `a whole number of at least ${minimum}` })

/** What is wrong with these options, if anything; `plain` is the name of a data set whose examples are not images of bytes. */
export const validate = (options: BatchOptions, plain?: string): InvalidOption | CannotAugment | undefined =>
  whole("batch", options.batch, 1) ??
  whole("startAt", options.startAt, 0) ??
  whole("prefetch", options.prefetch, 0) ??
  whole("epoch", options.shuffle?.epoch, 0) ??
  (plain === undefined || options.augment === undefined || options.augment.length === 0
    ? undefined
    : new CannotAugment({ source: plain, steps: options.augment.map((step) => step._tag) }))

/** What is wrong with these example indexes, if anything. */
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

/** The augmentation of an epoch, which draws from the epoch's generator. */
export const augmenting = (options: BatchOptions, epoch: Prng.Prng): Augmenting | undefined => {
  if (options.augment === undefined || options.augment.length === 0) return undefined
  const draws = epoch.split("augment")
  const { epoch: number = 0, seed = 0 } = options.shuffle ?? {}
  const steady = Prng.fromSeed(seed).split("augment in every epoch").nextUint32()
  return { steps: options.augment, key: [draws.nextUint32(), draws.nextUint32(), steady, number] }
}

/**
 * Runs `make` for `from`, …, `to − 1`, with results in order. While one is in use, the next `ahead` ones are being made. A failure appears
 * in its turn, after every result before it.
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
          const first = running.shift() ?? (yield* Effect.forkIn(make(index), scope))
          for (let next = index + 1 + running.length; next < Math.min(to, index + 1 + ahead); next++)
            running.push(yield* Effect.forkIn(make(next), scope))
          return yield* Fiber.join(first)
        })
      )
    })
  )
}

/** New memory every time. */
const fresh: Memory = { floats: (length) => new Float32Array(length), ints: (length) => new Int32Array(length) }

/** Arrays that are handed out again after they were returned. */
const shelf = <A extends Values>(make: (length: number) => A) => {
  const free: Array<A> = []
  return {
    take: (length: number): A => {
      const found = free.findIndex((array) => array.length === length)
      const [array] = found < 0 ? [] : free.splice(found, 1)
      return array ?? make(length)
    },
    giveBack: (array: A): void => void free.push(array)
  }
}

/** The memory of batches that are no longer in use. */
const pool = () => {
  const [floats, ints] = [shelf(fresh.floats), shelf(fresh.ints)]
  return {
    memory: { floats: floats.take, ints: ints.take } satisfies Memory,
    giveBack: (inputs: Inputs): void => {
      for (const array of Object.values(inputs)) {
        if (array instanceof Int32Array) ints.giveBack(array)
        else floats.giveBack(array)
      }
    }
  }
}

/** The sources of the splits that were made here. */
const sources = new WeakMap<Split, Source>()

/** Inputs of examples, and their positions in a batch. */
interface Part {
  readonly places: ReadonlyArray<number>
  readonly inputs: Inputs
}

/** The inputs of two sources, combined into one batch. */
const interleave = (one: Part, other: Part, memory: Memory): Inputs =>
  Record.intersection(one.inputs, other.inputs, (ours, theirs) => {
    const length = ours.length + theirs.length
    const volume = length / Math.max(1, one.places.length + other.places.length)
    const out = ours instanceof Int32Array ? memory.ints(length) : memory.floats(length)
    one.places.forEach((place, i) => values.copy(ours, i * volume, out, place * volume, volume))
    other.places.forEach((place, i) => values.copy(theirs, i * volume, out, place * volume, volume))
    return out
  })

/** One source after the other, with the first one's name. `undefined` if a split was not made here. */
export const join = <B extends Batch>(first: Split<B>, second: Split<B>): Split<B> | undefined => {
  const [a, b] = [sources.get(first), sources.get(second)]
  if (a === undefined || b === undefined) return undefined
  const leftOut = (a.leftOut ?? 0) + (b.leftOut ?? 0)
  const joined = make({
    name: a.name,
    size: a.size + b.size,
    ...(leftOut === 0 ? {} : { leftOut }),
    prefetch: Math.max(a.prefetch, b.prefetch),
    ...(a.plain === undefined ? {} : { plain: a.plain }),
    targets: Effect.zipWith(a.targets, b.targets, values.concat),
    fetch: (indexes, augmenting, memory) => {
      const examples = Array.from(indexes, (index, place) => ({ index, place }))
      const ours = examples.filter(({ index }) => index < a.size)
      const theirs = examples.filter(({ index }) => index >= a.size)
      const read = (source: Source, of: typeof examples, offset: number) =>
        source.fetch(
          Uint32Array.from(of, ({ index }) => index - offset),
          augmenting,
          fresh
        )
      return Effect.zipWith(
        read(a, ours, 0),
        read(b, theirs, a.size),
        (one, other) => () =>
          interleave(
            { places: ours.map(({ place }) => place), inputs: one() },
            { places: theirs.map(({ place }) => place), inputs: other() },
            memory
          )
      )
    }
  })
  // Both sources belong to splits with batches of type B, and the result has the inputs and targets of both.
  return joined as Split<B>
}

export const make = <I extends Inputs, T extends Values>(source: Source<I, T>): Split<Batch<I, T>> => {
  const fetch = (index: number, indexes: Uint32Array, augmenting: Augmenting | undefined, memory = fresh) =>
    Effect.zipWith(source.fetch(indexes, augmenting, memory), source.targets, (inputs, targets) => (): Batch<I, T> => ({
      index,
      size: indexes.length,
      inputs: inputs(),
      targets: values.gather(targets, indexes, source.size === 0 ? 0 : targets.length / source.size),
      indexes
    }))
  const batch = (indexes: Uint32Array) => Effect.map(fetch(0, indexes, undefined), (finish) => finish())

  const read = (indexes: ArrayLike<number>) =>
    Effect.suspend(() => {
      const wanted = Array.from(indexes)
      const wrong = outside(source.name, source.size, wanted)
      return wrong === undefined ? batch(Uint32Array.from(wanted)) : Effect.fail(wrong)
    })

  const made: Split<Batch<I, T>> = {
    name: source.name,
    size: source.size,
    ...(source.leftOut === undefined ? {} : { leftOut: source.leftOut }),
    targets: source.targets,
    ...(source.content === undefined ? {} : { content: source.content }),
    read,
    all: Effect.suspend(() => batch(identity(source.size))),
    batches: (options) =>
      Stream.suspend((): Stream.Stream<Batch<I, T>, DataError> => {
        const invalid = validate(options, source.plain)
        if (invalid !== undefined) return Stream.fail(invalid)
        const random = epochRandom(options.shuffle?.seed ?? 0, options.shuffle?.epoch ?? 0)
        const steps = augmenting(options, random)
        const order =
          options.shuffle === undefined ? identity(source.size) : random.split("order").permutation(source.size)
        const { giveBack, memory } = options.reuse === true ? pool() : { giveBack: () => {}, memory: fresh }
        let inUse: I | undefined
        return inOrder(
          options.startAt ?? 0,
          batchCount(options)(source),
          options.prefetch ?? source.prefetch,
          (index) => fetch(index, order.slice(index * options.batch, (index + 1) * options.batch), steps, memory)
        ).pipe(
          Stream.map((finish) => {
            // The next batch is requested, so the one before is finished with.
            if (inUse !== undefined) giveBack(inUse)
            const made = finish()
            inUse = made.inputs
            return made
          })
        )
      })
  }
  sources.set(made, source)
  return made
}
