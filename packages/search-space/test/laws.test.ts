/** Laws that hold for every space, on random declarations from all combinators. */
import { assert, describe, it } from "@effect/vitest"
import { Choice, Prng, Site, Space } from "@uninet/search-space"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { declaration } from "./support/declarations.ts"
import { filled } from "./support/filled.ts"
import { chiSquared, limit } from "./support/statistics.ts"

const get = Result.getOrThrow

/** Small spaces, so that everything can be counted. */
const small = declaration.map((choice) => get(Space.make(choice))).filter((space) => Space.size(space) <= 300n)

/** Every token sequence, by repeatedly asking for the next site. */
const allTokens = (space: Space.Space<unknown>): ReadonlyArray<Space.Tokens> => {
  const out: Array<Space.Tokens> = []
  const from = (prefix: Space.Tokens) => {
    const site = Option.getOrUndefined(get(Space.next(prefix)(space)))
    if (site === undefined) out.push(prefix)
    else for (let token = 0; token < site.count; token++) from([...prefix, token])
  }
  from([])
  return out
}

const text = (value: unknown) => JSON.stringify(value) ?? "nothing"

const runs = { numRuns: 200 }

describe("every space", () => {
  it("has as many token sequences as its size says, and as many values as its distinct count says", () => {
    fc.assert(
      fc.property(small, (space) => {
        const sequences = allTokens(space)
        assert.strictEqual(BigInt(sequences.length), Space.size(space))
        const values = new Set(sequences.map((tokens) => text(get(Space.decode(tokens)(space)))))
        assert.strictEqual(BigInt(values.size), Space.distinct(space))
      }),
      runs
    )
  })

  it("maps values to tokens and back without loss, and tokens of one value to one canonical sequence", () => {
    fc.assert(
      fc.property(small, (space) => {
        const canonical = new Map<string, string>()
        for (const tokens of allTokens(space)) {
          const value = get(Space.decode(tokens)(space))
          const encoded = get(Space.encode(value)(space))
          assert.deepStrictEqual(get(Space.decode(encoded)(space)), value)
          assert.deepStrictEqual(get(Space.canonical(tokens)(space)), encoded)
          assert.deepStrictEqual(get(Space.canonical(encoded)(space)), encoded)
          assert.deepStrictEqual(Space.fromVector(get(Space.toVector(tokens)(space))), tokens)
          const known = canonical.get(text(value))
          if (known !== undefined) assert.strictEqual(known, encoded.join())
          canonical.set(text(value), encoded.join())
        }
      }),
      runs
    )
  })

  it("numbers its values 0 to distinct − 1, one to one, in the order of enumeration", () => {
    fc.assert(
      fc.property(small, (space) => {
        const seen = new Set<string>()
        let index = 0n
        for (const value of get(Space.enumerate(space))) {
          assert.strictEqual(get(Space.index(value)(space)), index)
          assert.deepStrictEqual(get(Space.at(index)(space)), value)
          seen.add(text(value))
          index++
        }
        assert.strictEqual(index, Space.distinct(space))
        assert.strictEqual(BigInt(seen.size), index)
      }),
      runs
    )
  })

  it("samples values of its own only, the same for the same seed", () => {
    fc.assert(
      fc.property(small, fc.nat(), (space, seed) => {
        const value = Space.sample(Prng.fromSeed(seed))(space)
        assert.deepStrictEqual(get(Space.canonicalValue(value)(space)), value)
        const tokens = Space.sampleTokens(Prng.fromSeed(seed))(space)
        assert.deepStrictEqual(get(Space.decode(tokens)(space)), value)
        assert.deepStrictEqual(get(Space.encode(value)(space)), tokens)
      }),
      runs
    )
  })

  it("samples every distinct value with the same chance", () => {
    fc.assert(
      fc.property(
        small.filter((space) => Space.distinct(space) >= 2n && Space.distinct(space) <= 60n),
        (space) => {
          const prng = Prng.fromSeed("uniform")
          const counts = filled(Number(Space.distinct(space)), 0)
          for (let i = 0; i < 40 * counts.length; i++) {
            counts[Number(get(Space.index(Space.sample(prng)(space))(space)))]!++
          }
          assert.isBelow(chiSquared(counts, 40), limit(counts.length - 1))
        }
      ),
      { numRuns: 60, seed: 1 }
    )
  })

  it("has as neighbours exactly the other values that changing one choice of the canonical tokens leads to", () => {
    fc.assert(
      fc.property(small, fc.nat(), (space, seed) => {
        const value = Space.sample(Prng.fromSeed(seed))(space)
        const neighbours = get(Space.neighbours(value)(space))
        const names = neighbours.map(text)
        assert.strictEqual(new Set(names).size, names.length)
        assert.notInclude(names, text(value))
        const vector = get(Space.vector(value)(space))
        // a value whose tokens differ at one site, and otherwise only at sites whose existence depends on it
        for (const tokens of allTokens(space)) {
          const other = get(Space.toVector(tokens)(space))
          const changed = space.sites.filter(({ index }) => other[index] !== vector[index])
          const real = changed.filter(({ index }) => other[index] !== Site.absent && vector[index] !== Site.absent)
          const seeded = changed.every(
            (site) => real.includes(site) || other[site.index] === Site.absent || other[site.index] === site.seed
          )
          const reached = text(get(Space.decode(tokens)(space)))
          if (real.length === 1 && seeded && reached !== text(value)) assert.include(names, reached)
        }
      }),
      { numRuns: 100 }
    )
  })

  it("mutates to a neighbour, and can reach all of them", () => {
    fc.assert(
      fc.property(small, fc.nat(), (space, seed) => {
        const prng = Prng.fromSeed(seed)
        const value = Space.sample(prng)(space)
        const neighbours = new Set(get(Space.neighbours(value)(space)).map(text))
        const mutants = new Set(Array.from({ length: 40 }, () => text(get(Space.mutate(value, prng)(space)))))
        if (neighbours.size === 0) assert.deepStrictEqual([...mutants], [text(value)])
        else for (const mutant of mutants) assert.isTrue(neighbours.has(mutant))
        if (neighbours.size === 1) assert.strictEqual(mutants.size, 1)
        if (neighbours.size > 1) assert.isAbove(mutants.size, 1)
      }),
      runs
    )
  })

  it("crosses two values into one whose every choice is a parent's, or the seed's where neither has it", () => {
    fc.assert(
      fc.property(
        small.filter((space) => Space.size(space) === Space.distinct(space)),
        fc.nat(),
        (space, seed) => {
          const prng = Prng.fromSeed(seed)
          const [a, b] = [Space.sample(prng)(space), Space.sample(prng)(space)]
          const child = get(Space.vector(get(Space.crossover(a, b, prng)(space)))(space))
          const [x, y] = [get(Space.vector(a)(space)), get(Space.vector(b)(space))]
          for (const { index, seed } of space.sites) {
            const token = child[index]!
            if (token === Site.absent) continue
            const allowed = [x[index], y[index]].filter((t) => t !== Site.absent)
            assert.include(allowed.length === 0 ? [seed] : allowed, token)
          }
          assert.deepStrictEqual(get(Space.crossover(a, a, prng)(space)), a)
        }
      ),
      runs
    )
  })

  it("has a metric: 0 for the same value only, symmetric, with the triangle inequality", () => {
    fc.assert(
      fc.property(small, fc.nat(), (space, seed) => {
        const prng = Prng.fromSeed(seed)
        const [a, b, c] = [Space.sample(prng)(space), Space.sample(prng)(space), Space.sample(prng)(space)]
        const d = (p: unknown, q: unknown) => get(Space.distance(p, q)(space))
        assert.strictEqual(d(a, a), 0)
        assert.strictEqual(d(a, b) === 0, text(a) === text(b))
        assert.strictEqual(d(a, b), d(b, a))
        assert.isAtMost(d(a, c), d(a, b) + d(b, c) + 1e-12)
      }),
      runs
    )
  })

  it("survives JSON: every value comes back equal, with the same hash", () => {
    fc.assert(
      fc.property(small, fc.nat(), (space, seed) => {
        const value = Space.sample(Prng.fromSeed(seed))(space)
        const json: unknown = JSON.parse(JSON.stringify(get(Space.encodeJson(value)(space))))
        const back = get(Space.decodeJson(json)(space))
        assert.deepStrictEqual(back, value)
        assert.strictEqual(Space.hash(back)(space), Space.hash(value)(space))
        const schema = Space.schema(space)
        assert.deepStrictEqual(
          Result.flatMap(Schema.encodeResult(schema)(value), Schema.decodeUnknownResult(schema)),
          Result.succeed(value)
        )
      }),
      runs
    )
  })

  it("hashes different values differently", () => {
    fc.assert(
      fc.property(small, (space) => {
        const hashes = new Set([...get(Space.enumerate(space))].map((value) => Space.hash(value)(space)))
        assert.strictEqual(BigInt(hashes.size), Space.distinct(space))
      }),
      { numRuns: 100 }
    )
  })

  it("refuses every sequence that is not one of its own, at the place of the fault", () => {
    fc.assert(
      fc.property(small, fc.nat(), fc.nat(), (space, seed, at) => {
        const tokens = Space.sampleTokens(Prng.fromSeed(seed))(space)
        const longer = Space.decode([...tokens, 0])(space)
        assert.isTrue(Result.isFailure(longer) && longer.failure.position === tokens.length)
        if (tokens.length === 0) return
        const shorter = Space.decode(tokens.slice(0, -1))(space)
        assert.isTrue(Result.isFailure(shorter) && shorter.failure.position === tokens.length - 1)
        const position = at % tokens.length
        for (const bad of [-1, 0.5, Number.NaN, 1000]) {
          const wrong = Space.decode(tokens.with(position, bad))(space)
          assert.isTrue(Result.isFailure(wrong) && wrong.failure.position === position)
        }
      }),
      runs
    )
  })

  it("has a seed point where every choice takes its seed", () => {
    fc.assert(
      fc.property(
        small.filter((space) => Space.size(space) === Space.distinct(space)),
        (space) => {
          const vector = get(Space.vector(Space.seedPoint(space))(space))
          for (const { index, seed } of space.sites) assert.include([Site.absent, seed], vector[index]!)
        }
      ),
      runs
    )
  })

  it("has one fingerprint per declaration, and prints every choice of a value on a line", () => {
    fc.assert(
      fc.property(declaration, fc.nat(), (choice, seed) => {
        const space = get(Space.make(choice))
        assert.strictEqual(Space.fingerprint(space), Space.fingerprint(get(Space.make(choice))))
        const value = Space.sample(Prng.fromSeed(seed))(space)
        const lines = get(Space.printValue(value)(space))
          .split("\n")
          .filter((line) => line !== "")
        assert.strictEqual(lines.length, get(Space.encode(value)(space)).length)
        assert.include(Space.print(space), `${Space.size(space)} choices`)
      }),
      runs
    )
  })
})

