import { assert, describe, it } from "@effect/vitest"
import { Choice, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as Cholesky from "../src/internal/cholesky.js"
import * as Kernel from "../src/internal/kernel.js"
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

describe("the kernel of a Gaussian process", () => {
  const sites = Result.getOrThrow(
    Space.make(
      Choice.struct({
        operator: Choice.categorical(["a", "b", "c"]),
        width: Choice.ordered([1, 2, 3, 4]),
        groups: Choice.integer({ min: 0, max: 40 })
      })
    )
  ).sites
  const point = fc
    .tuple(fc.integer({ min: -1, max: 2 }), fc.integer({ min: -1, max: 3 }), fc.integer({ min: -1, max: 40 }))
    .map((tokens) => ({ vector: Int32Array.from(tokens), tokens, key: tokens.join() }))

  it("falls with the distance, and a row follows from that of any other point", () => {
    fc.assert(
      fc.property(
        fc.array(point, { maxLength: 100 }),
        point,
        point,
        fc.double({ min: 0.1, max: 2, noNaN: true }),
        (all, a, b, length) => {
          const stack = Kernel.make(sites)
          for (const one of all) stack.push(one)
          const row = stack.row(a, length)
          const same = stack.rowNear(a, length, b, stack.row(b, length))
          for (const [j, other] of all.entries()) {
            const expected = Math.exp(-Kernel.distance(sites, a.vector, other.vector) / length)
            assert.approximately(row[j]!, expected, 1e-12)
            assert.approximately(same[j]!, expected, 1e-9)
          }
        }
      )
    )
  })
})

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
