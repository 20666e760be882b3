/** The 128-bit MurmurHash3 (Austin Appleby) in its form for 32-bit words: the same on every machine, fast on large arrays, not meant to withstand an adversary. */

const rotated = (x: number, by: number) => (x << by) | (x >>> (32 - by))

/** For each of a block's four words: what it is multiplied by before and after its rotation, and how far it is rotated. */
const [first, second, third, fourth] = [
  { before: 0x239b961b, turn: 15, after: 0xab0e9789 },
  { before: 0xab0e9789, turn: 16, after: 0x38b34ae5 },
  { before: 0x38b34ae5, turn: 17, after: 0xa1e38b93 },
  { before: 0xa1e38b93, turn: 18, after: 0x239b961b }
] as const

/** A word on its way into the hash; a word missing from the last block is zero. */
const scrambled = (word = 0, { after, before, turn }: Readonly<Record<"before" | "turn" | "after", number>>) =>
  Math.imul(rotated(Math.imul(word, before), turn), after)

const finished = (h: number) => {
  const once = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35)
  return twice ^ (twice >>> 16)
}

/** Mixes something of every word into each. */
const together = (words: ReadonlyArray<number>) => {
  const sum = words.reduce((total, h) => total + h, 0) | 0
  return words.map((h, i) => (i === 0 ? sum : (h + sum) | 0))
}

/** The hash of `bytes` bytes, given as little-endian words, the last of them padded with zeros. Returns 32 hexadecimal digits. */
export const ofWords = (words: Uint32Array, bytes: number): string => {
  let [a, b, c, d] = [0, 0, 0, 0]
  const whole = bytes >> 4
  for (let i = 0; i < whole; i++) {
    a = rotated(a ^ scrambled(words[4 * i], first), 19)
    a = Math.imul(a + b, 5) + 0x561ccd1b
    b = rotated(b ^ scrambled(words[4 * i + 1], second), 17)
    b = Math.imul(b + c, 5) + 0x0bcaa747
    c = rotated(c ^ scrambled(words[4 * i + 2], third), 15)
    c = Math.imul(c + d, 5) + 0x96cd1c35
    d = rotated(d ^ scrambled(words[4 * i + 3], fourth), 13)
    d = Math.imul(d + a, 5) + 0x32ac3b17
  }
  const [e, f, g, h] = words.subarray(4 * whole)
  const last = [a ^ scrambled(e, first), b ^ scrambled(f, second), c ^ scrambled(g, third), d ^ scrambled(h, fourth)]
  return together(together(last.map((h) => h ^ bytes)).map(finished))
    .map((h) => (h >>> 0).toString(16).padStart(8, "0"))
    .join("")
}

/** The hash of a text in UTF-8. */
export const ofText = (text: string): string => {
  const bytes = new TextEncoder().encode(text)
  const count = Math.ceil(bytes.length / 4)
  const filled = new Uint8Array(4 * count)
  filled.set(bytes)
  const view = new DataView(filled.buffer)
  return ofWords(
    Uint32Array.from({ length: count }, (_, i) => view.getUint32(4 * i, true)),
    bytes.length
  )
}
