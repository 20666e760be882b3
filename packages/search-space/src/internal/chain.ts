/**
 * Constraints on costs that add up along the parts of a space, solved by dynamic programming.
 *
 * The space is a layered graph: level i holds the entries that part i may receive, every value of part i is an edge to an
 * entry of level i + 1, and a point is a path. For every constraint, the remaining costs are tabulated from the end backwards: their
 * minimum and maximum, and the number of completions for every sum, with the sums rounded down to bins.
 */
import * as Arr from "effect/Array"
import type { Constraint } from "../Constraint.ts"
import type { Chain, Costs, Entry } from "../Cost.ts"
import type { Prng } from "../Prng.ts"
import { absent, exists as siteExists, type Site } from "../Site.ts"
import type { Space } from "../Space.ts"
import { assignments, type Node, type Vector } from "./node.ts"

/** Parts with more values than this are not tabulated. */
export const partLimit = 2 ** 17

export type Chained<A> = Constraint<A> & { readonly chain: { readonly of: Chain<A, string>; readonly key: string } }

export const isChained = <A>(constraint: Constraint<A>): constraint is Chained<A> => constraint.chain !== undefined

/** The parts that a chain sums over; undefined if the space has none at its focus. */
export const partsOf = (
  space: Space<unknown>,
  focus: ReadonlyArray<string | number> = []
): ReadonlyArray<Node<unknown>> | undefined => {
  let node: Node<unknown> | undefined = space.root
  for (const key of focus) node = node?.factor?.(key)
  if (node === undefined) return undefined
  return node.parts === undefined || node.parts.length === 0 ? [node] : node.parts
}

/** Whether the parts have few enough values to be tabulated. */
export const isTabular = (parts: ReadonlyArray<Node<unknown>>): boolean =>
  parts.every((part) => !part.infinite && part.distinct <= BigInt(partLimit))

/** A cost, and the sum of the absolute values of its terms, which sets the tolerance of comparisons. */
export interface Sum {
  readonly cost: number
  readonly size: number
}

/** A point's cost by a chain, asked part by part; throws what the chain throws. */
export const sumOf = <A>({ chain: { key, of } }: Pick<Chained<A>, "chain">, value: A, parts: number): Sum => {
  const first = of.start(value)
  let sum = plus(none, first.costs[key])
  let entry = first.exit
  for (let i = 0; i < parts; i++) {
    const step = of.part(value, i, entry)
    sum = plus(sum, step.costs[key])
    entry = step.exit
  }
  return plus(sum, of.end(value, entry)[key])
}

const none: Sum = { cost: 0, size: 0 }

/** A sum with another term. */
const plus = ({ cost, size }: Sum, term = Number.NaN): Sum => ({ cost: cost + term, size: size + Math.abs(term) })

/** With more edges than this in a level, a chain is not solved. */
const edgeLimit = 2 ** 24

/** A chain threw or returned something other than a number while it was being solved. */
export class ChainFault {
  readonly constraint: number
  readonly cause: unknown
  constructor(constraint: number, cause: unknown) {
    this.constraint = constraint
    this.cause = cause
  }
}

/** A site's mask: one entry for every option, or for every slot if the site has slots, which is true if one of its options is allowed. */
export const perSlot = (site: Site, allows: (option: number) => boolean): ReadonlyArray<boolean> => {
  const { count, slots } = site
  if (slots === undefined) return Array.from({ length: count }, (_, option) => allows(option))
  return slots.map((from, i) => {
    for (let option = from; option < (slots[i + 1] ?? count); option++) if (allows(option)) return true
    return false
  })
}

/** The edges from one state, one for every value of the part. */
interface Edges<C> {
  /** Where each edge leads: indices into the states of the next level. */
  readonly exits: Int32Array
  /** The cost of each. */
  readonly costs: C
}

/** What a part receives from all chains, and what may follow. */
interface State {
  /** The states of the next level; empty after the last part. */
  readonly next: ReadonlyArray<State>
  /** Where each value of the part leads: indices into `next`. */
  readonly exits: Int32Array
  /** The values in the order of the search: cheapest first, since most bounds are upper ones. */
  readonly order: Int32Array
  /** The state as seen by each constraint. */
  readonly sides: ReadonlyArray<Side>
}

/** A state as seen by one constraint. */
interface Side {
  /** The cost of every value of the part. */
  readonly costs: Float64Array
  /** The minimum and maximum of the remaining costs. */
  readonly least: number
  readonly most: number
  /** `undefined` unless all costs are finite. */
  readonly completions: Completions | undefined
}

