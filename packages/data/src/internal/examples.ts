/** Examples of any kind: their requirements, and how their inputs are standardised. */
import { InvalidNumber, InvalidOption, InvalidSamples, LabelOutOfRange, type DataError } from "../DataError.ts"
import type { Feature, Normalisation, SplitName, Values } from "../Dataset.ts"
import * as values from "./values.ts"

/** The kind of a data set's examples. */
export interface Kind<Name extends string = string> {
  /** The data set's name. */
  readonly name: string
  /** The shape and element type of every input, by the names of a model's inputs. */
  readonly inputs: Readonly<Record<Name, Feature>>
  /**
   * The shape and element type of every target: `float32()` or `float32(n)` for regression, `int32()` for a label, `int32(height, width)`
   * for a mask, `float32(classes)` for several labels.
   */
  readonly targets: Feature
  /**
   * Class names by label, if the targets are classes. Every number of an int32 target must then be the index of a class (omit `classes` if
   * some numbers mean "no class"); float32 targets must have one number per class.
   */
  readonly classes?: ReadonlyArray<string>
  /**
   * Inputs (float32) to standardise: the mean is subtracted, and the result divided by the standard deviation of the training split, per
   * index of the first dimension of their shape (a row's columns, an image's channels). A constant column becomes 0. Default: none.
   */
  readonly standardise?: ReadonlyArray<Name>
}

/** A record's entries, with the names that its type gives. */
export const entries = <Name extends string, A>(record: Readonly<Record<Name, A>>): ReadonlyArray<readonly [Name, A]> =>
  // Object.entries loses the names' type, not the names.
  Object.entries<A>(record) as Array<[Name, A]>

/** A record with the same names. */
export const mapRecord = <Name extends string, A, B>(
  record: Readonly<Record<Name, A>>,
  change: (value: A, name: Name) => B
): Readonly<Record<Name, B>> =>
  // As above: the names are those of the record.
  Object.fromEntries(entries(record).map(([name, value]) => [name, change(value, name)])) as Record<Name, B>

/** What is wrong with a description of examples, if anything. */
export const checkKind = ({ classes, inputs, standardise = [], targets }: Kind): InvalidOption | undefined => {
  if (Object.keys(inputs).length === 0)
    return new InvalidOption({
      option: "inputs",
      value: "empty",
      expected: "at least one input, under the name that the model uses"
    })
  for (const [option, { shape }] of [...entries(inputs), ["targets", targets] as const])
    if (!shape.every((length) => Number.isSafeInteger(length) && length >= 1))
      return new InvalidOption({
        option: `the shape of ${option}`,
        value: `[${shape.join(", ")}]`,
        expected: "whole numbers of at least 1, or [] for one number"
      })
  const wrong = standardise.find((name) => inputs[name]?.dtype !== "float32")
  if (wrong !== undefined)
    return new InvalidOption({ option: "standardise", value: wrong, expected: "names of float32 inputs" })
  if (classes !== undefined && targets.dtype === "float32" && targets.shape.at(-1) !== classes.length)
    return new InvalidOption({
      option: "the shape of targets",
      value: `[${targets.shape.join(", ")}]`,
      expected: `[…, ${classes.length}], with one number per class, or leave the classes out`
    })
  return undefined
}

/** Whether every target is a single label, so that parts of the split can have the classes in proportion. */
export const isLabelled = ({ classes, targets }: Kind): boolean =>
  classes !== undefined && targets.dtype === "int32" && targets.shape.length === 0

const isInt32 = (value: number): boolean => value === (value | 0)

