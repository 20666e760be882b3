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

/**
 * Deals `total` out in proportion to `weights`: whole numbers by the largest remainder. Ties go to the first; but those among weights that would get
 * nothing to the lowest rank, so that no class is left out for its place in the list.
 */
export const proportional = (
  weights: ReadonlyArray<number>,
  total: number,
  ranks: ArrayLike<number>
): ReadonlyArray<number> => {
  const sum = weights.reduce((a, b) => a + b, 0)
  const exact = weights.map((weight) => (weight * total) / sum)
  const counts = exact.map(Math.floor)
  const rest = total - counts.reduce((a, b) => a + b, 0)
  const order = exact
    .map((value, index) => ({ index, remainder: value - Math.floor(value) }))
    .sort((a, b) => b.remainder - a.remainder || a.index - b.index)
  // The weights without anything change places among themselves, in every group of equal remainders.
  const empty = order.filter(({ index }) => counts[index] === 0)
  const ranked = empty.toSorted((a, b) => b.remainder - a.remainder || ranks[a.index]! - ranks[b.index]!)
  let next = 0
  for (const { index } of order.map((each) => (counts[each.index] === 0 ? ranked[next++]! : each)).slice(0, rest))
    counts[index]! += 1
  return counts
}

/** How many samples of every class can be taken: all but one. */
const spare = (counts: ReadonlyArray<number>): ReadonlyArray<number> => counts.map((count) => Math.max(0, count - 1))

/** How many samples of each label there are. */
export const countsOf = (labels: Int32Array, classes: number): ReadonlyArray<number> => {
  const counts = Array.from({ length: classes }, () => 0)
  for (const label of labels) counts[label]! += 1
  return counts
}

/** Samples that can be taken away so that every class keeps one. */
export const capacity = (labels: Int32Array, classes: number): number =>
  spare(countsOf(labels, classes)).reduce((a, b) => a + b, 0)

/** So many samples of a part, of every class that has any left the last one excepted. */
export type Size = number | "one a class"

/** How many of every class make a part, when so many of each are left. */
const dealt = (left: ReadonlyArray<number>, size: Size, ranks: ArrayLike<number>): ReadonlyArray<number> => {
  const most = spare(left)
  if (size === "one a class") return most.map((count) => Math.min(1, count))
  const counts = proportional(left, size, ranks).map((count, label) => Math.min(count, most[label]!))
  // What a class cannot give without losing its last sample, the others give.
  const lacking = size - counts.reduce((a, b) => a + b, 0)
  if (lacking === 0) return counts
  const others = proportional(
    most.map((count, label) => count - counts[label]!),
    lacking,
    ranks
  )
  return counts.map((count, label) => count + others[label]!)
}

/**
 * Takes `sizes` samples for every part (together at most `capacity`), each with the whole's class proportions, and leaves the remainder, with at least
 * one sample of every class, as the last part. Every part is in a seeded order, so any prefix of it is a fair sample.
 */
export const stratified = (
  random: Prng.Prng,
  labels: Int32Array,
  classes: number,
  sizes: ReadonlyArray<Size>
): ReadonlyArray<Uint32Array> => {
  const byClass = Array.from({ length: classes }, (): Array<number> => [])
  labels.forEach((label, index) => byClass[label]!.push(index))
  const pools = byClass.map((indexes, label) => shuffled(random.split(`class/${label}`), indexes))
  const ranks = random.split("ranks").permutation(classes)
  const used = pools.map(() => 0)
  const left = () => pools.map((pool, label) => pool.length - used[label]!)
  const take = (counts: ReadonlyArray<number>, key: string) => {
    const part = pools.flatMap((pool, label) => {
      const start = used[label]!
      used[label] = start + counts[label]!
      return Array.from(pool.subarray(start, start + counts[label]!))
    })
    return shuffled(random.split(key), part)
  }
  const parts = sizes.map((size, part) => take(dealt(left(), size, ranks), `part/${part}`))
  return [...parts, take(left(), "rest")]
}
