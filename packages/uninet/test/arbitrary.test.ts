import { assert, describe, it } from "@effect/vitest"
import { Space } from "@uninet/search-space"
import { UniNetSpace } from "@uninet/uninet"
import * as Arbitrary from "@uninet/search-space/arbitrary"
import * as Result from "effect/Result"
import * as fc from "fast-check"

const get = Result.getOrThrow
const space = get(UniNetSpace.small())

/** What fast-check shrinks the first failure of a property to. */
const smallest = <A>(arbitrary: fc.Arbitrary<A>, holds: (value: A) => boolean, seed: number): A => {
  const { counterexample } = fc.check(fc.property(arbitrary, holds), { seed, numRuns: 1000 })
  assert.isNotNull(counterexample)
  return counterexample![0]
}

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
})
