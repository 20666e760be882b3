import { assert, describe, it } from "@effect/vitest"
import { Choice, Constrained, Constraint, Cost, Prng, Space } from "@uninet/search-space"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { declaration } from "./support/declarations.ts"
import { filled } from "./support/filled.ts"
import { cost, type Row, rows } from "./support/rows.ts"
import { chiSquared, chiSquaredOfTwo, limit } from "./support/statistics.ts"

const get = Result.getOrThrow

/** A number that looks random but depends only on the seed and the key. */
const noise = (seed: number, key: string, most: number) => Prng.fromSeed(`${seed}/${key}`).nextInt(most)

/**
 * A row of parts with conditions and aliases, and a cost along it in which each part's cost depends on the part before.
 * With a large `unit`, the costs are much finer than the solver's bins.
 */
const chained = fc
  .record({
    parts: fc.array(declaration, { minLength: 1, maxLength: 4 }),
    seed: fc.nat(),
    unit: fc.constantFrom(1, 997)
  })
  .map(({ parts, seed, unit }) => {
    const space = get(Space.make(Choice.tuple(parts)))
    const at = (value: ReadonlyArray<unknown>, index: number, entry: Cost.Entry) => {
      const key = JSON.stringify(value[index]) ?? ""
      return {
        costs: {
          c: noise(seed, `${index} ${entry} ${key}`, 12 * unit) - 3,
          d: noise(seed + 1, `${index} ${entry} ${key}`, 5) / 7
        },
        exit: noise(seed + 2, `${index} ${key}`, 3)
      }
    }
    const chain: Cost.Chain<ReadonlyArray<unknown>, "c" | "d"> = {
      start: () => ({ costs: { c: 5, d: 0 }, exit: "in" }),
      part: at,
      end: (_, entry) => ({ c: Number(entry), d: 0.5 })
    }
    const of = (value: ReadonlyArray<unknown>) => {
      let { costs, exit }: { costs: Cost.Costs<"c" | "d">; exit: Cost.Entry } = chain.start(value)
      for (let i = 0; i < parts.length; i++) {
        const step = chain.part(value, i, exit)
        costs = Cost.plus(costs, step.costs)
        exit = step.exit
      }
      return Cost.plus(costs, chain.end(value, exit))
    }
    return { space, cost: { of, chain }, unit }
  })
  .filter(({ space }) => Space.size(space) <= 400n)

/** The `Infeasible` error; `undefined` if some point meets the constraints or a cost failed. */
const infeasible = (result: Result.Result<unknown, Constrained.Infeasible | Constrained.CostFailed>) =>
  Result.isFailure(result) && result.failure._tag === "Infeasible" ? result.failure : undefined

const sum = (row: ReadonlyArray<number>) => row.reduce((a, b) => a + b, 0)

const macs = (a: Row) => cost.of(a).macs

const window = fc.record({ at: fc.nat(50), width: fc.nat(12), d: fc.option(fc.integer({ min: 0, max: 20 })) })

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

/** Compares every prefix's mask with the list of all sequences. */
const masksAreExact = <A>(
  space: Space.Space<A>,
  constrained: Constrained.Constrained<A>,
  meets: (value: A) => boolean
) => {
  const feasible = allTokens(space).filter((tokens) => meets(get(Space.decode(tokens)(space))))
  const prefixes = new Set(feasible.flatMap((tokens) => tokens.map((_, i) => tokens.slice(0, i + 1).join())))
  const check = (prefix: Space.Tokens) => {
    const step = Option.getOrUndefined(get(Constrained.next(prefix)(constrained)))
    step?.mask.forEach((allowed, option) => {
      const longer = [...prefix, option]
      assert.strictEqual(allowed, prefixes.has(longer.join()), `after ${prefix.join()}, option ${option}`)
      if (allowed) check(longer)
    })
  }
  check([])
}

