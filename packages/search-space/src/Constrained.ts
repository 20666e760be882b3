/**
 * A space under constraints: samples, counts and masks the points that meet them, before anything is trained.
 *
 * **Method.** `make` picks one of three methods for the constraints:
 *
 * - all constraints have a `Cost.Chain` (or some do, and rejection handles the rest): dynamic programming over the parts. However rare
 *   feasible points are, sampling costs about the same.
 * - the space has few points (`enumerate`, default 20,000): all of them are evaluated.
 * - otherwise: rejection from uniform samples, which takes 1 / (feasible share) cost evaluations per sample.
 *
 * **Chains are not trusted.** `make` compares the chain with the cost itself on the seed point and 64 fixed points, both for the chain's own sum and for
 * its tables. If they differ (a chain made for another layout, or a part's cost that looks at another part), the chain is not used: its constraint is handled like one
 * without a chain, which is slower but just as correct, and `mismatches` reports it. Refusing instead would make a cost whose chain fits the usual layout useless on every other one.
 *
 * **Distribution.** With all three methods, `sampleWithin` draws uniformly from the feasible distinct values, exactly like
 * rejection sampling from `Space.sample`. (Dynamic programming draws uniformly from a slightly larger set and rejects
 * what is outside; its counts are doubles, so probabilities are equal to about one part in 10¹⁵.)
 */
import * as Arr from "effect/Array"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Constraint from "./Constraint.ts"
import {
  type Chained,
  ChainFault,
  type ChainSolver,
  isChained,
  isTabular,
  partsOf,
  perSlot,
  solve,
  sumOf
} from "./internal/chain.ts"
import { assignments, type Node, repair, type Vector } from "./internal/node.ts"
import { stableStringify } from "./internal/stable.ts"
import * as Prng from "./Prng.ts"
import { absent, exists, isNumeric, type Site } from "./Site.ts"
import * as Space from "./Space.ts"
import type { InvalidTokens } from "./SpaceError.ts"

/** A space with its constraints, ready for sampling. Made by `make`. */
export interface Constrained<in out A> {
  readonly space: Space.Space<A>
  readonly constraints: ReadonlyArray<Constraint.Constraint<A>>
  /** The chains that do not fit the space and are not used; empty if all fit. */
  readonly mismatches: ReadonlyArray<ChainMismatch>
  /** @internal */
  readonly engine: Engine
}

/** @internal */
export type Engine =
  | {
      readonly _tag: "Enumerated"
      readonly feasible: ReadonlyArray<bigint>
      readonly prefixes: () => ReadonlySet<string>
    }
  | { readonly _tag: "Chained"; readonly solver: ChainSolver; readonly attempts: number }
  | { readonly _tag: "Rejection"; readonly attempts: number }

/**
 * No point meets the constraints, or none was found. `proven` tells which: either the whole space was searched, or only `drawn` points were.
 * Carries the closest point that exists (or was found) as JSON, with its quantity for each constraint.
 */
export class Infeasible extends Schema.TaggedError<Infeasible>()("Infeasible", {
  proven: Schema.Boolean,
  drawn: Schema.Int,
  closest: Schema.Unknown,
  /** The closest point's quantity for every constraint. */
  quantities: Schema.Array(Constraint.Violation)
}) {
  override get message() {
    const wanted = this.quantities.map(Constraint.print).join(", ")
    const has = this.quantities.map((q) => `${q.name} ${q.value}`).join(", ")
    const missed = this.quantities.some(
      (q) => Constraint.excess(q.value)({ min: q.min ?? -Infinity, max: q.max ?? Infinity }) > 0
    )
    const said = this.proven
      ? `No point in the search space has ${wanted}`
      : `None of ${this.drawn} points drawn from the search space has ${wanted}`
    const remedy = missed
      ? `The closest has ${has}: loosen the bounds to include it, or change the space`
      : `At least one exists, with ${has}: raise \`attempts\`, or give the cost a chain so that rare points are found`
    return `${said}. ${remedy}. That point is ${stableStringify(this.closest)}`
  }
}

