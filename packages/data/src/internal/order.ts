/**
 * Seeded orders and splits of samples.
 */
import { Prng } from "@uninet/search-space"

/** The items in a random order. */
export const shuffled = (random: Prng.Prng, items: ArrayLike<number>): Uint32Array =>
  random.permutation(items.length).map((from) => items[from]!)

/** 0, 1, …, n − 1. */
export const identity = (n: number): Uint32Array => {
  const order = new Uint32Array(n)
  for (let i = 0; i < n; i++) order[i] = i
  return order
}

/** The generator of one epoch: everything drawn for it comes from here. */
export const epochRandom = (seed: string | number, epoch: number): Prng.Prng =>
  Prng.fromSeed(seed).split(`epoch/${epoch}`)

/** Deals `total` out in proportion to `weights`: whole numbers by the largest remainder, ties to the first. */
export const proportional = (weights: ReadonlyArray<number>, total: number): ReadonlyArray<number> => {
  const sum = weights.reduce((a, b) => a + b, 0)
  const exact = weights.map((weight) => (weight * total) / sum)
  const counts = exact.map(Math.floor)
  const rest = total - counts.reduce((a, b) => a + b, 0)
  exact
    .map((value, index) => ({ index, remainder: value - Math.floor(value) }))
    .sort((a, b) => b.remainder - a.remainder || a.index - b.index)
    .slice(0, rest)
    .forEach(({ index }) => (counts[index]! += 1))
  return counts
}

/**
 * Takes `sizes` samples for every part, each with the whole's class proportions, and leaves the remainder as the last part.
 * Every part is in a seeded order, so any prefix of it is a fair sample.
 */
export const stratified = (
  random: Prng.Prng,
  labels: Int32Array,
  classes: number,
  sizes: ReadonlyArray<number>
): ReadonlyArray<Uint32Array> => {
  const byClass = Array.from({ length: classes }, (): Array<number> => [])
  labels.forEach((label, index) => byClass[label]!.push(index))
  const pools = byClass.map((indexes, label) => shuffled(random.split(`class/${label}`), indexes))
  const used = pools.map(() => 0)
  const total = labels.length
  let taken = 0
  const take = (counts: ReadonlyArray<number>, key: string) => {
    const part = pools.flatMap((pool, label) => {
      const start = used[label]!
      used[label] = start + counts[label]!
      return Array.from(pool.subarray(start, start + counts[label]!))
    })
    return shuffled(random.split(key), part)
  }
  const parts = sizes.map((size, part) => {
    const left = pools.map((pool, label) => pool.length - used[label]!)
    taken += size
    return take(proportional(left, size), `part/${part}`)
  })
  const left = pools.map((pool, label) => pool.length - used[label]!)
  return [...parts, total === taken ? new Uint32Array(0) : take(left, "rest")]
}
