/** Choices of real numbers, and of integers from ranges too large to list. */
import { assert, describe, it } from "@effect/vitest"
import { Choice, Constrained, Constraint, Prng, Site, Space, type SpaceError } from "@uninet/search-space"
import * as Arbitrary from "@uninet/search-space/arbitrary"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { numeric, numericDeclaration } from "./support/declarations.ts"
import { chiSquared, limit } from "./support/statistics.ts"

const get = Result.getOrThrow
const made = <A>(choice: Choice.Choice<A>) => get(Space.make(choice))
const text = (value: unknown) => JSON.stringify(value) ?? "nothing"
const problems = (choice: Choice.Choice<unknown>) => {
  const result = Space.make(choice)
  return Result.isFailure(result) ? result.failure.problems.map((p) => `${p.path.join("/")}: ${p.problem}`) : []
}

const rate = Choice.logUniform({ min: 1e-4, max: 0.1, seed: 0.01 })
const training = made(Choice.struct({ optimiser: Choice.categorical(["sgd", "adam"]), rate }))

describe("a real number", () => {
  it("of any token has that token again, lies in the range, and no number of fewer digits has it", () => {
    fc.assert(
      fc.property(numeric, fc.double({ min: 0, max: 1, noNaN: true }), ({ logarithmic, ...range }, u) => {
        const space = made(logarithmic ? Choice.logUniform(range) : Choice.uniform(range))
        const [site] = space.sites
        const token = Site.at(site!, u)
        const value = get(Space.decode([token])(space))
        assert.isTrue(value >= range.min && value <= range.max)
        assert.deepStrictEqual(get(Space.encode(value)(space)), [token])
        const digits = value.toExponential().replace(/e.*|[-.]/g, "").length
        if (digits > 1 && value !== range.min && value !== range.max) {
          const shorter = Space.encode(Number(value.toPrecision(digits - 1)))(space)
          assert.isTrue(Result.isFailure(shorter) || shorter.success[0] !== token)
        }
      }),
      { numRuns: 2000 }
    )
  })

  it("rises with its token, from the least to the greatest", () => {
    fc.assert(
      fc.property(numeric, fc.nat(), ({ logarithmic, ...range }, at) => {
        const space = made(logarithmic ? Choice.logUniform(range) : Choice.uniform(range))
        const { count } = space.sites[0]!
        const value = (token: number) => get(Space.decode([token])(space))
        assert.strictEqual(value(0), range.min)
        assert.strictEqual(value(count - 1), range.max)
        const token = at % (count - 1)
        assert.isBelow(value(token), value(token + 1))
      }),
      { numRuns: 1000 }
    )
  })

  it("written by hand is taken to the nearest of the grid, and kept to the digit where it has few", () => {
    const space = made(Choice.tuple([rate, Choice.uniform({ min: 0, max: 1 })]))
    for (const pair of [
      [1e-4, 0],
      [3e-4, 0.3],
      [0.001, 0.25],
      [0.05, 0.123456],
      [0.1, 1]
    ] as const) {
      assert.deepStrictEqual(get(Space.decodeJson(pair)(space)), pair)
    }
    const given: readonly [number, number] = [0.0123456789012345, 1 / 3]
    const taken = get(Space.decodeJson(given)(space))
    assert.notDeepEqual(taken, given)
    for (const i of [0, 1] as const) assert.closeTo(taken[i], given[i], 2 ** -30)
    assert.deepStrictEqual(get(Space.decodeJson(taken)(space)), taken)
    assert.isBelow(get(Space.distance<readonly [number, number]>(given, taken)(space)), 1e-8)
  })

  it("is the same on every machine", () => {
    const [site] = made(rate).sites
    assert.deepStrictEqual(
      [1, 12_345, 500_000_000, 2 ** 29, 987_654_321].map((token) => site!.value(token)),
      [0.0001000000006, 0.000100007942, 0.00249450203, 0.00316227766, 0.05747438]
    )
  })

  it("outside the range, or none, is refused with the range", () => {
    for (const given of [0.2, 1e-5, Number.NaN, "0.01", null]) {
      const fault = Space.encode<unknown>({ optimiser: "sgd", rate: given })(training)
      assert.isTrue(Result.isFailure(fault))
      if (Result.isFailure(fault)) {
        assert.deepStrictEqual(fault.failure.path, ["rate"])
        assert.include(fault.failure.message, "a number from 1e-4 to 0.1")
      }
    }
    assert.isTrue(Result.isFailure(Space.decodeJson({ optimiser: "sgd", rate: 1 })(training)))
    assert.deepInclude(Space.jsonSchema(training).schema, { type: "object" })
  })
})