describe("constraints along a chain", () => {
  it("masks allow an option exactly if a feasible point begins so, and sampling gives feasible points only", () => {
    fc.assert(
      fc.property(chained, window, ({ cost, space, unit }, { at, d, width }) => {
        const bounds = { c: { min: at * unit, max: (at + width) * unit }, ...(d === null ? {} : { d: { max: d / 7 } }) }
        const constraints = Constraint.bounds<"c" | "d">(bounds)(cost)
        const made = Constrained.make(space, constraints)
        const all = [...get(Space.enumerate(space))]
        const feasible = all.filter((value) => Constraint.violations(value)(constraints).length === 0)
        if (Result.isFailure(made)) {
          assert.strictEqual(feasible.length, 0)
          assert.isTrue(infeasible(made)?.proven)
          // the closest is as close as any
          const excess = (value: ReadonlyArray<unknown>) =>
            Math.max(...constraints.map((c) => Constraint.excess(c.of(value))(c)))
          const closest = get(Space.decodeJson(infeasible(made)?.closest)(space))
          assert.closeTo(excess(closest), Math.min(...all.map(excess)), 1e-9 * (1 + excess(closest)))
          return
        }
        assert.isAbove(feasible.length, 0)
        masksAreExact(space, made.success, (value) => Constraint.violations(value)(constraints).length === 0)
        const prng = Prng.fromSeed("chain")
        for (let i = 0; i < 5; i++) {
          const value = get(Constrained.sampleWithin(prng)(made.success))
          assert.deepStrictEqual(Constraint.violations(value)(constraints), [])
        }
        const { high, low } = get(Constrained.feasibleShare(prng, { samples: 400 })(made.success))
        const share = feasible.length / all.length
        // three times the 95% interval's width: one in a billion
        const slack = high - low
        assert.isTrue(share >= low - slack - 1e-12 && share <= high + slack + 1e-12, `${low} … ${high} for ${share}`)
      }),
      { numRuns: 150 }
    )
  })

  it("samples every feasible value with the same chance", () => {
    fc.assert(
      fc.property(chained, window, ({ cost, space, unit }, { at, width }) => {
        const constraints = Constraint.bounds<"c" | "d">({
          c: { min: at * unit, max: (at + width) * unit }
        })(cost)
        const feasible = [...get(Space.enumerate(space))].filter(
          (v) => Constraint.violations(v)(constraints).length === 0
        )
        fc.pre(feasible.length >= 2 && feasible.length <= 50)
        const constrained = get(Constrained.make(space, constraints))
        const prng = Prng.fromSeed("equal chances")
        const counts = new Map(feasible.map((value) => [JSON.stringify(value), 0]))
        for (let i = 0; i < 40 * feasible.length; i++) {
          const key = JSON.stringify(get(Constrained.sampleWithin(prng)(constrained)))
          counts.set(key, counts.get(key)! + 1)
        }
        assert.isBelow(chiSquared([...counts.values()], 40), limit(feasible.length - 1))
      }),
      { numRuns: 60, seed: 1 }
    )
  })
})

