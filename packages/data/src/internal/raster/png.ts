/**
 * PNG of every colour type and depth, as Pillow reads it. (A browser's canvas keeps neither 16 bits nor the colours of transparent pixels.)
 */
import { orientationOf } from "./exif.ts"
import {
  checkSize,
  fromIndexes,
  fromSamples,
  oriented,
  type Raster,
  type Samples,
  type Undecodable,
  unpack
} from "./raster.ts"

/** Decompresses zlib data with the web's own streams, which Node has too; no more than `most` bytes. Fails if the data are damaged. */
const inflate = async (packed: Uint8Array<ArrayBuffer>, most: number): Promise<Uint8Array> => {
  const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate")).getReader()
  const parts: Array<Uint8Array> = []
  let length = 0
  while (length < most) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value)
    length += value.length
  }
  await reader.cancel()
  return joined(parts).subarray(0, most)
}

const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Undoes the filters of `height` rows of `row` bytes that begin at `start`, in place. */
const unfilter = (
  bytes: Uint8Array,
  start: number,
  row: number,
  height: number,
  step: number
): Undecodable | undefined => {
  for (let y = 0; y < height; y++) {
    const at = start + y * (row + 1)
    const kind = bytes[at] ?? 0
    if (kind > 4) return { reason: `damaged: there is no filter ${kind}` }
    if (kind === 0) continue
    const above = y === 0 ? -1 : at - row
    for (let i = 0; i < row; i++) {
      const a = i >= step ? (bytes[at + 1 + i - step] ?? 0) : 0
      const b = above < 0 ? 0 : (bytes[above + i] ?? 0)
      const c = i >= step && above >= 0 ? (bytes[above + i - step] ?? 0) : 0
      const toA = Math.abs(b - c)
      const toB = Math.abs(a - c)
      const toC = Math.abs(a + b - 2 * c)
      const paeth = toA <= toB && toA <= toC ? a : toB <= toC ? b : c
      const guess = kind === 1 ? a : kind === 2 ? b : kind === 3 ? (a + b) >> 1 : paeth
      bytes[at + 1 + i] = (bytes[at + 1 + i] ?? 0) + guess
    }
  }
  return undefined
}

interface Header {
  readonly width: number
  readonly height: number
  readonly depth: number
  readonly colour: number
  readonly interlaced: boolean
}

const bandsOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }
const depthsOf: Readonly<Record<number, ReadonlyArray<number>>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16]
}

/** The passes of an image: every `dx`-th column from `x`, every `dy`-th row from `y`. Adam7's, or a single pass over everything. */
const passes = (interlaced: boolean) =>
  interlaced
    ? ([
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2]
      ] as const)
    : ([[0, 0, 1, 1]] as const)

/** The samples in unfiltered rows. */
const samplesOf = (
  bytes: Uint8Array,
  start: number,
  row: number,
  width: number,
  height: number,
  depth: number,
  bands: number
) => {
  const from = (y: number) => start + y * (row + 1) + 1
  if (depth < 8) return unpack(bytes, depth, width, height, from)
  const length = width * bands
  const out = depth === 8 ? new Uint8Array(length * height) : new Uint16Array(length * height)
  for (let y = 0; y < height; y++)
    for (let i = 0; i < length; i++)
      out[y * length + i] =
        depth === 8
          ? (bytes[from(y) + i] ?? 0)
          : 256 * (bytes[from(y) + 2 * i] ?? 0) + (bytes[from(y) + 2 * i + 1] ?? 0)
  return out
}

/** Decodes a file that begins with PNG's signature. Reading beyond its end throws a RangeError, which `Raster.decode` treats as a truncated file. */
export const decode = async (bytes: Uint8Array): Promise<Raster | Undecodable> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const header: Header = {
    width: view.getUint32(16),
    height: view.getUint32(20),
    depth: view.getUint8(24),
    colour: view.getUint8(25),
    interlaced: view.getUint8(28) === 1
  }
  const { colour, depth, height, interlaced, width } = header
  const wrong = checkSize(width, height)
  if (wrong !== undefined) return wrong
  const bands = bandsOf[colour]
  if (bands === undefined || depthsOf[colour]?.includes(depth) !== true)
    return { reason: `a PNG of colour type ${colour} with ${depth} bits, a combination that does not exist` }
  const parts: Array<Uint8Array> = []
  let palette = new Uint8Array()
  let orientation = 1
  for (let at = 8; ;) {
    const [length, kind] = [view.getUint32(at), view.getUint32(at + 4)]
    if (at + 12 + length > bytes.length) throw new RangeError("a chunk ends early")
    const data = bytes.subarray(at + 8, at + 8 + length)
    if (kind === 0x49444154) parts.push(data)
    else if (kind === 0x504c5445) palette = Uint8Array.from(data)
    else if (kind === 0x65584966) orientation = orientationOf(data)
    else if (kind === 0x49454e44) break
    at += 12 + length
  }
  const layout = passes(interlaced)
    .map(([x, y, dx, dy]) => ({ x, y, dx, dy, w: Math.ceil((width - x) / dx), h: Math.ceil((height - y) / dy) }))
    .filter(({ h, w }) => w > 0 && h > 0)
    .map((pass) => ({ ...pass, row: Math.ceil((pass.w * bands * depth) / 8) }))
  const size = layout.reduce((sum, { h, row }) => sum + h * (row + 1), 0)
  const raw = await inflate(joined(parts), size)
  if (raw.length < size) throw new RangeError("the rows end early")
  const data = depth === 16 ? new Uint16Array(width * height * bands) : new Uint8Array(width * height * bands)
  let start = 0
  for (const { dx, dy, h, row, w, x, y } of layout) {
    const damaged = unfilter(raw, start, row, h, Math.max(1, (bands * depth) >> 3))
    if (damaged !== undefined) return damaged
    const samples = samplesOf(raw, start, row, w, h, depth, bands)
    if (!interlaced) data.set(samples)
    else
      for (let i = 0; i < w * h; i++) {
        const place = ((y + Math.floor(i / w) * dy) * width + x + (i % w) * dx) * bands
        for (let c = 0; c < bands; c++) data[place + c] = samples[i * bands + c] ?? 0
      }
    start += h * (row + 1)
  }
  if (colour === 3 && data instanceof Uint8Array)
    return oriented(orientation)(fromIndexes(data, palette, width, height))
  const space: Samples["space"] = colour === 0 || colour === 4 ? "grey" : "rgb"
  // Depths below 8 bits are scaled to the full range.
  if (depth < 8) for (let i = 0; i < data.length; i++) data[i] = (data[i] ?? 0) * (255 / ((1 << depth) - 1))
  return oriented(orientation)(fromSamples({ space, bands, height, width, data }))
}