/** A cost that cannot be computed for a point of the space: its function throws or returns NaN. */
export class CostFailed extends Schema.TaggedError<CostFailed>()("CostFailed", {
  /** The constraint's name. */
  cost: Schema.String,
  /** The point, as JSON. */
  point: Schema.Unknown,
  /** What its function does, in words. */
  problem: Schema.String
}) {
  override get message() {
    return `The cost ${this.cost} ${this.problem} for ${stableStringify(this.point)}. Make it return a number for every point of the space, or leave such points out.`
  }
}

/** A chain whose value for a point differs from that of its cost. */
export class ChainMismatch extends Schema.TaggedError<ChainMismatch>()("ChainMismatch", {
  /** The constraint's name. */
  cost: Schema.String,
  /** The point, as JSON. */
  point: Schema.Unknown,
  /** The chain's value; NaN if it throws. */
  chain: Schema.Number,
  /** The cost's value. */
  of: Schema.Number,
  /** Why the chain has no value, if it has none. */
  problem: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const said = this.problem === undefined ? `gives ${this.chain}` : `fails (${this.problem})`
    return `The chain of the cost ${this.cost} does not fit this space: it ${said} but the cost is ${this.of}, for ${stableStringify(this.point)}. Use the cost with the space that it was made for, or without its chain.`
  }
}

/** Options of `make`. */
export interface Options {
  /** Without a chain, spaces of up to this many distinct values are enumerated point by point. Default 20,000. */
  readonly enumerate?: number
  /** Points drawn for one sample before giving up. Default 100,000. */
  readonly attempts?: number
}

/**
 * Puts a space under constraints. Fails with `Infeasible` if it is already certain that no point meets them. It can always tell if the space is small or all
 * constraints have a chain that fits; otherwise only `sampleWithin` finds out. Fails with `CostFailed` if a cost cannot be computed for a point that was evaluated.
 *
 * Without constraints the result behaves like the space itself, with masks that allow everything, so an algorithm needs no special case.
 */
export const make = <A>(
  space: Space.Space<A>,
  constraints: ReadonlyArray<Constraint.Constraint<A>>,
  options: Options = {}
): Result.Result<Constrained<A>, Infeasible | CostFailed> => {
  const attempts = options.attempts ?? 100_000
  const withChain = constraints.filter(isChained)
  const points = withChain.length > 0 ? examples(space) : []
  for (const point of points) {
    const failed = failureAt(space, withChain, point)
    if (failed !== undefined) return Result.fail(failed)
  }
  const mismatches: Array<ChainMismatch> = []
  // every iteration either returns or finds one more chain that does not fit
  for (let chained = withChain; ;) {
    const usable = oneFocus(chained)
    const parts = usable[0] === undefined ? undefined : partsOf(space, usable[0].chain.of.focus)
    const chainable = parts !== undefined && isTabular(parts)
    const all = chainable && usable.length === constraints.length
    if (constraints.length > 0 && !all && Space.distinct(space) <= (options.enumerate ?? 20_000)) {
      return enumerated(space, constraints, mismatches)
    }
    const rejecting: Constrained<A> = {
      space,
      constraints,
      mismatches,
      engine: { _tag: "Rejection", attempts }
    }
    if (!chainable) return Result.succeed(rejecting)
    const solved = worked(space, parts, usable, points)
    if (solved === undefined) return Result.succeed(rejecting)
    if ("mismatch" in solved) {
      mismatches.push(solved.mismatch)
      chained = chained.filter((constraint) => constraint !== solved.constraint)
      continue
    }
    const { solver } = solved
    const made: Constrained<A> = { ...rejecting, engine: { _tag: "Chained", solver, attempts } }
    const found = solver.witness(0)
    if (found.vector !== undefined || found.exhausted) return Result.succeed(made)
    // the proof that no point meets the bounds is only as good as the chain: so compare the closest point too
    const closest = closestByChain(solver) ?? seed(space)
    const failed = failureAt(space, usable, closest)
    if (failed !== undefined) return Result.fail(failed)
    const wrong = mismatchAt(space, usable, solver, closest)
    if (wrong === undefined) return Result.fail(infeasible(made, closest, true, 0))
    mismatches.push(wrong.mismatch)
    chained = chained.filter((constraint) => constraint !== wrong.constraint)
  }
}

