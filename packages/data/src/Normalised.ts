/** A data set normalised with another one's mean and deviation: a network takes images normalised as in its training. */
import * as Arr from "effect/Array"
import { type ImageBatch, type ImageDataset, mapBatches, type Normalisation } from "./Dataset.ts"

export type { Normalisation }

/**
 * The data set with `(byte / 255 - mean) / deviation` for its images; the data set itself if it already has these values.
 *
 * @example
 * ```ts
 * import { Memory, Normalised } from "@uninet/data"
 * import { Console, Effect } from "effect"
 *
 * const squares = Memory.make({
 *   name: "two squares",
 *   classes: ["black", "white"],
 *   image: { channels: 1, height: 1, width: 1 },
 *   train: { images: Uint8Array.of(0, 255), labels: [0, 1] },
 *   validation: { images: Uint8Array.of(51), labels: [0] },
 *   test: { images: Uint8Array.of(51), labels: [0] }
 * })
 * // For a network that was trained on images of another mean.
 * const program = Effect.gen(function* () {
 *   const data = Normalised.by({ mean: [0.1], deviation: [0.2] })(yield* squares)
 *   yield* Console.log((yield* data.test.all).inputs.image) // (51 / 255 - 0.1) / 0.2 is 0.5
 * })
 * Effect.runPromise(program)
 * ```
 */
export const by =
  ({ deviation, mean }: Normalisation) =>
  (data: ImageDataset): ImageDataset => {
    const { channels } = data.image
    if (mean.length !== channels || deviation.length !== channels) return data
    const from = Arr.zip(data.mean, data.deviation)
    const changes = Arr.zipWith(from, Arr.zip(mean, deviation), ([m, d], [mean, deviation]) => ({
      scale: d / deviation,
      shift: (m - mean) / deviation
    }))
    if (changes.every(({ scale, shift }) => scale === 1 && shift === 0)) return data
    const area = data.image.height * data.image.width
    const again = (batch: ImageBatch): ImageBatch => {
      const given = batch.inputs.image
      const image = new Float32Array(given.length)
      let i = 0
      while (i < image.length)
        for (const { scale, shift } of changes)
          for (const end = i + area; i < end; i++) image[i] = (given[i] ?? Number.NaN) * scale + shift
      return { ...batch, inputs: { image } }
    }
    return { ...mapBatches(again)(data), mean, deviation }
  }
