/**
 * Simulates how well workers' time is used when trials are placed by a hash of their names, as Effect Cluster places entities, and when
 * workers take them from a queue: 400 trials (4000 for a hundred workers) with durations between 1 and 3, at most `ahead` of them pending
 * at a time and reported in order, as in `Search`.
 *
 *     node bench/cluster-placement.ts
 */
import { Prng } from "@uninet/search-space"

/** The share of the workers' time that is spent on trials. */
const utilisation = (workers: number, ahead: number, placed: boolean, seed: string): number => {
  const prng = Prng.fromSeed(seed)
  const trials = workers < 100 ? 400 : 4000
  const durations = Array.from({ length: trials }, () => 1 + 2 * prng.nextFloat())
  const homes = Array.from({ length: trials }, () => prng.nextInt(workers))
  const free = Array<number>(workers).fill(0)
  const ended: Array<number> = []
  let told = 0
  for (let i = 0; i < trials; i++) {
    // Trial i is proposed once all up to i − ahead have been reported.
    const proposed = i < ahead ? 0 : (told = Math.max(told, ended[i - ahead]!))
    const worker = placed ? homes[i]! : free.indexOf(Math.min(...free))
    const begins = Math.max(proposed, free[worker]!)
    ended.push((free[worker] = begins + durations[i]!))
  }
  return durations.reduce((sum, d) => sum + d, 0) / (workers * Math.max(...ended))
}

const median = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

console.log("workers  ahead  by hash  off a queue")
for (const [workers, ahead] of [
  [2, 8],
  [3, 8],
  [6, 8],
  [6, 24],
  [12, 48],
  [100, 8],
  [100, 100],
  [100, 200],
  [100, 400]
] as const) {
  const of = (placed: boolean) =>
    median(Array.from({ length: 21 }, (_, i) => utilisation(workers, ahead, placed, `${i}`)))
  const [hash, queue] = [of(true), of(false)].map((share) => `${(100 * share).toFixed(0)}%`)
  console.log(
    `${String(workers).padStart(7)}  ${String(ahead).padStart(5)}  ${hash!.padStart(7)}  ${queue!.padStart(11)}`
  )
}