describe("constraints without structure", () => {
  it("are solved by looking through small spaces: masks, shares, samples and impossibility are exact", () => {
    fc.assert(
      fc.property(
        declaration.map((choice) => get(Space.make(choice))).filter((space) => Space.size(space) <= 300n),
        fc.nat(),
        fc.integer({ min: 0, max: 12 }),
        (space, seed, max) => {
          const of = (value: unknown) => noise(seed, JSON.stringify(value) ?? "", 12)
          const made = Constrained.make(space, [Constraint.bound("noise", of, { min: max - 2, max })])
          const all = [...get(Space.enumerate(space))]
          const feasible = all.filter((value) => of(value) >= max - 2 && of(value) <= max)
          assert.strictEqual(Result.isFailure(made), feasible.length === 0)
          if (Result.isFailure(made)) return
          masksAreExact(space, made.success, (value) => of(value) >= max - 2 && of(value) <= max)
          const share = get(Constrained.feasibleShare(Prng.fromSeed(0))(made.success))
          assert.deepStrictEqual([share.share, share.error], [feasible.length / all.length, 0])
          const value = get(Constrained.sampleWithin(Prng.fromSeed(seed))(made.success))
          assert.include(
            feasible.map((v) => JSON.stringify(v)),
            JSON.stringify(value)
          )
        }
      ),
      { numRuns: 150 }
    )
  })

  const digits = get(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 9 }), 12)))

  it("are met by rejection in large spaces, with the share and how sure it is", () => {
    const constrained = get(Constrained.make(digits, [Constraint.bound("sum", sum, { max: 40 })]))
    const prng = Prng.fromSeed("rejection")
    for (let i = 0; i < 50; i++) assert.isAtMost(sum(get(Constrained.sampleWithin(prng)(constrained))), 40)
    // the share, by counting digit sums exactly
    let ways = [1]
    for (let i = 0; i < 12; i++) {
      const next = filled(ways.length + 9, 0)
      ways.forEach((n, s) => {
        for (let digit = 0; digit <= 9; digit++) next[s + digit]! += n
      })
      ways = next
    }
    const exact = ways.slice(0, 41).reduce((a, b) => a + b, 0) / 1e12
    const { error, high, low, share } = get(Constrained.feasibleShare(prng)(constrained))
    assert.isTrue(low < share && share < high)
    assert.isBelow(Math.abs(share - exact), 5 * error)
  })

  it("that nothing was found to meet are said to be so, with the closest point found", () => {
    const none = get(Constrained.make(digits, [Constraint.bound("sum", sum, { min: 120 })], { attempts: 200 }))
    const drawn = infeasible(Constrained.sampleWithin(Prng.fromSeed(0))(none))
    assert.isFalse(drawn?.proven)
    assert.deepStrictEqual(drawn?.closest, filled(12, 9))
    assert.include(
      drawn?.message,
      "None of 200 points drawn from the search space has sum at least 120. The closest has sum 108"
    )
    const rare = get(Constrained.make(digits, [Constraint.bound("sum", sum, { min: 108 })], { attempts: 200 }))
    const missed = Constrained.sampleWithin(Prng.fromSeed(0))(rare)
    assert.include(
      Result.isFailure(missed) ? missed.failure.message : "",
      "At least one exists, with sum 108: raise `attempts`"
    )
  })

  it("rule out by their range what no completion can meet, and nothing otherwise", () => {
    const range = (prefix: Space.Tokens) => [sum(prefix), sum(prefix) + 9 * (12 - prefix.length)] as const
    const constrained = get(Constrained.make(digits, [Constraint.bound("sum", sum, { max: 3, range })]))
    const mask = (prefix: Space.Tokens) => Option.getOrThrow(get(Constrained.next(prefix)(constrained))).mask
    assert.deepStrictEqual(mask([2]), [true, true, ...filled(8, false)])
    const blind = get(Constrained.make(digits, [Constraint.bound("sum", sum, { max: 3 })]))
    assert.deepStrictEqual(Option.getOrThrow(get(Constrained.next([9])(blind))).mask, filled(10, true))
  })
})

describe("no constraints", () => {
  it("are the space itself: everything is allowed, and samples are the space's own", () => {
    const space = rows
    const free = get(Constrained.make(space, []))
    const step = Option.getOrThrow(get(Constrained.next([])(free)))
    assert.deepStrictEqual(step.mask, [true, true, true, true, true])
    assert.deepStrictEqual(
      Constrained.sampleWithin(Prng.fromSeed(3))(free),
      Result.succeed(Space.sample(Prng.fromSeed(3))(space))
    )
    assert.strictEqual(get(Constrained.feasibleShare(Prng.fromSeed(0))(free)).share, 1)
  })
})