/** How many completions a state has for every rounded sum, for one constraint. */
interface Completions {
  readonly grid: Grid
  /** How many parts remain. */
  readonly ahead: number
  /** The sum of their minimum costs, from which the rounded sums are counted. */
  readonly base: number
  /** cumulative[b]: the number of completions whose rounded sum is at most b. */
  readonly cumulative: Float64Array
  /** Edges with the same exit and the same rounded cost. */
  readonly groups: ReadonlyArray<Group>
}

interface Group {
  readonly exit: Completions
  /** The exit's, kept here because a draw reads those of every group. */
  readonly cumulative: Float64Array
  readonly bin: number
  readonly values: ReadonlyArray<number>
}

/** The bins to which a constraint's sums are rounded down. */
interface Grid {
  /** The width of a bin. */
  readonly bin: number
  /** Whether every sum has a bin; otherwise only those up to the window's upper bound. */
  readonly full: boolean
}

/** A constraint's bounds, and the cost before the first part. */
interface Bounds {
  readonly min: number
  readonly max: number
  readonly start: number
}

/** Bounds on the remaining costs, for every constraint. */
interface Window {
  readonly low: ReadonlyArray<number>
  readonly high: ReadonlyArray<number>
}

/** The search stops after this many steps. */
const searchLimit = 2_000_000

export interface ChainSolver {
  /** A path drawn uniformly from a set that contains all feasible points and few others; undefined if the set is empty. */
  readonly propose: (prng: Prng, vector: Vector) => boolean
  /** The share of all points that `propose` draws from. */
  readonly share: number
  /** A point that meets the constraints with their bounds widened by the share `slack`; `exhausted` if the search stopped early. */
  readonly witness: (slack: number) => {
    readonly vector: Vector | undefined
    readonly exhausted: boolean
    readonly steps: number
  }
  /** For the next site after a prefix, the options that some feasible point has. */
  readonly mask: (vector: Vector, site: Site) => ReadonlyArray<boolean>
  /** The cost of a canonical point by the tables, for every constraint. */
  readonly costs: (vector: Vector) => ReadonlyArray<Sum>
}

/**
 * Solves chains that share a focus over its parts. Throws `ChainFault` if a chain throws or returns something other than a number; returns nothing if there
 * would be too many edges, as when parts receive many different entries.
 */
