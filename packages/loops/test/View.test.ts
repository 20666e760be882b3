import { assert, describe, it } from "@effect/vitest"
import { Shape } from "@uninet/graph"
import { View } from "@uninet/loops"
import fc from "fast-check"

const seed = 1_947

/** The places of a view's elements in row-major order. */
const places = ({ axes, offset }: View.View): ReadonlyArray<number> =>
  axes.reduce<ReadonlyArray<number>>(
    (starts, pieces) =>
      pieces.reduce(
        (at, { length, stride }) => at.flatMap((from) => Array.from({ length }, (_, i) => from + i * stride)),
        starts
      ),
    [offset]
  )

const buffer = (size: number): View.Buffer => ({ id: 0, kind: "plain", size })
const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })

/** A view of a whole buffer, its axes in any order in memory. */
const views = shapes.chain((shape) =>
  fc
    .shuffledSubarray(
      shape.map((_, axis) => axis),
      { minLength: shape.length }
    )
    .map((order) => View.contiguous(buffer(Shape.size(shape)), shape, order))
)

/** The index along every axis of an element by its place in row-major order. */
const indexOf = (shape: Shape.Shape, place: number): ReadonlyArray<number> => {
  let rest = place
  return shape.toReversed().reduce<ReadonlyArray<number>>((index, length) => {
    const own = rest % length
    rest = Math.floor(rest / length)
    return [own, ...index]
  }, [])
}
const placeOf = (shape: Shape.Shape, index: ReadonlyArray<number>) =>
  index.reduce((at, i, axis) => at * shape[axis] + i, 0)

const holds = <A>(arbitrary: fc.Arbitrary<A>, property: (a: A) => void) =>
  fc.assert(fc.property(arbitrary, property), { numRuns: 200, seed })

describe("a view", () => {
  it("of a whole buffer leads to every element once", () =>
    holds(views, (view) => {
      const size = Shape.size(View.shapeOf(view))
      assert.deepStrictEqual(
        [...places(view)].sort((a, b) => a - b),
        Array.from({ length: size }, (_, i) => i)
      )
    }))

  it("in another shape leads to the same elements in the same order, where it can be had", () =>
    holds(fc.tuple(views, fc.nat(5)), ([view, n]) => {
      const size = Shape.size(View.shapeOf(view))
      const lengths = [2, 3, 4, 6, 8, size].filter((length) => size % length === 0)
      const length = lengths[n % lengths.length]
      const other = View.reshape(view, [size / length, length])
      if (other === undefined) return
      assert.deepStrictEqual(View.shapeOf(other), [size / length, length])
      assert.deepStrictEqual(places(other), places(view))
    }))

  it("of a buffer from its start to its end has every other shape", () =>
    holds(fc.tuple(shapes, shapes), ([before, after]) => {
      const [m, n] = [before, after].map(Shape.size)
      const view = View.reshape(View.contiguous(buffer(m * n), [...before, n]), [...after, m])
      assert.deepStrictEqual(view === undefined ? [] : View.shapeOf(view), [...after, m])
      assert.deepStrictEqual(view === undefined ? [] : places(view), [...Array(m * n).keys()])
    }))

  it("with its axes exchanged leads to the elements that the axes say", () =>
    holds(views, (view) => {
      const shape = View.shapeOf(view)
      const permutation = shape.map((_, axis) => shape.length - 1 - axis)
      const turned = View.transpose(view, permutation)
      const all = places(view)
      for (const [i, at] of places(turned).entries())
        assert.strictEqual(at, all[placeOf(shape, indexOf(View.shapeOf(turned), i).toReversed())])
    }))

  it("of part of an axis leads to that part, and one repeated to the same elements again", () =>
    holds(fc.tuple(views, fc.nat(3), fc.nat(3)), ([view, n, m]) => {
      const shape = View.shapeOf(view)
      const axis = n % shape.length
      const start = m % shape[axis]
      const all = places(view)
      const part = View.slice(view, axis, start, shape[axis])
      assert.isDefined(part)
      if (part === undefined) return
      for (const [i, at] of places(part).entries()) {
        const index = indexOf(View.shapeOf(part), i)
        assert.strictEqual(at, all[placeOf(shape, index.with(axis, index[axis] + start))])
      }
      assert.deepStrictEqual(places(View.broadcast(view, [2, ...shape])), [...all, ...all])
    }))

  it("and another are led through together by the loops, each element beside its own", () =>
    holds(fc.tuple(shapes, fc.boolean(), fc.boolean()), ([shape, turned, following]) => {
      const order = shape.map((_, axis) => axis)
      const [a, b] = [order, turned ? order.toReversed() : order].map((axes) =>
        View.contiguous(buffer(Shape.size(shape)), shape, axes)
      )
      const loops = View.loops([a, b], following ? 1 : undefined)
      assert.isDefined(loops)
      const pairs = (loops ?? []).reduce<ReadonlyArray<readonly [number, number]>>(
        (starts, { length, strides: [x, y] }) =>
          starts.flatMap(([p, q]) => Array.from({ length }, (_, i) => [p + i * x, q + i * y] as const)),
        [[0, 0]]
      )
      const expected = places(a).map((at, i) => [at, places(b)[i]] as const)
      assert.sameDeepMembers([...pairs], [...expected])
    }))
})
