/**
 * Bytes to normalised floats.
 */
import type { ImageShape } from "../Dataset.ts"

/** Values of one image. */
export const volume = (shape: ImageShape): number => shape.channels * shape.height * shape.width

/** Per channel, the float for every byte: one look-up a value is the whole cost of normalising. */
export type Tables = ReadonlyArray<Float32Array>

export const tables = (mean: ReadonlyArray<number>, deviation: ReadonlyArray<number>): Tables =>
  mean.map((mean, channel) =>
    Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - mean) / deviation[channel]!)
  )

/** Writes the image at `from` of `bytes` to `to` of `out`, normalised. */
export const normalise = (
  tables: Tables,
  area: number,
  bytes: Uint8Array,
  from: number,
  out: Float32Array,
  to: number
): void => {
  let source = from
  let target = to
  for (const table of tables) {
    const end = source + area
    while (source < end) out[target++] = table[bytes[source++]!]!
  }
}

/** Mean and standard deviation per channel of bytes / 255, from exact counts of every byte value. */
export const statistics = (
  shape: ImageShape,
  pixels: Uint8Array,
  indexes: ArrayLike<number>
): { readonly mean: ReadonlyArray<number>; readonly deviation: ReadonlyArray<number> } => {
  const area = shape.height * shape.width
  const size = volume(shape)
  const channels = Array.from({ length: shape.channels }, (_, channel) => {
    const counts = new Float64Array(256)
    for (let i = 0; i < indexes.length; i++) {
      const start = indexes[i]! * size + channel * area
      for (let j = start; j < start + area; j++) counts[pixels[j]!]! += 1
    }
    const total = Math.max(1, indexes.length * area)
    const mean = counts.reduce((sum, count, byte) => sum + (count * byte) / 255, 0) / total
    const variance = counts.reduce((sum, count, byte) => sum + count * (byte / 255 - mean) ** 2, 0) / total
    // A channel of one colour has no spread: 1 leaves it at zero after the mean is taken away.
    return { mean, deviation: variance === 0 ? 1 : Math.sqrt(variance) }
  })
  return { mean: channels.map((c) => c.mean), deviation: channels.map((c) => c.deviation) }
}
