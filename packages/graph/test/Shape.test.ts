import { assert, describe, it } from "@effect/vitest"
import { Shape } from "@uninet/graph"
import fc from "fast-check"
import { check, shape } from "./support/draw.ts"

describe("Shape", () => {
  it("prints as errors show it", () => {
    assert.strictEqual(Shape.print([2, 3, 8, 8]), "[2×3×8×8]")
    assert.strictEqual(Shape.print([]), "[]")
  })

  it("broadcasts by NumPy's rules", () => {
    assert.deepStrictEqual(Shape.broadcast([2, 1, 4], [3, 1]), [2, 3, 4])
    assert.deepStrictEqual(Shape.broadcast([], [5]), [5])
    assert.strictEqual(Shape.broadcast([2], [3]), undefined)
    assert.deepStrictEqual(Shape.broadcastAxes([3, 1], [2, 3, 4]), [0, 2])
  })

  it("has row-major strides: the last axis moves by one, each other by the size of those behind it", () =>
    check(shape(0, 5), (s) => {
      const strides = Shape.strides(s)
      s.forEach((_, axis) => assert.strictEqual(strides[axis], Shape.size(s.slice(axis + 1))))
    }))

  it("broadcasting is symmetric, and both sides reach the result by repeating the axes it names", () =>
    check(fc.tuple(shape(0, 4), shape(0, 4)), ([a, b]) => {
      const common = Shape.broadcast(a, b)
      assert.deepStrictEqual(Shape.broadcast(b, a), common)
      if (common === undefined) return
      for (const side of [a, b]) {
        const repeats = Shape.broadcastAxes(side, common).reduce((n, axis) => n * common[axis], 1)
        assert.strictEqual(Shape.size(side) * repeats, Shape.size(common))
      }
    }))

  it("has only whole, positive lengths", () => {
    assert.isTrue(Shape.isValid([]))
    for (const length of [0, -1, 1.5, NaN, Infinity]) assert.isFalse(Shape.isValid([2, length]))
  })
})
