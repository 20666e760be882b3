import { assert, describe, it } from "@effect/vitest"
import { Constrained, Constraint, Site, Space } from "@uninet/search-space"
import { Architecture, UniNetSpace } from "@uninet/uninet"
import * as Arbitrary from "@uninet/search-space/arbitrary"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { cost } from "./support/costs.ts"

const get = Result.getOrThrow
const space = get(UniNetSpace.small())

/** What fast-check shrinks the first failure of a property to. */
const smallest = <A>(arbitrary: fc.Arbitrary<A>, holds: (value: A) => boolean, seed: number): A => {
  const { counterexample } = fc.check(fc.property(arbitrary, holds), { seed, numRuns: 1000 })
  assert.isNotNull(counterexample)
  return counterexample![0]
}

const draw = () => fc.sample(Arbitrary.fromSpace(space), { seed: 5, numRuns: 10 }).map(Architecture.hash)

describe("arbitraries of UniNet's space", () => {
  it("shrink to the seed network with just the choices that make the property fail", () => {
    const seed = Space.seedPoint(space)
    for (let run = 0; run < 10; run++) {
      const found = smallest(
        Arbitrary.fromSpace(space),
        (a) => !(a.stages[2]!.operator === "SA" && a.stages[4]!.repeats >= 3),
        run
      )
      const stages = seed.stages.map((s, i) =>
        i === 2 ? { ...s, operator: "SA" } : i === 4 ? { ...s, repeats: 3 } : s
      )
      assert.deepStrictEqual(found, { ...seed, stages })
    }
  })

  it("stay within constraints, while shrinking too", () => {
    const constraints = Constraint.bounds(cost, { macs: { min: 3e6, max: 6e6 } })
    const within = get(Constrained.make(space, constraints))
    let runs = 0
    fc.check(
      fc.property(Arbitrary.fromConstrained(within), (a) => {
        runs++
        assert.deepStrictEqual(Constraint.violations(a)(constraints), [])
        return runs < 40
      }),
      { seed: 1 }
    )
    assert.isAbove(runs, 40)
  })

  it("of tokens give valid sequences, non-canonical ones too", () => {
    let aliases = 0
    fc.assert(
      fc.property(Arbitrary.tokens(space), (tokens) => {
        const canonical = get(Space.canonical(tokens)(space))
        if (canonical.join() !== tokens.join()) aliases++
        assert.deepStrictEqual(get(Space.decode(canonical)(space)), get(Space.decode(tokens)(space)))
        assert.notInclude(get(Space.toVector(tokens)(space)), Site.absent)
      })
    )
    assert.isAbove(aliases, 0)
  })

  it("replay: the same fast-check seed gives the same architectures", () => {
    assert.deepStrictEqual(draw(), draw())
    assert.isAbove(new Set(draw()).size, 8)
  })
})