/** What is wrong with the numbers of example `index`, which start at `start`, if anything. */
export const checkNumbers = (
  kind: Kind,
  split: SplitName,
  index: number,
  [what, feature]: readonly [what: string, feature: Feature],
  numbers: ArrayLike<number>,
  start: number
): InvalidNumber | LabelOutOfRange | undefined => {
  const labels = what === "target" ? kind.classes?.length : undefined
  const length = values.volume(feature)
  for (let place = 0; place < length; place++) {
    const value = numbers[start + place] ?? Number.NaN
    const good = feature.dtype === "int32" ? isInt32(value) : Number.isFinite(Math.fround(value))
    if (!good) {
      const expected = feature.dtype === "int32" ? "a 32-bit integer" : "a finite number"
      return new InvalidNumber({ source: kind.name, split, index, what, place, value, expected })
    }
    if (labels !== undefined && feature.dtype === "int32" && (value < 0 || value >= labels))
      return new LabelOutOfRange({ source: `${kind.name}, ${split} split`, index, label: value, classes: labels })
  }
  return undefined
}

/** The label of each feature's numbers, with the feature. */
export const features = (kind: Kind): ReadonlyArray<readonly [what: string, feature: Feature]> => [
  ...entries(kind.inputs).map(([name, feature]) => [`input ${name}`, feature] as const),
  ["target", kind.targets]
]

/** Reports numbers that are not as many as a feature has. */
export const wrongLength = (
  kind: Kind,
  split: SplitName,
  [what, { shape }]: readonly [what: string, feature: Feature],
  found: number,
  of: string
): InvalidSamples =>
  new InvalidSamples({
    source: kind.name,
    split,
    reason: `${found} numbers for ${what} do not make ${of} of shape [${shape.join(", ")}]`,
    remedy: "Give one of that shape for every example"
  })

/** A kind in the form in which a data set describes it. */
export const described = <Name extends string>({ classes, inputs, name, targets }: Kind<Name>) => ({
  name,
  inputs,
  targets,
  ...(classes === undefined ? {} : { classes })
})

/** The columns of an input: the indexes of its shape's first dimension. */
const columns = ({ shape }: Feature): number => shape[0] ?? 1

/**
 * Mean and deviation of every column of an input, in one pass (Welford 1962), in double precision.
 */
export const moments = (feature: Feature) => {
  const count = columns(feature)
  const each = values.volume(feature) / count
  const running = Array.from({ length: count }, () => ({ mean: 0, squares: 0 }))
  let seen = 0
  return {
    /** Adds the example that starts at `start`. */
    add: (numbers: ArrayLike<number>, start: number): void => {
      for (const [place, column] of running.entries())
        for (let i = 0; i < each; i++) {
          const value = Math.fround(numbers[start + place * each + i] ?? Number.NaN)
          const from = value - column.mean
          column.mean += from / (seen + i + 1)
          column.squares += from * (value - column.mean)
        }
      seen += each
    },
    result: (): Normalisation => ({
      mean: running.map(({ mean }) => mean),
      // A constant column has no spread: 1 leaves it at zero after the mean is subtracted.
      deviation: running.map(({ squares }) => (squares === 0 ? 1 : Math.sqrt(squares / seen)))
    })
  }
}

/** Copies the example that starts at `start` to `at`, standardised if a normalisation is given. */
export const write = (
  feature: Feature,
  by: Normalisation | undefined,
  numbers: ArrayLike<number>,
  start: number,
  out: Values,
  at: number
): void => {
  const length = values.volume(feature)
  if (by === undefined) {
    for (let i = 0; i < length; i++) out[at + i] = numbers[start + i] ?? Number.NaN
    return
  }
  const each = length / columns(feature)
  let i = 0
  for (const [column, mean] of by.mean.entries()) {
    const deviation = by.deviation[column] ?? Number.NaN
    for (const end = i + each; i < end; i++)
      out[at + i] = (Math.fround(numbers[start + i] ?? Number.NaN) - mean) / deviation
  }
}

/** Anything that can be wrong with examples. */
export type ExamplesError = Extract<
  DataError,
  { readonly _tag: "InvalidSamples" | "InvalidNumber" | "LabelOutOfRange" | "InvalidOption" }
>
