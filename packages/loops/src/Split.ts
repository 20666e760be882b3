/**
 * How the work of one tile falls into shares that do not need each other: stretches of one of its loops, along which nothing is summed. Every sum is taken in the same order by whoever takes it.
 */

/** A loop of a tile that can be cut into shares, and what changes of a kernel's arguments from one share to the next. */
export interface Split {
  /** How often the loop runs. */
  readonly steps: number
  /** Shares begin at multiples of so many steps. */
  readonly grain: number
  /** The places of the arguments that say how often the loop runs. */
  readonly counts: ReadonlyArray<number>
  /** By how many bytes arguments move on with a step, by their places. */
  readonly moves: ReadonlyMap<number, number>
}

/**
 * A split of a kernel whose arguments have names.
 *
 * @example
 * Split.of(["x", "y", "count"], { steps: 100, counts: ["count"], moves: { x: 4, y: 32 } })
 */
export const of = <Name extends string>(
  names: ReadonlyArray<Name>,
  {
    counts,
    grain = 1,
    moves,
    steps
  }: {
    readonly steps: number
    readonly grain?: number
    readonly counts: ReadonlyArray<Name>
    readonly moves: Partial<Record<Name, number>>
  }
): Split => ({
  steps,
  grain,
  counts: counts.map((name) => names.indexOf(name)),
  moves: new Map(names.flatMap((name, place) => (name in moves ? [[place, moves[name] ?? 0]] : [])))
})

/** So many shares are as good as more. */
const many = 8

/** As many shares as it gives. */
export const most = ({ grain, steps }: Split): number => Math.floor(steps / grain)

/** The first of some that gives many shares, or the one that gives most; `undefined` where none gives two. */
export const best = (candidates: ReadonlyArray<Split>): Split | undefined => {
  const [longest] = candidates.toSorted((a, b) => most(b) - most(a))
  const found = candidates.find((split) => most(split) >= many) ?? longest
  return found === undefined || most(found) < 2 ? undefined : found
}

/** A share's part of the loop. */
export interface Share {
  readonly from: number
  readonly steps: number
}

/** At most so many shares of about the same length. */
export const shares = (split: Split, limit: number): ReadonlyArray<Share> => {
  const { grain, steps } = split
  const count = Math.min(limit, most(split))
  const start = (i: number) => (i === count ? steps : grain * Math.floor((i * most(split)) / count))
  return Array.from({ length: count }, (_, i) => ({ from: start(i), steps: start(i + 1) - start(i) }))
}

/** An argument as a share has it. */
export const argument = ({ counts, moves }: Split, { from, steps }: Share, place: number, value: number): number =>
  counts.includes(place) ? steps : value + from * (moves.get(place) ?? 0)
