/**
 * Constraints on costs that add up along the parts of a space, solved by dynamic programming.
 *
 * The space is a layered graph: level i has the entries that part i may be given, every value of part i is an edge to an
 * entry of level i + 1, and a point is a path. For every constraint the costs still to come are tabulated from the end backwards: their
 * least and most, and how many completions there are for every sum, with the sums rounded down to bins.
 */
import type { Constraint } from "../Constraint.ts"
import type { Chain, Entry } from "../Cost.ts"
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
  const terms = [first.costs[key]!]
  let entry = first.exit
  for (let i = 0; i < parts; i++) {
    const step = of.part(value, i, entry)
    terms.push(step.costs[key]!)
    entry = step.exit
  }
  terms.push(of.end(value, entry)[key]!)
  return { cost: terms.reduce((a, b) => a + b, 0), size: terms.reduce((a, b) => a + Math.abs(b), 0) }
}

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
interface Edges {
  readonly exits: Int32Array
  /** costs[k][value] for constraint k */
  readonly costs: ReadonlyArray<Float64Array>
  /** The values, cheapest first, since most bounds are upper ones: the order of searching. */
  readonly order: Int32Array
}

/** Completions counted by their rounded sum, for one constraint. */
interface Table {
  /** Width of a bin. */
  readonly bin: number
  /** The least that every part from a level on can cost, added up: what the rounded sums are counted from. */
  readonly baseToGo: ReadonlyArray<number>
  /** cumulative[level][state][b]: completions whose rounded sum is b at most. */
  readonly cumulative: ReadonlyArray<ReadonlyArray<Float64Array>>
  /** Whether every sum has a bin; otherwise only those up to the window's upper bound. */
  readonly full: boolean
  /** groups[level][state]: edges with the same exit and the same rounded cost. */
  readonly groups: ReadonlyArray<ReadonlyArray<ReadonlyArray<Group>>>
}

interface Group {
  readonly exit: number
  readonly bin: number
  readonly values: ReadonlyArray<number>
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
  const count = parts.length
  const ends = [...constraints.keys()]
  const chains = [...new Set(constraints.map((c) => c.chain.of))]
  const chainOf = constraints.map((c) => chains.indexOf(c.chain.of))
  const keys = constraints.map((c) => c.chain.key)

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

  // levels of states: a state is what every chain says comes in
  const asked = <B>(c: number, ask: (chain: Chain<A, string>) => B): B => {
    try {
      return ask(chains[c]!)
    } catch (cause) {
      throw new ChainFault(chainOf.indexOf(c), cause)
    }
  }
  const every = ends.length === 0 ? [] : chains.map((_, c) => c)
  const starts = every.map((c) => asked(c, (chain) => chain.start(anyValue)))
  const startCosts = constraints.map((_, k) => number(k, starts[chainOf[k]!]!.costs[keys[k]!]))
  const states: Array<Array<ReadonlyArray<Entry>>> = [[starts.map((s) => s.exit)]]
  const edges: Array<Array<Edges>> = []
  const spread = constraints.map(() => 1)
  for (const [i, part] of parts.entries()) {
    const values = Number(part.distinct)
    if (states[i]!.length * values > edgeLimit) return undefined
    const points = Array.from({ length: values }, (_, value) => showing(part, value))
    const next = new Map<string, number>()
    const nextStates: Array<ReadonlyArray<Entry>> = []
    edges.push(
      states[i]!.map((entries) => {
        const exits = new Int32Array(values)
        const costs = ends.map(() => new Float64Array(values))
        for (const [value, point] of points.entries()) {
          const results = every.map((c) => asked(c, (chain) => chain.part(point, i, entries[c]!)))
          const exit = results.map((r) => r.exit)
          const key = JSON.stringify(exit)
          let state = next.get(key)
          if (state === undefined) {
            next.set(key, (state = nextStates.length))
            nextStates.push(exit)
          }
          exits[value] = state
          for (const k of ends) costs[k]![value] = number(k, results[chainOf[k]!]!.costs[keys[k]!])
        }
        for (const k of ends) spread[k] = Math.max(spread[k]!, ...minMax(costs[k]!).map(Math.abs))
        return { exits, costs, order: new Int32Array(values) }
      })
    )
    states.push(nextStates)
  }
  for (const level of edges) {
    for (const { costs, order } of level) {
      const weight = Float64Array.from(order, (_, value) =>
        ends.reduce((sum, k) => sum + costs[k]![value]! / spread[k]!, 0)
      )
      order.set(Array.from(weight.keys()).sort((a, b) => weight[a]! - weight[b]!))
    }
  }
  const endCosts = ends.map((k) =>
    states[count]!.map((entries) => {
      const c = chainOf[k]!
      return number(k, asked(c, (chain) => chain.end(anyValue, entries[c]!))[keys[k]!])
    })
  )