export const solve = <A>(
  space: Space<A>,
  parts: ReadonlyArray<Node<unknown>>,
  constraints: ReadonlyArray<Chained<A>>
): ChainSolver | undefined => {
  // Constraints may share a chain, which is asked once.
  const chains = [...new Set(constraints.map(({ chain }) => chain.of))]
  const asked = <B>(chain: Chain<A, string>, ask: () => B): B => {
    try {
      return ask()
    } catch (cause) {
      throw new ChainFault(
        constraints.findIndex((constraint) => constraint.chain.of === chain),
        cause
      )
    }
  }

  // A point whose other parts are the seed's, to show one part's value to the cost functions.
  const blank = new Int32Array(space.sites.length).fill(absent)
  space.root.unrank(0n, blank)
  // Whatever is not a part of the chain costs nothing.
  const within = parts.reduce((n, part) => n * part.distinct, 1n)
  const others = within !== space.root.distinct || space.root.infinite
  const showing = (part: Node<unknown>, value: number): A => {
    const vector = blank.slice()
    part.unrank(BigInt(value), vector)
    return space.root.decode(vector)
  }
  const anyValue = space.root.decode(blank)

  const starts = chains.map((chain) => asked(chain, () => chain.start(anyValue)))
  const sought = constraints.map(({ chain, max, min }, k) => {
    const from = chains.indexOf(chain.of)
    const read = (said: ReadonlyArray<{ readonly costs: Costs<string> }>) => number(k, said[from]?.costs[chain.key])
    return { max, min, read, start: read(starts) }
  })

  // A state is the entries that all chains hand to a part.
  let states: ReadonlyArray<ReadonlyArray<Entry>> = [starts.map(({ exit }) => exit)]
  const levels: Array<ReadonlyArray<Edges<ReadonlyArray<Float64Array>>>> = []
  for (const [i, part] of parts.entries()) {
    const values = Number(part.distinct)
    if (states.length * values > edgeLimit) return undefined
    const points = Array.from({ length: values }, (_, value) => showing(part, value))
    const known = new Map<string, number>()
    const next: Array<ReadonlyArray<Entry>> = []
    levels.push(
      states.map((entries) => {
        const exits = new Int32Array(values)
        const columns = sought.map(({ read }) => ({ read, costs: new Float64Array(values) }))
        for (const [value, point] of points.entries()) {
          const said = Arr.zipWith(chains, entries, (chain, entry) => asked(chain, () => chain.part(point, i, entry)))
          const exit = said.map((answer) => answer.exit)
          const key = JSON.stringify(exit)
          let state = known.get(key)
          if (state === undefined) {
            known.set(key, (state = next.length))
            next.push(exit)
          }
          exits[value] = state
          for (const { costs, read } of columns) costs[value] = read(said)
        }
        return { exits, costs: columns.map(({ costs }) => costs) }
      })
    )
    states = next
  }
  const ends = states.map((entries) => {
    const said = Arr.zipWith(chains, entries, (chain, entry) => ({
      costs: asked(chain, () => chain.end(anyValue, entry))
    }))
    return sought.map(({ read }) => read(said))
  })
  const root = rootOf(levels, ends, sought)

  /** The bounds on what comes after the start, widened by a share. */
  const windowOf = (slack: number): Window => {
    const widen = (bound: number) => (Number.isFinite(bound) ? slack * Math.max(Math.abs(bound), 1e-12) : 0)
    return {
      low: sought.map(({ min, start }) => min - widen(min) - start),
      high: sought.map(({ max, start }) => left(max + widen(max), start))
    }
  }
  const certain = ({ completions, least, most }: Side, low: number, high: number) => {
    if (low <= least && most <= high) return true
    if (constraints.length > 1) return false
    if ((low <= least && least <= high) || (low <= most && most <= high)) return true
    if (completions === undefined) return false
    const { ahead, base, grid } = completions
    const from = Math.ceil((low - base) / grid.bin) + 1
    const to = Math.floor((high - base) / grid.bin) - (ahead + 2)
    return from <= to && between(completions.cumulative, Math.max(0, from), to) > 0
  }

  /** Depth-first search for a completion whose costs lie in the window; prepends its values to `path`. */
  let steps = 0
  const search = (state: State, window: Window, path: Array<number> | undefined): boolean => {
    steps++
    if (!everySide(state, window, possible)) return false
    if (state.next.length === 0) return everySide(state, window, met)
    if (path === undefined && everySide(state, window, certain)) return true
    for (const value of state.order) {
      if (steps > searchLimit) return path === undefined // A mask may let it pass, a witness must be real.
      if (search(exitOf(state, value), after(state, value, window), path)) {
        path?.unshift(value)
        return true
      }
    }
    return false
  }

  // Proposals are drawn for the constraint that leaves the fewest; rejection takes care of the others.
  const window = windowOf(0)
  const proposals = root.sides.flatMap(({ completions }, k) => {
    if (completions === undefined) return []
    const [from, to] = wide(completions, window.low[k] ?? Number.NaN, window.high[k] ?? Number.NaN)
    return [{ completions, from, to, count: between(completions.cumulative, from, to) }]
  })
  const fewest = proposals.reduce<(typeof proposals)[number] | undefined>(
    (best, each) => (best === undefined || each.count < best.count ? each : best),
    undefined
  )
  const all = Number(within)

  const propose = (prng: Prng, vector: Vector): boolean => {
    if (fewest === undefined) {
      space.root.sample(prng, vector)
      return true
    }
    if (others) space.root.sample(prng, vector)
    let { completions, from, to } = fewest
    for (const part of parts) {
      let rest = prng.nextFloat() * between(completions.cumulative, from, to)
      let taken: Group | undefined
      for (const group of completions.groups) {
        const weight = group.values.length * between(group.cumulative, from - group.bin, to - group.bin)
        if (weight === 0) continue
        taken = group
        rest -= weight
        if (rest < 0) break
      }
      if (taken === undefined) return false
      part.unrank(BigInt(Arr.getUnsafe(taken.values, prng.nextInt(taken.values.length))), vector)
      from -= taken.bin
      to -= taken.bin
      completions = taken.exit
    }
    return true
  }

  const witness = (slack: number) => {
    steps = 0
    const path: Array<number> = []
    const found = search(root, windowOf(slack), path)
    const exhausted = steps > searchLimit
    if (!found) return { vector: undefined, exhausted, steps }
    const vector = blank.slice()
    for (const [part, value] of Arr.zip(parts, path)) part.unrank(BigInt(value), vector)
    return { vector, exhausted, steps }
  }

  const tries = new Map<Node<unknown>, Trie>()
  const valuesByOption = (part: Node<unknown>, vector: Vector, site: Site): ReadonlyArray<Set<number>> | undefined => {
    if (part.size > BigInt(partLimit)) return undefined
    let known = tries.get(part)
    if (known === undefined) tries.set(part, (known = trie(space.sites, part)))
    return known.get(`${site.index}:${vector.subarray(part.first, site.index).join()}`)
  }

  const mask = (vector: Vector, site: Site): ReadonlyArray<boolean> => {
    const index = parts.findIndex((part) => site.index >= part.first && site.index < part.end)
    const here = parts[index]
    if (here === undefined) return perSlot(site, () => true)
    let state = root
    let ahead = window
    const canonical = vector.slice()
    for (const part of parts.slice(0, index)) {
      part.canonicalise(canonical)
      const value = Number(part.rank(canonical))
      ahead = after(state, value, ahead)
      state = exitOf(state, value)
    }
    const options = valuesByOption(here, vector, site)
    if (options === undefined) return perSlot(site, () => true)
    const answers = new Map<number, boolean>()
    const feasible = (value: number) => {
      let answer = answers.get(value)
      if (answer === undefined) {
        steps = 0
        answer = search(exitOf(state, value), after(state, value, ahead), undefined)
        answers.set(value, answer)
      }
      return answer
    }
    return perSlot(site, (option) => {
      for (const value of Arr.getUnsafe(options, option)) if (feasible(value)) return true
      return false
    })
  }

  const costsOf = (vector: Vector): ReadonlyArray<Sum> => {
    let state = root
    let sums: ReadonlyArray<Sum> = sought.map(({ start }) => plus(none, start))
    for (const part of parts) {
      const value = Number(part.rank(vector))
      sums = Arr.zipWith(sums, state.sides, (sum, { costs }) => plus(sum, costs[value]))
      state = exitOf(state, value)
    }
    return Arr.zipWith(sums, state.sides, (sum, { least }) => plus(sum, least))
  }

  return {
    propose,
    share: (fewest === undefined ? all : fewest.count) / all,
    witness,
    mask,
    costs: costsOf
  }
}

