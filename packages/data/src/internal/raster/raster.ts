/**
 * Pixels as rows of interleaved bytes, and Pillow's arithmetic on them. Nothing here or in the neighbouring modules needs Node: the browser
 * page runs the same files.
 */

/** An image of greyscale (1) or RGB (3) bytes: `[height, width, channels]`. */
export interface Raster {
  readonly channels: 1 | 3
  /** Pixels. */
  readonly height: number
  /** Pixels. */
  readonly width: number
  readonly bytes: Uint8Array
}

/** A file that gives no pixels, and the reason. */
export interface Undecodable {
  readonly reason: string
}

/** The most pixels an image may have: where Pillow considers a file a decompression bomb. */
export const maxPixels = 178_956_970

/** What is wrong with an image's size, if anything. */
export const checkSize = (width: number, height: number): Undecodable | undefined =>
  width < 1 || height < 1
    ? { reason: `an image of ${width}×${height} pixels` }
    : width * height > maxPixels
      ? { reason: `${width}×${height} pixels are more than the limit of ${maxPixels.toLocaleString("en")}` }
      : undefined

/** The luma of a pixel (ITU-R 601), in Pillow's fixed-point arithmetic. */
export const luma = (red: number, green: number, blue: number): number =>
  (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16

/** The raster with this many channels: grey is the pixels' luma, RGB from grey has the same value three times. */
export const withChannels =
  (channels: 1 | 3) =>
  (raster: Raster): Raster => {
    if (raster.channels === channels) return raster
    const { bytes, height, width } = raster
    const out = new Uint8Array(height * width * channels)
    if (channels === 1)
      for (let i = 0; i < out.length; i++)
        out[i] = luma(bytes[3 * i] ?? 0, bytes[3 * i + 1] ?? 0, bytes[3 * i + 2] ?? 0)
    else for (let i = 0; i < bytes.length; i++) out.fill(bytes[i] ?? 0, 3 * i, 3 * i + 3)
    return { channels, height, width, bytes: out }
  }

/** A decoder's output: `depth` is 8 or 16 bits, with `bands` values per pixel, interleaved. */
export interface Samples {
  /** `cmyk`: 255 is full ink. */
  readonly space: "grey" | "rgb" | "cmyk"
  /** Values per pixel. */
  readonly bands: number
  /** Pixels. */
  readonly height: number
  /** Pixels. */
  readonly width: number
  readonly data: Uint8Array | Uint16Array
}

/** a · b / 255, rounded, as Pillow's MULDIV255. */
const product = (a: number, b: number): number => {
  const t = a * b + 128
  return ((t >> 8) + t) >> 8
}

/**
 * Samples as Pillow's `convert("L" | "RGB")` gives them: alpha is dropped and the high byte of 16 bits is kept; but 16-bit greyscale
 * without alpha is clipped at 255, and inks darken by multiplication.
 */
export const fromSamples = ({ bands, data, height, space, width }: Samples): Raster => {
  const pixels = height * width
  const deep = data instanceof Uint16Array
  if (space === "grey") {
    const bytes = new Uint8Array(pixels)
    for (let i = 0; i < pixels; i++) {
      const value = data[i * bands] ?? 0
      bytes[i] = !deep ? value : bands > 1 ? value >> 8 : Math.min(255, value)
    }
    return { channels: 1, height, width, bytes }
  }
  const bytes = new Uint8Array(3 * pixels)
  const shift = deep ? 8 : 0
  for (let i = 0; i < pixels; i++)
    for (let c = 0; c < 3; c++) {
      const value = (data[i * bands + c] ?? 0) >> shift
      bytes[3 * i + c] =
        space === "rgb"
          ? value
          : Math.max(
              0,
              255 - ((data[i * bands + 3] ?? 0) >> shift) - product(value, 255 - ((data[i * bands + 3] ?? 0) >> shift))
            )
    }
  return { channels: 3, height, width, bytes }
}

/** RGB from a palette: `palette` has three bytes per index; indexes outside it are black. */
export const fromIndexes = (indexes: Uint8Array, palette: Uint8Array, width: number, height: number): Raster => {
  const bytes = new Uint8Array(3 * indexes.length)
  for (let i = 0; i < indexes.length; i++)
    for (let c = 0; c < 3; c++) bytes[3 * i + c] = palette[3 * (indexes[i] ?? 0) + c] ?? 0
  return { channels: 3, height, width, bytes }
}

/** The raster rotated and mirrored for viewing, as EXIF's orientation (1…8) says; any other number changes nothing. */
export const oriented =
  (orientation: number) =>
  (raster: Raster): Raster => {
    if (!(orientation >= 2 && orientation <= 8)) return raster
    const { bytes, channels, height, width } = raster
    const turned = orientation >= 5
    const [h, w] = turned ? [width, height] : [height, width]
    const mirrorX = [2, 3, 7, 8].includes(orientation)
    const mirrorY = [3, 4, 6, 7].includes(orientation)
    const out = new Uint8Array(bytes.length)
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++) {
        const [a, b] = turned ? [y, x] : [x, y]
        const from = ((mirrorY ? height - 1 - b : b) * width + (mirrorX ? width - 1 - a : a)) * channels
        for (let c = 0; c < channels; c++) out[(y * w + x) * channels + c] = bytes[from + c] ?? 0
      }
    return { channels, height: h, width: w, bytes: out }
  }

/** The values with `bits` bits (1, 2, 4) in rows of bytes, row by row, highest bits first. */
export const unpack = (
  bytes: Uint8Array,
  bits: number,
  width: number,
  height: number,
  start: (row: number) => number
): Uint8Array => {
  const out = new Uint8Array(width * height)
  const mask = (1 << bits) - 1
  for (let y = 0; y < height; y++) {
    const from = start(y)
    for (let x = 0; x < width; x++) {
      const at = x * bits
      out[y * width + x] = ((bytes[from + (at >> 3)] ?? 0) >> (8 - bits - (at & 7))) & mask
    }
  }
  return out
}
