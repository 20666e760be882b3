/**
 * fast-check arbitraries for the points of any space. Points are drawn uniformly and shrunk choice by choice towards the space's seed
 * point, so a failing property ends with a point that differs from the seed only in what it takes to fail.
 * This is the only module that needs `fast-check` (an optional peer dependency).
 *
 * @example
 * ```ts
 * import { Choice, Space } from "@uninet/search-space"
 * import * as Arbitrary from "@uninet/search-space/arbitrary"
 * import { Result } from "effect"
 * import * as fc from "fast-check"
 *
 * const widths = Choice.repeat(Choice.integer({ min: 8, max: 64, step: 8 }), { min: 1, max: 4 })
 * const space = Result.getOrThrow(Space.make(widths))
 * fc.assert(fc.property(Arbitrary.fromSpace(space), (network) => network.every((width) => width % 8 === 0)))
 * ```
 */
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as Constrained from "./Constrained.ts"
import { repair, type Vector } from "./internal/node.ts"
import * as Prng from "./Prng.ts"
import { absent, isNumeric, type Site } from "./Site.ts"
import * as Space from "./Space.ts"

/** The values of a space. */
export const fromSpace = <A>(space: Space.Space<A>): fc.Arbitrary<A> =>
  new PointArbitrary(
    space,
    (prng) => Result.succeed(Space.sample(prng)(space)),
    () => true
  )

/**
 * The values of a space that meet constraints; shrunk values meet them too. If sampling finds none, generation throws the
 * `Infeasible` error: fast-check expects a failure to generate as an exception.
 */
export const fromConstrained = <A>(constrained: Constrained.Constrained<A>): fc.Arbitrary<A> =>
  new PointArbitrary(
    constrained.space,
    (prng) => Constrained.sampleWithin(prng)(constrained),
    (value) => Constrained.isFeasible(value)(constrained)
  )

/** Valid token sequences, canonical or not: every token uniform over its site's options. Shrinks like fast-check's tuples. */
export const tokens = <A>(space: Space.Space<A>): fc.Arbitrary<Space.Tokens> =>
  fc.tuple(...space.sites.map((site) => fc.nat(site.count - 1))).map((options) => {
    const vector = Int32Array.from(options)
    repair(space.sites, vector)
    return Space.fromVector(vector)
  })

class PointArbitrary<A> extends fc.Arbitrary<A> {
  readonly space: Space.Space<A>
  readonly draw: (prng: Prng.Prng) => Result.Result<A, Error>
  readonly keep: (value: A) => boolean
  readonly seed: Vector

  constructor(space: Space.Space<A>, draw: (prng: Prng.Prng) => Result.Result<A, Error>, keep: (value: A) => boolean) {
    super()
    this.space = space
    this.draw = draw
    this.keep = keep
    this.seed = vectorOf(space, Space.seedPoint(space)) ?? new Int32Array(0)
  }

  override generate(random: fc.Random): fc.Value<A> {
    const value = Result.getOrThrow(this.draw(Prng.fromSeed(`${random.nextInt()} ${random.nextInt()}`)))
    return new fc.Value(value, undefined)
  }

  override canShrinkWithoutContext(value: unknown): value is A {
    return this.space.root.encode(value, blank(this.space), []) === undefined
  }

  override shrink(value: A): fc.Stream<fc.Value<A>> {
    return fc.stream(this.candidates(value))
  }

  *candidates(value: A): IterableIterator<fc.Value<A>> {
    const { seed, space } = this
    const vector = vectorOf(space, value)
    if (vector === undefined) return
    const far = distance(space.sites, vector)
    const seen = new Set<string>()
    for (const candidate of nearer(space.sites, vector, seed)) {
      repair(space.sites, candidate)
      space.root.canonicalise(candidate)
      // strictly nearer to the seed point, so shrinking ends
      if (distance(space.sites, candidate) >= far) continue
      const key = candidate.join()
      if (seen.has(key)) continue
      seen.add(key)
      const smaller = space.root.decode(candidate)
      if (this.keep(smaller)) yield new fc.Value(smaller, undefined)
    }
  }
}

const blank = (space: Space.Space<unknown>): Vector => new Int32Array(space.sites.length).fill(absent)

const vectorOf = (space: Space.Space<unknown>, value: unknown): Vector | undefined => {
  const vector = blank(space)
  return space.root.encode(value, vector, []) === undefined ? vector : undefined
}

/**
 * Candidates, simplest first: all choices at the seed; one choice at the seed; then, for a choice with an order, halfway to the seed and one step towards it. A choice with
 * many options moves half, a quarter, … of the way, so that the last option that fails is found in a few steps.
 */
function* nearer(sites: ReadonlyArray<Site>, vector: Vector, seed: Vector): Generator<Vector> {
  const moved = (site: Site, token: number) => {
    const out = vector.slice()
    out[site.index] = token
    return out
  }
  const off = sites.filter((site) => vector[site.index] !== absent && vector[site.index] !== site.seed)
  yield seed.slice()
  for (const site of off) yield moved(site, site.seed)
  for (const site of off) {
    if (site.kind === "categorical") continue
    const token = vector[site.index] ?? absent
    if (isNumeric(site)) {
      for (let left = Math.trunc((site.seed - token) / 2); left !== 0; left = Math.trunc(left / 2))
        yield moved(site, token + left)
      yield moved(site, token + Math.sign(site.seed - token))
      continue
    }
    const half = site.seed + Math.trunc((token - site.seed) / 2)
    if (half !== site.seed) yield moved(site, half)
    const step = token + Math.sign(site.seed - token)
    if (step !== site.seed && step !== half) yield moved(site, step)
  }
}

/** How far a point is from the seed point: the number of choices that differ, plus a little for every step of those with an order. */
const distance = (sites: ReadonlyArray<Site>, vector: Vector): number => {
  let sum = 0
  for (const { count, index, kind, seed } of sites) {
    const token = vector[index] ?? absent
    if (token === absent || token === seed) continue
    sum += 1 + (kind === "categorical" ? 0 : Math.abs(token - seed) / count)
  }
  return sum
}