/** A cost that can be summed: +Infinity may be, since nothing can offset it, but neither NaN nor −Infinity. */
const number = (k: number, cost: number | undefined): number => {
  if (cost === undefined || !(cost > -Infinity)) throw new ChainFault(k, `it gives ${cost}`)
  return cost
}

/** What remains of an upper bound after a cost. If there is no bound, there is none afterwards, even after an infinite cost. */
const left = (bound: number, cost: number): number => (bound === Infinity ? bound : bound - cost)

/** The state that a value leads to. */
const exitOf = ({ exits, next }: State, value: number): State => Arr.getUnsafe(next, exits[value] ?? absent)

/** The window that remains after a value. */
const after = ({ sides }: State, value: number, { high, low }: Window): Window => ({
  low: sides.map(({ costs }, k) => (low[k] ?? Number.NaN) - (costs[value] ?? Number.NaN)),
  high: sides.map(({ costs }, k) => left(high[k] ?? Number.NaN, costs[value] ?? Number.NaN))
})

/** Whether a predicate holds for every constraint within its bounds. */
const everySide = (
  { sides }: State,
  { high, low }: Window,
  holds: (side: Side, low: number, high: number) => boolean
): boolean => sides.every((side, k) => holds(side, low[k] ?? Number.NaN, high[k] ?? Number.NaN))

/** Whether a completion within the bounds may exist. */
const possible = ({ completions, least, most }: Side, low: number, high: number): boolean => {
  if (high < least || low > most) return false
  if (completions === undefined) return true
  const { cumulative, grid } = completions
  const [from, to] = wide(completions, low, high)
  // Nothing is known above the bins that were tabulated for the constraint's own window.
  return (!grid.full && to >= cumulative.length) || between(cumulative, from, to) > 0
}

/** Whether the final cost lies within the bounds. */
const met = ({ least }: Side, low: number, high: number): boolean => least >= low && least <= high

/**
 * The range of rounded sums that bounds correspond to: a rounded sum is up to (remaining parts + 1) bins below the true one, and another bin allows for
 * floating-point error.
 */
