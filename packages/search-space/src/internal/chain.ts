/**
 * Constraints on costs that add up along the parts of a space, solved by dynamic programming.
 *
 * The space is a layered graph: level i has the entries that part i may be given, every value of part i is an edge to an
 * entry of level i + 1, and a point is a path. For every constraint the costs still to come are tabulated from the end backwards: their
 * least and most, and how many completions there are for every sum, with the sums rounded down to bins.
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

/** The parts that a chain adds up over; undefined where the space has none there. */
export const partsOf = (
  space: Space<unknown>,
  focus: ReadonlyArray<string | number> = []
): ReadonlyArray<Node<unknown>> | undefined => {
  let node: Node<unknown> | undefined = space.root
  for (const key of focus) node = node?.factor?.(key)
  if (node === undefined) return undefined
  return node.parts === undefined || node.parts.length === 0 ? [node] : node.parts
}

/** Whether the parts are few enough to be tabulated. */
export const isTabular = (parts: ReadonlyArray<Node<unknown>>): boolean =>
  parts.every((part) => !part.infinite && part.distinct <= BigInt(partLimit))

/** A cost, and the sum of its terms without their signs, for comparing. */
export interface Sum {
  readonly cost: number
  readonly size: number
}

/** What a chain says of a point, asked part by part; throws what the chain throws. */
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

/** A sum with one more term. */
const plus = ({ cost, size }: Sum, term = Number.NaN): Sum => ({ cost: cost + term, size: size + Math.abs(term) })

/** Edges of one level, beyond which a chain is not worked out. */
const edgeLimit = 2 ** 24

/** A chain that throws or gives no number, noticed while it is worked out. */
export class ChainFault {
  readonly constraint: number
  readonly cause: unknown
  constructor(constraint: number, cause: unknown) {
    this.constraint = constraint
    this.cause = cause
  }
}

/** A mask of a site: an entry for every option, or for every slot of a site that has slots, true where one of its options is allowed. */
export const perSlot = (site: Site, allows: (option: number) => boolean): ReadonlyArray<boolean> => {
  const { count, slots } = site
  if (slots === undefined) return Array.from({ length: count }, (_, option) => allows(option))
  return slots.map((from, i) => {
    for (let option = from; option < (slots[i + 1] ?? count); option++) if (allows(option)) return true
    return false
  })
}

/** The edges out of one state, one for every value of the part. */
interface Edges<C> {
  /** Where each leads: positions among the states of the next level. */
  readonly exits: Int32Array
  /** What each costs. */
  readonly costs: C
}

/** What comes into a part by all chains, and what may follow. */
interface State {
  /** The states of the next level; none after the last part. */
  readonly next: ReadonlyArray<State>
  /** Where each value of the part leads: positions in `next`. */
  readonly exits: Int32Array
  /** The values, cheapest first, since most bounds are upper ones: the order of searching. */
  readonly order: Int32Array
  /** What it is for every constraint. */
  readonly sides: ReadonlyArray<Side>
}

/** What a state is for one constraint. */
interface Side {
  /** What every value of the part costs. */
  readonly costs: Float64Array
  /** The least and the most that is still to come. */
  readonly least: number
  readonly most: number
  /** `undefined` where not all costs are finite. */
  readonly completions: Completions | undefined
}

/** Completions of a state counted by their rounded sum, for one constraint. */
interface Completions {
  readonly grid: Grid
  /** How many parts are still to come. */
  readonly ahead: number
  /** The least that each of them can cost, added up: what the rounded sums are counted from. */
  readonly base: number
  /** cumulative[b]: completions whose rounded sum is b at most. */
  readonly cumulative: Float64Array
  /** Edges with the same exit and the same rounded cost. */
  readonly groups: ReadonlyArray<Group>
}

interface Group {
  readonly exit: Completions
  /** The exit's: a draw looks at those of every group. */
  readonly cumulative: Float64Array
  readonly bin: number
  readonly values: ReadonlyArray<number>
}

/** The bins to which one constraint's sums are rounded down. */
interface Grid {
  /** Width of a bin. */
  readonly bin: number
  /** Whether every sum has a bin; otherwise only those up to the window's upper bound. */
  readonly full: boolean
}

/** One constraint's bounds, and what there is before the first part. */
interface Bounds {
  readonly min: number
  readonly max: number
  readonly start: number
}

/** Bounds on what is still to come, for every constraint. */
interface Window {
  readonly low: ReadonlyArray<number>
  readonly high: ReadonlyArray<number>
}

/** A search that takes more steps than this is given up. */
const searchLimit = 2_000_000

export interface ChainSolver {
  /** A path drawn with equal chances from a set that contains all feasible points and few others; undefined where it is empty. */
  readonly propose: (prng: Prng, vector: Vector) => boolean
  /** The share of the points that `propose` draws from. */
  readonly share: number
  /** Some point that meets the constraints with their bounds widened by a share `slack`; `exhausted` where the search was given up. */
  readonly witness: (slack: number) => {
    readonly vector: Vector | undefined
    readonly exhausted: boolean
    readonly steps: number
  }
  /** For the next site after a prefix, which options some feasible point has. */
  readonly mask: (vector: Vector, site: Site) => ReadonlyArray<boolean>
  /** What a canonical point costs by the tables, for every constraint. */
  readonly costs: (vector: Vector) => ReadonlyArray<Sum>
}

