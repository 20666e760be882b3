/** MurmurHash3 (Austin Appleby) of 128 bits, its form for 32-bit words: the same on every machine, fast on large arrays, not meant to withstand an adversary. */

const rotated = (x: number, by: number) => (x << by) | (x >>> (32 - by))

/** By what each of a block's four words is multiplied, before and after it is rotated, and by how much it is. */
const multipliers = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93] as const
const turns = [15, 16, 17, 18] as const

const scrambled = (word: number, lane: number) =>
  Math.imul(rotated(Math.imul(word, multipliers[lane]), turns[lane]), multipliers[(lane + 1) % 4])

const finished = (h: number) => {
  const once = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35)
  return twice ^ (twice >>> 16)
}

/** Each of the words with something of all. */
const together = ([first, ...others]: ReadonlyArray<number>) => {
  const sum = others.reduce((total, h) => total + h, first) | 0
  return [sum, ...others.map((h) => (h + sum) | 0)]
}

/** The hash of so many bytes, which come as words, lowest byte first; the last word is filled with zeros. 32 hexadecimal digits. */
export const ofWords = (words: Uint32Array, bytes: number): string => {
  let [a, b, c, d] = [0, 0, 0, 0]
  const whole = bytes >> 4
  for (let i = 0; i < whole; i++) {
    a = rotated(a ^ scrambled(words[4 * i], 0), 19)
    a = Math.imul(a + b, 5) + 0x561ccd1b
    b = rotated(b ^ scrambled(words[4 * i + 1], 1), 17)
    b = Math.imul(b + c, 5) + 0x0bcaa747
    c = rotated(c ^ scrambled(words[4 * i + 2], 2), 15)
    c = Math.imul(c + d, 5) + 0x96cd1c35
    d = rotated(d ^ scrambled(words[4 * i + 3], 3), 13)
    d = Math.imul(d + a, 5) + 0x32ac3b17
  }
  const rest = words.subarray(4 * whole)
  const lanes = [a, b, c, d].map((h, lane) => h ^ scrambled(rest[lane] ?? 0, lane) ^ bytes)
  return together(together(lanes).map(finished))
    .map((h) => (h >>> 0).toString(16).padStart(8, "0"))
    .join("")
}

/** The hash of a text's UTF-8. */
export const ofText = (text: string): string => {
  const bytes = new TextEncoder().encode(text)
  const words = new Uint32Array(Math.ceil(bytes.length / 4))
  for (const [i, byte] of bytes.entries()) words[i >> 2] |= byte << (8 * (i & 3))
  return ofWords(words, bytes.length)
}
