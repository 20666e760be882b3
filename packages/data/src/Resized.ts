/** A data set with its images enlarged or reduced for a network that takes another size, as compound scaling does with small images. */
import { type ImageBatch, type ImageDataset, imageFeatures, type ImageShape, mapBatches } from "./Dataset.ts"
import { taps } from "./Image.ts"

type Size = Pick<ImageShape, "height" | "width">

/**
 * Whether images of one size can become those of another without losing detail: the same channels, and no side shorter.
 *
 * @example
 * ```ts
 * import { Resized } from "@uninet/data"
 *
 * const digits = { channels: 1, height: 28, width: 28 }
 * console.log(Resized.enlarges(digits, { channels: 1, height: 32, width: 32 })) // true
 * console.log(Resized.enlarges(digits, { channels: 1, height: 14, width: 32 })) // false: rows are lost
 * ```
 */
export const enlarges = (from: ImageShape, to: ImageShape): boolean =>
  from.channels === to.channels && from.height <= to.height && from.width <= to.width

/**
 * The data set with images of `height` × `width` pixels (whole numbers, at least 1): bicubic, antialiased if they are reduced, after
 * augmentation, each channel of an image kept within its original range of values. Mean, deviation, order and labels do not change.
 *
 * @example
 * ```ts
 * import { Mnist, Resized } from "@uninet/data"
 * import { Effect } from "effect"
 *
 * const program = Effect.map(Mnist.make(), (data) => Resized.to({ height: 14, width: 14 })(data).image)
 * Effect.runPromise(program).then(console.log)
 * ```
 */
export const to =
  ({ height, width }: Size) =>
  (data: ImageDataset): ImageDataset => {
    const { image } = data
    if (image.height === height && image.width === width) return data
    const again = (batch: ImageBatch): ImageBatch => ({
      ...batch,
      inputs: { image: resize(batch.inputs.image, batch.size * image.channels, image, { height, width }) }
    })
    const resized = { ...image, height, width }
    return { ...mapBatches(again)(data), image: resized, ...imageFeatures(resized) }
  }

/** This many planes, one after the other. */
const resize = (planes: Float32Array, count: number, from: Size, to: Size): Float32Array => {
  const out = new Float32Array(count * to.height * to.width)
  const across = new Float32Array(from.height * to.width)
  const [columns, rows] = [taps(from.width, to.width), taps(from.height, to.height)]
  let written = 0
  for (let plane = 0; plane < count; plane++) {
    const source = plane * from.height * from.width
    let [least, most] = [Infinity, -Infinity]
    let between = 0
    for (let y = 0; y < from.height; y++)
      for (const { first, weights } of columns) {
        const start = source + y * from.width + first
        let sum = 0
        for (let k = 0; k < weights.length; k++) sum += (planes[start + k] ?? Number.NaN) * (weights[k] ?? Number.NaN)
        across[between++] = sum
      }
    for (let i = source; i < source + from.height * from.width; i++) {
      const value = planes[i] ?? Number.NaN
      least = Math.min(least, value)
      most = Math.max(most, value)
    }
    for (const { first, weights } of rows)
      for (let x = 0; x < to.width; x++) {
        let sum = 0
        for (let k = 0; k < weights.length; k++)
          sum += (across[(first + k) * to.width + x] ?? Number.NaN) * (weights[k] ?? Number.NaN)
        out[written++] = Math.min(most, Math.max(least, sum))
      }
  }
  return out
}
