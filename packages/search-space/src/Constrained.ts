/**
 * A space under constraints: sampling, counting and masking of the points that meet them, before anything is trained.
 *
 * **How.** Which of three ways is taken depends on the constraints, once, in `make`:
 *
 * - all constraints have a `Cost.Chain` (or some do, and the rest is left to rejection): dynamic programming over the parts. However rare
 *   feasible points are, sampling costs about the same.
 * - the space has few points (`enumerate`, default 20,000): all are looked at.
 * - else: rejection from uniform samples, which takes 1 / (feasible share) cost evaluations a sample.
 *
 * **Distribution.** In all three, `sampleWithin` draws from the feasible distinct values with equal chances for each: exactly what
 * rejection sampling from `Space.sample` gives. (The dynamic programme draws from a slightly larger set with equal
 * chances and rejects what is outside; its counts are doubles, so chances are equal to about one part in 10¹⁵.)
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Constraint from "./Constraint.ts"
import { isChained, partLimit, partsOf, perSlot, solve, type ChainSolver } from "./internal/chain.ts"
import { assignments, repair, type Vector } from "./internal/node.ts"
import { stableStringify } from "./internal/stable.ts"
import type { Prng } from "./Prng.ts"
import { absent, exists, isNumeric, type Site } from "./Site.ts"
import * as Space from "./Space.ts"
import type { InvalidTokens } from "./SpaceError.ts"

/** A space and the constraints on it, worked out. Made by `make`. */
export interface Constrained<in out A> {
  readonly space: Space.Space<A>
  readonly constraints: ReadonlyArray<Constraint.Constraint<A>>
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
 * No point meets the constraints, or none was found. `proven` tells which: the whole space was searched, or `drawn` points were. Carries
 * the closest point there is (or that was found) as JSON, and what it has in each constraint.
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
      (q) => Constraint.excess({ min: q.min ?? -Infinity, max: q.max ?? Infinity }, q.value) > 0
    )
    const said = this.proven
      ? `No point of the search space has ${wanted}`
      : `None of ${this.drawn} points drawn from the search space has ${wanted}`
    const remedy = missed
      ? `The closest has ${has}: loosen the bounds to include it, or change the space`
      : `There is at least one, with ${has}: raise \`attempts\`, or give the cost a chain so that rare points are found`
    return `${said}. ${remedy}. It is ${stableStringify(this.closest)}`
  }
}

/** Settings of `make`. */
export interface Options {
  /** Spaces of this many distinct values or less are looked through point by point where there is no chain. Default 20,000. */
  readonly enumerate?: number
  /** Points drawn for one sample before giving up. Default 100,000. */
  readonly attempts?: number
}

/**
 * Works out constraints on a space. Fails with `Infeasible` where it is certain already that nothing meets them: always, if all
 * constraints have a chain or the space is small; otherwise `sampleWithin` finds out.
 *
 * Without constraints it is the space itself, with masks that allow everything, so that an algorithm needs one way only.
 */
export const make = <A>(
  space: Space.Space<A>,
  constraints: ReadonlyArray<Constraint.Constraint<A>>,
  options: Options = {}
): Result.Result<Constrained<A>, Infeasible> => {
  const attempts = options.attempts ?? 100_000
  const chained = constraints.filter(isChained)
  const chainable =
    chained.length > 0 && partsOf(space).every((part) => !part.infinite && part.distinct <= BigInt(partLimit))
  const all = chainable && chained.length === constraints.length
  if (constraints.length > 0 && !all && Space.distinct(space) <= (options.enumerate ?? 20_000)) {
    return enumerated(space, constraints)
  }
  if (!chainable) return Result.succeed({ space, constraints, engine: { _tag: "Rejection", attempts } })
  const solver = solve(space, chained)
  const made: Constrained<A> = { space, constraints, engine: { _tag: "Chained", solver, attempts } }
  const found = solver.witness(0)
  if (found.vector !== undefined || found.exhausted) return Result.succeed(made)
  return Result.fail(infeasible(made, closestByChain(solver) ?? seed(space), true, 0))
}

