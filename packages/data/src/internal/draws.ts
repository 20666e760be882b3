/**
 * The random numbers of one step for one sample.
 *
 * sfc32 (Chris Doty-Humphrey's small fast counting generator) over four words: two that the epoch's `Prng` drew, the sample's index and the
 * step's. Unlike a `Prng` split for every sample, it hashes no text, and a worker thread needs no Effect runtime.
 */
import * as Elementary from "@uninet/search-space/elementary"

/** The words that seed an epoch's augmentation, then one that is the same in every epoch of a training, and the epoch's number. */
export type Key = readonly [high: number, low: number, steady: number, epoch: number]

/** True in every second epoch; for half of the samples in the even ones. */
export const alternates = ([, , steady, epoch]: Key, sample: number, step: number): boolean =>
  make([steady, ~steady, 0, 0], sample, step).nextFloat() < 0.5 === (epoch % 2 === 0)

export interface Draws {
  /** [0, 1), 32 random bits. */
  readonly nextFloat: () => number
  /** 0 … n − 1; `n` is at most a few thousand (pixels, operations), so the remainder's bias is below 10⁻⁶. */
  readonly nextInt: (n: number) => number
  /** Mean 0, standard deviation 1 (Marsaglia's polar method). */
  readonly nextNormal: () => number
}

export const make = ([high, low]: Key, sample: number, step: number): Draws => {
  let a = high | 0
  let b = low | 0
  let c = sample | 0
  let d = step | 0
  const next = () => {
    const t = (a + b + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + t) | 0
    return t >>> 0
  }
  // Until every word has affected every bit.
  for (let i = 0; i < 15; i++) next()
  const nextFloat = () => next() / 4294967296
  return {
    nextFloat,
    nextInt: (n) => Math.floor(nextFloat() * n),
    nextNormal: () => {
      for (;;) {
        const u = 2 * nextFloat() - 1
        const v = 2 * nextFloat() - 1
        const s = u * u + v * v
        if (s > 0 && s < 1) return u * Math.sqrt((-2 * Elementary.log(s)) / s)
      }
    }
  }
}