/** The points on which costs and chains are compared: the seed point, and some that are the same in every run. */
const examples = (space: Space.Space<unknown>): ReadonlyArray<Vector> => {
  const prng = Prng.fromSeed("does the chain fit")
  const drawn = Array.from({ length: 64 }, () => {
    const vector = blank(space)
    space.root.sample(prng, vector)
    return vector
  })
  return [seed(space), ...drawn]
}

/** Chains over the same parts can be solved together. Of several such groups, takes the largest; the others' constraints are handled as if they had no chain. */
const oneFocus = <A>(chained: ReadonlyArray<Chained<A>>): ReadonlyArray<Chained<A>> => {
  const groups = new Map<string, Array<Chained<A>>>()
  for (const constraint of chained) {
    const key = stableStringify(constraint.chain.of.focus ?? [])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [constraint])
    else group.push(constraint)
  }
  return [...groups.values()].reduce<ReadonlyArray<Chained<A>>>(
    (most, group) => (group.length > most.length ? group : most),
    []
  )
}

interface Wrong<A> {
  readonly constraint: Chained<A>
  readonly mismatch: ChainMismatch
}

/** The solver, or a chain that does not fit; `undefined` if the solver would be too large. */
const worked = <A>(
  space: Space.Space<A>,
  parts: ReadonlyArray<Node<unknown>>,
  chained: ReadonlyArray<Chained<A>>,
  points: ReadonlyArray<Vector>
): { readonly solver: ChainSolver } | Wrong<A> | undefined => {
  // first sum the parts directly: a chain for another layout is found without building tables
  for (const point of points) {
    const value = space.root.decode(point)
    for (const constraint of chained) {
      const of = Constraint.amount(value)(constraint)
      try {
        const { cost, size } = sumOf(constraint, value, parts.length)
        if (!agree(cost, of, size)) return wrong(space, constraint, point, cost)
      } catch (cause) {
        return wrong(space, constraint, point, Number.NaN, said(cause))
      }
    }
  }
  try {
    const solver = solve(space, parts, chained)
    if (solver === undefined) return undefined
    for (const point of points) {
      const found = mismatchAt(space, chained, solver, point)
      if (found !== undefined) return found
    }
    return { solver }
  } catch (cause) {
    const constraint = Arr.getUnsafe(chained, cause instanceof ChainFault ? cause.constraint : 0)
    const why = said(cause instanceof ChainFault ? cause.cause : cause)
    return wrong(space, constraint, points[0] ?? seed(space), Number.NaN, why)
  }
}

const said = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** Whether two sums are equal up to rounding; `size` is the magnitude of their terms. */
const agree = (a: number, b: number, size: number): boolean =>
  a === b || (Number.isFinite(a - b) && Math.abs(a - b) <= 1e-9 * (size + Math.abs(b)))

const wrong = <A>(
  space: Space.Space<A>,
  constraint: Chained<A>,
  point: Vector,
  chain: number,
  problem?: string
): Wrong<A> => {
  const value = space.root.decode(point)
  const of = Constraint.amount(value)(constraint)
  return {
    constraint,
    mismatch: new ChainMismatch({
      cost: constraint.name,
      point: jsonOf(space, value),
      chain,
      of,
      ...(problem === undefined ? {} : { problem })
    })
  }
}

