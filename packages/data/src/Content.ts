/**
 * A data set's content as a short text: data sets with equal texts have the same examples, labels and order, wherever their files are and
 * whatever they are called. A search or training that is resumed uses it to check that its data are still the ones it began with.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { DataError } from "./DataError.ts"
import { type DatasetShape, type Split, splits } from "./Dataset.ts"

/** How many examples of a split are read. */
const sampled = 64

const bytesOf = ({ buffer, byteLength, byteOffset }: ArrayBufferView) => new Uint8Array(buffer, byteOffset, byteLength)

/**
 * Up to `most` of this many positions, evenly spaced, the same ones every time.
 *
 * @example
 * ```ts
 * import { Content } from "@uninet/data"
 *
 * // Where in a million examples a sample of five is taken.
 * console.log(Content.places(1_000_000, 5))
 * ```
 */
export const places = (size: number, most: number): ReadonlyArray<number> => {
  const count = Math.min(size, most)
  return Array.from({ length: count }, (_, i) => Math.floor((i * size) / count))
}

/** All targets, and some of the examples. */
const read = Effect.fnUntraced(function* ({ read, size, targets }: Split) {
  const hash = createHash("sha256")
  hash.update(bytesOf(yield* targets))
  if (size > 0) {
    const { inputs } = yield* read(places(size, sampled))
    for (const name of Object.keys(inputs).toSorted())
      hash.update(`\n${name}\n`).update(bytesOf(inputs[name] ?? new Uint8Array()))
  }
  return hash.digest("hex")
})

/**
 * 16 hexadecimal digits that identify a data set's content: what an example is, the classes and their order, and the normalisation; and for
 * every split its size, every target and a sample of 64 examples, or the split's own description of its content (`Split.content`). Where
 * the mean is the training split's, as in most data sets in memory, it changes when any training example changes. It is fast enough to be
 * computed at every start: a few milliseconds for MNIST, a second or two for a folder of a million images.
 *
 * Fails with the splits' errors if they are read.
 *
 * @example
 * ```ts
 * import { Content, Dataset, Mnist } from "@uninet/data"
 * import { Effect } from "effect"
 *
 * const program = Effect.flatMap(Dataset.Dataset, Content.of)
 * Effect.runPromise(Effect.provide(program, Mnist.layer)).then(console.log)
 * ```
 */
export const of = (data: DatasetShape): Effect.Effect<string, DataError> =>
  Effect.gen(function* () {
    const {
      classes = null,
      cropRatio = null,
      deviation = null,
      inputs,
      mean = null,
      standardised = null,
      targets
    } = data
    const hash = createHash("sha256")
    const features = Object.entries(inputs).toSorted(([a], [b]) => (a < b ? -1 : 1))
    hash.update(JSON.stringify({ features, targets, classes, mean, deviation, standardised, cropRatio }))
    for (const split of splits(data))
      hash.update(`\n${split.name} ${split.size} ${yield* split.content ?? read(split)}`)
    return hash.digest("hex").slice(0, 16)
  })
