/** Examples for comparing a network's forms. */
import { type DataError, type Dataset, Image, Mnist } from "@uninet/data"
import type { Model } from "@uninet/nn"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type { Card } from "./Card.ts"
import * as Examples from "./Examples.ts"

/** This many indexes, spread evenly over a split: data sets may be sorted by class. */
const spread = (size: number, count: number) =>
  Array.from({ length: Math.min(size, count) }, (_, i) => Math.floor((i * size) / Math.min(size, count)))

/** Examples of a data set's test split, or of another split, normalised as in the data set. */
export const ofDataset =
  (count: number, split: Dataset.SplitName = "test") =>
  (data: Dataset.Dataset["Service"]): Effect.Effect<Examples.Examples, DataError.DataError> =>
    Effect.map(labelled(count, split)(data), ({ inputs, size }) => ({ inputs, size }))

/** The same with their targets. */
export const labelled =
  (count: number, split: Dataset.SplitName = "test") =>
  (
    data: Dataset.Dataset["Service"]
  ): Effect.Effect<Examples.Examples & Pick<Dataset.Batch, "targets">, DataError.DataError> =>
    data[split].read(spread(data[split].size, count))

/**
 * Test digits of the embedded MNIST in the form of the picture that a card describes, resized and normalised by it: for a network without a
 * data set at hand. Every channel of a colour picture has the same digit. Other inputs are drawn at random.
 *
 * @example
 * ```ts
 * import { Specimens } from "@uninet/export"
 * import { Mnist } from "@uninet/data"
 * import { Console, Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const data = yield* Mnist.make()
 *   const { inputs, size, targets } = yield* Specimens.labelled(8)(data)
 *   yield* Console.log(size, Object.keys(inputs), targets.length) // 8 [ 'image' ] 8
 *   yield* Console.log((yield* Specimens.ofDataset(8, "validation")(data)).size)
 *   // Digits as a network of colour pictures of 32 × 32 would see them.
 *   const picture = { input: "image", mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5], cropRatio: 1 }
 *   const ports = { image: { shape: [3, 32, 32], dtype: "float32" } } as const
 *   const { inputs: seen } = yield* Specimens.digits(4)({ inputs: ports, picture })
 *   yield* Console.log(seen.image?.length) // 4 × 3 × 32 × 32
 * })
 * Effect.runPromise(program)
 * ```
 */
export const digits = (count: number) =>
  Effect.fn("Specimens.digits")(function* ({
    inputs,
    picture
  }: Pick<Card, "inputs" | "picture">): Effect.fn.Return<Examples.Examples, DataError.DataError> {
    if (picture === null) return drawn(count)(inputs)
    const [channels = 1, height = 1, width = 1] = inputs[picture.input]?.shape ?? []
    const { deviation, mean } = picture
    const data = yield* Mnist.make()
    const [from = 0] = data.mean
    const [by = 1] = data.deviation
    const { inputs: given, size } = yield* data.test.read(spread(data.test.size, count))
    const side = data.image.height
    const out = new Float32Array(size * channels * height * width)
    let at = 0
    for (let start = 0; start < given.image.length; start += side * side) {
      const bytes = Uint8Array.from(given.image.subarray(start, start + side * side), (x) =>
        Math.round(255 * (x * by + from))
      )
      const { bytes: resized } = Image.resize(height, width)({ channels: 1, height: side, width: side, bytes })
      for (let c = 0; c < channels; c++) {
        const [shift, scale] = [mean[c] ?? Number.NaN, deviation[c] ?? Number.NaN]
        for (const byte of resized) out[at++] = (byte / 255 - shift) / scale
      }
    }
    return { size, inputs: { ...drawn(size)(inputs).inputs, [picture.input]: out } }
  })

/** Examples of normally distributed numbers, or for integers of 0 and 1: for inputs of which nothing is known. The same each time. */
export const drawn =
  (count: number) =>
  (ports: Model.Ports): Examples.Examples => {
    const prng = Prng.fromSeed("specimens")
    return {
      size: count,
      inputs: Object.fromEntries(
        Object.entries(ports).map(([name, port]) => {
          const length = count * Examples.volume(port)
          return [
            name,
            port.dtype === "int32"
              ? Int32Array.from({ length }, () => prng.nextInt(2))
              : Float32Array.from({ length }, () => prng.nextNormal())
          ]
        })
      )
    }
  }
