/**
 * Seeded orders and splits of samples.
 */
import { Prng } from "@uninet/search-space"
import * as Arr from "effect/Array"
import type { Values } from "../Dataset.ts"

/** The items in a random order. */
export const shuffled = (random: Prng.Prng, items: ReadonlyArray<number>): Uint32Array =>
  random.permutation(items.length).map((from) => Arr.getUnsafe(items, from))

/** 0, 1, …, n − 1. */
export const identity = (n: number): Uint32Array => {
  const order = new Uint32Array(n)
  for (let i = 0; i < n; i++) order[i] = i
  return order
}

/** The generator of one epoch: everything random in the epoch comes from it. */
export const epochRandom = (seed: string | number, epoch: number): Prng.Prng =>
  Prng.fromSeed(seed).split(`epoch/${epoch}`)

/**
 * Divides `total` in proportion to `weights`: whole numbers by the largest remainder. Ties go to the first, except among weights that would
 * get nothing, where they go to the lowest rank, so that no class is left out because of its position in the list.
 */
export const proportional = (
  weights: ReadonlyArray<number>,
  total: number,
  ranks: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const sum = weights.reduce((a, b) => a + b, 0)
  const shares = Arr.zipWith(weights, ranks, (weight, rank) => {
    const exact = (weight * total) / sum
    const count = Math.floor(exact)
    return { rank, count, remainder: exact - count }
  })
  const rest = total - shares.reduce((sum, { count }) => sum + count, 0)
  const order = shares.toSorted((a, b) => b.remainder - a.remainder)
  // The weights that get nothing trade positions among themselves, in every group of equal remainders.
  const empty = order.filter(({ count }) => count === 0)
  const ranked = empty.toSorted((a, b) => b.remainder - a.remainder || a.rank - b.rank)
  const more = new Set(order.map((each) => (each.count === 0 ? (ranked.shift() ?? each) : each)).slice(0, rest))
  return shares.map((share) => share.count + (more.has(share) ? 1 : 0))
}

/** How many samples of every class can be taken: all but one. */
const spare = (counts: ReadonlyArray<number>): ReadonlyArray<number> => counts.map((count) => Math.max(0, count - 1))

/** The positions of each label's samples. */
export const placesOf = (labels: Values, classes: number): ReadonlyArray<ReadonlyArray<number>> => {
  const places = Array.from({ length: classes }, (): Array<number> => [])
  for (const [place, label] of labels.entries()) places[label]?.push(place)
  return places
}

/** How many samples of each label there are. */
export const countsOf = (labels: Values, classes: number): ReadonlyArray<number> => {
  const counts = Array.from({ length: classes }, () => 0)
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1
  return counts
}

/** How many samples can be taken so that every class keeps one. */
export const capacity = (labels: Int32Array, classes: number): number =>
  spare(countsOf(labels, classes)).reduce((a, b) => a + b, 0)

/** The number of samples in a part, taken from every class that has any left to give besides its last one. */
export type Size = number | "one per class"

/** One part for every size, and what is left. */
export type Parts<S extends ReadonlyArray<Size>> = readonly [
  ...{ readonly [K in keyof S]: Uint32Array },
  rest: Uint32Array
]

/** How many samples of every class a part gets, when this many of each are left. */
const dealt = (left: ReadonlyArray<number>, size: Size, ranks: ReadonlyArray<number>): ReadonlyArray<number> => {
  const most = spare(left)
  if (size === "one per class") return most.map((count) => Math.min(1, count))
  const counts = Arr.zipWith(proportional(left, size, ranks), most, (count, most) => Math.min(count, most))
  // The other classes provide what a class cannot give without losing its last sample.
  const lacking = size - counts.reduce((a, b) => a + b, 0)
  if (lacking === 0) return counts
  const others = proportional(
    Arr.zipWith(most, counts, (most, count) => most - count),
    lacking,
    ranks
  )
  return Arr.zipWith(counts, others, (count, more) => count + more)
}

/**
 * Takes `sizes` samples for every part (together at most `capacity`), each in the class proportions of the whole. What is left, with at
 * least one sample of every class, is the last part. Every part is in a seeded order, so any prefix of it is a fair sample.
 */
export const stratified = <const S extends ReadonlyArray<Size>>(
  random: Prng.Prng,
  labels: Int32Array,
  classes: number,
  sizes: S
): Parts<S> => {
  let pools: ReadonlyArray<Uint32Array> = placesOf(labels, classes).map((places, label) =>
    shuffled(random.split(`class/${label}`), places)
  )
  const ranks = Array.from(random.split("ranks").permutation(classes))
  const left = () => pools.map((pool) => pool.length)
  const take = (counts: ReadonlyArray<number>, key: string) => {
    const taken = Arr.zip(pools, counts)
    pools = taken.map(([pool, count]) => pool.subarray(count))
    return shuffled(
      random.split(key),
      taken.flatMap(([pool, count]) => Array.from(pool.subarray(0, count)))
    )
  }
  const parts = sizes.map((size, part) => take(dealt(left(), size, ranks), `part/${part}`))
  // `map` returns one part for every size; TypeScript cannot infer that for a tuple.
  return [...parts, take(left(), "rest")] as ReadonlyArray<Uint32Array> as Parts<S>
}
