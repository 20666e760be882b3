import { assert, describe, it } from "@effect/vitest"
import { Shape } from "@uninet/graph"
import * as fc from "fast-check"
import * as Builder from "../src/internal/builder.js"
import { viewOf } from "../src/internal/layout.js"
import * as View from "../src/internal/view.js"

const sizeOf = (shape: Shape.Shape) => Shape.size(shape)

/** Where in memory the tensor's elements lie, in row-major order. */
const places = ({ axes, lengths }: View.View): ReadonlyArray<number> => {
  const strides = lengths.map((_, i) => sizeOf(lengths.slice(i + 1)))
  return axes
    .flat()
    .reduce<ReadonlyArray<number>>(
      (found, axis) => found.flatMap((at) => Array.from({ length: lengths[axis] }, (_, i) => at + i * strides[axis])),
      [0]
    )
}

/** What a transposition makes of elements in row-major order. */
const transposed = (
  elements: ReadonlyArray<number>,
  shape: Shape.Shape,
  permutation: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const strides = shape.map((_, i) => sizeOf(shape.slice(i + 1)))
  return permutation
    .reduce<ReadonlyArray<number>>(
      (found, axis) => found.flatMap((at) => Array.from({ length: shape[axis] }, (_, i) => at + i * strides[axis])),
      [0]
    )
    .map((at) => elements[at])
}

const tokens = (batch: number, channels: number, n: number, lanes: number) => {
  const shape = [batch, n, channels]
  return { shape, view: viewOf({ name: "x", shape: [sizeOf(shape)] }, shape, lanes, "channels") }
}

const cases = fc.record({
  groups: fc.integer({ min: 1, max: 3 }),
  lanes: fc.constantFrom(1, 4),
  channels: fc.constantFrom(1, 6, 8),
  n: fc.constantFrom(1, 6, 16)
})

describe("a view", () => {
  it("of tokens with channels outermost and images innermost knows where each element lies", () => {
    const { view } = tokens(4, 2, 3, 2)
    // [c, b/2, n, 2]: the second image, token 0, channel 1.
    assert.strictEqual(places(view)[1 * 6 + 0 * 2 + 1], 1 * 12 + 0 * 6 + 0 * 2 + 1)
    assert.deepStrictEqual(View.shapeOf(view), [4, 3, 2])
  })

  it("has the same elements in order under another shape, and other ones in the order of a transposition", () => {
    fc.assert(
      fc.property(cases, fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (one, permutation) => {
        const { shape, view } = tokens(one.groups * one.lanes, one.channels, one.n, one.lanes)
        const [batch, n, channels] = shape
        const split = channels % 2 === 0 ? [batch, n, 2, channels / 2] : [batch, 1, n, channels]
        const apart = View.reshape(view, split)
        assert.isDefined(apart)
        if (apart === undefined) return
        assert.deepStrictEqual(View.shapeOf(apart), split)
        assert.deepStrictEqual(places(apart), places(view))
        const moved = View.transpose(apart, permutation)
        const expected = transposed(places(view), split, permutation)
        assert.deepStrictEqual(places(moved), expected)
        // All axes in one, and back.
        const flat = View.reshape(moved, [expected.length])
        assert.deepStrictEqual(flat && places(flat), expected)
        const back = flat && View.reshape(flat, View.shapeOf(moved))
        assert.deepStrictEqual(back && places(back), expected)
      })
    )
  })

  it("cannot be cut inside a piece", () => {
    const { view } = tokens(4, 6, 1, 1)
    assert.isUndefined(View.reshape(View.transpose(view, [2, 0, 1]), [4, 6]))
    const images = tokens(4, 6, 1, 2).view
    const of = (start: number, end: number) => View.slice(Builder.make(), images, 0, start, end)
    assert.isUndefined(of(0, 1))
    assert.deepStrictEqual(of(2, 4)?.lengths, [6, 2])
  })

  it("lies in an order when nothing has to move", () => {
    const { view } = tokens(8, 6, 5, 1)
    assert.isTrue(View.lies(view, [2, 0, 1]))
    assert.isFalse(View.lies(view, [0, 1, 2]))
  })
})
