/** A `Split` from a stream of samples that is run again for every pass. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import type { Prng } from "@uninet/search-space"
import { InvalidOption, InvalidSamples, type DataError } from "../DataError.ts"
import type { Batch, BatchOptions, Inputs, Split, SplitName, Values } from "../Dataset.ts"
import * as order from "./order.ts"
import * as split from "./split.ts"

/** Samples held at once to draw the next from when shuffling, unless the caller says otherwise. */
export const standardBuffer = 1024

/** The number of samples at the beginning of a stream that identify it. */
const contentSamples = 256

/** A sample and its index in the split. */
export interface Indexed<out S> {
  readonly sample: S
  readonly index: number
}

export interface Options<S, I extends Inputs, T extends Values> {
  /** The data set's name. */
  readonly source: string
  readonly name: SplitName
  readonly size: number
  /** Gives the same `size` samples in the same order every time it is run. */
  readonly samples: Stream.Stream<S, unknown>
  readonly shuffleBuffer: number
  /** Whether the samples are not images of bytes, so that they cannot be augmented. */
  readonly plain: boolean
  /** What is wrong with a sample, if anything. */
  readonly check: (sample: S, index: number) => DataError | undefined
  readonly inputs: (samples: ReadonlyArray<Indexed<S>>, augmenting: split.Augmenting | undefined) => I
  readonly targets: (samples: ReadonlyArray<S>) => T
}

/** The samples with their indexes, each checked, and counted at the end. */
export const checked = <S>({
  check,
  name,
  samples,
  size,
  source
}: Pick<Options<S, Inputs, Values>, "check" | "name" | "samples" | "size" | "source">): Stream.Stream<
  Indexed<S>,
  DataError
> => {
  const invalid = (reason: string, remedy: string) => new InvalidSamples({ source, split: name, reason, remedy })
  const count = `Make the stream yield exactly ${size}, or set size to the number that it yields`
  const indexed = (sample: S, index: number): Effect.Effect<Indexed<S>, DataError> => {
    if (index >= size) return Effect.fail(invalid(`its stream yields more than ${size} samples`, count))
    const wrong = check(sample, index)
    return wrong === undefined ? Effect.succeed({ sample, index }) : Effect.fail(wrong)
  }
  return Stream.suspend(() => {
    let seen = 0
    return samples.pipe(
      Stream.mapError((cause): DataError => invalid(`its stream failed: ${String(cause)}`, "Fix the stream")),
      Stream.mapEffect(indexed),
      Stream.tap(() => Effect.sync(() => (seen += 1))),
      Stream.concat(
        Stream.suspend(() =>
          seen === size ? Stream.empty : Stream.fail(invalid(`its stream ends after ${seen} of ${size} samples`, count))
        )
      )
    )
  })
}

/** Emits a random one of up to `capacity` samples, and replaces each with the next from the stream. */
const shuffled = <A, E>(stream: Stream.Stream<A, E>, prng: Prng.Prng, capacity: number): Stream.Stream<A, E> =>
  Stream.suspend(() => {
    const held: Array<A> = []
    const draw = (): ReadonlyArray<A> => {
      const place = prng.nextInt(held.length)
      // The last one takes its place.
      return place === held.length - 1 ? held.splice(place) : held.splice(place, 1, ...held.splice(-1))
    }
    return Stream.concat(
      stream.pipe(
        Stream.map((sample) => {
          held.push(sample)
          return held.length > capacity ? draw() : []
        }),
        Stream.flattenIterable
      ),
      Stream.suspend(() => Stream.fromIterable(Array.from({ length: held.length }, draw).flat()))
    )
  })

/** The split of a stream. An epoch runs it once; `startAt` runs it from its beginning and skips what was done. */
export const make = <S, I extends Inputs, T extends Values>(options: Options<S, I, T>): Split<Batch<I, T>> => {
  const { inputs, name, plain, shuffleBuffer, size, source, targets } = options
  const stream = checked(options)
  const assemble = (
    index: number,
    samples: ReadonlyArray<Indexed<S>>,
    augmenting: split.Augmenting | undefined
  ): Batch<I, T> => ({
    index,
    size: samples.length,
    inputs: inputs(samples, augmenting),
    targets: targets(samples.map(({ sample }) => sample)),
    indexes: Uint32Array.from(samples, (sample) => sample.index)
  })

  const batches = (settings: BatchOptions): Stream.Stream<Batch<I, T>, DataError> =>
    Stream.suspend((): Stream.Stream<Batch<I, T>, DataError> => {
      const invalid = split.validate(settings, plain ? source : undefined)
      if (invalid !== undefined) return Stream.fail(invalid)
      const { batch, dropLast = false, prefetch = 2, shuffle, startAt = 0 } = settings
      const random = order.epochRandom(shuffle?.seed ?? 0, shuffle?.epoch ?? 0)
      const augmenting = split.augmenting(settings, random)
      const ordered = shuffle === undefined ? stream : shuffled(stream, random.split("order"), shuffleBuffer)
      const made = ordered.pipe(
        Stream.drop(startAt * batch),
        Stream.rechunk(batch),
        Stream.chunks,
        Stream.filter((samples) => !dropLast || samples.length === batch),
        Stream.map((samples, index) => assemble(startAt + index, samples, augmenting))
      )
      return prefetch === 0 ? made : Stream.buffer(made, { capacity: prefetch })
    })

  /** The stream is not run to its end for this. */
  const content = Effect.map(Stream.runCollect(Stream.take(stream, contentSamples)), (samples) => {
    const { inputs, targets } = assemble(0, samples, undefined)
    const hash = createHash("sha256")
    for (const { buffer, byteLength, byteOffset } of [targets, ...Object.values(inputs)])
      hash.update(new Uint8Array(buffer, byteOffset, byteLength))
    return hash.digest("hex")
  })

  return {
    name,
    size,
    content,
    targets: Effect.map(Stream.runCollect(Stream.map(stream, ({ sample }) => sample)), targets),
    read: (indexes) =>
      Effect.suspend(() => {
        const wanted = Array.from(indexes)
        const wrong = split.outside(name, size, wanted)
        if (wrong !== undefined) return Effect.fail(wrong)
        const picked = new Map<number, Indexed<S>>()
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

/** Checks the options that all streamed data sets have in common. */
export const checkOptions = (options: {
  readonly shuffleBuffer?: number
  readonly train: { readonly size: number }
  readonly validation: { readonly size: number }
  readonly test: { readonly size: number }
}): Effect.Effect<void, InvalidOption> =>
  Effect.forEach(
    [
      ["shuffleBuffer", options.shuffleBuffer ?? standardBuffer],
      ["train.size", options.train.size],
      ["validation.size", options.validation.size],
      ["test.size", options.test.size]
    ] as const,
    ([option, value]) =>
      Number.isSafeInteger(value) && value >= 1
        ? Effect.void
        : Effect.fail(new InvalidOption({ option, value, expected: "a whole number of at least 1" })),
    { discard: true }
  )
