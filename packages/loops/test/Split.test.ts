import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Split from "../src/Split.js"

const names = ["x", "count", "other"] as const
const splits = fc
  .record({ steps: fc.integer({ min: 1, max: 60 }), grain: fc.integer({ min: 1, max: 4 }) })
  .map((given) => Split.of(names, { ...given, counts: ["count"], moves: { x: 4 } }))

describe("the shares of a piece of work", () => {
  it("are all of it, one after the other, each from a multiple of the grain on", () =>
    fc.assert(
      fc.property(splits, fc.integer({ min: 1, max: 9 }), (split, most) => {
        const shares = Split.shares(split, most)
        assert.isAtMost(shares.length, most)
        let next = 0
        for (const share of shares) {
          assert.strictEqual(share.from, next)
          assert.strictEqual(share.from % split.grain, 0)
          assert.isAbove(share.steps, 0)
          next += share.steps
        }
        if (shares.length > 0) assert.strictEqual(next, split.steps)
      }),
      { numRuns: 100, seed: 7 }
    ))

  it("have the arguments of the whole, but for how often the loop runs and where it begins", () => {
    const split = Split.of(names, { steps: 10, counts: ["count"], moves: { x: 4 } })
    const share = { from: 6, steps: 4 }
    assert.deepStrictEqual(
      [1000, 10, 77].map((value, place) => Split.argument(split, share, place, value)),
      [1024, 4, 77]
    )
  })

  it("come of the first loop that gives many, or else of the longest", () => {
    const [short, long, longer] = [3, 12, 20].map((steps) => Split.of(names, { steps, counts: [], moves: {} }))
    assert.strictEqual(Split.best([short, long, longer]), long)
    assert.strictEqual(Split.best([short]), short)
    assert.isUndefined(Split.best([Split.of(names, { steps: 1, counts: [], moves: {} })]))
  })
})