const wide = ({ ahead, base, grid }: Completions, low: number, high: number): readonly [from: number, to: number] => [
  Math.ceil((low - base) / grid.bin) - (ahead + 2),
  Math.floor((high - base) / grid.bin) + 1
]

/** The number of completions with a rounded sum from `from` to `to`. */
const between = (cumulative: Float64Array, from: number, to: number): number => {
  const high = Math.min(cumulative.length - 1, to)
  if (high < 0 || high < from) return 0
  return (cumulative[high] ?? Number.NaN) - (from > 0 ? (cumulative[from - 1] ?? Number.NaN) : 0)
}

const minMax = (costs: Float64Array): readonly [number, number] => {
  let [low, high] = [Infinity, -Infinity]
  for (const cost of costs) {
    low = Math.min(low, cost)
    high = Math.max(high, cost)
  }
  return [low, high]
}

/** The first state. It and its successors are computed from the end backwards. */
const rootOf = (
  levels: ReadonlyArray<ReadonlyArray<Edges<ReadonlyArray<Float64Array>>>>,
  ends: ReadonlyArray<ReadonlyArray<number>>,
  sought: ReadonlyArray<Bounds>
): State => {
  const columns = sought.map((bounds, k) =>
    columnOf(
      levels.map((level) => level.map(({ costs, exits }) => ({ exits, costs: Arr.getUnsafe(costs, k) }))),
      ends.map((costs) => Arr.getUnsafe(costs, k)),
      bounds
    )
  )
  const largest = columns.map((column) => column.largest)
  const last = ends.map((): Edges<ReadonlyArray<Float64Array>> => ({ exits: new Int32Array(), costs: [] }))
  const first = [...levels, last].reduceRight<ReadonlyArray<State>>(
    (next, level, i) =>
      level.map(({ costs, exits }, state) => ({
        exits,
        next,
        order: cheapestFirst(exits.length, costs, largest),
        sides: columns.map(({ sides }) => Arr.getUnsafe(Arr.getUnsafe(sides, i), state))
      })),
    []
  )
  return Arr.getUnsafe(first, 0)
}

/** The values, cheapest first by the sum of their costs, each as a share of the largest. */
const cheapestFirst = (
  values: number,
  costs: ReadonlyArray<Float64Array>,
  largest: ReadonlyArray<number>
): Int32Array => {
  const weights = new Float64Array(values)
  for (const [of, most] of Arr.zip(costs, largest)) {
    for (let value = 0; value < values; value++)
      weights[value] = (weights[value] ?? Number.NaN) + (of[value] ?? Number.NaN) / most
  }
  return Int32Array.from(weights.keys()).sort((a, b) => (weights[a] ?? Number.NaN) - (weights[b] ?? Number.NaN))
}

/** The states of every level as seen by one constraint, including the end, and the largest cost of a value, at least 1. */
const columnOf = (
  edges: ReadonlyArray<ReadonlyArray<Edges<Float64Array>>>,
  ends: ReadonlyArray<number>,
  bounds: Bounds
): { readonly sides: ReadonlyArray<ReadonlyArray<Side>>; readonly largest: number } => {
  const limits = edges.map((level) => minMax(Float64Array.from(level.flatMap(({ costs }) => minMax(costs)))))
  const completions = tabulate(edges, ends, limits, bounds)
  let below: ReadonlyArray<Side> = ends.map((cost, state) => ({
    costs: new Float64Array(),
    least: cost,
    most: cost,
    completions: completions?.at(-1)?.[state]
  }))
  const sides = [below]
  for (const [i, level] of [...edges.entries()].toReversed()) {
    const lows = Float64Array.from(below, ({ least }) => least)
    const highs = Float64Array.from(below, ({ most }) => most)
    below = level.map(({ costs, exits }, state) => {
      let [least, most] = [Infinity, -Infinity]
      for (let value = 0; value < exits.length; value++) {
        const cost = costs[value] ?? Number.NaN
        const exit = exits[value] ?? absent
        least = Math.min(least, cost + (lows[exit] ?? Number.NaN))
        most = Math.max(most, cost + (highs[exit] ?? Number.NaN))
      }
      return { costs, least, most, completions: completions?.[i]?.[state] }
    })
    sides.unshift(below)
  }
  return { sides, largest: Math.max(1, ...limits.flat().map(Math.abs)) }
}

