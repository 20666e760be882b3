/** A data set of any kind, held in memory: rows of numbers, images as floats with masks for targets, sequences of tokens. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { InvalidSamples } from "./DataError.ts"
import {
  type Batch,
  Dataset,
  type DatasetShape,
  type Normalisation,
  type Split,
  type SplitName,
  type Values
} from "./Dataset.ts"
import * as examples from "./internal/examples.ts"
import { type Holdout, isHoldout, partition } from "./internal/holdout.ts"
import * as order from "./internal/order.ts"
import * as split from "./internal/split.ts"
import * as values from "./internal/values.ts"

export type { Holdout }

/** Examples: `[size, ...shape]` for every named input, row-major, and targets `[size, ...targets.shape]`. Arrays of 32-bit numbers are not copied. */
export interface Samples<Name extends string> {
  readonly inputs: Readonly<Record<Name, ArrayLike<number>>>
  readonly targets: ArrayLike<number>
}

/** The three splits, and the kind of their examples. */
export interface ExamplesOptions<Name extends string> extends examples.Kind<Name> {
  readonly train: Samples<Name>
  /** Separate examples, or a part of the training split: in class proportions if every target is one label, otherwise any. */
  readonly validation: Samples<Name> | Holdout
  /** Separate examples, or a part of the training split (taken after validation's). */
  readonly test: Samples<Name> | Holdout
}

/** A data set of examples with these inputs. */
export type ExamplesDataset<Name extends string> = DatasetShape<Batch<Readonly<Record<Name, Values>>>>

/** What is wrong with a split's examples, if anything. */
const check = <Name extends string>(kind: examples.Kind<Name>, name: SplitName, samples: Samples<Name>) => {
  const target = values.volume(kind.targets)
  const size = samples.targets.length / target
  if (samples.targets.length === 0)
    return new InvalidSamples({
      source: kind.name,
      split: name,
      reason: "it holds no examples",
      remedy: "Give it at least one"
    })
  const numbers = [...examples.entries(kind.inputs).map(([input]) => samples.inputs[input]), samples.targets]
  const features = Arr.zip(examples.features(kind), numbers)
  for (const [feature, { length: found }] of features) {
    if (found !== size * values.volume(feature[1]))
      return examples.wrongLength(kind, name, feature, found, `${Math.ceil(size)} examples`)
  }
  for (let index = 0; index < size; index++)
    for (const [feature, numbers] of features) {
      const wrong = examples.checkNumbers(kind, name, index, feature, numbers, index * values.volume(feature[1]))
      if (wrong !== undefined) return wrong
    }
  return undefined
}

/** The examples `part` of a split, without copying. */
const memorySplit = <Name extends string>(
  kind: examples.Kind<Name>,
  standardised: Readonly<Record<string, Normalisation>>,
  name: SplitName,
  inputs: Readonly<Record<Name, Values>>,
  targets: Values,
  part: Uint32Array
): Split<Batch<Readonly<Record<Name, Values>>>> => {
  const places = Array.from(part)
  return split.make({
    name,
    size: part.length,
    targets: Effect.succeed(values.gather(targets, part, values.volume(kind.targets))),
    prefetch: 0,
    plain: kind.name,
    fetch: (indexes, _, memory) =>
      Effect.sync(() => {
        const made = examples.mapRecord(kind.inputs, (feature, input): Values => {
          const volume = values.volume(feature)
          const length = indexes.length * volume
          const out = feature.dtype === "int32" ? memory.ints(length) : memory.floats(length)
          const from = inputs[input]
          for (const [i, index] of indexes.entries())
            examples.write(feature, standardised[input], from, Arr.getUnsafe(places, index) * volume, out, i * volume)
          return out
        })
        return () => made
      })
  })
}

/**
 * A data set from arrays of numbers. Inputs to standardise use the mean and deviation of the training split, without what is held out of
 * it; the data set records these values (`standardised`).
 *
 * Fails with `InvalidSamples` (no examples, lengths that disagree), `InvalidNumber` (NaN, an infinity, a fraction if the element type is
 * int32), `LabelOutOfRange` or `InvalidOption` (a shape, a name, a holdout larger than the data). Its splits fail with `CannotAugment` if a
 * batch is to be augmented.
 *
 * @example
 * ```ts
 * import { Dataset, Examples } from "@uninet/data"
 * import { Effect } from "effect"
 *
 * const sums = Examples.make({
 *   name: "sums",
 *   inputs: { row: Dataset.float32(2) },
 *   targets: Dataset.float32(),
 *   standardise: ["row"],
 *   train: { inputs: { row: [1, 2, 3, 4, 5, 6, 7, 9] }, targets: [3, 7, 11, 16] },
 *   validation: { size: 1 },
 *   test: { inputs: { row: [2, 2] }, targets: [4] }
 * })
 *
 * Effect.runPromise(Effect.flatMap(sums, (data) => data.train.all)).then(({ inputs }) => console.log(inputs.row))
 * ```
 */
export const make = <Name extends string>(
  options: ExamplesOptions<Name>
): Effect.Effect<ExamplesDataset<Name>, examples.ExamplesError> =>
  Effect.gen(function* () {
    const { train, validation, test } = options
    const wrong = examples.checkKind(options)
    if (wrong !== undefined) return yield* wrong
    for (const [name, samples] of [
      ["train", train] as const,
      ["validation", validation] as const,
      ["test", test] as const
    ]) {
      const problem = isHoldout(samples) ? undefined : check(options, name, samples)
      if (problem !== undefined) return yield* problem
    }
    const arrays = (samples: Samples<Name>) => ({
      inputs: examples.mapRecord(options.inputs, ({ dtype }, input) => values.of(dtype, samples.inputs[input])),
      targets: values.of(options.targets.dtype, samples.targets)
    })
    const own = arrays(train)
    const size = own.targets.length / values.volume(options.targets)
    const [labels, classes] =
      examples.isLabelled(options) && own.targets instanceof Int32Array && options.classes !== undefined
        ? [own.targets, options.classes.length]
        : [new Int32Array(size), 1]
    const parts = yield* partition(labels, classes, validation, test)
    const standardised = Object.fromEntries(
      (options.standardise ?? []).map((input) => {
        const feature = options.inputs[input]
        const moments = examples.moments(feature)
        for (const index of parts.train) moments.add(own.inputs[input], index * values.volume(feature))
        return [input, moments.result()]
      })
    )
    const view = (name: SplitName, samples: Samples<Name> | Holdout, part: Uint32Array) => {
      if (isHoldout(samples)) return memorySplit(options, standardised, name, own.inputs, own.targets, part)
      const { inputs, targets } = arrays(samples)
      const all = order.identity(targets.length / values.volume(options.targets))
      return memorySplit(options, standardised, name, inputs, targets, all)
    }
    return {
      ...examples.described(options),
      ...(Object.keys(standardised).length === 0 ? {} : { standardised }),
      train: memorySplit(options, standardised, "train", own.inputs, own.targets, parts.train),
      validation: view("validation", validation, parts.validation),
      test: view("test", test, parts.test)
    }
  })

/** The layer of `make`. */
export const layer = <Name extends string>(
  options: ExamplesOptions<Name>
): Layer.Layer<Dataset, examples.ExamplesError> => Layer.effect(Dataset, make(options))