/** The first chain whose tables disagree with its cost about a point. */
const mismatchAt = <A>(
  space: Space.Space<A>,
  chained: ReadonlyArray<Chained<A>>,
  solver: ChainSolver,
  point: Vector
): Wrong<A> | undefined => {
  const value = space.root.decode(point)
  for (const [constraint, { cost, size }] of Arr.zip(chained, solver.costs(point))) {
    const of = Constraint.amount(value)(constraint)
    if (!agree(cost, of, size)) return wrong(space, constraint, point, cost)
  }
  return undefined
}

const jsonOf = <A>(space: Space.Space<A>, value: A): unknown =>
  Result.getOrElse(Space.encodeJson(value)(space), () => value)

/** Why a constraint's quantity cannot be computed for a point; `undefined` if all can. */
const failureAt = <A>(
  space: Space.Space<A>,
  constraints: ReadonlyArray<Constraint.Constraint<A>>,
  point: Vector
): CostFailed | undefined => {
  const value = space.root.decode(point)
  for (const constraint of constraints) {
    if (!Number.isNaN(Constraint.amount(value)(constraint))) continue
    let problem = "is not a number"
    try {
      constraint.of(value)
    } catch (cause) {
      problem = `throws "${said(cause)}"`
    }
    return new CostFailed({ cost: constraint.name, point: jsonOf(space, value), problem })
  }
  return undefined
}

const enumerated = <A>(
  space: Space.Space<A>,
  constraints: ReadonlyArray<Constraint.Constraint<A>>,
  mismatches: ReadonlyArray<ChainMismatch>
): Result.Result<Constrained<A>, Infeasible | CostFailed> => {
  const feasible: Array<bigint> = []
  const vector = blank(space)
  let closest = { vector: vector.slice(), excess: Infinity }
  for (let rank = 0n; rank < space.root.distinct; rank++) {
    space.root.unrank(rank, vector)
    const excess = excessOf(constraints, space.root.decode(vector))
    if (excess === undefined) {
      const failed = failureAt(space, constraints, vector)
      if (failed !== undefined) return Result.fail(failed)
    } else {
      if (excess === 0) feasible.push(rank)
      if (excess < closest.excess || rank === 0n) closest = { vector: vector.slice(), excess }
    }
  }
  let prefixes: ReadonlySet<string> | undefined
  const engine: Engine = {
    _tag: "Enumerated",
    feasible,
    prefixes: () => (prefixes ??= prefixesOf(space, new Set(feasible)))
  }
  const made: Constrained<A> = { space, constraints, mismatches, engine }
  if (feasible.length > 0) return Result.succeed(made)
  return Result.fail(infeasible(made, closest.vector, true, Number(space.root.distinct)))
}

/** The prefixes of all token sequences, canonical or not, that lead to a feasible point. */
const prefixesOf = (space: Space.Space<unknown>, feasible: ReadonlySet<bigint>): ReadonlySet<string> => {
  const out = new Set<string>()
  for (const vector of assignments(space.sites, 0, space.sites.length)) {
    const canonical = vector.slice()
    space.root.canonicalise(canonical)
    if (!feasible.has(space.root.rank(canonical))) continue
    const tokens = Space.fromVector(vector)
    for (let length = tokens.length; length > 0; length--) {
      const prefix = tokens.slice(0, length).join()
      if (out.has(prefix)) break
      out.add(prefix)
    }
  }
  return out
}

const blank = (space: Space.Space<unknown>): Vector => new Int32Array(space.sites.length).fill(absent)

const seed = (space: Space.Space<unknown>): Vector => {
  const vector = blank(space)
  repair(space.sites, vector)
  space.root.canonicalise(vector)
  return vector
}

/** The largest relative excess over the constraints; 0 if all are met, `undefined` if a quantity cannot be computed. */
const excessOf = <A>(constraints: ReadonlyArray<Constraint.Constraint<A>>, value: A): number | undefined => {
  let most = 0
  const amountOf = Constraint.amount(value)
  for (const constraint of constraints) {
    const amount = amountOf(constraint)
    if (Number.isNaN(amount)) return undefined
    most = Math.max(most, Constraint.excess(amount)(constraint))
  }
  return most
}

