/** Converts bytes to normalised floats. */
import type { ImageShape } from "../Dataset.ts"

/** The number of values in one image. */
export const volume = (shape: ImageShape): number => shape.channels * shape.height * shape.width

/** Per channel, the float for every byte: normalising costs only one look-up per value. */
export type Tables = ReadonlyArray<Float32Array>

export const tables = (mean: ReadonlyArray<number>, deviation: ReadonlyArray<number>): Tables =>
  mean.map((mean, channel) =>
    Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - mean) / (deviation[channel] ?? Number.NaN))
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
    while (source < end) out[target++] = table[bytes[source++] ?? 0] ?? 0
  }
}

const square = (x: number) => x * x

/** Counts every byte value per channel, for the exact mean and standard deviation of bytes / 255. */
export const counter = (shape: ImageShape) => {
  const area = shape.height * shape.width
  const counts = Array.from({ length: shape.channels }, () => new Float64Array(256))
  return {
    /** Counts the image at `from`. */
    add: (bytes: Uint8Array, from: number): void => {
      let i = from
      for (const channel of counts) {
        const end = i + area
        for (; i < end; i++) {
          const byte = bytes[i] ?? 0
          channel[byte] = (channel[byte] ?? 0) + 1
        }
      }
    },
    result: (): { readonly mean: ReadonlyArray<number>; readonly deviation: ReadonlyArray<number> } => {
      const channels = counts.map((channel) => {
        const total = Math.max(
          1,
          channel.reduce((a, b) => a + b, 0)
        )
        const mean = channel.reduce((sum, count, byte) => sum + (count * byte) / 255, 0) / total
        const variance = channel.reduce((sum, count, byte) => sum + count * square(byte / 255 - mean), 0) / total
        // A channel with a single value has no spread: 1 leaves it at zero after the mean is subtracted.
        return { mean, deviation: variance === 0 ? 1 : Math.sqrt(variance) }
      })
      return { mean: channels.map((c) => c.mean), deviation: channels.map((c) => c.deviation) }
    }
  }
}
