/**
 * FNV-1a, 64 bits, over UTF-8: no dependency, the same in every JavaScript engine, published test vectors.
 * Kept as two unsigned 32-bit halves because bigint arithmetic is some fifty times slower.
 */
const encoder = new TextEncoder()

/** The hash as `[high, low]` unsigned 32-bit halves. */
export const fnv1a = (text: string): readonly [number, number] => {
  let high = 0xcbf29ce4
  let low = 0x84222325
  const length = text.length
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return bytes(encoder.encode(text))
    low = (low ^ code) >>> 0
    // times the prime 2^40 + 0x1b3, modulo 2^64; low * 0x1b3 is below 2^41, so exact in a double
    const product = low * 0x1b3
    high = (Math.imul(high, 0x1b3) + (low << 8) + Math.floor(product / 4294967296)) >>> 0
    low = product >>> 0
  }
  return [high, low]
}

const bytes = (data: Uint8Array): readonly [number, number] => {
  let high = 0xcbf29ce4
  let low = 0x84222325
  for (const byte of data) {
    low = (low ^ byte) >>> 0
    const product = low * 0x1b3
    high = (Math.imul(high, 0x1b3) + (low << 8) + Math.floor(product / 4294967296)) >>> 0
    low = product >>> 0
  }
  return [high, low]
}

const hex = (n: number) => n.toString(16).padStart(8, "0")

/** The hash as 16 hexadecimal digits. */
export const fnv1aHex = (text: string): string => {
  const [high, low] = fnv1a(text)
  return hex(high) + hex(low)
}
