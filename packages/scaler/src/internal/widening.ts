/** How the channels of a narrow layer become those of a wider one, and how that changes the layer's weights (Chen et al. 2016, "Net2Net", section 3.1). */
import type { Prng } from "@uninet/search-space"
import * as Arr from "effect/Array"

/** Channel j of the wider layer is a copy of the narrow layer's `source[j]`; every channel has a copy. */
export interface Widening {
  readonly from: number
  readonly source: ArrayLike<number>
}

/**
 * Repeats the channels in order until there are enough. If heads divide the channels, whole heads are copied, and if
 * `to` is a multiple of `from`, every channel is copied equally often, which keeps mean and variance over the channels.
 */
export const cyclic = (from: number, to: number): Widening => ({
  from,
  source: Int32Array.from({ length: to }, (_, j) => j % from)
})

/** Several equal parts, each widened by itself: query, key and value of one layer. */
export const inParts = (parts: number, from: number, to: number): Widening => ({
  from,
  source: Int32Array.from({ length: to }, (_, j) => {
    const part = Math.floor(j / (to / parts))
    return part * (from / parts) + ((j - part * (to / parts)) % (from / parts))
  })
})

/** For each position of the larger map, the nearest position of the smaller one. */
export const nearest = (
  from: { readonly height: number; readonly width: number },
  to: { readonly height: number; readonly width: number }
): Widening => ({
  from: from.height * from.width,
  source: Int32Array.from({ length: to.height * to.width }, (_, j) => {
    const y = Math.floor(((Math.floor(j / to.width) + 0.5) * from.height) / to.height)
    const x = Math.floor((((j % to.width) + 0.5) * from.width) / to.width)
    return y * from.width + x
  })
})

/** A tensor as seen along an axis: `outer` blocks of `length` rows of `inner` numbers. */
const axisOf = (shape: ReadonlyArray<number>, axis: number) => ({
  outer: shape.slice(0, axis).reduce((n, length) => n * length, 1),
  inner: shape.slice(axis + 1).reduce((n, length) => n * length, 1)
})

export interface Tensor {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array
}

/** Along an axis of output channels: every number is copied with its channel. */
export const repeat = ({ data, shape }: Tensor, axis: number, { from, source }: Widening): Tensor => {
  const { inner, outer } = axisOf(shape, axis)
  const channels = Array.from(source)
  const to = channels.length
  const out = new Float32Array(outer * to * inner)
  for (let o = 0; o < outer; o++)
    for (const [j, channel] of channels.entries()) {
      const start = (o * from + channel) * inner
      out.set(data.subarray(start, start + inner), (o * to + j) * inner)
    }
  return { shape: shape.with(axis, to), data: out }
}

/** How unequal the parts are into which a weight is divided among copies, relative to the mean part. */
const asymmetry = 0.5

/**
 * Along an axis of input channels: a weight is divided among the copies of its channel, so that their sum is unchanged. The parts are
 * unequal, which is our choice instead of Net2Net's noise: completely equal copies would train identically for ever.
 */
export const divide = ({ data, shape }: Tensor, axis: number, { from, source }: Widening, prng: Prng.Prng): Tensor => {
  const { inner, outer } = axisOf(shape, axis)
  const to = source.length
  const copies = Array.from({ length: from }, (): Array<number> => [])
  for (const [j, channel] of Array.from(source).entries()) Arr.getUnsafe(copies, channel).push(j)
  const out = new Float32Array(outer * to * inner)
  for (let o = 0; o < outer; o++)
    for (const [i, places] of copies.entries()) {
      const start = (o * from + i) * inner
      for (let k = 0; k < inner; k++) {
        const weight = data[start + k] ?? Number.NaN
        const drawn = places.map((place) => ({ place, draw: places.length === 1 ? 0 : prng.nextFloat() }))
        const mean = drawn.reduce((sum, { draw }) => sum + draw, 0) / places.length
        for (const { draw, place } of drawn)
          out[(o * to + place) * inner + k] = (weight * (1 + 2 * asymmetry * (draw - mean))) / places.length
      }
    }
  return { shape: shape.with(axis, to), data: out }
}
