import { assert, describe, it } from "@effect/vitest"
import { Pareto } from "@uninet/controller"
import * as fc from "fast-check"

const points = (width: number, max = 5) =>
  fc.array(fc.array(fc.integer({ min: 0, max }), { minLength: width, maxLength: width }), { maxLength: 12 })
const widths = fc.integer({ min: 1, max: 4 })
const sets = widths.chain((width) => points(width).map((set) => ({ width, set })))

describe("a Pareto front", () => {
  it("is what no other entry dominates, however the entries came", () => {
    fc.assert(
      fc.property(sets, ({ set }) => {
        const front = Pareto.of(set.map((objectives, id) => ({ objectives, id })))
        const expected = set.flatMap((p, id) => (set.some((q) => Pareto.dominates(q, p)) ? [] : [id]))
        assert.deepStrictEqual(
          front.members.map(({ id }) => id),
          expected
        )
      })
    )
  })

  it("is the same object where an entry adds nothing", () => {
    const front = Pareto.of([{ objectives: [1, 2] }])
    assert.strictEqual(Pareto.add({ objectives: [1, 1] })(front), front)
  })

  it("has rank 0, and what it hides has the rank of its front", () => {
    fc.assert(
      fc.property(sets, ({ set }) => {
        const ranks = Pareto.ranks(set)
        let rest = set.map((_, i) => i)
        for (let rank = 0; rest.length > 0; rank++) {
          const front = rest.filter((i) => !rest.some((j) => Pareto.dominates(set[j]!, set[i]!)))
          for (const i of front) assert.strictEqual(ranks[i], rank)
          rest = rest.filter((i) => !front.includes(i))
        }
      })
    )
  })
})

/** Counts the unit cells below some point. */
const counted = (set: ReadonlyArray<ReadonlyArray<number>>, width: number, max: number) => {
  let cells = 0
  for (let cell = 0; cell < max ** width; cell++) {
    const corner = Array.from({ length: width }, (_, i) => Math.floor(cell / max ** i) % max)
    if (set.some((p) => p.every((x, i) => x > corner[i]!))) cells++
  }
  return cells
}

describe("the hypervolume", () => {
  it("is the number of unit cells that points with whole coordinates dominate", () => {
    fc.assert(
      fc.property(sets, ({ set, width }) => {
        const reference = Array.from({ length: width }, () => 0)
        assert.strictEqual(Pareto.hypervolume(reference)(set), counted(set, width, 5))
      }),
      { numRuns: 200 }
    )
  })

  it("counts nothing below the reference point", () => {
    assert.strictEqual(Pareto.hypervolume([0, 0])([[3, -1]]), 0)
    assert.strictEqual(Pareto.hypervolume([1, -3])([[3, -1]]), 4)
  })

  it("falls by a point's contribution when the point is left out", () => {
    assert.deepStrictEqual(
      Pareto.contributions([0, 0])([
        [3, 1],
        [1, 3],
        [2, 2]
      ]),
      [1, 1, 1]
    )
  })
})

describe("crowding", () => {
  it("is infinite at the ends and the relative distance of the neighbours between them", () => {
    assert.deepStrictEqual(
      Pareto.crowding([
        [0, 4],
        [1, 3],
        [4, 0]
      ]),
      [Infinity, 2, Infinity]
    )
  })
})
