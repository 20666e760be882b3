/** A data set of any kind from your own streams: generated or fetched as it is read, and never held in memory as a whole. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { InvalidOption, type DataError } from "./DataError.ts"
import { type Batch, Dataset, type Normalisation, type Split, type SplitName, type Values } from "./Dataset.ts"
import type { ExamplesDataset } from "./Examples.ts"
import * as examples from "./internal/examples.ts"
import * as streamed from "./internal/streamed.ts"
import * as values from "./internal/values.ts"

/**
 * One example, in its own arrays: each named input holds as many numbers as its `shape` says, row-major; `target` holds the target's
 * numbers (or its single number).
 */
export interface Sample<Name extends string> {
  readonly inputs: Readonly<Record<Name, ArrayLike<number>>>
  readonly target: number | ArrayLike<number>
}

/** A stream that gives the same `size` examples in the same order every time it is run. */
export interface Samples<Name extends string, E> {
  /** The number of examples. */
  readonly size: number
  readonly samples: Stream.Stream<Sample<Name>, E>
}

/** The three splits as streams, and the kind of their examples. */
export interface StreamedExamplesOptions<Name extends string, E> extends examples.Kind<Name> {
  readonly train: Samples<Name, E>
  readonly validation: Samples<Name, E>
  readonly test: Samples<Name, E>
  /** Mean and deviation of the inputs to `standardise`, if they are known. Default: computed in one pass over `train` when the layer is built. */
  readonly standardised?: Readonly<Record<string, Normalisation>>
  /**
   * Examples held at once to draw the next from when shuffling (as in `tf.data`'s `shuffle`): the larger, the better mixed. Default 1024.
   */
  readonly shuffleBuffer?: number
}

const numbersOf = (target: number | ArrayLike<number>): ArrayLike<number> =>
  typeof target === "number" ? [target] : target

/** What is wrong with an example, if anything. */
const check =
  <Name extends string>(kind: examples.Kind<Name>, name: SplitName) =>
  (sample: Sample<Name>, index: number): DataError | undefined => {
    const numbers = [...examples.entries(kind.inputs).map(([input]) => sample.inputs[input]), numbersOf(sample.target)]
    for (const [i, feature] of examples.features(kind).entries()) {
      const own = numbers[i] ?? []
      if (own.length !== values.volume(feature[1]))
        return examples.wrongLength(kind, name, feature, own.length, `example ${index}`)
      const wrong = examples.checkNumbers(kind, name, index, feature, own, 0)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }

const streamedSplit = <Name extends string, E>(
  options: StreamedExamplesOptions<Name, E>,
  standardised: Readonly<Record<string, Normalisation>>,
  name: SplitName
): Split<Batch<Readonly<Record<Name, Values>>>> =>
  streamed.make({
    source: options.name,
    name,
    ...options[name],
    shuffleBuffer: options.shuffleBuffer ?? streamed.standardBuffer,
    plain: true,
    check: check(options, name),
    inputs: (samples) =>
      examples.mapRecord(options.inputs, (feature, input) => {
        const volume = values.volume(feature)
        const out = values.zeros(feature.dtype, samples.length * volume)
        for (const [place, { sample }] of samples.entries())
          examples.write(feature, standardised[input], sample.inputs[input], 0, out, place * volume)
        return out
      }),
    targets: (samples) => {
      const volume = values.volume(options.targets)
      const out = values.zeros(options.targets.dtype, samples.length * volume)
      for (const [place, { target }] of samples.entries()) out.set(numbersOf(target), place * volume)
      return out
    }
  })

/** Mean and deviation of the training stream's inputs, in one pass. */
const measure = <Name extends string, E>(options: StreamedExamplesOptions<Name, E>, names: ReadonlyArray<Name>) =>
  Effect.gen(function* () {
    if (names.length === 0) return {}
    const moments = names.map((input) => [input, examples.moments(options.inputs[input])] as const)
    const stream = streamed.checked({
      source: options.name,
      name: "train",
      ...options.train,
      check: check(options, "train")
    })
    yield* Stream.runForEach(stream, ({ sample }) =>
      Effect.sync(() => {
        for (const [input, { add }] of moments) add(sample.inputs[input], 0)
      })
    )
    return Object.fromEntries(moments.map(([input, { result }]) => [input, result()]))
  })

/** What is wrong with the given normalisations, if anything. */
const checkGiven = <Name extends string, E>({
  inputs,
  standardise = [],
  standardised = {}
}: StreamedExamplesOptions<Name, E>) => {
  for (const [input, { deviation, mean }] of Object.entries(standardised)) {
    const name = standardise.find((name) => name === input)
    const columns = name === undefined ? 0 : (inputs[name].shape[0] ?? 1)
    if (mean.length !== columns || deviation.length !== columns || !deviation.every((value) => value > 0))
      return new InvalidOption({
        option: `standardised.${input}`,
        value: `${mean.length} means and ${deviation.length} deviations`,
        expected:
          columns === 0
            ? "only for inputs that standardise lists"
            : `${columns} number${columns === 1 ? "" : "s"} for each, with every deviation above 0`
      })
  }
  return undefined
}

/**
 * The data set of three streams of examples. An epoch runs the split's stream once. `startAt` runs it from its beginning and skips what was
 * done, so a resumed epoch is the same as an uninterrupted one.
 *
 * Fails with `InvalidOption`, and, here or when a split is read, with `InvalidSamples` (a stream that fails, ends early, gives too much or
 * a wrong length), `InvalidNumber` or `LabelOutOfRange`. Its splits fail with `CannotAugment` if a batch is to be augmented.
 *
 * @example
 * ```ts
 * import { Dataset, StreamedExamples } from "@uninet/data"
 * import { Stream } from "effect"
 *
 * const rows = (size: number, from: number) => ({
 *   size,
 *   samples: Stream.range(from, from + size - 1).pipe(
 *     Stream.map((i) => ({ inputs: { row: [Math.sin(i), Math.cos(i)] }, target: Math.sin(2 * i) }))
 *   )
 * })
 *
 * const waves = StreamedExamples.layer({
 *   name: "waves",
 *   inputs: { row: Dataset.float32(2) },
 *   targets: Dataset.float32(),
 *   train: rows(1000, 0),
 *   validation: rows(100, 1000),
 *   test: rows(100, 1100)
 * })
 * ```
 */
export const make = <Name extends string, E>(
  options: StreamedExamplesOptions<Name, E>
): Effect.Effect<ExamplesDataset<Name>, DataError> =>
  Effect.gen(function* () {
    const wrong = examples.checkKind(options) ?? checkGiven(options)
    if (wrong !== undefined) return yield* wrong
    yield* streamed.checkOptions(options)
    const { standardise = [], standardised: given = {} } = options
    const unknown = standardise.filter((input) => given[input] === undefined)
    const standardised = { ...given, ...(yield* measure(options, unknown)) }
    const make = (name: SplitName) => streamedSplit(options, standardised, name)
    return {
      ...examples.described(options),
      ...(Object.keys(standardised).length === 0 ? {} : { standardised }),
      train: make("train"),
      validation: make("validation"),
      test: make("test")
    }
  })

/** The layer of `make`. */
export const layer = <Name extends string, E>(
  options: StreamedExamplesOptions<Name, E>
): Layer.Layer<Dataset, DataError> => Layer.effect(Dataset, make(options))
