/**
 * Pure operations on 8-bit images, channels first: each returns a new image and does not change its argument.
 *
 * They are Pillow's operations (`ImageOps`, `ImageEnhance`, `Image.transform`, `Image.resize`) with its rounding, because the papers'
 * recipes were run with Pillow; `test/pillow.json` holds Pillow's own results.
 *
 * @example
 * ```ts
 * import { Image } from "@uninet/data"
 *
 * const picture: Image.Image = { channels: 3, height: 4, width: 4, bytes: new Uint8Array(48).fill(90) }
 * const black = [0, 0, 0]
 * for (const change of [Image.flip, Image.autoContrast, Image.equalize, Image.invert]) console.log(change(picture).width)
 * for (const change of [Image.brightness, Image.contrast, Image.saturation, Image.sharpness])
 *   console.log(change(1.2)(picture).bytes[0])
 * for (const change of [Image.rotate, Image.shearX, Image.shearY]) console.log(change(0.3, black)(picture).height)
 * console.log(Image.translate(1, 0, black)(picture).bytes[0], Image.affine([1, 0, 0, 0, 1, 0], black)(picture).bytes[0])
 * console.log(Image.resize(8, 8)(Image.crop(0, 0, 2, 2)(picture)).height) // 8
 * console.log(Image.posterize(4)(picture).bytes[0], Image.solarize(64)(picture).bytes[0]) // 80 165
 * console.log(Image.solarizeAdd(10)(picture).bytes[0], Image.hue(0.1)(picture).channels) // 100 3
 * ```
 */
import * as Elementary from "@uninet/search-space/elementary"
import type { ImageShape } from "./Dataset.ts"

/** `bytes` is `[channels, height, width]`. */
export interface Image extends ImageShape {
  readonly bytes: Uint8Array
}

const blank = (image: ImageShape, height = image.height, width = image.width): Image => ({
  channels: image.channels,
  height,
  width,
  bytes: new Uint8Array(image.channels * height * width)
})

const clip = (value: number): number => (value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value))

/** Maps every byte of a channel through `table(counts)`, where `counts` is how often each value occurs in the channel. */
const mapChannels = (image: Image, table: (channel: Uint8Array) => ArrayLike<number>): Image => {
  const out = blank(image)
  const area = image.height * image.width
  for (let start = 0; start < out.bytes.length; start += area) {
    const channel = image.bytes.subarray(start, start + area)
    const lut = table(channel)
    for (let i = 0; i < area; i++) out.bytes[start + i] = lut[channel[i] ?? 0] ?? 0
  }
  return out
}

const mapBytes = (image: Image, f: (byte: number) => number): Image => {
  const lut = Uint8Array.from({ length: 256 }, (_, byte) => f(byte))
  return mapChannels(image, () => lut)
}

const histogram = (channel: Uint8Array): Float64Array => {
  const counts = new Float64Array(256)
  for (let i = 0; i < channel.length; i++) {
    const value = channel[i] ?? 0
    counts[value] = (counts[value] ?? 0) + 1
  }
  return counts
}

/** Mirrors left to right. */
export const flip = (image: Image): Image => {
  const out = blank(image)
  const { width } = image
  for (let row = 0; row < out.bytes.length; row += width) {
    for (let x = 0; x < width; x++) out.bytes[row + x] = image.bytes[row + width - 1 - x] ?? 0
  }
  return out
}

/** The part of `height` × `width` pixels with its corner at (`top`, `left`). The part may extend beyond the image, and is black there. */
export const crop =
  (top: number, left: number, height: number, width: number) =>
  (image: Image): Image => {
    const out = blank(image, height, width)
    const from = Math.max(0, -left)
    const to = Math.min(width, image.width - left)
    for (let c = 0; c < image.channels; c++) {
      for (let y = Math.max(0, -top); y < Math.min(height, image.height - top); y++) {
        const source = (c * image.height + top + y) * image.width + left
        const target = (c * height + y) * width
        for (let x = from; x < to; x++) out.bytes[target + x] = image.bytes[source + x] ?? 0
      }
    }
    return out
  }

const precision = 2 ** 22

/** Keys' cubic, a = −1/2. */
const cubic = (distance: number): number => {
  const x = Math.abs(distance)
  return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0
}

