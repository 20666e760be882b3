import { assert, describe, it } from "@effect/vitest"
import { Choice, Constrained, Constraint, Site, Space } from "@uninet/search-space"
import * as Arbitrary from "@uninet/search-space/arbitrary"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { declaration } from "./support/declarations.ts"
import { cost, rows } from "./support/rows.ts"

const get = Result.getOrThrow
const space = rows

/** The value that fast-check shrinks the first failure of a property to. */
const smallest = <A>(arbitrary: fc.Arbitrary<A>, holds: (value: A) => boolean, seed: number): A => {
  const { counterexample } = fc.check(fc.property(arbitrary, holds), { seed, numRuns: 1000 })
  assert.isNotNull(counterexample)
  return counterexample![0]
}

const draw = () => fc.sample(Arbitrary.fromSpace(space), { seed: 5, numRuns: 10 }).map((row) => Space.hash(row)(space))

describe("arbitraries", () => {
  it("generate and shrink to values of the space only", () => {
    fc.assert(
      fc.property(
        declaration.map((choice) => get(Space.make(choice))),
        fc.nat(),
        (space, seed) => {
          const visited: Array<unknown> = []
          fc.check(
            fc.property(Arbitrary.fromSpace(space), (value) => {
              visited.push(value)
              return false
            }),
            { seed }
          )
          for (const value of visited) assert.deepStrictEqual(get(Space.canonicalValue(value)(space)), value)
          // every value fails, so the smallest is the seed point
          assert.deepStrictEqual(visited.at(-1), Space.seedPoint(space))
        }
      ),
      { numRuns: 100 }
    )
  })

  it("shrink to the seed point with just the choices that make the property fail", () => {
    const seed = Space.seedPoint(space)
    for (let run = 0; run < 10; run++) {
      const found = smallest(Arbitrary.fromSpace(space), (a) => !(a[1]!.op === "wide" && a[4]!.repeats >= 2), run)
      assert.deepStrictEqual(
        found,
        seed.map((s, i) => (i === 1 ? { ...s, op: "wide" } : i === 4 ? { ...s, repeats: 2 } : s))
      )
    }
  })

  it("shrink ordered choices by steps, to the last value that fails", () => {
    const numbers = get(
      Space.make(Choice.tuple([Choice.integer({ min: 0, max: 1000, seed: 500 }), Choice.integer({ min: 0, max: 9 })]))
    )
    for (let run = 0; run < 5; run++) {
      assert.deepStrictEqual(
        smallest(Arbitrary.fromSpace(numbers), ([a]) => a < 813, run),
        [813, 0]
      )
      assert.deepStrictEqual(
        smallest(Arbitrary.fromSpace(numbers), ([a]) => a > 44, run),
        [44, 0]
      )
    }
  })

  it("shrink a repetition's length and drop conditional choices", () => {
    const cells = get(
      Space.make(
        Choice.repeat(
          Choice.struct({
            op: Choice.categorical(["pool", "conv"]),
            kernel: Choice.when({ op: ["conv"] }, Choice.ordered([3, 5, 7]))
          }),
          { min: 1, max: 4 }
        )
      )
    )
    for (let run = 0; run < 5; run++) {
      const found = smallest(Arbitrary.fromSpace(cells), (row) => !row.some((cell) => cell.op === "conv"), run)
      // one convolution with the first kernel, at the position of the one that failed
      const last = found.at(-1)!
      assert.deepStrictEqual(last, { op: "conv", kernel: 3 })
      assert.isTrue(found.slice(0, -1).every((cell) => cell.op === "pool"))
    }
  })

  it("stay within constraints, while shrinking too", () => {
    const constraints = Constraint.bounds({ macs: { min: 4e5, max: 8e5 } })(cost)
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

  it("replay: the same fast-check seed gives the same values", () => {
    assert.deepStrictEqual(draw(), draw())
    assert.isAbove(new Set(draw()).size, 8)
  })
})
