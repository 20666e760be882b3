/**
 * What a data set holds, as a short text: two that are equal in it have the same examples, labels and order, wherever their files lie and whatever they are called. So a search or a
 * training that is gone on with knows whether its data are still those that it began with.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { DataError } from "./DataError.ts"
import { type DatasetShape, type Split, splits } from "./Dataset.ts"

/** Examples of a split that are read. */
const sampled = 64

const bytesOf = ({ buffer, byteLength, byteOffset }: ArrayBufferView) => new Uint8Array(buffer, byteOffset, byteLength)

/**
 * Up to `most` places of so many, evenly apart, the same ones every time.
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

/** All targets, and some examples. */
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
 * 16 hexadecimal digits that tell a data set's content: what an example is, the classes and their order, the numbers it is normalised by, and of every split the size, every target and a
 * sample of 64 examples, or what the split itself says of its content (`Split.content`). Where the mean is that of the training split, as of most sets in memory, it changes with any of
 * its examples. It is quick enough to be taken at every start: of MNIST in some milliseconds, of a folder of a million images in a second or two.
 *
 * Fails as the splits do where they are read.
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