/** Whether all constraints are met; `undefined` if that depends on a quantity that cannot be computed. */
const meets = <A>(constraints: ReadonlyArray<Constraint.Constraint<A>>, value: A): boolean | undefined => {
  const amountOf = Constraint.amount(value)
  for (const constraint of constraints) {
    const amount = amountOf(constraint)
    if (Number.isNaN(amount)) return undefined
    if (!(amount >= constraint.min && amount <= constraint.max)) return false
  }
  return true
}

const infeasible = <A>(constrained: Constrained<A>, vector: Vector, proven: boolean, drawn: number): Infeasible => {
  const { constraints, space } = constrained
  const closest = space.root.decode(vector)
  return new Infeasible({
    proven,
    drawn,
    closest: jsonOf(space, closest),
    quantities: constraints.map((c) => Constraint.describe(Constraint.amount(closest)(c))(c))
  })
}

/** The total number of steps that the search for the closest point may take; a single constraint needs a few thousand. */
const closestLimit = 4_000_000

/** The point with the least relative excess: bisects for the smallest widening of all bounds that admits a point. */
const closestByChain = (solver: ChainSolver): Vector | undefined => {
  let low = 0
  let high = 1e-6
  let found = solver.witness(high)
  while (found.vector === undefined && high < 1e30) {
    low = high
    high *= 8
    found = solver.witness(high)
  }
  let best = found.vector
  for (let steps = found.steps; high - low > 1e-12 * high && steps < closestLimit; steps += found.steps) {
    const middle = (low + high) / 2
    found = solver.witness(middle)
    if (found.vector === undefined) low = middle
    else {
      best = found.vector
      high = middle
    }
  }
  return best
}

/**
 * Draws a value uniformly from the distinct values that meet the constraints. Fails with `Infeasible` if `attempts` draws
 * found none, and with `CostFailed` if a cost cannot be computed for a point that was drawn.
 *
 * @example
 * ```ts
 * import { Choice, Constrained, Constraint, Prng, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const space = Result.getOrThrow(Space.make(Choice.tuple([Choice.integer({ min: 1, max: 9 }), Choice.integer({ min: 1, max: 9 })])))
 * const product = Constraint.bound<readonly [number, number]>("product", ([a, b]) => a * b, { min: 40, max: 42 })
 * const drawn = Result.flatMap(Constrained.make(space, [product]), Constrained.sampleWithin(Prng.fromSeed(1)))
 * // [5, 8], [8, 5], [6, 7] or [7, 6]
 * ```
 */
export const sampleWithin =
  (prng: Prng.Prng) =>
  <A>(constrained: Constrained<A>): Result.Result<A, Infeasible | CostFailed> =>
    Result.map(draw(constrained, prng), (vector) => constrained.space.root.decode(vector))

/** Like `sampleWithin`, but returns the canonical tokens. */
export const sampleTokensWithin =
  (prng: Prng.Prng) =>
  <A>(constrained: Constrained<A>): Result.Result<Space.Tokens, Infeasible | CostFailed> =>
    Result.map(draw(constrained, prng), Space.fromVector)

const draw = <A>(constrained: Constrained<A>, prng: Prng.Prng): Result.Result<Vector, Infeasible | CostFailed> => {
  const { constraints, engine, space } = constrained
  const vector = blank(space)
  if (engine._tag === "Enumerated") {
    space.root.unrank(Arr.getUnsafe(engine.feasible, prng.nextInt(engine.feasible.length)), vector)
    return Result.succeed(vector)
  }
  for (let attempt = 0; attempt < engine.attempts; attempt++) {
    if (engine._tag === "Chained") {
      if (!engine.solver.propose(prng, vector)) break
    } else space.root.sample(prng, vector)
    const met = constraints.length === 0 || meets(constraints, space.root.decode(vector))
    if (met === true) return Result.succeed(vector)
    if (met === undefined) {
      const failed = failureAt(space, constraints, vector)
      if (failed !== undefined) return Result.fail(failed)
    }
  }
  const known = engine._tag === "Chained" ? engine.solver.witness(0).vector : undefined
  const excess = (point: Vector) => excessOf(constraints, space.root.decode(point)) ?? Infinity
  const closest = known !== undefined && excess(known) === 0 ? known : climb(constrained, prng)
  return Result.fail(infeasible(constrained, closest, false, engine.attempts))
}

