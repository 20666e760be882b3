import { assert, describe, it } from "@effect/vitest"
import { Cholesky, Choice, Prng, Site, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as Heap from "../src/internal/heap.js"
import * as Kernel from "../src/internal/kernel.js"
import * as Normal from "../src/internal/normal.js"
import * as Parzen from "../src/internal/parzen.js"

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
          const shape = { length, scales: [] }
          const row = stack.row(a, shape)
          const same = stack.rowNear(a, shape, b, stack.row(b, shape))
          for (const [j, other] of all.entries()) {
            const expected = Math.exp(-Kernel.distance(sites, a.vector, other.vector) / length)
            assert.approximately(row[j]!, expected, 1e-12)
            assert.approximately(same[j]!, expected, 1e-9)
          }
        }
      )
    )
  })

  it("falls with the distance of numbers over their own scales, and differs if only one point has the number", () => {
    const { sites } = Result.getOrThrow(
      Space.make(
        Choice.struct({
          operator: Choice.categorical(["a", "b"]),
          rate: Choice.logUniform({ min: 1e-4, max: 1 }),
          many: Choice.integer({ min: 0, max: 99_999 })
        })
      )
    )
    const most = sites[1]!.count - 1
    const pointAt = (operator: number, u: number | undefined, many: number) => {
      const tokens = [operator, u === undefined ? Site.absent : Site.at(sites[1]!, u), many]
      return { vector: Int32Array.from(tokens), tokens, key: tokens.join() }
    }
    const shape = { length: 0.5, scales: [0, 0.2, 2] }
    const stack = Kernel.make(sites)
    const others = [0, 0.25, 0.5, 1, undefined].map((u) => pointAt(0, u, 50_000))
    for (const other of others) stack.push(other)
    const here = pointAt(0, 0, 50_000)
    const row = stack.row(here, shape)
    assert.strictEqual(row[0], 1)
    for (const j of [0, 1, 2]) assert.isBelow(row[j + 1]!, row[j]!)
    assert.approximately(row[4]!, Math.exp(-1 / 3 / 0.5), 1e-12)
    const r = (Math.sqrt(5) * Site.at(sites[1]!, 0.25)) / most / 0.2
    assert.approximately(row[1]!, (1 + r + (r * r) / 3) * Math.exp(-r), 1e-12)
    const near = pointAt(1, 0.6, 10)
    const expected = stack.row(here, shape)
    for (const [j, k] of stack.rowNear(here, shape, near, stack.row(near, shape)).entries()) {
      assert.approximately(k, expected[j]!, 1e-9)
    }
  })
})

describe("a heap", () => {
  it("gives its items in order, however pushing and dropping alternate", () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 20 }))), (steps) => {
        const heap = Heap.make<number>((a, b) => a > b)
        let plain: Array<number> = []
        for (const step of steps) {
          if (step === null) {
            heap.drop()
            plain = plain.slice(1)
          } else {
            heap.push(step)
            plain = [...plain, step].sort((a, b) => b - a)
          }
          assert.strictEqual(heap.first(), plain[0])
        }
      })
    )
  })
})

describe("a density on the unit interval", () => {
  const masses = fc
    .array(fc.record({ u: fc.double({ min: 0, max: 1, noNaN: true }), weight: fc.integer({ min: 1, max: 9 }) }), {
      maxLength: 12
    })
    .map((list) => list.toSorted((a, b) => a.u - b.u))

  it("has the mass 1, and draws where it is high", () => {
    fc.assert(
      fc.property(masses, fc.double({ min: 0.1, max: 5, noNaN: true }), fc.nat(), (list, prior, seed) => {
        const density = Parzen.make(list, prior)
        const cells = 2000
        let [mass, low] = [0, 0]
        for (let i = 0; i < cells; i++) {
          const here = density.at((i + 0.5) / cells) / cells
          mass += here
          if (i < cells / 3) low += here
        }
        assert.approximately(mass, 1, 1e-3)
        const prng = Prng.fromSeed(seed)
        const drawn = Array.from({ length: 400 }, () => density.draw(prng))
        assert.isTrue(drawn.every((u) => u >= 0 && u <= 1))
        // five standard deviations of a share of 400
        assert.approximately(drawn.filter((u) => u < 1 / 3).length / 400, low, 0.125)
      }),
      { numRuns: 100 }
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