describe("a space with real numbers", () => {
  it("has infinitely many points and says so, instead of numbering them", () => {
    assert.strictEqual(Space.size(training), Infinity)
    assert.strictEqual(Space.distinct(training), Infinity)
    assert.strictEqual(Space.showCount(Space.size(training)), "infinitely many")
    assert.strictEqual(
      Space.print(training),
      'infinitely many choices\n  optimiser: "sgd" | "adam"\n  rate: 1e-4 … 0.1 (logarithmic)'
    )
    const seed = Space.seedPoint(training)
    assert.deepStrictEqual(seed, { optimiser: "sgd", rate: 0.01 })
    const refusals: ReadonlyArray<
      Result.Result<unknown, SpaceError.InfiniteSpace | SpaceError.InvalidIndex | SpaceError.NotInSpace>
    > = [Space.enumerate(training), Space.at(0)(training), Space.index(seed)(training)]
    for (const refused of refusals) {
      assert.isTrue(Result.isFailure(refused) && refused.failure._tag === "InfiniteSpace")
      if (Result.isFailure(refused))
        assert.match(refused.failure.message, /infinitely many points.*: rate is continuous/)
    }
  })

  it("is drawn from evenly in the scale of each number, and evenly over what is chosen beside them", () => {
    const space = made(
      Choice.variants("kind", {
        none: {},
        rate: { rate, momentum: Choice.uniform({ min: 0, max: 1 }) },
        widths: { width: Choice.ordered([1, 2]), drop: Choice.when({ width: [2] }, Choice.uniform({ min: 0, max: 1 })) }
      })
    )
    const prng = Prng.fromSeed("scales")
    const kinds = { none: 0, rate: 0, widths: 0 }
    const decades = [0, 0, 0]
    const quarters = [0, 0, 0, 0]
    for (let i = 0; i < 12_000; i++) {
      const value = Space.sample(prng)(space)
      kinds[value.kind]++
      if (value.kind !== "rate") continue
      decades[Math.min(2, Math.floor(Math.log10(value.rate) + 4))]!++
      quarters[Math.min(3, Math.floor(4 * value.momentum))]!++
    }
    // four points without counting the real numbers; two of them have widths
    assert.isBelow(chiSquared([kinds.none, kinds.rate, kinds.widths], [3000, 3000, 6000]), limit(2))
    assert.isBelow(chiSquared(decades, kinds.rate / 3), limit(2))
    assert.isBelow(chiSquared(quarters, kinds.rate / 4), limit(3))
  })

  it("obeys the laws of all spaces: tokens, JSON, hashes, mutation, crossover, distance", () => {
    fc.assert(
      fc.property(numericDeclaration, fc.nat(), (choice, seed) => {
        const space = made(choice)
        const prng = Prng.fromSeed(seed)
        const [a, b, c] = [Space.sample(prng)(space), Space.sample(prng)(space), Space.sample(prng)(space)]
        const tokens = get(Space.encode(a)(space))
        assert.deepStrictEqual(get(Space.decode(tokens)(space)), a)
        assert.deepStrictEqual(get(Space.canonicalValue(a)(space)), a)
        assert.deepStrictEqual(get(Space.decode(Space.sampleTokens(Prng.fromSeed(seed))(space))(space)), a)
        const json: unknown = JSON.parse(text(get(Space.encodeJson(a)(space))))
        const back = get(Space.decodeJson(json)(space))
        assert.deepStrictEqual(back, a)
        assert.strictEqual(Space.hash(back)(space), Space.hash(a)(space))
        assert.strictEqual(text(a) === text(b), Space.hash(a)(space) === Space.hash(b)(space))
        for (const near of [...get(Space.neighbours(a)(space)), get(Space.mutate(a, prng)(space))]) {
          assert.deepStrictEqual(get(Space.canonicalValue(near)(space)), near)
        }
        const child = get(Space.crossover(a, b, prng)(space))
        assert.deepStrictEqual(get(Space.canonicalValue(child)(space)), child)
        const d = (p: unknown, q: unknown) => get(Space.distance(p, q)(space))
        assert.strictEqual(d(a, a), 0)
        assert.strictEqual(d(a, b) === 0, text(a) === text(b))
        assert.isAtMost(d(a, c), d(a, b) + d(b, c) + 1e-12)
        assert.strictEqual(Space.fingerprint(space), Space.fingerprint(made(choice)))
        const infinite = space.sites.some(({ kind }) => kind === "continuous")
        assert.strictEqual(Space.distinct(space) === Infinity, infinite)
        assert.strictEqual(Result.isFailure(Space.enumerate(space)), infinite)
      }),
      { numRuns: 400 }
    )
  })

  it("mutates a number far and near, and its neighbours are few and of several lengths", () => {
    const space = made(Choice.uniform({ min: 0, max: 1 }))
    const prng = Prng.fromSeed("reach")
    const steps = Array.from({ length: 2000 }, () => Math.abs(get(Space.mutate(0.4, prng)(space)) - 0.4))
    for (const [from, to] of [
      [1e-6, 1e-4],
      [1e-4, 1e-2],
      [1e-2, 0.1],
      [0.1, 0.6]
    ] as const) {
      assert.isAbove(steps.filter((step) => step > from && step <= to).length, 100)
    }
    const around = get(Space.neighbours(0.5)(space))
    assert.strictEqual(around.length, 28)
    assert.deepStrictEqual(around.slice(0, 6), [0, 1, 0.25, 0.75, 0.375, 0.625])
  })

  it("may be mapped to other types, also where the inverse loses the last bits", () => {
    const decibels = made(
      Choice.struct({ x: Choice.uniform({ min: -40, max: 0 }) }).pipe(
        Choice.map({
          schema: Schema.Struct({ gain: Schema.Finite }),
          to: ({ x }) => ({ gain: 10 ** (x / 20) }),
          from: ({ gain }) => Result.succeed({ x: 20 * Math.log10(gain) }),
          locate: () => ["gain"]
        })
      )
    )
    const prng = Prng.fromSeed("map")
    for (let i = 0; i < 500; i++) {
      const value = Space.sample(prng)(decibels)
      assert.deepStrictEqual(get(Space.canonicalValue(value)(decibels)), value)
    }
    assert.deepStrictEqual(get(Space.canonicalValue({ gain: 0.1 })(decibels)), { gain: 0.1 })
    const outside = Space.encode({ gain: 2 })(decibels)
    assert.isTrue(Result.isFailure(outside) && outside.failure.path.join() === "gain")
  })

  it("is met by rejection under constraints, and masks allow all of it", () => {
    const pair = made(Choice.tuple([Choice.uniform({ min: 0, max: 1 }), Choice.uniform({ min: 0, max: 1 })]))
    const disc = Constraint.bound<readonly [number, number]>("radius", ([x, y]) => Math.hypot(x, y), { max: 0.5 })
    const within = get(Constrained.make(pair, [disc]))
    const prng = Prng.fromSeed("disc")
    for (let i = 0; i < 100; i++) {
      assert.isTrue(Constrained.isFeasible(get(Constrained.sampleWithin(prng)(within)))(within))
    }
    const { high, low } = get(Constrained.feasibleShare(prng)(within))
    assert.isTrue(low < Math.PI / 16 && Math.PI / 16 < high)
    const { mask, site } = Option.getOrThrow(get(Constrained.next([])(within)))
    assert.strictEqual(mask.length, site.slots?.length)
    assert.isTrue(mask.every((allowed) => allowed))
  })

  it("shrinks to the number where a property begins to fail, in few steps", () => {
    const space = made(
      Choice.struct({ rate, drop: Choice.uniform({ min: 0, max: 1 }), op: Choice.categorical(["a", "b"]) })
    )
    for (let seed = 0; seed < 5; seed++) {
      let runs = 0
      const { counterexample } = fc.check(
        fc.property(Arbitrary.fromSpace(space), ({ drop }) => {
          runs++
          return drop < 0.3
        }),
        { seed }
      )
      assert.deepStrictEqual(counterexample, [{ rate: 0.01, drop: 0.3, op: "a" }])
      assert.isBelow(runs, 1500)
    }
  })

  it("tells its fingerprint by its ranges, seeds and scales", () => {
    const range = { min: 1, max: 2 }
    const prints = [
      Choice.uniform(range),
      Choice.logUniform(range),
      Choice.uniform({ ...range, seed: 1.5 }),
      Choice.uniform({ min: 1, max: 3 })
    ].map((choice) => Space.fingerprint(made(choice)))
    assert.strictEqual(new Set(prints).size, prints.length)
  })
})