  // least and most still to come
  const least = ends.map((k) => [endCosts[k]!])
  const most = ends.map((k) => [endCosts[k]!])
  for (let i = count - 1; i >= 0; i--) {
    for (const k of ends) {
      const [low, high] = [least[k]![0]!, most[k]![0]!]
      const lows: Array<number> = []
      const highs: Array<number> = []
      for (const { costs, exits } of edges[i]!) {
        let [l, h] = [Infinity, -Infinity]
        for (let value = 0; value < exits.length; value++) {
          l = Math.min(l, costs[k]![value]! + low[exits[value]!]!)
          h = Math.max(h, costs[k]![value]! + high[exits[value]!]!)
        }
        lows.push(l)
        highs.push(h)
      }
      least[k]!.unshift(lows)
      most[k]!.unshift(highs)
    }
  }

  const tables = ends.map((k) => tabulate(k, edges, endCosts[k]!, constraints[k]!, startCosts[k]!))

  // the rounded sum lies up to (levels left + 1) bins below the true one; one bin more for the rounding of sums of floats
  const wide = (table: Table, level: number, low: number, high: number): readonly [number, number] => {
    const base = table.baseToGo[level]!
    return [Math.ceil((low - base) / table.bin) - (count - level + 2), Math.floor((high - base) / table.bin) + 1]
  }
  const possible = (k: number, level: number, state: number, low: number, high: number) => {
    if (high < least[k]![level]![state]! || low > most[k]![level]![state]!) return false
    const table = tables[k]
    if (table === undefined) return true
    // above the bins that were tabulated for the constraint's own window nothing is known
    const [from, to] = wide(table, level, low, high)
    return (!table.full && to >= table.cumulative[level]![state]!.length) || between(table, level, state, from, to) > 0
  }
  const certain = (k: number, level: number, state: number, low: number, high: number) => {
    const l = least[k]![level]![state]!
    const h = most[k]![level]![state]!
    if (low <= l && h <= high) return true
    if (constraints.length > 1) return false
    if ((low <= l && l <= high) || (low <= h && h <= high)) return true
    const table = tables[k]
    if (table === undefined) return false
    const base = table.baseToGo[level]!
    const from = Math.ceil((low - base) / table.bin) + 1
    const to = Math.floor((high - base) / table.bin) - (count - level + 2)
    return from <= to && between(table, level, state, Math.max(0, from), to) > 0
  }

  /** Depth-first search for a completion whose costs lie between `low` and `high`; writes its values to `path`. */
  let steps = 0
  const search = (
    level: number,
    state: number,
    low: ReadonlyArray<number>,
    high: ReadonlyArray<number>,
    path: Array<number> | undefined
  ): boolean => {
    steps++
    if (!ends.every((k) => possible(k, level, state, low[k]!, high[k]!))) return false
    if (level === count) return ends.every((k) => endCosts[k]![state]! >= low[k]! && endCosts[k]![state]! <= high[k]!)
    if (path === undefined && ends.every((k) => certain(k, level, state, low[k]!, high[k]!))) return true
    const { costs, exits, order } = edges[level]![state]!
    for (const value of order) {
      if (steps > searchLimit) return path === undefined // masks let it pass, a witness must be real
      const l = ends.map((k) => low[k]! - costs[k]![value]!)
      const h = ends.map((k) => left(high[k]!, costs[k]![value]!))
      if (search(level + 1, exits[value]!, l, h, path)) {
        if (path !== undefined) path[level] = value
        return true
      }
    }
    return false
  }
  const lows = constraints.map((c, k) => c.min - startCosts[k]!)
  const highs = constraints.map((c, k) => left(c.max, startCosts[k]!))

  // the constraint that leaves the fewest proposals is sampled from, the others are left to rejection
  const proposalsOf = (k: number) => {
    const table = tables[k]
    return table === undefined ? Infinity : between(table, 0, 0, ...wide(table, 0, lows[k]!, highs[k]!))
  }
  const primary = ends.reduce<number | undefined>(
    (best, k) => (tables[k] !== undefined && (best === undefined || proposalsOf(k) < proposalsOf(best)) ? k : best),
    undefined
  )
  const all = Number(within)