const enumerated = <A>(
  space: Space.Space<A>,
  constraints: ReadonlyArray<Constraint.Constraint<A>>
): Result.Result<Constrained<A>, Infeasible> => {
  const feasible: Array<bigint> = []
  const vector = blank(space)
  let closest = { vector: vector.slice(), excess: Infinity }
  for (let rank = 0n; rank < space.root.distinct; rank++) {
    space.root.unrank(rank, vector)
    const excess = excessOf(constraints, space.root.decode(vector))
    if (excess === 0) feasible.push(rank)
    if (excess < closest.excess || rank === 0n) closest = { vector: vector.slice(), excess }
  }
  let prefixes: ReadonlySet<string> | undefined
  const engine: Engine = {
    _tag: "Enumerated",
    feasible,
    prefixes: () => (prefixes ??= prefixesOf(space, new Set(feasible)))
  }
  const made: Constrained<A> = { space, constraints, engine }
  if (feasible.length > 0) return Result.succeed(made)
  return Result.fail(infeasible(made, closest.vector, true, Number(space.root.distinct)))
}

/** The beginnings of all token sequences, canonical or not, that lead to a feasible point. */
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

/** The largest relative excess over the constraints; 0 where all are met. */
const excessOf = <A>(constraints: ReadonlyArray<Constraint.Constraint<A>>, value: A): number => {
  let most = 0
  for (const constraint of constraints) most = Math.max(most, Constraint.excess(constraint, constraint.of(value)))
  return most
}

const meets = <A>(constraints: ReadonlyArray<Constraint.Constraint<A>>, value: A): boolean => {
  for (const constraint of constraints) {
    const amount = constraint.of(value)
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
    closest: Result.getOrElse(Space.encodeJson(closest)(space), () => closest),
    quantities: constraints.map((c) => Constraint.describe(c, c.of(closest)))
  })
}

/** Steps that the search for the closest point may take in all; a single constraint needs a few thousand. */
const closestLimit = 4_000_000

/** The point with the least relative excess: the smallest widening of all bounds that lets something through, by bisection. */
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
 * A value that meets the constraints, with equal chances for every distinct one. Fails with `Infeasible` where `attempts` draws
 * found none.
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
  (prng: Prng) =>
  <A>(constrained: Constrained<A>): Result.Result<A, Infeasible> =>
    Result.map(draw(constrained, prng), (vector) => constrained.space.root.decode(vector))

/** As `sampleWithin`, but gives the canonical tokens. */
export const sampleTokensWithin =
  (prng: Prng) =>
  <A>(constrained: Constrained<A>): Result.Result<Space.Tokens, Infeasible> =>
    Result.map(draw(constrained, prng), Space.fromVector)

const draw = <A>(constrained: Constrained<A>, prng: Prng): Result.Result<Vector, Infeasible> => {
  const { constraints, engine, space } = constrained
  const vector = blank(space)
  if (engine._tag === "Enumerated") {
    space.root.unrank(engine.feasible[prng.nextInt(engine.feasible.length)]!, vector)
    return Result.succeed(vector)
  }
  for (let attempt = 0; attempt < engine.attempts; attempt++) {
    if (engine._tag === "Chained") {
      if (!engine.solver.propose(prng, vector)) break
    } else space.root.sample(prng, vector)
    if (constraints.length === 0 || meets(constraints, space.root.decode(vector))) return Result.succeed(vector)
  }
  const known = engine._tag === "Chained" ? engine.solver.witness(0).vector : undefined
  const excess = (point: Vector) => excessOf(constraints, space.root.decode(point))
  const closest = known !== undefined && excess(known) === 0 ? known : climb(constrained, prng)
  return Result.fail(infeasible(constrained, closest, false, engine.attempts))
}