describe("a declaration of a real number is refused", () => {
  it("where the range is empty, reversed, of one number, not finite, too narrow or too wide", () => {
    assert.deepStrictEqual(problems(Choice.uniform({ min: 2, max: 1 })), [": the range 2 … 1 is empty"])
    assert.deepStrictEqual(problems(Choice.uniform({ min: 1, max: 1 })), [": the range 1 … 1 holds only one number"])
    for (const [min, max] of [
      [0, Infinity],
      [-Infinity, 0],
      [Number.NaN, 1]
    ] as const) {
      assert.include(problems(Choice.uniform({ min, max }))[0], "not a finite number")
    }
    assert.include(problems(Choice.uniform({ min: 1e9, max: 1e9 + 1e-6 }))[0], "too narrow")
    assert.include(problems(Choice.logUniform({ min: 1, max: 1 + 1e-13 }))[0], "too narrow")
    assert.include(problems(Choice.uniform({ min: -1.7e308, max: 1.7e308 }))[0], "wider than the largest double")
  })

  it("where a logarithmic range begins at 0 or below", () => {
    for (const min of [0, -1]) {
      assert.include(
        problems(Choice.struct({ rate: Choice.logUniform({ min, max: 1 }) }))[0],
        `rate: the range ${min} … 1`
      )
    }
    assert.include(problems(Choice.logUniform({ min: 5e-324, max: 1 }))[0], "smallest normal double")
  })

  it("where the seed is outside", () => {
    for (const seed of [0.5, 3, Number.NaN]) {
      assert.deepStrictEqual(problems(Choice.uniform({ min: 1, max: 2, seed })), [
        `: the seed ${seed} is outside the range`
      ])
    }
  })

  it("where something is conditional on it, or it is in a quotient", () => {
    assert.deepStrictEqual(
      problems(Choice.struct({ rate, a: Choice.when({ rate: [0.01] }, Choice.categorical(["x"])) })),
      ['a: it is conditional on "rate", which is a continuous choice']
    )
    const quotient = Choice.tuple([rate]).pipe(Choice.quotient({ schema: Schema.Int, to: () => 1 }))
    assert.deepStrictEqual(problems(Choice.struct({ quotient })), [
      "quotient: a quotient with a continuous choice cannot be tabulated"
    ])
  })
})

