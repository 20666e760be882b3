/** UniNet's space under bounds on what its networks cost, by textbook formulas and a custom chain. */
import { assert, describe, it } from "@effect/vitest"
import { Constrained, Constraint, Cost, Prng, Space } from "@uninet/search-space"
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { chiSquaredOfTwo, limit } from "../../search-space/test/support/statistics.ts"
import { cost } from "./support/costs.ts"

const get = Result.getOrThrow

const macs = (a: Architecture.Architecture) => cost.of(a).macs

/** Why nothing meets the constraints. */
const infeasible = (made: Result.Result<unknown, { readonly _tag: string }>) =>
  Result.isFailure(made) && made.failure instanceof Constrained.Infeasible
    ? made.failure
    : assert.fail("something meets them")

describe("UniNet's space under a window of MACs", () => {
  const space = get(UniNetSpace.small())
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

  it("accepted samples have rejection sampling's distribution: operators, modules, widths, depths and MACs", () => {
    const prng = Prng.fromSeed("accepted")
    const n = 1500
    const accepted = Array.from({ length: n }, () => get(Constrained.sampleWithin(prng)(within)))
    const rejected: Array<Architecture.Architecture> = []
    while (rejected.length < n) {
      const a = Space.sample(prng)(space)
      const m = macs(a)
      if (m >= min && m <= max) rejected.push(a)
    }
    for (const a of accepted) assert.isTrue(macs(a) >= min && macs(a) <= max)
    const compare = (name: string, label: (a: Architecture.Architecture) => string | number) => {
      const labels = [...new Set([...accepted, ...rejected].map(label))]
      const count = (list: ReadonlyArray<Architecture.Architecture>) => {
        const counts = new Map(labels.map((l) => [l, 0]))
        for (const a of list) counts.set(label(a), counts.get(label(a))! + 1)
        return labels.map((l) => counts.get(l)!)
      }
      const [x, y] = [count(accepted), count(rejected)]
      assert.isBelow(chiSquaredOfTwo(x, y), limit(labels.length - 1), name)
    }
    for (let i = 1; i <= 5; i++) {
      compare(`operator ${i}`, (a) => a.stages[i]!.operator)
      compare(`dsm ${i}`, (a) => a.stages[i]!.dsm ?? "")
      compare(`channels ${i}`, (a) => a.stages[i]!.channels)
      compare(`expansion ${i}`, (a) => a.stages[i]!.expansion)
      compare(`repeats ${i}`, (a) => a.stages[i]!.repeats)
    }
    compare("first operators", (a) => `${a.stages[1]!.operator} ${a.stages[2]!.operator}`)
    compare("macs", (a) => Math.floor((10 * (macs(a) - min)) / (max - min + 1)))
  })

  it("knows the share of a window that rejection would hardly ever hit", () => {
    const low = Constraint.bounds({ macs: { max: 900_000 } })(cost)
    const rare = get(Constrained.make(space, low))
    const prng = Prng.fromSeed("rare")
    const { error, share } = get(Constrained.feasibleShare(prng)(rare))
    assert.isTrue(share > 0 && share < 1e-3 && error < 0.05 * share)
    for (let i = 0; i < 20; i++) assert.isAtMost(macs(get(Constrained.sampleWithin(prng)(rare))), 900_000)
  })

  it("says that a target cannot be met, with the lightest architecture", () => {
    const made = Constrained.make(space, Constraint.bounds({ macs: { max: 1000 } })(cost))
    const failure = infeasible(made)
    const closest = get(Space.decodeJson(failure.closest)(space))
    assert.include(
      failure.message,
      `No point in the search space has macs at most 1000. The closest has macs ${macs(closest)}`
    )
    // nothing lighter is one change away
    for (const neighbour of get(Space.neighbours(closest)(space))) assert.isAtLeast(macs(neighbour), macs(closest))
    const encoded = Schema.encodeSync(Constrained.Infeasible)(failure)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(encoded)).quantities, [
      { name: "macs", value: macs(closest), min: null, max: 1000 }
    ])
  })

  it("is bounded in several costs at once", () => {
    const both = Constraint.bounds({ macs: { max: 4e6 }, parameters: { max: 20_000 } })(cost)
    const constrained = get(Constrained.make(space, both))
    const prng = Prng.fromSeed("both")
    for (let i = 0; i < 30; i++) {
      const a = get(Constrained.sampleWithin(prng)(constrained))
      assert.deepStrictEqual(Constraint.violations(a)(both), [])
      assert.isTrue(Constrained.isFeasible(a)(constrained))
    }
    const impossible = Constrained.make(
      space,
      Constraint.bounds({ macs: { min: 30e6 }, parameters: { max: 9000 } })(cost)
    )
    assert.isTrue(infeasible(impossible).proven)
  })
})