/** Looks for the point with the least excess by hill climbing: only called when sampling has failed, to say how far off it is. */
const climb = <A>({ constraints, space }: Constrained<A>, prng: Prng): Vector => {
  let best = seed(space)
  let excess = excessOf(constraints, space.root.decode(best))
  for (let start = 0; start < 4 && excess > 0; start++) {
    const current = blank(space)
    space.root.sample(prng, current)
    let here = excessOf(constraints, space.root.decode(current))
    for (let failures = 0; failures < 4 * space.sites.length + 64 && here > 0; failures++) {
      const other = current.slice()
      const site = space.sites[prng.nextInt(space.sites.length)]!
      if (other[site.index] === absent) continue
      other[site.index] = prng.nextInt(site.count)
      repair(space.sites, other)
      space.root.canonicalise(other)
      const there = excessOf(constraints, space.root.decode(other))
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

/** A share of the space with how sure it is: `low` to `high` holds it with 95% confidence, `error` is the standard error. */
export interface Share {
  readonly share: number
  readonly error: number
  readonly low: number
  readonly high: number
  /** Points drawn for the estimate; 0 where the share is exact. */
  readonly samples: number
}

/**
 * Which share of the distinct values meets the constraints. Exact where the space was looked through; otherwise estimated from `samples` draws
 * (default 10,000). With a chain the draws are from the few points the dynamic programme leaves, so that a share of 10⁻⁹ is
 * known as well, relatively, as one of a half.
 */
export const feasibleShare =
  (prng: Prng, options: { readonly samples?: number } = {}) =>
  <A>(constrained: Constrained<A>): Share => {
    const { constraints, engine, space } = constrained
    const all = Number(space.root.distinct)
    if (engine._tag === "Enumerated") return exact(engine.feasible.length / all)
    if (constraints.length === 0) return exact(1)
    const samples = Math.max(1, options.samples ?? 10_000)
    const drawn = engine._tag === "Chained" ? engine.solver.proposals / all : 1
    const vector = blank(space)
    let met = 0
    for (let i = 0; i < samples; i++) {
      if (engine._tag === "Chained") {
        if (!engine.solver.propose(prng, vector)) return exact(0)
      } else space.root.sample(prng, vector)
      if (meets(constraints, space.root.decode(vector))) met++
    }
    // Wilson's interval: sensible at none and at all of the samples too
    const z = 1.959963984540054
    const p = met / samples
    const centre = (p + (z * z) / (2 * samples)) / (1 + (z * z) / samples)
    const half = (z * Math.sqrt((p * (1 - p)) / samples + (z * z) / (4 * samples * samples))) / (1 + (z * z) / samples)
    return {
      share: drawn * p,
      error: (drawn * half) / z,
      low: drawn * Math.max(0, centre - half),
      high: drawn * Math.min(1, centre + half),
      samples
    }
  }

const exact = (share: number): Share => ({ share, error: 0, low: share, high: share, samples: 0 })

/** The next choice of a policy: the site, and for each of its options whether some feasible point is still ahead. */
export interface Step {
  readonly site: Site
  /** An entry for every option; of a site with `slots` for every slot, which is allowed where one of its options is, or may be. */
  readonly mask: ReadonlyArray<boolean>
}

/**
 * The site at which the next token chooses after some tokens, and which of its options a policy may take; none where the sequence is complete.
 *
 * An option is allowed exactly if some feasible point begins with the tokens and it: always so where the space was looked through
 * and where all constraints have one chain cost (a search that is given up after two million steps, which narrow windows on several
 * costs at once can need, allows the option). Constraints without a chain rule out what their `range` does, and nothing
 * otherwise: a mask never cuts off a feasible point.
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
  // what some options of a slot may cost says nothing of the others
  if (ranges.length === 0 || isNumeric(site)) return allowed ?? entries(site, () => true)
  return entries(
    site,
    (option) =>
      allowed?.[option] !== false &&
      ranges.every(({ max, min, range }) => {
        const [least, most] = range?.([...prefix, option]) ?? [-Infinity, Infinity]
        return !(least > max || most < min)
      })
  )
}

/** An entry for every option or slot. */
const entries = (site: Site, of: (entry: number) => boolean): ReadonlyArray<boolean> =>
  Array.from({ length: site.slots?.length ?? site.count }, (_, entry) => of(entry))

/** The vector of tokens that are known to be valid. */
const place = (space: Space.Space<unknown>, tokens: Space.Tokens): Vector => {
  const vector = blank(space)
  let position = 0
  for (const site of space.sites) {
    if (position === tokens.length) break
    if (exists(site, vector)) vector[site.index] = tokens[position++]!
  }
  return vector
}

/** Whether a value meets the constraints. */
export const isFeasible =
  <A>(value: A) =>
  (constrained: Constrained<A>): boolean =>
    meets(constrained.constraints, value)
