/**
 * The 64-bit FNV-1a hash of UTF-8 text: no dependencies, the same in every JavaScript engine, and with published test vectors.
 * Stored as two 32-bit halves because bigint arithmetic is about fifty times slower.
 */
const encoder = new TextEncoder()

/** The hash as `[high, low]` unsigned 32-bit halves. */
export const fnv1a = (text: string): readonly [number, number] => {
  let high = 0xcbf29ce4 | 0
  let low = 0x84222325 | 0
  const length = text.length
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return ofBytes(encoder.encode(text))
    // times the prime 2^40 + 0x1b3, modulo 2^64: integer operations only, which engines keep in registers
    low ^= code
    const carry = ((low >>> 16) * 0x1b3 + (((low & 0xffff) * 0x1b3) >>> 16)) >>> 16
    high = (Math.imul(high, 0x1b3) + (low << 8) + carry) | 0
    low = Math.imul(low, 0x1b3)
  }
  return [high >>> 0, low >>> 0]
}

const ofBytes = (bytes: Uint8Array): readonly [number, number] => {
  let high = 0xcbf29ce4 | 0
  let low = 0x84222325 | 0
  for (const byte of bytes) {
    low ^= byte
    const carry = ((low >>> 16) * 0x1b3 + (((low & 0xffff) * 0x1b3) >>> 16)) >>> 16
    high = (Math.imul(high, 0x1b3) + (low << 8) + carry) | 0
    low = Math.imul(low, 0x1b3)
  }
  return [high >>> 0, low >>> 0]
}

const hex = (n: number) => n.toString(16).padStart(8, "0")

/** The hash as 16 hexadecimal digits. */
export const fnv1aHex = (text: string): string => {
  const [high, low] = fnv1a(text)
  return hex(high) + hex(low)
}
