/** Placeholder generator until `@uninet/search-space`'s Prng is there. */
export interface Random {
  nextUint32(): number
  nextFloat(): number
  nextInt(n: number): number
  nextNormal(): number
  split(key: string): Random
}
const hash = (s: string, h: number) => {
  for (let i = 0; i < s.length; i++) h = Math.imul(h ^ s.charCodeAt(i), 0x5bd1e995) ^ (h >>> 13)
  return h >>> 0
}
const make = (seed: number): Random => {
  let state = seed >>> 0
  const nextUint32 = () => {
    state = (state + 0x9e3779b9) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
  const nextFloat = () => nextUint32() / 2 ** 32
  return {
    nextUint32,
    nextFloat,
    nextInt: (n) => Math.floor(nextFloat() * n),
    nextNormal: () => Math.sqrt(-2 * Math.log(1 - nextFloat())) * Math.cos(2 * Math.PI * nextFloat()),
    split: (key) => make(hash(String(key), seed ^ 0x85ebca6b))
  }
}
export const fromSeed = (seed: string | number): Random => make(hash(String(seed), 17))
