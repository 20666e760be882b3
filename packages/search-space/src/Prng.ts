/**
 * A seeded random number generator that gives the same numbers on every machine.
 *
 * xoshiro128** (Blackman and Vigna, 2018) over four 32-bit words, seeded through splitmix32 from a 64-bit FNV-1a hash of the
 * seed's text. Everything is computed with integer operations and the IEEE additions, multiplications, divisions and square
 * roots that JavaScript fixes to the bit; `Math.log` and `Math.cos`, which engines may round differently, are not used.
 *
 * A generator is a small mutable object that the caller passes in: a function that takes one draws from it and so advances its
 * state. Parts of a program that must not affect each other's numbers each get their own generator from `split`.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { ln } from "./internal/elementary.ts"
import { fnv1a } from "./internal/fnv.ts"

const Word = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffffffff }))

/**
 * A generator's whole state as JSON. A checkpoint stores it so that a resumed run draws the same numbers as it would have without the interruption.
 *
 * - `key`: the generator's origin (the seed and the keys it was split by); determines what `split` returns.
 * - `words`: xoshiro128**'s four words.
 * - `spare`: the second number of the last normal pair, if it has not been used yet.
 */
export const State = Schema.Struct({
  algorithm: Schema.Literal("xoshiro128**"),
  key: Schema.String,
  words: Schema.Tuple([Word, Word, Word, Word]),
  spare: Schema.NullOr(Schema.Finite)
})
export type State = typeof State.Type

/** Not a valid state of this generator: it is from another algorithm or version, or damaged. */
export class PrngStateError extends Schema.TaggedError<PrngStateError>()("PrngStateError", { problem: Schema.String }) {
  override get message() {
    return `This is not the state of an xoshiro128** generator: ${this.problem}. Pass the value of \`prng.state\`, unchanged.`
  }
}

/** A mutable, seeded generator. Draw from it with its methods; make independent ones with `split`. */
export interface Prng {
  /** The next 32 random bits, 0 to 2³² − 1. */
  readonly nextUint32: () => number
  /** The next number in [0, 1), with 53 random bits. */
  readonly nextFloat: () => number
  /**
   * The next integer in [0, n), all equally likely (rejection sampling avoids modulo bias).
   * `n` is an integer from 1 to 2⁵³ − 1; anything else is a bug in the caller and throws a RangeError.
   */
  readonly nextInt: (n: number) => number
  /** Like `nextInt`, for a bigint `n` of any size. */
  readonly nextBigInt: (n: bigint) => bigint
  /** The next normal number, mean 0 and standard deviation 1 (Marsaglia's polar method). */
  readonly nextNormal: () => number
  /** The integers 0 to n − 1 in a random order (Fisher and Yates). */
  readonly permutation: (n: number) => Uint32Array
  /**
   * An independent generator for the part of the program named `key`. It depends only on the seed and the keys of all splits:
   * splitting draws nothing from this generator, and its result does not depend on what was drawn before. So
   * `prng.split("trial/7")` gives that trial the same numbers whatever the order in which trials run.
   */
  readonly split: (key: string) => Prng
  /** The current state, as JSON; `fromState` continues from it. */
  readonly state: State
}

/**
 * Makes a generator from a seed. The same seed gives the same numbers on every machine. A number and its text are the same seed
 * (`fromSeed(7)` is `fromSeed("7")`), so a seed read from a command line means the same.
 *
 * @example
 * ```ts
 * import { Prng } from "@uninet/search-space"
 *
 * const prng = Prng.fromSeed("demo")
 * console.log(prng.nextInt(6), prng.nextFloat(), prng.split("trial/0").nextNormal())
 * ```
 */
export const fromSeed = (seed: string | number): Prng => fromKey(String(seed))

