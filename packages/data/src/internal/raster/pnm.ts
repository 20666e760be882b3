/** Netpbm's portable bitmaps, graymaps and pixmaps (P1…P6), as Pillow reads them. */
import { checkSize, fromSamples, type Raster, type Undecodable, unpack } from "./raster.ts"

const isSpace = (byte: number) => byte === 32 || (byte >= 9 && byte <= 13)
const newline = 10
const carriageReturn = 13
const hash = 35

/** The whole numbers in a text, one after the other, skipping comments; `undefined` at the end and for anything that is not a number. */
const reader = (bytes: Uint8Array, start: number) => {
  let at = start
  const skip = () => {
    for (; at < bytes.length; at++) {
      if (bytes[at] === hash) while (at < bytes.length && bytes[at] !== newline && bytes[at] !== carriageReturn) at++
      else if (!isSpace(bytes[at] ?? 0)) return
    }
  }
  return {
    number: (): number | undefined => {
      skip()
      let value: number | undefined
      for (; at < bytes.length && !isSpace(bytes[at] ?? 0) && bytes[at] !== hash; at++) {
        const digit = (bytes[at] ?? 0) - 48
        if (digit < 0 || digit > 9 || (value ?? 0) > 1e9) return undefined
        value = 10 * (value ?? 0) + digit
      }
      return value
    },
    /** A single 0 or 1; no space is needed between them. */
    bit: (): number | undefined => {
      skip()
      const bit = (bytes[at++] ?? 0) - 48
      return bit === 0 || bit === 1 ? bit : undefined
    },
    /** Where the data begin: after a single space. */
    data: () => at + 1
  }
}

/** Rounds halves to even, as Python does. */
const round = (value: number): number => {
  const below = Math.floor(value)
  return value - below === 0.5 ? below + (below % 2) : Math.round(value)
}

/** Decodes a file that begins with `P1` … `P6`. */
export const decode = (bytes: Uint8Array): Raster | Undecodable => {
  const kind = (bytes[1] ?? 0) - 48
  const read = reader(bytes, 2)
  const damaged = { reason: "cut short, or without numbers where they are expected" }
  const [width, height] = [read.number(), read.number()]
  if (width === undefined || height === undefined) return damaged
  const wrong = checkSize(width, height)
  if (wrong !== undefined) return wrong
  const pixels = width * height
  if (kind === 1 || kind === 4) {
    const out = new Uint8Array(pixels)
    const start = read.data()
    const stride = Math.ceil(width / 8)
    if (kind === 4 && start + stride * height > bytes.length) return damaged
    // 1 is black.
    if (kind === 4)
      unpack(bytes, 1, width, height, (y) => start + y * stride).forEach((bit, i) => (out[i] = bit === 1 ? 0 : 255))
    else
      for (let i = 0; i < pixels; i++) {
        const bit = read.bit()
        if (bit === undefined) return damaged
        out[i] = bit === 1 ? 0 : 255
      }
    return { channels: 1, height, width, bytes: out }
  }
  const most = read.number()
  if (most === undefined || most < 1 || most > 65535) return damaged
  const bands = kind === 3 || kind === 6 ? 3 : 1
  const start = read.data()
  const size = most > 255 ? 2 : 1
  // The shortest text for a number is one digit and a space.
  const least = kind <= 3 ? 2 * bands * pixels - 1 : bands * pixels * size
  if ((kind <= 3 ? bytes.length - start + 1 : bytes.length - start) < least) return damaged
  // Pillow, too, keeps more than 8 bits for greyscale only.
  const deep = most > 255 && bands === 1
  const scale = deep ? 65535 : 255
  const data = deep ? new Uint16Array(pixels) : new Uint8Array(bands * pixels)
  for (let i = 0; i < data.length; i++) {
    const at = start + i * size
    const value =
      kind <= 3 ? read.number() : size === 1 ? (bytes[at] ?? 0) : 256 * (bytes[at] ?? 0) + (bytes[at + 1] ?? 0)
    if (value === undefined || (kind <= 3 && value > most)) return damaged
    data[i] = Math.min(scale, most === scale ? value : round((value / most) * scale))
  }
  return fromSamples({ space: bands === 3 ? "rgb" : "grey", bands, height, width, data })
}
