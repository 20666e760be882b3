/** Chains that do not fit their space, costs that fail, and costs of one field of a larger point. */
import { assert, describe, it } from "@effect/vitest"
import { Choice, Constrained, Constraint, Cost, Prng, Space } from "@uninet/search-space"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { declaration, numericDeclaration } from "./support/declarations.ts"
import { filled } from "./support/filled.ts"
import { chiSquared, limit } from "./support/statistics.ts"

const get = Result.getOrThrow
const made = <A>(choice: Choice.Choice<A>) => get(Space.make(choice))

type Row = ReadonlyArray<number>

/** A row of layers: a layer's number of weights is its width times the width of the layer before it. */
const weights: Cost.Cost<Row, "weights"> = {
  of: (row) => ({ weights: row.reduce((sum, width, i) => sum + width * (row[i - 1] ?? 8), 0) }),
  chain: {
    start: () => ({ costs: { weights: 0 }, exit: 8 }),
    part: (row, i, entry) => ({ costs: { weights: row[i]! * Number(entry) }, exit: row[i]! }),
    end: () => ({ weights: 0 })
  }
}
const widths = Choice.repeat(Choice.ordered([1, 2, 4, 8, 16]), 7)

/** One width for all layers. */
const one = made(
  Choice.struct({ width: Choice.ordered([1, 2, 4, 8, 16]), last: Choice.ordered([1, 2, 4]) }).pipe(
    Choice.map<{ readonly width: 1 | 2 | 4 | 8 | 16; readonly last: 1 | 2 | 4 }, Row>({
      schema: Schema.Array(Schema.Int),
      to: ({ last, width }) => [...filled(6, width), last],
      from: (row) => Result.fail({ path: [], value: row, expected: "no row is encoded here" })
    })
  )
)

/** Compares draws within bounds with the enumerated feasible values. */
const drawsAll = <A>(space: Space.Space<A>, constraints: ReadonlyArray<Constraint.Constraint<A>>) => {
  const within = get(Constrained.make(space, constraints, { enumerate: 0 }))
  const feasible = [...get(Space.enumerate(space))].filter((a) => Constraint.violations(a)(constraints).length === 0)
  const counts = new Map(feasible.map((a) => [JSON.stringify(a), 0]))
  const prng = Prng.fromSeed("draws")
  for (let i = 0; i < 40 * feasible.length; i++) {
    const key = JSON.stringify(get(Constrained.sampleWithin(prng)(within)))
    counts.set(key, counts.get(key)! + 1)
  }
  assert.isBelow(chiSquared([...counts.values()], 40), limit(feasible.length - 1))
  return within
}

/** Returns the number, or throws. */
const say = (answer: number | "throws"): number => {
  if (answer === "throws") throw new TypeError("Invalid value used as weak map key")
  return answer
}

