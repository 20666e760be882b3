import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Cholesky from "../src/internal/cholesky.js"
import * as Normal from "../src/internal/normal.js"

describe("the normal distribution", () => {
  it("has quantiles that its distribution function takes back", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-4, max: 1 - 1e-4, noNaN: true }), (p) => {
        assert.approximately(Normal.cdf(Normal.quantile(p)), p, 1e-6)
      })
    )
  })

  it("gives scores in the order of the values, equal for ties, that add up to nothing", () => {
    assert.deepStrictEqual([...Normal.scores([5, 5])], [0, 0])
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 30 }), (values) => {
        const scores = Normal.scores(values)
        for (const [i, a] of values.entries()) {
          for (const [j, b] of values.entries())
            assert.strictEqual(Math.sign(scores[i]! - scores[j]!), Math.sign(a - b))
        }
      })
    )
  })
})

const dot = (a: ReadonlyArray<number>, b: ArrayLike<number>) => a.reduce((s, x, i) => s + x * b[i]!, 0)

describe("a growing Cholesky factor", () => {
  const cases = fc.integer({ min: 1, max: 9 }).chain((n) =>
    fc.record({
      rows: fc.array(fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: n, maxLength: n }), {
        minLength: n,
        maxLength: n
      }),
      y: fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: n, maxLength: n })
    })
  )

  it("solves the equations of the matrix it was given row by row", () => {
    fc.assert(
      fc.property(cases, ({ rows, y }) => {
        const matrix = rows.map((a, i) => rows.map((b, j) => dot(a, b) + (i === j ? 0.5 : 0)))
        const factor = Cholesky.make()
        for (const [i, row] of matrix.entries()) factor.append(row, row[i]!)
        const x = factor.solve(y)
        for (const [i, row] of matrix.entries()) assert.approximately(dot(row, x), y[i]!, 1e-9)
      })
    )
  })
})