describe("a whole number of very many", () => {
  const most = 2 ** 31 - 2
  const wide = made(
    Choice.struct({
      n: Choice.integer({ min: 0, max: most, seed: 1000 }),
      few: Choice.when({ n: [0, 1, 2, 7] }, Choice.ordered(["a", "b", "c"])),
      other: Choice.when({ n: [2, 3] }, Choice.categorical(["d", "e"]))
    })
  )

  it("is counted, numbered and conditioned on without being listed", () => {
    assert.strictEqual(Space.size(wide), 3n + 3n + 6n + 2n + 3n + BigInt(most + 1 - 5))
    const values = [
      { n: 0, few: "b" },
      { n: 2, few: "c", other: "d" },
      { n: 3, other: "e" },
      { n: 4 },
      { n: 7, few: "a" },
      { n: most }
    ]
    const indices = values.map((value) => {
      const typed = get(Space.decodeJson(value)(wide))
      const index = get(Space.index(typed)(wide))
      assert.deepStrictEqual(get(Space.at(index)(wide)), typed)
      return index
    })
    assert.strictEqual(new Set(indices).size, values.length)
    const prng = Prng.fromSeed("wide")
    const mean = Array.from({ length: 4000 }, () => Space.sample(prng)(wide).n / most).reduce((a, b) => a + b) / 4000
    assert.closeTo(mean, 0.5, 0.03)
  })

  it("has few neighbours, of several lengths down to one step", () => {
    const around = get(Space.neighbours({ n: 1000 })(wide))
    assert.isBelow(around.length, 40)
    const narrow = made(Choice.integer({ min: 0, max: 2000 }))
    const values = get(Space.neighbours(1000)(narrow))
    for (const near of [0, 2000, 500, 1500, 999, 1001]) assert.include(values, near)
    assert.isBelow(values.length, 30)
    const prng = Prng.fromSeed("mutants")
    const mutants = Array.from({ length: 500 }, () => get(Space.mutate(0, prng)(narrow)))
    assert.isAtMost(Math.max(...mutants), 1000)
    assert.include(mutants, 1)
  })

  it("has slots that cover all of it in order, cut where a condition cuts", () => {
    const [n] = wide.sites
    const slots = n!.slots!
    assert.isBelow(slots.length, 60)
    assert.strictEqual(slots[0], 0)
    assert.deepStrictEqual(
      slots,
      slots.toSorted((a, b) => a - b)
    )
    for (const cut of [0, 2, 3, 4, 7, 8]) assert.include(slots, cut)
    for (const [slot, from] of slots.entries()) {
      assert.strictEqual(Site.slotOf(slots, from), slot)
      assert.strictEqual(Site.slotOf(slots, (slots[slot + 1] ?? most + 1) - 1), slot)
    }
    assert.isUndefined(made(Choice.integer({ min: 0, max: 1023 })).sites[0]!.slots)
  })

  it("has masks by slot, exact where its part is tabulated", () => {
    const space = made(Choice.tuple([Choice.integer({ min: 0, max: 1999 }), Choice.ordered([0, 100])]))
    const sum = Constraint.bound<readonly [number, number]>("sum", ([a, b]) => a + b, { min: 1990 })
    const within = get(Constrained.make(space, [sum]))
    const { mask, site } = Option.getOrThrow(get(Constrained.next([])(within)))
    const first = site.slots!.findIndex((_, slot) => (site.slots![slot + 1] ?? 2000) > 1890)
    assert.deepStrictEqual(
      mask,
      site.slots!.map((_, slot) => slot >= first)
    )
    const second = Option.getOrThrow(get(Constrained.next([1950])(within)))
    assert.deepStrictEqual(second.mask, [false, true])
  })

  it("shrinks in few steps to the number where a property begins to fail", () => {
    let runs = 0
    const { counterexample } = fc.check(
      fc.property(Arbitrary.fromSpace(wide), ({ n }) => {
        runs++
        return n < 123_456_789
      }),
      { seed: 3 }
    )
    assert.deepStrictEqual(counterexample, [{ n: 123_456_789 }])
    assert.isBelow(runs, 1500)
  })
})