interface Taps {
  readonly first: number
  readonly taps: Float64Array
}

const computed = new Map<number, ReadonlyArray<Taps>>()

/** `computeWeights`, cached: random crops resize from the same few sizes again and again. */
const weights = (from: number, to: number): ReadonlyArray<Taps> => {
  const key = from * 65536 + to
  const known = computed.get(key)
  if (known !== undefined) return known
  if (computed.size >= 1024) computed.clear()
  const made = computeWeights(from, to)
  computed.set(key, made)
  return made
}

/** For every output position, the first input position and the weights from there on, in units of 2⁻²². */
const computeWeights = (from: number, to: number): ReadonlyArray<Taps> => {
  const scale = from / to
  const stretch = Math.max(1, scale)
  const support = 2 * stretch
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale
    const first = Math.max(0, Math.trunc(centre - support + 0.5))
    const last = Math.min(from, Math.trunc(centre + support + 0.5))
    const raw = Array.from({ length: last - first }, (_, i) => cubic((i + first - centre + 0.5) / stretch))
    const sum = raw.reduce((a, b) => a + b, 0)
    const taps = Float64Array.from(raw, (weight) => {
      const scaled = (weight / sum) * precision
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5)
    })
    return { first, taps }
  })
}

/**
 * For every position of `to`, the first position of `from` that contributes to it, and the weights from there on, which sum to 1: bicubic,
 * as in `resize`.
 *
 * @internal
 */
export const taps = (
  from: number,
  to: number
): ReadonlyArray<{ readonly first: number; readonly weights: Float64Array }> =>
  weights(from, to).map(({ first, taps }) => {
    const sum = taps.reduce((a, b) => a + b, 0)
    return { first, weights: taps.map((weight) => weight / sum) }
  })

const fixed = (sum: number): number => clip(Math.floor((sum + precision / 2) / precision))

/** Bicubic resize with antialiasing (Pillow's `resize(size, BICUBIC)`). */
export const resize =
  (height: number, width: number) =>
  (image: Image): Image => {
    if (height === image.height && width === image.width) return image
    const across = blank(image, image.height, width)
    const columns = weights(image.width, width)
    for (let row = 0; row < image.channels * image.height; row++) {
      let at = row * width
      for (const { first, taps } of columns) {
        let sum = 0
        for (let k = 0; k < taps.length; k++) sum += (image.bytes[row * image.width + first + k] ?? 0) * (taps[k] ?? 0)
        across.bytes[at++] = fixed(sum)
      }
    }
    const out = blank(image, height, width)
    const rows = weights(image.height, height)
    for (let c = 0; c < image.channels; c++) {
      for (const [y, { first, taps }] of rows.entries()) {
        for (let x = 0; x < width; x++) {
          let sum = 0
          for (let k = 0; k < taps.length; k++) {
            sum += (across.bytes[(c * image.height + first + k) * width + x] ?? 0) * (taps[k] ?? 0)
          }
          out.bytes[(c * height + y) * width + x] = fixed(sum)
        }
      }
    }
    return out
  }

const between = (v1: number, v2: number, v3: number, v4: number, d: number): number =>
  v2 + d * (v3 - v1 + d * (2 * (v1 - v2) + v3 - v4 + d * (v2 - v1 + v4 - v3)))

/** Interpolates between four bytes of a row. */
const across = (bytes: Uint8Array, row: number, x0: number, x1: number, x2: number, x3: number, d: number): number =>
  between(bytes[row + x0] ?? 0, bytes[row + x1] ?? 0, bytes[row + x2] ?? 0, bytes[row + x3] ?? 0, d)

const inside = (place: number, size: number): number => (place < 0 ? 0 : place >= size ? size - 1 : place)

/**
 * The image whose pixel (x, y) is this one's at (a·x + b·y + c, d·x + e·y + f), measured from pixel centres, bicubic (Keys' a = −1, as in
 * Pillow's `transform`); `fill`, a byte per channel, where that is outside.
 */