/** Looks for the point with the least excess by hill climbing: called only when sampling has failed, to report how far off the closest point is. */
const climb = <A>({ constraints, space }: Constrained<A>, prng: Prng.Prng): Vector => {
  const excessAt = (point: Vector) => excessOf(constraints, space.root.decode(point)) ?? Infinity
  let best = seed(space)
  let excess = excessAt(best)
  // without sites there is no other point
  for (let start = 0; start < 4 && excess > 0 && space.sites.length > 0; start++) {
    const current = blank(space)
    space.root.sample(prng, current)
    let here = excessAt(current)
    for (let failures = 0; failures < 4 * space.sites.length + 64 && here > 0; failures++) {
      const other = current.slice()
      const site = Arr.getUnsafe(space.sites, prng.nextInt(space.sites.length))
      if (other[site.index] === absent) continue
      other[site.index] = prng.nextInt(site.count)
      repair(space.sites, other)
      space.root.canonicalise(other)
      const there = excessAt(other)
      if (there < here) {
        current.set(other)
        here = there
        failures = 0
      }
    }
    if (here < excess) {
      best = current
      excess = here
    }
  }
  return best
}

/** A share of the space with its uncertainty: `low` to `high` is its 95% confidence interval, `error` its standard error. */
export interface Share {
  /** Between 0 and 1. */
  readonly share: number
  /** The standard error of the share. */
  readonly error: number
  /** The lower end of the interval. */
  readonly low: number
  /** The upper end of the interval. */
  readonly high: number
  /** The number of points drawn for the estimate; 0 if the share is exact. */
  readonly samples: number
}

/**
 * The share of the distinct values that meet the constraints. Exact if the space was enumerated; otherwise estimated from `samples` draws
 * (default 10,000). With a chain, only the few points that dynamic programming leaves are drawn from, so a share of 10⁻⁹ is
 * known with the same relative accuracy as a share of one half. Fails with `CostFailed` if a cost cannot be computed for a point that was drawn.
 */
export const feasibleShare =
  (prng: Prng.Prng, options: { readonly samples?: number } = {}) =>
  <A>(constrained: Constrained<A>): Result.Result<Share, CostFailed> => {
    const { constraints, engine, space } = constrained
    if (engine._tag === "Enumerated") return exact(engine.feasible.length / Number(space.root.distinct))
    if (constraints.length === 0) return exact(1)
    const samples = Math.max(1, options.samples ?? 10_000)
    const drawn = engine._tag === "Chained" ? engine.solver.share : 1
    const vector = blank(space)
    let met = 0
    for (let i = 0; i < samples; i++) {
      if (engine._tag === "Chained") {
        if (!engine.solver.propose(prng, vector)) return exact(0)
      } else space.root.sample(prng, vector)
      const meeting = meets(constraints, space.root.decode(vector))
      if (meeting === true) met++
      if (meeting === undefined) {
        const failed = failureAt(space, constraints, vector)
        if (failed !== undefined) return Result.fail(failed)
      }
    }
    // Wilson's interval: also sensible if none or all of the samples meet the constraints
    const z = 1.959963984540054
    const p = met / samples
    const centre = (p + (z * z) / (2 * samples)) / (1 + (z * z) / samples)
    const half = (z * Math.sqrt((p * (1 - p)) / samples + (z * z) / (4 * samples * samples))) / (1 + (z * z) / samples)
    return Result.succeed({
      share: drawn * p,
      error: (drawn * half) / z,
      low: drawn * Math.max(0, centre - half),
      high: drawn * Math.min(1, centre + half),
      samples
    })
  }