describe("sampling", () => {
  it("is over values, not over branches: a branch of 98 values is drawn 98 times as often as one of one value", () => {
    const space = get(
      Space.make(Choice.variants("kind", { one: {}, many: { n: Choice.integer({ min: 1, max: 98 }) }, last: {} }))
    )
    const prng = Prng.fromSeed("branches")
    const counts = { one: 0, many: 0, last: 0 }
    for (let i = 0; i < 10_000; i++) counts[Space.sample(prng)(space).kind]++
    assert.isBelow(chiSquared([counts.one, counts.many, counts.last], [100, 9800, 100]), limit(2))
  })

  it("is over values, not over what is chosen in vain: aliases do not add to a value's chance", () => {
    const space = get(
      Space.make(
        Choice.struct({ depth: Choice.ordered([-2, -1, 0, 1], { seed: 0 }) }).pipe(
          Choice.quotient({
            schema: Schema.Struct({ repeats: Schema.Int }),
            to: ({ depth }) => ({ repeats: Math.max(1, 1 + depth) })
          })
        )
      )
    )
    assert.strictEqual(Space.size(space), 4n)
    assert.strictEqual(Space.distinct(space), 2n)
    const prng = Prng.fromSeed("aliases")
    let ones = 0
    for (let i = 0; i < 10_000; i++) if (Space.sample(prng)(space).repeats === 1) ones++
    assert.isBelow(chiSquared([ones, 10_000 - ones], 5000), limit(1))
    // and the canonical offset of the three is the seed's
    assert.deepStrictEqual(get(Space.canonical([0])(space)), [2])
  })

  it("is exact in spaces too large for a number: every part stays uniform", () => {
    const space = get(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 9 }), { min: 1, max: 40 })))
    assert.strictEqual(Space.size(space), (10n ** 41n - 10n) / 9n)
    const prng = Prng.fromSeed("large")
    const lengths = [0, 0]
    const digits = filled(10, 0)
    for (let i = 0; i < 2000; i++) {
      const row = Space.sample(prng)(space)
      lengths[row.length === 40 ? 0 : 1]!++
      digits[row[0]!]!++
    }
    assert.isBelow(chiSquared(lengths, [1800, 200]), limit(1))
    assert.isBelow(chiSquared(digits, 200), limit(9))
    const last = get(Space.at(BigInt(Space.distinct(space)) - 1n)(space))
    assert.deepStrictEqual(last, filled(40, 9))
  })
})