describe("a chain made for another layout", () => {
  it("is not used: feasibility is right, and what does not agree is named", () => {
    for (const enumerate of [0, 20_000]) {
      const within = get(Constrained.make(one, Constraint.bounds({ weights: { max: 60 } })(weights), { enumerate }))
      const prng = Prng.fromSeed(1)
      for (let i = 0; i < 50; i++) assert.isAtMost(weights.of(get(Constrained.sampleWithin(prng)(within))).weights, 60)
      const feasible = [...get(Space.enumerate(one))].filter((row) => weights.of(row).weights <= 60)
      const { error, share } = get(Constrained.feasibleShare(prng)(within))
      assert.closeTo(share, feasible.length / 15, 5 * error)
      if (enumerate > 0) continue
      const [mismatch] = within.mismatches
      assert.strictEqual(mismatch?._tag, "ChainMismatch")
      assert.strictEqual(mismatch?.cost, "weights")
      const point = Schema.decodeUnknownSync(Schema.Array(Schema.Int))(mismatch?.point)
      assert.strictEqual(mismatch?.of, weights.of(point).weights)
      assert.notStrictEqual(mismatch?.chain, mismatch?.of)
      assert.match(
        mismatch?.message ?? "",
        /^The chain of the cost weights does not fit this space: it gives \d+ but the cost is \d+, for \[/
      )
    }
  })

  it("whose parts look at other parts is found out by its tables", () => {
    const peeking: Cost.Cost<Row, "weights"> = {
      of: weights.of,
      chain: {
        start: () => ({ costs: { weights: 0 }, exit: 0 }),
        // right for a whole point, but not for a part alone
        part: (row, i) => ({ costs: { weights: row[i]! * (row[i - 1] ?? 8) }, exit: 0 }),
        end: () => ({ weights: 0 })
      }
    }
    const constraints = Constraint.bounds({ weights: { min: 200, max: 220 } })(peeking)
    const within = get(Constrained.make(made(widths), constraints))
    assert.strictEqual(within.mismatches.length, 1)
    const prng = Prng.fromSeed(3)
    for (let i = 0; i < 20; i++) {
      assert.isTrue(Constrained.isFeasible(get(Constrained.sampleWithin(prng)(within)))(within))
    }
  })

  it("leaves the chains that fit in use", () => {
    const both = Constraint.bounds({ weights: { max: 40 }, sum: { min: 14 } })<Row>({
      of: (row) => ({ ...weights.of(row), sum: row.reduce((a, b) => a + b, 0) }),
      chain: {
        start: () => ({ costs: { weights: 0, sum: 0 }, exit: 8 }),
        part: (row, i, entry) => ({ costs: { weights: row[i]! * Number(entry), sum: 2 * row[i]! }, exit: row[i]! }),
        end: () => ({ weights: 0, sum: 0 })
      }
    })
    const within = get(Constrained.make(made(widths), both))
    assert.deepStrictEqual(
      within.mismatches.map(({ cost }) => cost),
      ["sum"]
    )
    const prng = Prng.fromSeed(4)
    for (let i = 0; i < 20; i++) {
      assert.isTrue(Constrained.isFeasible(get(Constrained.sampleWithin(prng)(within)))(within))
    }
  })

  it("may throw, give no number, or give anything: nothing throws, and feasibility is the cost's", () => {
    const anything = fc.constantFrom("throws" as const, Number.NaN, Infinity, -Infinity, 0, 7)
    fc.assert(
      fc.property(
        fc.oneof(declaration, numericDeclaration),
        fc.record({ start: anything, part: anything, end: anything, of: anything }),
        fc.integer({ min: -2, max: 8 }),
        (choice, answers, max) => {
          const space = made(choice)
          const cost: Cost.Cost<unknown, "c"> = {
            of: () => ({ c: say(answers.of) }),
            chain: {
              start: () => ({ costs: { c: say(answers.start) }, exit: 0 }),
              part: () => ({ costs: { c: say(answers.part) }, exit: say(answers.part) }),
              end: () => ({ c: say(answers.end) })
            }
          }
          const constraints = Constraint.bounds({ c: { max } })(cost)
          const within = Constrained.make(space, constraints, { attempts: 20 })
          const drawn = Result.flatMap(within, Constrained.sampleWithin(Prng.fromSeed(1)))
          const c = answers.of === "throws" ? Number.NaN : answers.of
          if (Number.isNaN(c)) assert.isTrue(Result.isFailure(drawn) && drawn.failure._tag === "CostFailed")
          else assert.strictEqual(Result.isSuccess(drawn), c <= max)
          if (Result.isSuccess(within)) {
            get(Constrained.next([])(within.success))
            Constrained.feasibleShare(Prng.fromSeed(1), { samples: 10 })(within.success)
          }
        }
      ),
      { numRuns: 400 }
    )
  })
})

/** A sum that cannot be computed for rows that begin with 7 or 8. */
const odd = (row: Row): number => {
  if (row[0] === 7) throw new Error("no such layer")
  return row[0] === 8 ? Number.NaN : row.reduce((a, b) => a + b, 0)
}

const throwing = (): readonly [number, number] => {
  throw new Error("not now")
}

describe("a cost that cannot be told", () => {
  const digits = made(Choice.repeat(Choice.integer({ min: 0, max: 9 }), 6))

  it("is named with the point, by whatever looks at the point", () => {
    const small = made(Choice.repeat(Choice.integer({ min: 0, max: 9 }), 2))
    const failures: ReadonlyArray<Result.Result<unknown, Constrained.CostFailed | Constrained.Infeasible>> = [
      Constrained.make(small, [Constraint.bound("depth", odd, { max: 3 })]),
      Result.flatMap(Constrained.make(digits, [Constraint.bound("depth", odd, { max: 3 })]), (within) =>
        Constrained.sampleWithin(Prng.fromSeed(1))(within)
      ),
      Result.flatMap(Constrained.make(digits, [Constraint.bound("depth", odd, { max: 3 })]), (within) =>
        Constrained.feasibleShare(Prng.fromSeed(1))(within)
      )
    ]
    for (const result of failures) {
      assert.isTrue(Result.isFailure(result))
      if (Result.isSuccess(result)) continue
      assert.match(
        result.failure.message,
        /^The cost depth (throws "no such layer"|is not a number) for \[[78].*\]\. Make it return a number for every point/
      )
    }
  })

  it("meets no bound: its points are not feasible, and are violations without a number", () => {
    const constraints = [Constraint.bound("depth", odd, { max: 100 })]
    const within = get(Constrained.make(digits, constraints))
    for (const first of [7, 8]) {
      const row = [first, 0, 0, 0, 0, 0]
      assert.isFalse(Constrained.isFeasible<Row>(row)(within))
      assert.deepStrictEqual(Constraint.violations<Row>(row)(constraints), [
        { name: "depth", value: Number.NaN, min: null, max: 100 }
      ])
    }
    assert.isTrue(Constrained.isFeasible<Row>([9, 0, 0, 0, 0, 0])(within))
  })

  it("that no point meets is told of a space without a choice as well", () => {
    const deep = Constraint.bound("depth", (depth: number) => depth, { min: 4 })
    const within = get(Constrained.make(made(Choice.constant(3)), [deep], { attempts: 1, enumerate: 0 }))
    const drawn = Constrained.sampleWithin(Prng.fromSeed(1))(within)
    assert.isTrue(Result.isFailure(drawn) && drawn.failure._tag === "Infeasible")
  })

  it("a range that throws bars nothing", () => {
    const within = get(
      Constrained.make(digits, [Constraint.bound("sum", (row: Row) => row[0]!, { max: 3, range: throwing })], {
        enumerate: 0
      })
    )
    assert.deepStrictEqual(Option.getOrThrow(get(Constrained.next([])(within))).mask, filled(10, true))
  })
})

describe("the cost of a field", () => {
  const rate = Choice.logUniform({ min: 1e-4, max: 0.1 })
  const training = Choice.struct({
    optimiser: Choice.categorical(["sgd", "adam"]),
    network: widths,
    momentum: Choice.when({ optimiser: ["sgd"] }, Choice.uniform({ min: 0, max: 1 })),
    rate
  })
  const ofNetwork = Cost.onField("network")(weights)
  const alone = get(Constrained.make(made(widths), Constraint.bounds({ weights: { max: 22 } })(weights)))

  it("is met by dynamic programming beside numbers and conditions, however rare it is", () => {
    const constraints = Constraint.bounds({ weights: { max: 22 } })(ofNetwork)
    const within = get(Constrained.make(made(training), constraints, { attempts: 50 }))
    assert.deepStrictEqual(within.mismatches, [])
    const prng = Prng.fromSeed(5)
    let sgd = 0
    const rates = [0, 0, 0]
    for (let i = 0; i < 600; i++) {
      const { momentum, network, optimiser, rate: drawn } = get(Constrained.sampleWithin(prng)(within))
      assert.isAtMost(weights.of(network).weights, 22)
      if (optimiser === "sgd") sgd++
      assert.strictEqual(momentum === undefined, optimiser === "adam")
      rates[Math.min(2, Math.floor(Math.log10(drawn) + 4))]!++
    }
    assert.isBelow(chiSquared([sgd, 600 - sgd], 300), limit(1))
    assert.isBelow(chiSquared(rates, 200), limit(2))
    const share = get(Constrained.feasibleShare(Prng.fromSeed(6))(within))
    const part = get(Constrained.feasibleShare(Prng.fromSeed(6))(alone))
    assert.isBelow(Math.abs(share.share - part.share), 4 * (share.error + part.error))
    assert.isBelow(part.share, 2e-3)
  })

  it("has the field's masks, and none for what stands beside it", () => {
    const constraints = Constraint.bounds({ weights: { max: 22 } })(ofNetwork)
    const within = get(Constrained.make(made(training), constraints))
    const maskOf = (prefix: Space.Tokens) => Option.getOrThrow(get(Constrained.next(prefix)(within)))
    const beside = maskOf([])
    assert.strictEqual(beside.site.name, "optimiser")
    assert.deepStrictEqual(beside.mask, [true, true])
    for (const prefix of [[], [0], [0, 0], [0, 1, 0]]) {
      const { mask, site } = maskOf([1, ...prefix])
      assert.strictEqual(site.name, `network[${prefix.length}]`)
      assert.deepStrictEqual(mask, Option.getOrThrow(get(Constrained.next(prefix)(alone))).mask)
    }
    const after = maskOf([0, ...filled(7, 0)])
    assert.strictEqual(after.site.name, "momentum")
    assert.isTrue(after.mask.every((allowed) => allowed))
  })

  it("is proven to be impossible, with the closest point", () => {
    const none = Constrained.make(made(training), Constraint.bounds({ weights: { max: 13 } })(ofNetwork))
    assert.isTrue(Result.isFailure(none) && none.failure._tag === "Infeasible" && none.failure.proven)
    if (Result.isFailure(none)) assert.include(none.failure.message, "The closest has weights 14")
  })

  it("gives every point within the bounds the same chance, at any depth of products", () => {
    const short = Choice.repeat(Choice.ordered([1, 2, 3]), 3)
    const deep = made(
      Choice.tuple([
        Choice.struct({ body: Choice.tuple([short]), seed: Choice.integer({ min: 0, max: 1 }) }),
        Choice.ordered(["a", "b"])
      ])
    )
    const cost = Cost.onField(0)(Cost.onField("body")(Cost.onField(0)(weights)))
    const within = drawsAll(deep, Constraint.bounds({ weights: { min: 20, max: 25 } })(cost))
    assert.deepStrictEqual(within.mismatches, [])
  })

  it("is met by rejection where the field is conditional, or others are conditional on it", () => {
    const conditional = made(
      Choice.struct({
        kind: Choice.categorical(["none", "row"]),
        network: Choice.when({ kind: ["row"] }, widths)
      })
    )
    const cost: Cost.Cost<{ readonly network?: Row }, "weights"> = {
      of: ({ network }) => (network === undefined ? { weights: 0 } : weights.of(network)),
      chain: {
        focus: ["network"],
        start: () => ({ costs: { weights: 0 }, exit: 8 }),
        part: ({ network }, i, entry) => ({
          costs: { weights: (network?.[i] ?? 0) * Number(entry) },
          exit: network?.[i] ?? 0
        }),
        end: () => ({ weights: 0 })
      }
    }
    const within = get(Constrained.make(conditional, Constraint.bounds({ weights: { max: 200 } })(cost)))
    assert.deepStrictEqual(within.mismatches, [])
    const prng = Prng.fromSeed(7)
    for (let i = 0; i < 50; i++) assert.isAtMost(cost.of(get(Constrained.sampleWithin(prng)(within))).weights, 200)
  })
})
