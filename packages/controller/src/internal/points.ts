/** The points of a domain as strategies handle them: canonical vectors with a token for every site, and a key that identifies a point. */
import { Constrained, type Prng, Site, Space, type SpaceError } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import type { Domain } from "../Strategy.ts"

/** A canonical point. */
export interface Point {
  /** One entry for every site, `Site.absent` if the site does not exist in this point. Read-only. */
  readonly vector: Int32Array
  readonly tokens: Space.Tokens
  /** Two points have the same key only if they are the same point. */
  readonly key: string
}

/** The operations that a strategy has on the points of its domain. */
export interface Points<A> {
  readonly space: Space.Space<A>
  /** The space with its constraints; with none if the domain is a plain space. */
  readonly constrained: Constrained.Constrained<A>
  readonly sites: ReadonlyArray<Site.Site>
  /** The number of distinct values, feasible or not; rounded above 2⁵³, Infinity if a choice is continuous. */
  readonly distinct: number
  /** Sites with more than one option. */
  readonly open: ReadonlyArray<Site.Site>
  /** A random feasible point; all are equally likely. */
  readonly draw: (prng: Prng.Prng) => Result.Result<Point, Constrained.Infeasible | Constrained.CostFailed>
  /** The point with the given tokens, if they are valid. */
  readonly of: (tokens: Space.Tokens) => Result.Result<Point, SpaceError.InvalidTokens>
  /** Repairs arbitrary entries to a valid point: sites that do not exist are cleared, missing tokens become the seed's. Writes to `vector`. */
  readonly repaired: (vector: Int32Array) => Point
  readonly value: (point: Point) => A
  /** Whether it meets the constraints. */
  readonly feasible: (point: Point) => boolean
  /** The index of a point, 0 … distinct − 1; `at` is the inverse. Only if `distinct` is finite. */
  readonly index: (point: Point) => number
  readonly at: (index: number) => Point
  /** A point that differs from this one in one choice (`Site.another`); the same point if the change makes no difference. */
  readonly mutated: (parent: Point, prng: Prng.Prng) => Point
  /** All points that differ in one choice, each once; for a choice with too many options, only those of `Site.nearby`. */
  readonly neighbours: (centre: Point) => ReadonlyArray<Point>
  /** Uniform crossover: each choice comes from one parent or the other with equal probability. */
  readonly crossed: (mother: Point, father: Point, prng: Prng.Prng) => Point
}

const isConstrained = <A>(domain: Domain<A>): domain is Constrained.Constrained<A> => "constraints" in domain

export const make = <A>(domain: Domain<A>): Points<A> => {
  // without constraints nothing can be infeasible
  const constrained = isConstrained(domain) ? domain : Result.getOrThrow(Constrained.make(domain, []))
  const { space } = constrained
  const { sites } = space
  const unique = Space.isOneToOne(space)

  const point = (tokens: Space.Tokens): Point => new OfTokens(sites, tokens)
  // all tokens made by this module belong to this space, so these cannot fail
  const canonical = (tokens: Space.Tokens) => (unique ? tokens : Result.getOrThrow(Space.canonical(tokens)(space)))
  const value = (p: Point): A => Result.getOrThrow(Space.decode(p.tokens)(space))
  const free = constrained.constraints.length === 0
  const points: Points<A> = {
    space,
    constrained,
    sites,
    distinct: Number(Space.distinct(space)),
    open: sites.filter((site) => site.count > 1),
    draw: (prng) =>
      free
        ? Result.succeed(point(Space.sampleTokens(prng)(space)))
        : Result.map(Constrained.sampleTokensWithin(prng)(constrained), point),
    of: (tokens) => Result.map(Space.canonical(tokens)(space), point),
    repaired: (vector) => {
      for (const site of sites) {
        if (!Site.exists(site, vector)) vector[site.index] = Site.absent
        else if (vector[site.index] === Site.absent) vector[site.index] = site.seed
      }
      const tokens = Space.fromVector(vector)
      return unique ? { vector, tokens, key: keyOf(tokens) } : point(canonical(tokens))
    },
    value,
    feasible: (p) => free || Constrained.isFeasible<A>(value(p))(constrained),
    index: (p) => Number(Result.getOrThrow(Space.index<A>(value(p))(space))),
    at: (index) => point(Result.getOrThrow(Space.encode<A>(Result.getOrThrow(Space.at(index)(space)))(space))),
    mutated: (parent, prng) => mutated(points, parent, prng),
    neighbours: (centre) => neighbours(points, centre),
    crossed: (mother, father, prng) => crossed(points, mother, father, prng)
  }
  return points
}

/** A point whose vector is computed when first read: random search never reads it. */
class OfTokens implements Point {
  readonly tokens: Space.Tokens
  readonly key: string
  readonly #sites: ReadonlyArray<Site.Site>
  #vector: Int32Array | undefined
  constructor(sites: ReadonlyArray<Site.Site>, tokens: Space.Tokens) {
    this.#sites = sites
    this.tokens = tokens
    this.key = keyOf(tokens)
  }
  get vector() {
    return (this.#vector ??= place(this.#sites, this.tokens))
  }
}

/** One character per token, made in a single call; decimal numbers if a token is too large or there are too many tokens. */
const keyOf = (tokens: Space.Tokens): string => {
  for (const token of tokens) if (token >= 50_000) return `,${tokens.join()}`
  return tokens.length < 10_000 ? String.fromCharCode(...tokens) : `,${tokens.join()}`
}

const place = (sites: ReadonlyArray<Site.Site>, tokens: Space.Tokens): Int32Array => {
  const vector = new Int32Array(sites.length).fill(Site.absent)
  let position = 0
  for (const site of sites) if (Site.exists(site, vector)) vector[site.index] = tokens[position++] ?? Site.absent
  return vector
}

const mutated = <A>(points: Points<A>, parent: Point, prng: Prng.Prng): Point => {
  const { open } = points
  if (open.length === 0) return parent
  // some open site exists in every point: the first site always does, or everything else is closed
  for (let tries = 0; tries <= 1000; tries++) {
    const site = Arr.getUnsafe(open, prng.nextInt(open.length))
    const token = parent.vector[site.index] ?? Site.absent
    if (token === Site.absent) continue
    const vector = parent.vector.slice()
    vector[site.index] = Site.another(site, token, prng)
    return points.repaired(vector)
  }
  return parent
}

const neighbours = <A>(points: Points<A>, centre: Point): ReadonlyArray<Point> => {
  const found = new Map<string, Point>()
  for (const site of points.open) {
    const token = centre.vector[site.index] ?? Site.absent
    if (token === Site.absent) continue
    for (const other of Site.nearby(site, token)) {
      const vector = centre.vector.slice()
      vector[site.index] = other
      const point = points.repaired(vector)
      if (point.key !== centre.key) found.set(point.key, point)
    }
  }
  return [...found.values()]
}

const crossed = <A>(points: Points<A>, mother: Point, father: Point, prng: Prng.Prng): Point => {
  const vector = new Int32Array(points.sites.length).fill(Site.absent)
  for (const site of points.sites) {
    if (!Site.exists(site, vector)) continue
    const [x, y] = [mother.vector[site.index] ?? Site.absent, father.vector[site.index] ?? Site.absent]
    vector[site.index] =
      x === Site.absent ? (y === Site.absent ? site.seed : y) : y === Site.absent || prng.nextInt(2) === 0 ? x : y
  }
  return points.repaired(vector)
}