/** Continues from a stored state. Fails with `PrngStateError` if `state` is not one. */
export const fromState = (state: unknown): Result.Result<Prng, PrngStateError> =>
  Result.flatMap(
    Result.mapError(Schema.decodeUnknownResult(State)(state), (e) => new PrngStateError({ problem: e.message })),
    ({ key, spare, words }) =>
      words.some((w) => w !== 0)
        ? Result.succeed(make(key, words, spare))
        : Result.fail(new PrngStateError({ problem: "its words are all zero" }))
  )

const fromKey = (key: string): Prng => {
  const [high, low] = fnv1a(key)
  // two interleaved splitmix32 streams, one for each half of the hash, so that all 64 bits reach the state
  const a = splitmix32(high)
  const b = splitmix32(low ^ 0x9e3779b9)
  const words: [number, number, number, number] = [a(), b(), a(), b()]
  if (words.every((w) => w === 0)) words[0] = 1
  return make(key, words, null)
}

const splitmix32 = (seed: number) => {
  let s = seed | 0
  return () => {
    s = (s + 0x9e3779b9) | 0
    let z = s ^ (s >>> 16)
    z = Math.imul(z, 0x21f0aaad)
    z ^= z >>> 15
    z = Math.imul(z, 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
}

const make = (key: string, words: readonly [number, number, number, number], spareNormal: number | null): Prng => {
  let [a, b, c, d] = words
  let spare = spareNormal

  const nextUint32 = () => {
    const x = Math.imul(b, 5)
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = (d << 11) | (d >>> 21)
    return result
  }
  const nextFloat = () => ((nextUint32() >>> 5) * 67108864 + (nextUint32() >>> 6)) / 9007199254740992
  const nextInt = (n: number) => {
    if (!(n >= 1 && n <= Number.MAX_SAFE_INTEGER && Number.isInteger(n))) {
      throw new RangeError(`nextInt needs an integer from 1 to 2^53 - 1, not ${n}`)
    }
    if (n <= 4294967296) {
      const limit = 4294967296 - (4294967296 % n)
      let draw = nextUint32()
      while (draw >= limit) draw = nextUint32()
      return draw % n
    }
    const limit = 9007199254740992 - (9007199254740992 % n)
    let draw = (nextUint32() >>> 5) * 67108864 + (nextUint32() >>> 6)
    while (draw >= limit) draw = (nextUint32() >>> 5) * 67108864 + (nextUint32() >>> 6)
    return draw % n
  }
  const nextBigInt = (n: bigint): bigint => {
    if (n <= 9007199254740991n) return BigInt(nextInt(Number(n)))
    const bits = (n - 1n).toString(2).length
    for (;;) {
      let draw = 0n
      for (let have = 0; have < bits; have += 32) draw = (draw << 32n) | BigInt(nextUint32())
      draw = BigInt.asUintN(bits, draw)
      if (draw < n) return draw
    }
  }
  const nextNormal = () => {
    if (spare !== null) {
      const out = spare
      spare = null
      return out
    }
    for (;;) {
      const u = 2 * nextFloat() - 1
      const v = 2 * nextFloat() - 1
      const s = u * u + v * v
      if (s > 0 && s < 1) {
        const scale = Math.sqrt((-2 * ln(s)) / s)
        spare = v * scale
        return u * scale
      }
    }
  }
  return {
    nextUint32,
    nextFloat,
    nextInt,
    nextBigInt,
    nextNormal,
    permutation: (n) => {
      const out = new Uint32Array(n)
      for (let i = 0; i < n; i++) {
        const j = nextInt(i + 1)
        out[i] = out[j] ?? i
        out[j] = i
      }
      return out
    },
    // the separator cannot be typed on a command line, so `split("a").split("b")` never collides with another seed's text by accident
    split: (child) => fromKey(`${key}\u0000${child}`),
    get state(): State {
      return { algorithm: "xoshiro128**", key, words: [a >>> 0, b >>> 0, c >>> 0, d >>> 0], spare }
    }
  }
}
