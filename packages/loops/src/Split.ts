/**
 * How the work of one tile is divided into independent shares: stretches of one of its loops along which nothing is summed. Every sum is computed in the same order, whichever thread does it.
 */

/** A loop of a tile that can be cut into shares, and how a kernel's arguments change from one share to the next. */
export interface Split {
  /** How often the loop runs. */
  readonly steps: number
  /** Shares begin at multiples of this many steps. */
  readonly grain: number
  /** The indices of the arguments that say how often the loop runs. */
  readonly counts: ReadonlyArray<number>
  /** How many bytes each argument moves per step, by index. */
  readonly moves: ReadonlyMap<number, number>
}

/**
 * A split of a kernel with named arguments.
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

/** More shares than this bring no benefit. */
const many = 8

/** The maximum number of shares. */
export const most = ({ grain, steps }: Split): number => Math.floor(steps / grain)

/** The first candidate that gives many shares, or else the one that gives most; `undefined` if none gives two. */
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

/** At most `limit` shares of about the same length. */
export const shares = (split: Split, limit: number): ReadonlyArray<Share> => {
  const { grain, steps } = split
  const count = Math.min(limit, most(split))
  const start = (i: number) => (i === count ? steps : grain * Math.floor((i * most(split)) / count))
  return Array.from({ length: count }, (_, i) => ({ from: start(i), steps: start(i + 1) - start(i) }))
}

/** The value of an argument for a share. */
export const argument = ({ counts, moves }: Split, { from, steps }: Share, place: number, value: number): number =>
  counts.includes(place) ? steps : value + from * (moves.get(place) ?? 0)