describe("a row of blocks under a window of MACs", () => {
  const space = rows
  const sorted = Array.from(
    { length: 4000 },
    (() => {
      const prng = Prng.fromSeed("quantiles")
      return () => macs(Space.sample(prng)(space))
    })()
  ).sort((a, b) => a - b)
  // about 1% of the space
  const [min, max] = [sorted[1200]!, sorted[1240]!]
  const within = get(Constrained.make(space, Constraint.bounds({ macs: { min, max } })(cost)))

  it("the chain's sum is the cost", () => {
    const prng = Prng.fromSeed("sum")
    const chain = cost.chain!
    for (let i = 0; i < 100; i++) {
      const a = Space.sample(prng)(space)
      let { costs, exit } = chain.start(a)
      for (let part = 0; part < 5; part++) {
        const step = chain.part(a, part, exit)
        costs = Cost.plus(costs, step.costs)
        exit = step.exit
      }
      assert.deepStrictEqual(Cost.plus(costs, chain.end(a, exit)), cost.of(a))
    }
  })

  it("accepted samples have rejection sampling's distribution: operators, widths, expansions, depths and MACs", () => {
    const prng = Prng.fromSeed("accepted")
    const n = 1500
    const accepted = Array.from({ length: n }, () => get(Constrained.sampleWithin(prng)(within)))
    const rejected: Array<Row> = []
    while (rejected.length < n) {
      const a = Space.sample(prng)(space)
      const m = macs(a)
      if (m >= min && m <= max) rejected.push(a)
    }
    for (const a of accepted) assert.isTrue(macs(a) >= min && macs(a) <= max)
    const compare = (name: string, label: (a: Row) => string | number) => {
      const labels = [...new Set([...accepted, ...rejected].map(label))]
      const count = (list: ReadonlyArray<Row>) => {
        const counts = new Map(labels.map((l) => [l, 0]))
        for (const a of list) counts.set(label(a), counts.get(label(a))! + 1)
        return labels.map((l) => counts.get(l)!)
      }
      const [x, y] = [count(accepted), count(rejected)]
      assert.isBelow(chiSquaredOfTwo(x, y), limit(labels.length - 1), name)
    }
    for (let i = 0; i < 5; i++) {
      compare(`operator ${i}`, (a) => a[i]!.op)
      compare(`width ${i}`, (a) => a[i]!.width)
      compare(`expansion ${i}`, (a) => a[i]!.expansion)
      compare(`repeats ${i}`, (a) => a[i]!.repeats)
    }
    compare("first operators", (a) => `${a[0]!.op} ${a[1]!.op}`)
    compare("macs", (a) => Math.floor((10 * (macs(a) - min)) / (max - min + 1)))
  })

  it("a policy that follows the masks always ends feasible", () => {
    const prng = Prng.fromSeed("policy")
    for (let episode = 0; episode < 60; episode++) {
      const tokens: Array<number> = []
      for (;;) {
        const step = Option.getOrUndefined(get(Constrained.next(tokens)(within)))
        if (step === undefined) break
        const allowed = step.mask.flatMap((ok, option) => (ok ? [option] : []))
        assert.isAbove(allowed.length, 0, `dead end after ${tokens.join()}`)
        tokens.push(allowed[prng.nextInt(allowed.length)]!)
      }
      const m = macs(get(Space.decode(tokens)(space)))
      assert.isTrue(m >= min && m <= max)
    }
  })

  it("knows the share of a window that rejection would hardly ever hit", () => {
    const low = Constraint.bounds({ macs: { max: 90_000 } })(cost)
    const rare = get(Constrained.make(space, low))
    const prng = Prng.fromSeed("rare")
    const { error, share } = get(Constrained.feasibleShare(prng)(rare))
    assert.isTrue(share > 0 && share < 1e-3 && error < 0.05 * share)
    for (let i = 0; i < 20; i++) assert.isAtMost(macs(get(Constrained.sampleWithin(prng)(rare))), 90_000)
  })

  it("says that a target cannot be met, with the lightest row", () => {
    const made = Constrained.make(space, Constraint.bounds({ macs: { max: 1000 } })(cost))
    const failure = infeasible(made)
    const closest = get(Space.decodeJson(failure?.closest)(space))
    assert.include(
      failure?.message,
      `No point in the search space has macs at most 1000. The closest has macs ${macs(closest)}`
    )
    // nothing lighter is one change away
    for (const neighbour of get(Space.neighbours(closest)(space))) assert.isAtLeast(macs(neighbour), macs(closest))
    const encoded = Schema.encodeSync(Constrained.Infeasible)(failure!)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(encoded)).quantities, [
      { name: "macs", value: macs(closest), min: null, max: 1000 }
    ])
  })

  it("is bounded in several costs at once", () => {
    const both = Constraint.bounds({ macs: { max: 4e5 }, parameters: { max: 15_000 } })(cost)
    const constrained = get(Constrained.make(space, both))
    const prng = Prng.fromSeed("both")
    for (let i = 0; i < 30; i++) {
      const a = get(Constrained.sampleWithin(prng)(constrained))
      assert.deepStrictEqual(Constraint.violations(a)(both), [])
      assert.isTrue(Constrained.isFeasible(a)(constrained))
    }
    const impossible = Constrained.make(
      space,
      Constraint.bounds({ macs: { min: 3e6 }, parameters: { max: 2000 } })(cost)
    )
    assert.isTrue(infeasible(impossible)?.proven)
  })
})