export const affine =
  ([a, b, c, d, e, f]: readonly [number, number, number, number, number, number], fill: ReadonlyArray<number>) =>
  (image: Image): Image => {
    const out = blank(image)
    const { bytes, channels, height, width } = image
    const area = height * width
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const xin = a * (x + 0.5) + b * (y + 0.5) + c
        const yin = d * (x + 0.5) + e * (y + 0.5) + f
        const target = y * width + x
        if (xin < 0 || xin >= width || yin < 0 || yin >= height) {
          for (let channel = 0; channel < channels; channel++) out.bytes[channel * area + target] = fill[channel] ?? 0
          continue
        }
        const left = Math.floor(xin - 0.5)
        const top = Math.floor(yin - 0.5)
        const dx = xin - 0.5 - left
        const dy = yin - 0.5 - top
        const x0 = inside(left - 1, width)
        const x1 = inside(left, width)
        const x2 = inside(left + 1, width)
        const x3 = inside(left + 2, width)
        const y0 = inside(top - 1, height) * width
        const y1 = inside(top, height) * width
        const y2 = inside(top + 1, height) * width
        const y3 = inside(top + 2, height) * width
        for (let channel = 0; channel < channels; channel++) {
          const o = channel * area
          out.bytes[o + target] = clip(
            between(
              across(bytes, o + y0, x0, x1, x2, x3, dx),
              across(bytes, o + y1, x0, x1, x2, x3, dx),
              across(bytes, o + y2, x0, x1, x2, x3, dx),
              across(bytes, o + y3, x0, x1, x2, x3, dx),
              dy
            )
          )
        }
      }
    }
    return out
  }

/** Rotates counter-clockwise about the centre. */
export const rotate =
  (degrees: number, fill: ReadonlyArray<number>) =>
  (image: Image): Image => {
    if (degrees % 360 === 0) return image
    const angle = (-degrees * Math.PI) / 180
    const [sin, cos] = [Elementary.sin(angle), Elementary.cos(angle)]
    const [x, y] = [image.width / 2, image.height / 2]
    return affine([cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y], fill)(image)
  }

/** Takes column x of row y from x + factor·y. */
export const shearX =
  (factor: number, fill: ReadonlyArray<number>) =>
  (image: Image): Image =>
    affine([1, factor, 0, 0, 1, 0], fill)(image)

/** Takes row y of column x from y + factor·x. */
export const shearY =
  (factor: number, fill: ReadonlyArray<number>) =>
  (image: Image): Image =>
    affine([1, 0, 0, factor, 1, 0], fill)(image)

/** Shifts by (−dx, −dy) pixels: the pixel at x comes from x + dx. */
export const translate =
  (dx: number, dy: number, fill: ReadonlyArray<number>) =>
  (image: Image): Image =>
    affine([1, 0, dx, 0, 1, dy], fill)(image)

/** Stretches every channel's values to 0…255. */
export const autoContrast = (image: Image): Image =>
  mapChannels(image, (channel) => {
    const counts = histogram(channel)
    const low = counts.findIndex((count) => count > 0)
    const high = counts.findLastIndex((count) => count > 0)
    const scale = high > low ? 255 / (high - low) : 1
    const offset = high > low ? -low * scale : 0
    return Uint8Array.from(counts, (_, byte) => clip(byte * scale + offset))
  })

/** Spreads every channel's values so that all are about equally frequent. */
export const equalize = (image: Image): Image =>
  mapChannels(image, (channel) => {
    const counts = histogram(channel)
    const step = Math.floor((channel.length - (counts.findLast((count) => count > 0) ?? 0)) / 255)
    let below = Math.floor(step / 2)
    return Uint8Array.from(counts, (count, byte) => {
      if (step === 0) return byte
      const level = clip(Math.floor(below / step))
      below += count
      return level
    })
  })

/** 255 − value. */
export const invert = (image: Image): Image => mapBytes(image, (byte) => 255 - byte)

/** Keeps each value's `bits` highest bits, 0…8. */
export const posterize =
  (bits: number) =>
  (image: Image): Image =>
    mapBytes(image, (byte) => byte & ~((1 << (8 - bits)) - 1))

/** Inverts the values from `threshold` upwards. */
export const solarize =
  (threshold: number) =>
  (image: Image): Image =>
    mapBytes(image, (byte) => (byte < threshold ? byte : 255 - byte))

/** Adds to the values below 128. */
export const solarizeAdd =
  (amount: number) =>
  (image: Image): Image =>
    mapBytes(image, (byte) => (byte < 128 ? Math.min(255, byte + amount) : byte))

