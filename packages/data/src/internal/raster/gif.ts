/** The first frame of a GIF, as Pillow reads it: transparent pixels have their palette colour. (Decoders that return alpha lose it.) */
import { checkSize, fromIndexes, type Raster, type Undecodable } from "./raster.ts"

/** The bytes of a sequence of sub-blocks, and where it ends. */
const blocks = (bytes: Uint8Array, start: number): { readonly data: Uint8Array; readonly end: number } => {
  let end = start
  let length = 0
  for (let size = bytes[end] ?? 0; size > 0; size = bytes[end] ?? 0) {
    length += size
    end += size + 1
  }
  const data = new Uint8Array(length)
  for (let from = start, to = 0; from < end;) {
    const size = bytes[from] ?? 0
    data.set(bytes.subarray(from + 1, from + 1 + size), to)
    to += size
    from += size + 1
  }
  return { data, end: end + 1 }
}

/** Decodes LZW codes to indexes; `undefined` if they are wrong or too few. */
const unpacked = (data: Uint8Array, least: number, length: number): Uint8Array | undefined => {
  const [clear, stop] = [1 << least, (1 << least) + 1]
  // For each code: its last index, the code before it, and how many indexes it stands for.
  const last = new Uint8Array(4096)
  const before = new Int16Array(4096)
  const lengths = new Uint16Array(4096)
  for (let i = 0; i < clear; i++) {
    last[i] = i
    lengths[i] = 1
  }
  const out = new Uint8Array(length)
  let [at, next, size, previous, bit] = [0, stop + 1, least + 1, -1, 0]
  while (at < length) {
    if (bit + size > 8 * data.length) return undefined
    let code = 0
    for (let i = 0; i < size; i++, bit++) code |= (((data[bit >> 3] ?? 0) >> (bit & 7)) & 1) << i
    if (code === stop) return undefined
    if (code === clear) {
      next = stop + 1
      size = least + 1
      previous = -1
      continue
    }
    if (code > next || (code === next && previous < 0) || (previous < 0 && code >= clear)) return undefined
    if (previous >= 0 && next < 4096) {
      before[next] = previous
      lengths[next] = (lengths[previous] ?? 0) + 1
      // Its last index is the first index of this code; or of itself, which begins like the previous code.
      let first = code === next ? previous : code
      while (first >= clear) first = before[first] ?? 0
      last[next] = first
      next++
      if (next === 1 << size && size < 12) size++
    }
    const end = at + (lengths[code] ?? 0)
    for (let i = end - 1, c = code; i >= at; i--) {
      if (i < length) out[i] = last[c] ?? 0
      c = before[c] ?? 0
    }
    at = end
    previous = code
  }
  return out
}

/** The rows of an interlaced image, in the order in which they are stored. */
const interlaced = (height: number): ReadonlyArray<number> =>
  [
    [0, 8],
    [4, 8],
    [2, 4],
    [1, 2]
  ].flatMap(([first = 0, step = 1]) =>
    Array.from({ length: Math.ceil((height - first) / step) }, (_, i) => first + i * step)
  )

/** Decodes a file that begins with `GIF`. Reading beyond its end throws a RangeError, which `Raster.decode` treats as a truncated file. */
export const decode = (bytes: Uint8Array): Raster | Undecodable => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const flags = view.getUint8(10)
  const table = (at: number, flags: number) => bytes.subarray(at, at + 3 * (2 << (flags & 7)))
  let palette = (flags & 128) === 0 ? undefined : table(13, flags)
  let at = 13 + (palette?.length ?? 0)
  let transparent = 0
  for (;;) {
    const kind = view.getUint8(at++)
    if (kind === 0x21) {
      const label = view.getUint8(at++)
      if (label === 0xf9 && (view.getUint8(at + 1) & 1) === 1) transparent = view.getUint8(at + 4)
      at = blocks(bytes, at).end
    } else if (kind === 0x2c) break
    else if (kind === 0x3b) return { reason: "a GIF without an image" }
  }
  const [left, top, w, h] = [0, 2, 4, 6].map((offset) => view.getUint16(at + offset, true)) as [
    number,
    number,
    number,
    number
  ] // of four
  const local = view.getUint8(at + 8)
  at += 9
  if ((local & 128) !== 0) {
    palette = table(at, local)
    at += palette.length
  }
  const width = Math.max(view.getUint16(6, true), left + w)
  const height = Math.max(view.getUint16(8, true), top + h)
  const wrong = checkSize(width, height)
  if (wrong !== undefined) return wrong
  const least = view.getUint8(at)
  if (least > 11) return { reason: "damaged codes" }
  const indexes = unpacked(blocks(bytes, at + 1).data, least, w * h)
  if (indexes === undefined) return { reason: "damaged codes" }
  const canvas = new Uint8Array(width * height).fill(transparent)
  const rows = (local & 64) === 0 ? Array.from({ length: h }, (_, y) => y) : interlaced(h)
  for (const [stored, y] of rows.entries())
    canvas.set(indexes.subarray(stored * w, (stored + 1) * w), (top + y) * width + left)
  const grey = palette ?? Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3))
  return fromIndexes(canvas, grey, width, height)
}