/** How finely the window is divided: with more bins fewer proposals are rejected, and the table is larger. */
const binsPerWindow = 64
const mostBins = 8192

/** The completions of every level and state for one constraint, up to its window's upper bound; undefined unless all of its costs are finite. */
const tabulate = (
  edges: ReadonlyArray<ReadonlyArray<Edges<Float64Array>>>,
  ends: ReadonlyArray<number>,
  limitsOfParts: ReadonlyArray<readonly [low: number, high: number]>,
  { max, min, start }: Bounds
): ReadonlyArray<ReadonlyArray<Completions>> | undefined => {
  const limitsOfEnd = minMax(Float64Array.from(ends))
  const limits = [...limitsOfParts, limitsOfEnd]
  const range = limits.reduce((sum, [low, high]) => sum + high - low, 0)
  if (!Number.isFinite(range) || !Number.isFinite(start)) return undefined
  const baseFrom = (level: number) => limits.slice(level).reduce((sum, [low]) => sum + low, 0)
  // Relative to the base of the whole chain.
  const high = Math.min(range, max - start - baseFrom(0))
  const low = Math.max(0, min - start - baseFrom(0))
  // A window below all sums has no bins: nothing is feasible, and nothing is known of sums above it.
  const bin = high < 0 ? 1 : Math.max((high - low) / binsPerWindow, high / mostBins) || 1
  const bins = high < 0 ? 0 : Math.floor(high / bin) + 2
  const grid = { bin, full: high === range }

  const counted = (level: number, counts: Float64Array, groups: ReadonlyArray<Group>) => ({
    counts,
    completions: { grid, ahead: edges.length - level, base: baseFrom(level), cumulative: accumulate(counts), groups }
  })
  let below = ends.map((cost) => {
    const counts = new Float64Array(bins)
    const at = Math.floor((cost - limitsOfEnd[0]) / bin)
    if (at < bins) counts[at] = 1
    return counted(edges.length, counts, [])
  })
  const levels = [below.map(({ completions }) => completions)]
  for (const [i, [level, [base]]] of [...Arr.zip(edges, limitsOfParts).entries()].toReversed()) {
    const next = below
    below = level.map(({ costs, exits }) => {
      const groups = new Map<number, { readonly exit: number; readonly bin: number; readonly values: Array<number> }>()
      for (let value = 0; value < exits.length; value++) {
        const at = Math.floor(((costs[value] ?? Number.NaN) - base) / bin)
        if (at >= bins) continue
        const exit = exits[value] ?? absent
        const key = exit * bins + at
        const group = groups.get(key)
        if (group === undefined) groups.set(key, { exit, bin: at, values: [value] })
        else group.values.push(value)
      }
      const counts = new Float64Array(bins)
      const linked = Array.from(groups.values(), (group): Group => {
        const exit = Arr.getUnsafe(next, group.exit)
        const times = group.values.length
        for (let b = group.bin; b < bins; b++)
          counts[b] = (counts[b] ?? Number.NaN) + times * (exit.counts[b - group.bin] ?? Number.NaN)
        const { cumulative } = exit.completions
        return { exit: exit.completions, cumulative, bin: group.bin, values: group.values }
      })
      return counted(i, counts, linked)
    })
    levels.unshift(below.map(({ completions }) => completions))
  }
  return levels
}

const accumulate = (counts: Float64Array): Float64Array => {
  let sum = 0
  return counts.map((n) => (sum += n))
}

type Trie = ReadonlyMap<string, ReadonlyArray<Set<number>>>

/** For every site of a part and the tokens before it in that part, the part's values that each option leaves possible. */
const trie = (sites: ReadonlyArray<Site>, part: Node<unknown>): Trie => {
  const out = new Map<string, ReadonlyArray<Set<number>>>()
  const canonical = new Int32Array(sites.length).fill(absent)
  const own = sites.slice(part.first, part.end)
  for (const vector of assignments(sites, part.first, part.end)) {
    canonical.set(vector)
    part.canonicalise(canonical)
    const value = Number(part.rank(canonical))
    for (const site of own) {
      if (!siteExists(site, vector)) continue
      const key = `${site.index}:${vector.subarray(part.first, site.index).join()}`
      let options = out.get(key)
      if (options === undefined) out.set(key, (options = Array.from({ length: site.count }, () => new Set<number>())))
      Arr.getUnsafe(options, vector[site.index] ?? absent).add(value)
    }
  }
  return out
}