/**
 * Works out chains with one focus over its parts. Throws `ChainFault` where a chain throws or gives no number; gives nothing where there would be too
 * many edges: parts that are told many different things. */
export const solve = <A>(
  space: Space<A>,
  parts: ReadonlyArray<Node<unknown>>,
  constraints: ReadonlyArray<Chained<A>>
): ChainSolver | undefined => {
  // constraints may share a chain, which is asked once
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

  // a point whose other parts are the seed's, to show one part's value to the cost functions
  const blank = new Int32Array(space.sites.length).fill(absent)
  space.root.unrank(0n, blank)
  // whatever is not a part of the chain costs nothing
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

  // levels of states: a state is what every chain says comes in
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

  /** The bounds, widened by a share, on what comes after the start. */
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

  /** Depth-first search for a completion whose costs lie in the window; puts its values before those of `path`. */
  let steps = 0
  const search = (state: State, window: Window, path: Array<number> | undefined): boolean => {
    steps++
    if (!everySide(state, window, possible)) return false
    if (state.next.length === 0) return everySide(state, window, met)
    if (path === undefined && everySide(state, window, certain)) return true
    for (const value of state.order) {
      if (steps > searchLimit) return path === undefined // masks let it pass, a witness must be real
      if (search(exitOf(state, value), after(state, value, window), path)) {
        path?.unshift(value)
        return true
      }
    }
    return false
  }

  // the constraint that leaves the fewest proposals is sampled from, the others are left to rejection
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

/** A cost that sums can be made of. Of one that is infinite the rest is still known, where nothing makes up for it. */
const number = (k: number, cost: number | undefined): number => {
  if (cost === undefined || !(cost > -Infinity)) throw new ChainFault(k, `it gives ${cost}`)
  return cost
}

/** What is left of an upper bound: of none all, even after an infinite cost. */
const left = (bound: number, cost: number): number => (bound === Infinity ? bound : bound - cost)

/** The state that a value leads to. */
const exitOf = ({ exits, next }: State, value: number): State => Arr.getUnsafe(next, exits[value] ?? absent)

/** The window after a value. */
const after = ({ sides }: State, value: number, { high, low }: Window): Window => ({
  low: sides.map(({ costs }, k) => (low[k] ?? Number.NaN) - (costs[value] ?? Number.NaN)),
  high: sides.map(({ costs }, k) => left(high[k] ?? Number.NaN, costs[value] ?? Number.NaN))
})

/** Whether something holds for every constraint, with its bounds. */
const everySide = (
  { sides }: State,
  { high, low }: Window,
  holds: (side: Side, low: number, high: number) => boolean
): boolean => sides.every((side, k) => holds(side, low[k] ?? Number.NaN, high[k] ?? Number.NaN))

/** Whether a completion within bounds is not ruled out. */
const possible = ({ completions, least, most }: Side, low: number, high: number): boolean => {
  if (high < least || low > most) return false
  if (completions === undefined) return true
  const { cumulative, grid } = completions
  const [from, to] = wide(completions, low, high)
  // above the bins that were tabulated for the constraint's own window nothing is known
  return (!grid.full && to >= cumulative.length) || between(cumulative, from, to) > 0
}

/** Whether the cost of the end lies within bounds. */
const met = ({ least }: Side, low: number, high: number): boolean => least >= low && least <= high

/**
 * The rounded sums that bounds may stand for: one lies up to (parts to come + 1) bins below the true sum; one bin more for the rounding of sums
 * of floats.
 */
const wide = ({ ahead, base, grid }: Completions, low: number, high: number): readonly [from: number, to: number] => [
  Math.ceil((low - base) / grid.bin) - (ahead + 2),
  Math.floor((high - base) / grid.bin) + 1
]

/** Completions whose rounded sum is `from` to `to`. */
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

/** The first state. All that is known of it and of those after it is worked out from the end backwards. */
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

/** The values, cheapest first: by the sum of their costs, each as a share of the largest one. */
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

/** What the states of every level are for one constraint, the end among them; and the largest cost of a value, at least 1. */
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

/** How finely the window is divided: more bins make fewer proposals in vain, and a larger table. */
const binsPerWindow = 64
const mostBins = 8192

/** Completions counted for one constraint by level and state, as far up as its window goes; undefined where its costs are not all finite. */
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
  // in terms of what is above the base of the whole
  const high = Math.min(range, max - start - baseFrom(0))
  const low = Math.max(0, min - start - baseFrom(0))
  // a window below all sums has no bins: nothing is feasible, and nothing is known of what lies above
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

/** For every site of a part and the tokens before it there: the part's values that each option leaves possible. */
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