const exact = (share: number): Result.Result<Share> =>
  Result.succeed({ share, error: 0, low: share, high: share, samples: 0 })

/** A policy's next choice: the site, and for each of its options whether it can still lead to a feasible point. */
export interface Step {
  readonly site: Site
  /** An entry for every option; for a site with `slots`, one for every slot: a slot is allowed if one of its options is, or may be. */
  readonly mask: ReadonlyArray<boolean>
}

/**
 * The site that the next token chooses for, given the tokens so far, and which of its options a policy may take; none if the sequence is complete.
 *
 * A mask never cuts off a feasible point. It is exact (an option is allowed only if some feasible point continues the tokens with it) if the space was
 * enumerated or if all constraints have one chain cost. With narrow windows on several costs at once, a search can need more than two million steps; it then
 * stops and allows the option. Constraints without a chain rule out only what their `range` excludes.
 *
 * @example
 * ```ts
 * import { Choice, Constrained, Constraint, Space } from "@uninet/search-space"
 * import { Option, Result } from "effect"
 *
 * const space = Result.getOrThrow(Space.make(Choice.tuple([Choice.ordered([1, 2, 3]), Choice.ordered([1, 2, 3])])))
 * const sum = Constraint.bound<readonly [number, number]>("sum", ([a, b]) => a + b, { min: 5 })
 * const step = Constrained.make(space, [sum]).pipe(Result.flatMap(Constrained.next([])), Result.map(Option.getOrThrow))
 * // mask: [false, true, true]
 * ```
 */
export const next =
  (prefix: Space.Tokens) =>
  <A>(constrained: Constrained<A>): Result.Result<Option.Option<Step>, InvalidTokens> =>
    Result.map(
      Space.next(prefix)(constrained.space),
      Option.map((site) => ({ site, mask: maskAt(constrained, prefix, site) }))
    )

const maskAt = <A>(
  { constraints, engine, space }: Constrained<A>,
  prefix: Space.Tokens,
  site: Site
): ReadonlyArray<boolean> => {
  if (engine._tag === "Enumerated") {
    const prefixes = engine.prefixes()
    return perSlot(site, (option) => prefixes.has([...prefix, option].join()))
  }
  const allowed = engine._tag === "Chained" ? engine.solver.mask(place(space, prefix), site) : undefined
  const ranges = constraints.filter(({ range }) => range !== undefined)
  // the cost range of one option in a slot says nothing about the others
  if (ranges.length === 0 || isNumeric(site)) return allowed ?? entries(site, () => true)
  return entries(
    site,
    (option) =>
      allowed?.[option] !== false &&
      ranges.every(({ max, min, range }) => {
        const [least, most] = limits(range, [...prefix, option])
        return !(least > max || most < min)
      })
  )
}

/** The limits that a range gives; no limits if it throws. */
const limits = (
  range: Constraint.Constraint<never>["range"],
  prefix: Space.Tokens
): readonly [least: number, most: number] => {
  try {
    return range?.(prefix) ?? [-Infinity, Infinity]
  } catch {
    return [-Infinity, Infinity]
  }
}

/** An entry for every option or slot. */
const entries = (site: Site, of: (entry: number) => boolean): ReadonlyArray<boolean> =>
  Array.from({ length: site.slots?.length ?? site.count }, (_, entry) => of(entry))

/** The vector for tokens that are known to be valid. */
const place = (space: Space.Space<unknown>, tokens: Space.Tokens): Vector => {
  const vector = blank(space)
  let position = 0
  for (const site of space.sites) {
    const token = tokens[position]
    if (token === undefined) break
    if (!exists(site, vector)) continue
    vector[site.index] = token
    position++
  }
  return vector
}

/** Whether a value meets the constraints; false if a cost cannot be computed for it. */
export const isFeasible =
  <A>(value: A) =>
  (constrained: Constrained<A>): boolean =>
    meets(constrained.constraints, value) === true
