/**
 * Windows bitmaps, as Pillow reads them: 1, 4, 8, 16, 24 and 32 bits, palettes, run-length encoding and the usual masks. Alpha is dropped.
 */
import { checkSize, fromIndexes, type Raster, type Undecodable, unpack } from "./raster.ts"

const compressions = { none: 0, rle8: 1, rle4: 2, masks: 3 } as const

interface Header {
  readonly size: number
  readonly width: number
  readonly height: number
  /** Whether the first row is the top one. */
  readonly topDown: boolean
  readonly bits: number
  readonly compression: number
  readonly colours: number
  /** Bytes per palette entry. */
  readonly entry: 3 | 4
}

const headerOf = (view: DataView): Header | Undecodable => {
  const size = view.getUint32(14, true)
  if (size === 12) {
    const bits = view.getUint16(24, true)
    const [width, height] = [view.getUint16(18, true), view.getUint16(20, true)]
    return { size, width, height, topDown: false, bits, compression: compressions.none, colours: 1 << bits, entry: 3 }
  }
  if (![40, 52, 56, 64, 108, 124].includes(size)) return { reason: `a BMP with an unknown header of ${size} bytes` }
  const height = view.getInt32(22, true)
  const bits = view.getUint16(28, true)
  return {
    size,
    width: view.getInt32(18, true),
    height: Math.abs(height),
    topDown: height < 0,
    bits,
    compression: view.getUint32(30, true),
    colours: view.getUint32(46, true) || 1 << Math.min(bits, 16),
    entry: 4
  }
}

/** The positions of the red, green and blue bytes in a 32-bit pixel, from the masks. */
const order = (masks: ReadonlyArray<number>): ReadonlyArray<number> | undefined => {
  if (masks.every((mask) => mask === 0)) return [2, 1, 0]
  const places = masks.map((mask) => [0xff, 0xff00, 0xff0000, 0xff000000].indexOf(mask))
  return places.includes(-1) ? undefined : places
}

/** Expands run-length encoding, from the bottom row up; `undefined` if the file ends early. */
const runs = (
  bytes: Uint8Array,
  start: number,
  width: number,
  height: number,
  four: boolean
): Uint8Array | undefined => {
  const out = new Uint8Array(width * height)
  let [from, at, x] = [start, 0, 0]
  const put = (value: number) => {
    if (at < out.length) out[at++] = value
  }
  const both = (byte: number, i: number) => (!four ? byte : i % 2 === 0 ? byte >> 4 : byte & 15)
  while (at < out.length) {
    if (from + 2 > bytes.length) return undefined
    const [count, value] = [bytes[from] ?? 0, bytes[from + 1] ?? 0]
    from += 2
    if (count > 0) {
      const length = Math.max(0, Math.min(count, width - x))
      for (let i = 0; i < length; i++) put(both(value, i))
      x += length
    } else if (value === 0) {
      at += (width - (at % width)) % width
      x = 0
    } else if (value === 1) {
      return undefined
    } else if (value === 2) {
      if (from + 2 > bytes.length) return undefined
      at = Math.min(out.length, at + (bytes[from] ?? 0) + (bytes[from + 1] ?? 0) * width)
      from += 2
      x = at % width
    } else {
      const length = Math.min(out.length - at, value)
      const size = four ? Math.ceil(length / 2) : length
      if (from + size > bytes.length) return undefined
      for (let i = 0; i < length; i++) put(both(bytes[from + (four ? i >> 1 : i)] ?? 0, i))
      from += size
      x += value
      from += from % 2
    }
  }
  return out
}

/** Rows with one byte per pixel. */
const rowsOf = (bytes: Uint8Array, width: number, height: number, start: (row: number) => number): Uint8Array => {
  const out = new Uint8Array(width * height)
  for (let y = 0; y < height; y++) out.set(bytes.subarray(start(y), start(y) + width), y * width)
  return out
}

/** Rows in the opposite order. */
const flipped = (bytes: Uint8Array, row: number): Uint8Array => {
  const out = new Uint8Array(bytes.length)
  for (let from = 0; from < bytes.length; from += row)
    out.set(bytes.subarray(from, from + row), bytes.length - row - from)
  return out
}

/** Decodes a file that begins with `BM`. Reading beyond its end throws a RangeError, which `Raster.decode` treats as a truncated file. */
export const decode = (bytes: Uint8Array): Raster | Undecodable => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const header = headerOf(view)
  if ("reason" in header) return header
  const { bits, colours, compression, entry, height, size, topDown, width } = header
  const wrong = checkSize(width, height)
  if (wrong !== undefined) return wrong
  const unknown = { reason: `an unknown kind of BMP, with ${bits} bits and compression ${compression}` }
  const masked = compression === compressions.masks
  const masks = masked ? [0, 1, 2].map((i) => view.getUint32(54 + 4 * i, true)) : []
  const tables = 14 + size + (masked && size === 40 ? 12 : 0)
  const given = view.getUint32(10, true)
  const inPalette = bits <= 8 ? entry * colours : 0
  // Some writers count the palette as part of the header, and not in the offset.
  const start = given === 14 + size ? given + inPalette : given === 0 ? tables + inPalette : given
  const stride = ((width * bits + 31) >> 3) & ~3
  const row = (y: number) => start + (topDown ? y : height - 1 - y) * stride
  const runLength = compression === compressions.rle8 || compression === compressions.rle4
  if (!runLength && start + stride * height > bytes.length) throw new RangeError("the rows end early")

  if (bits === 1 || bits === 4 || bits === 8) {
    if (masked || compression > compressions.masks) return unknown
    const palette = new Uint8Array(3 * Math.min(256, colours))
    for (let i = 0; i < palette.length; i++)
      palette[i] = view.getUint8(tables + Math.floor(i / 3) * entry + 2 - (i % 3))
    if (!runLength) {
      const indexes = bits === 8 ? rowsOf(bytes, width, height, row) : unpack(bytes, bits, width, height, row)
      return fromIndexes(indexes, palette, width, height)
    }
    const indexes = runs(bytes, start, width, height, compression === compressions.rle4)
    return indexes === undefined
      ? { reason: "cut short" }
      : fromIndexes(topDown ? indexes : flipped(indexes, width), palette, width, height)
  }

  if (compression !== compressions.none && !masked) return unknown
  const out = new Uint8Array(3 * width * height)
  if (bits === 16) {
    const [red, green] = masked ? masks : [0x7c00, 0x3e0]
    if (!(red === 0x7c00 && green === 0x3e0) && !(red === 0xf800 && green === 0x7e0)) return unknown
    const [shift, most] = red === 0xf800 ? [11, 63] : [10, 31]
    for (let y = 0, at = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const pixel = view.getUint16(row(y) + 2 * x, true)
        out[at++] = Math.floor((((pixel >> shift) & 31) * 255) / 31)
        out[at++] = Math.floor((((pixel >> 5) & most) * 255) / most)
        out[at++] = Math.floor(((pixel & 31) * 255) / 31)
      }
    return { channels: 3, height, width, bytes: out }
  }
  const places = bits === 32 && masked ? order(masks) : [2, 1, 0]
  if ((bits !== 24 && bits !== 32) || places === undefined) return unknown
  const step = bits / 8
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++) for (const place of places) out[at++] = bytes[row(y) + step * x + place] ?? 0
  return { channels: 3, height, width, bytes: out }
}