  const propose = (prng: Prng, vector: Vector): boolean => {
    if (primary === undefined) {
      space.root.sample(prng, vector)
      return true
    }
    const table = tables[primary]!
    if (others) space.root.sample(prng, vector)
    let [from, to] = wide(table, 0, lows[primary]!, highs[primary]!)
    let state = 0
    for (let level = 0; level < count; level++) {
      const groups = table.groups[level]![state]!
      let rest = prng.nextFloat() * between(table, level, state, from, to)
      let taken: Group | undefined
      for (const group of groups) {
        const weight = group.values.length * between(table, level + 1, group.exit, from - group.bin, to - group.bin)
        if (weight === 0) continue
        taken = group
        rest -= weight
        if (rest < 0) break
      }
      if (taken === undefined) return false
      parts[level]!.unrank(BigInt(taken.values[prng.nextInt(taken.values.length)]!), vector)
      from -= taken.bin
      to -= taken.bin
      state = taken.exit
    }
    return true
  }

  const witness = (slack: number) => {
    steps = 0
    const path: Array<number> = []
    const widen = (bound: number) => slack * Math.max(Math.abs(bound), 1e-12)
    const low = constraints.map((c, k) => (c.min === -Infinity ? c.min : c.min - widen(c.min) - startCosts[k]!))
    const high = constraints.map((c, k) => left(c.max === Infinity ? c.max : c.max + widen(c.max), startCosts[k]!))
    const found = search(0, 0, low, high, path)
    const exhausted = steps > searchLimit
    if (!found) return { vector: undefined, exhausted, steps }
    const vector = blank.slice()
    parts.forEach((part, i) => part.unrank(BigInt(path[i]!), vector))
    return { vector, exhausted, steps }
  }

  const tries = parts.map((): Map<string, ReadonlyArray<Set<number>>> | undefined => undefined)
  const valuesByOption = (index: number, vector: Vector, site: Site): ReadonlyArray<Set<number>> | undefined => {
    const part = parts[index]!
    if (part.size > BigInt(partLimit)) return undefined
    const known = tries[index] ?? (tries[index] = trie(space.sites, part))
    return known.get(`${site.index}:${vector.subarray(part.first, site.index).join()}`)
  }

  const mask = (vector: Vector, site: Site): ReadonlyArray<boolean> => {
    const index = parts.findIndex((part) => site.index >= part.first && site.index < part.end)
    if (index < 0) return perSlot(site, () => true)
    let state = 0
    let low = lows
    let high = highs
    const canonical = vector.slice()
    for (let i = 0; i < index; i++) {
      parts[i]!.canonicalise(canonical)
      const value = Number(parts[i]!.rank(canonical))
      const { costs, exits } = edges[i]![state]!
      low = low.map((bound, k) => bound - costs[k]![value]!)
      high = high.map((bound, k) => left(bound, costs[k]![value]!))
      state = exits[value]!
    }
    const options = valuesByOption(index, vector, site)
    if (options === undefined) return perSlot(site, () => true)
    const { costs, exits } = edges[index]![state]!
    const answers = new Map<number, boolean>()
    const feasible = (value: number) => {
      let answer = answers.get(value)
      if (answer === undefined) {
        const l = low.map((bound, k) => bound - costs[k]![value]!)
        const h = high.map((bound, k) => left(bound, costs[k]![value]!))
        steps = 0
        answer = search(index + 1, exits[value]!, l, h, undefined)
        answers.set(value, answer)
      }
      return answer
    }
    return perSlot(site, (option) => {
      for (const value of options[option]!) if (feasible(value)) return true
      return false
    })
  }

  const costsOf = (vector: Vector): ReadonlyArray<Sum> => {
    let state = 0
    const sums = startCosts.map((cost) => ({ cost, size: Math.abs(cost) }))
    const add = (k: number, cost: number) => {
      sums[k]!.cost += cost
      sums[k]!.size += Math.abs(cost)
    }
    for (const [i, part] of parts.entries()) {
      const { costs, exits } = edges[i]![state]!
      const value = Number(part.rank(vector))
      for (const k of ends) add(k, costs[k]![value]!)
      state = exits[value]!
    }
    for (const k of ends) add(k, endCosts[k]![state]!)
    return sums
  }