/** `from + factor · (to − from)`, in single precision as Pillow computes it. */
const mix = (from: number, to: number, factor: number): number =>
  clip(Math.fround(from + Math.fround(factor * (to - from))))

/** Luma of the pixel (ITU-R 601, Pillow's fixed-point weights); the value itself if the image is not RGB. */
const grey = (image: Image): Uint8Array => {
  const area = image.height * image.width
  const { bytes } = image
  if (image.channels !== 3) return bytes.subarray(0, area)
  const out = new Uint8Array(area)
  for (let i = 0; i < area; i++) {
    out[i] =
      ((bytes[i] ?? 0) * 19595 + (bytes[area + i] ?? 0) * 38470 + (bytes[2 * area + i] ?? 0) * 7471 + 0x8000) >> 16
  }
  return out
}

/** Scales brightness: 0 is black, 1 changes nothing. */
export const brightness =
  (factor: number) =>
  (image: Image): Image =>
    mapBytes(image, (byte) => mix(0, byte, Math.fround(factor)))

/** Scales the distance from the mean luma: 0 is one grey, 1 changes nothing. */
export const contrast =
  (factor: number) =>
  (image: Image): Image => {
    const luma = grey(image)
    let sum = 0
    for (let i = 0; i < luma.length; i++) sum += luma[i] ?? 0
    const mean = Math.trunc(sum / luma.length + 0.5)
    return mapBytes(image, (byte) => mix(mean, byte, Math.fround(factor)))
  }

/** Scales the distance from the pixel's luma: 0 is greyscale, 1 changes nothing. Images that are not RGB are unchanged. */
export const saturation =
  (factor: number) =>
  (image: Image): Image => {
    if (image.channels !== 3) return image
    const luma = grey(image)
    const out = blank(image)
    const area = luma.length
    const f = Math.fround(factor)
    for (let i = 0; i < out.bytes.length; i++) out.bytes[i] = mix(luma[i % area] ?? 0, image.bytes[i] ?? 0, f)
    return out
  }

/** Scales the distance from the image smoothed by [1 1 1; 1 5 1; 1 1 1] / 13 (edges as they are): 0 is smooth, 1 changes nothing. */
export const sharpness =
  (factor: number) =>
  (image: Image): Image => {
    const { bytes, height, width } = image
    const out = blank(image)
    const f = Math.fround(factor)
    for (let row = 0; row < image.channels * height; row++) {
      const y = row % height
      for (let x = 0; x < width; x++) {
        const i = row * width + x
        const value = bytes[i] ?? 0
        if (y === 0 || x === 0 || y === height - 1 || x === width - 1) {
          out.bytes[i] = value
          continue
        }
        const [up, down] = [i - width, i + width]
        const around =
          (bytes[up - 1] ?? 0) +
          (bytes[up] ?? 0) +
          (bytes[up + 1] ?? 0) +
          (bytes[i - 1] ?? 0) +
          (bytes[i + 1] ?? 0) +
          (bytes[down - 1] ?? 0) +
          (bytes[down] ?? 0) +
          (bytes[down + 1] ?? 0)
        out.bytes[i] = mix(clip((around + 5 * value) / 13 + 0.5), value, f)
      }
    }
    return out
  }

/** Rotates the hue by `turns` of the colour circle (HSV, in floating point). Images that are not RGB are unchanged. */
export const hue =
  (turns: number) =>
  (image: Image): Image => {
    if (image.channels !== 3 || turns === 0) return image
    const out = blank(image)
    const area = image.height * image.width
    for (let i = 0; i < area; i++) {
      const [r, g, b] = [image.bytes[i] ?? 0, image.bytes[area + i] ?? 0, image.bytes[2 * area + i] ?? 0]
      const value = Math.max(r, g, b)
      const chroma = value - Math.min(r, g, b)
      const sector =
        chroma === 0 ? 0 : value === r ? (g - b) / chroma : value === g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma
      const angle = sector / 6 + turns
      const turned = 6 * (angle - Math.floor(angle))
      for (const [channel, offset] of [5, 3, 1].entries()) {
        const k = (offset + turned) % 6
        const level = value - chroma * Math.max(0, Math.min(k, 4 - k, 1))
        out.bytes[channel * area + i] = Math.round(level)
      }
    }
    return out
  }
