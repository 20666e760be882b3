/** Real images to hold a network's forms against. */
import { type DataError, type Dataset, Image, Mnist } from "@uninet/data"
import * as Effect from "effect/Effect"
import type { Card } from "./Card.ts"

/** So many indexes, spread evenly over a split: data sets may be sorted by class. */
const spread = (size: number, count: number) =>
  Array.from({ length: Math.min(size, count) }, (_, i) => Math.floor((i * size) / Math.min(size, count)))

/** Images of a data set's test split, as the data set normalises them. */
export const ofDataset = (
  data: Dataset.ImageDataset,
  count: number
): Effect.Effect<Float32Array, DataError.DataError> =>
  Effect.map(data.test.read(spread(data.test.size, count)), ({ inputs }) => inputs.image)

/**
 * Test digits of the embedded MNIST, resized to the network's images and normalised by its card: for a network without a data set at hand. Every channel of a
 * colour image has the same digit.
 */
export const digits = Effect.fn("Specimens.digits")(function* (
  { architecture, deviation, mean }: Pick<Card, "architecture" | "mean" | "deviation">,
  count: number
): Effect.fn.Return<Float32Array, DataError.DataError> {
  const { channels, height, width } = architecture.image
  const data = yield* Mnist.make()
  const [from] = data.mean
  const [by] = data.deviation
  const given = yield* ofDataset(data, count)
  const side = data.image.height
  const out = new Float32Array(Math.min(data.test.size, count) * channels * height * width)
  let at = 0
  for (let start = 0; start < given.length; start += side * side) {
    const bytes = Uint8Array.from(given.subarray(start, start + side * side), (x) => Math.round(255 * (x * by + from)))
    const { bytes: resized } = Image.resize({ channels: 1, height: side, width: side, bytes }, height, width)
    for (let c = 0; c < channels; c++) for (const byte of resized) out[at++] = (byte / 255 - mean[c]) / deviation[c]
  }
  return out
})