  return {
    propose,
    share: (primary === undefined ? all : proposalsOf(primary)) / all,
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

/** Completions whose rounded sum is `from` to `to`. */
const between = (table: Table, level: number, state: number, from: number, to: number) => {
  const cumulative = table.cumulative[level]![state]!
  const high = Math.min(cumulative.length - 1, to)
  return high < 0 || high < from ? 0 : cumulative[high]! - (from > 0 ? cumulative[from - 1]! : 0)
}

const minMax = (costs: Float64Array): readonly [number, number] => {
  let [low, high] = [Infinity, -Infinity]
  for (const cost of costs) {
    low = Math.min(low, cost)
    high = Math.max(high, cost)
  }
  return [low, high]
}

/** How finely the window is divided: more bins make fewer proposals in vain, and a larger table. */
const binsPerWindow = 64
const mostBins = 8192

/** The table of one constraint, as far up as its window goes; undefined where its costs are not all finite. */
const tabulate = (
  k: number,
  edges: ReadonlyArray<ReadonlyArray<Edges>>,
  endCosts: ReadonlyArray<number>,
  window: { readonly min: number; readonly max: number },
  start: number
): Table | undefined => {
  const limits = [
    ...edges.map((level) => minMax(Float64Array.from(level.flatMap(({ costs }) => minMax(costs[k]!))))),
    minMax(Float64Array.from(endCosts))
  ]
  const base = limits.map(([low]) => low)
  const baseToGo = base.map((_, level) => base.slice(level).reduce((sum, b) => sum + b, 0))
  const range = limits.reduce((sum, [low, high]) => sum + high - low, 0)
  if (!Number.isFinite(range) || !Number.isFinite(start)) return undefined
  // in terms of what is above the base of the whole
  const high = Math.min(range, window.max - start - baseToGo[0]!)
  const low = Math.max(0, window.min - start - baseToGo[0]!)
  // a window below all sums has no bins: nothing is feasible, and nothing is known of what lies above
  const bin = high < 0 ? 1 : Math.max((high - low) / binsPerWindow, high / mostBins) || 1
  const bins = high < 0 ? 0 : Math.floor(high / bin) + 2

  const groups = edges.map((level, i) =>
    level.map(({ costs, exits }) => {
      const found = new Map<number, { exit: number; bin: number; values: Array<number> }>()
      for (let value = 0; value < exits.length; value++) {
        const at = Math.floor((costs[k]![value]! - base[i]!) / bin)
        if (at >= bins) continue
        const key = exits[value]! * bins + at
        const group = found.get(key)
        if (group === undefined) found.set(key, { exit: exits[value]!, bin: at, values: [value] })
        else group.values.push(value)
      }
      return [...found.values()]
    })
  )
  let below = endCosts.map((cost) => {
    const counts = new Float64Array(bins)
    const at = Math.floor((cost - base[edges.length]!) / bin)
    if (at < bins) counts[at] = 1
    return counts
  })
  const cumulative = [below.map(accumulate)]
  for (let i = edges.length - 1; i >= 0; i--) {
    const above = groups[i]!.map((list) => {
      const counts = new Float64Array(bins)
      for (const { bin: shift, exit, values } of list) {
        const source = below[exit]!
        const times = values.length
        for (let b = shift; b < bins; b++) counts[b]! += times * source[b - shift]!
      }
      return counts
    })
    cumulative.unshift(above.map(accumulate))
    below = above
  }
  return { bin, baseToGo, cumulative, full: high === range, groups }
}

const accumulate = (counts: Float64Array): Float64Array => {
  let sum = 0
  return counts.map((n) => (sum += n))
}

/** For every site of a part and the tokens before it there: the part's values that each option leaves possible. */
const trie = (sites: ReadonlyArray<Site>, part: Node<unknown>): Map<string, ReadonlyArray<Set<number>>> => {
  const out = new Map<string, ReadonlyArray<Set<number>>>()
  const canonical = new Int32Array(sites.length).fill(absent)
  for (const vector of assignments(sites, part.first, part.end)) {
    canonical.set(vector)
    part.canonicalise(canonical)
    const value = Number(part.rank(canonical))
    for (let i = part.first; i < part.end; i++) {
      const site = sites[i]!
      if (!siteExists(site, vector)) continue
      const key = `${i}:${vector.subarray(part.first, i).join()}`
      let options = out.get(key)
      if (options === undefined) out.set(key, (options = Array.from({ length: site.count }, () => new Set<number>())))
      options[vector[i]!]!.add(value)
    }
  }
  return out
}
