/**
 * Resizes images axis by axis: a row is a mix of two gathers, and its gradient is a product with the matrix that records what went where.
 *
 * Rows and columns are the same axes in every layout, so nothing moves. If images keep their order, the standard's own operator is used, except for the nearest
 * element: computed from a scale in 32-bit floats, that can be the one next to it.
 */
import { Op, Shape } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Value } from "../internal/builder.ts"
import { type Context, plain, type Rules } from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import type { Layout } from "../internal/layout.ts"

/** Rows and columns, in the program's shapes and in all layouts. */
const axes: ReadonlyArray<number> = [2, 3]

const inOrder = (places: ReadonlyArray<number>, length: number) =>
  places.length === length && places.every((place, i) => place === i)

/** One axis resized to its new number of elements. */
const resized = ({ b }: Context, x: Value, axis: number, mode: Op.Interpolation, length: number): Value => {
  const from = Arr.getUnsafe(x.shape, axis)
  if (from === length) return x
  const { first, second, share } = Op.resizeTaps(mode, from, length)
  const at = (places: ReadonlyArray<number>) => (inOrder(places, from) ? x : E.gather(b, x, axis, places))
  const lower = at(first)
  if (share.every((s) => s === 0)) return lower
  const after = x.shape.slice(axis + 1).map(() => 1)
  const shares = b.constant(Float32Array.from(share), [length, ...after])
  return E.add(b, lower, E.mul(b, E.sub(b, at(second), lower), shares))
}

/** The gradient of one axis that was resized from `length` elements. */
const gradient = ({ b }: Context, dy: Value, axis: number, mode: Op.Interpolation, length: number): Value => {
  const to = Arr.getUnsafe(dy.shape, axis)
  if (to === length) return dy
  const matrix = Op.resizeMatrix(mode, length, to)
  const [outer, inner] = [Shape.size(dy.shape.slice(0, axis)), Shape.size(dy.shape.slice(axis + 1))]
  const shape = dy.shape.with(axis, length)
  if (inner === 1)
    return E.reshape(b, E.gemm(b, E.reshape(b, dy, [outer, to]), b.constant(matrix, [to, length])), shape)
  const turned = Float32Array.from(matrix, (_, i) => matrix[(i % to) * length + Math.floor(i / to)] ?? Number.NaN)
  const product = E.matmul(b, b.constant(turned, [length, to]), E.reshape(b, dy, [outer, to, inner]))
  return E.reshape(b, product, shape)
}

/** The layout of an image that keeps it. */
const kept = (ctx: Context, layout: Layout, shape: Shape.Shape): Layout =>
  ctx.allows(layout, shape) ? layout : "plain"

export const rules: Pick<Rules, "resize" | "resizeGrad"> = {
  resize: (node, ctx) => {
    const { mode, size } = node.attributes
    const [x] = node.inputs
    if (ctx.keepsImages && mode === "bilinear") {
      const attributes = { axes, coordinate_transformation_mode: "half_pixel", mode: "linear" }
      const inputs = [ctx.plain(x), undefined, undefined, ctx.b.ints(size)]
      return plain(ctx.b.node("Resize", inputs, attributes, [node.shape])[0])
    }
    const layout = kept(ctx, ctx.layoutOf(x), node.shape)
    // The axis that shrinks goes first, which leaves less work for the other one.
    const [, , rows, columns] = Shape.ofRank(4)(x.shape)
    const shorter = size[0] / rows <= size[1] / columns ? axes : axes.toReversed()
    const value = shorter.reduce(
      (y, axis) => resized(ctx, y, axis, mode, Arr.getUnsafe(node.shape, axis)),
      ctx.get(x, layout)
    )
    return { layout, value }
  },
  resizeGrad: (node, ctx) => {
    const { inputShape, mode } = node.attributes
    const [dy] = node.inputs
    const layout = kept(ctx, ctx.layoutOf(dy), inputShape)
    const [, , height, width] = Shape.ofRank(4)(inputShape)
    const [, , rows, columns] = Shape.ofRank(4)(dy.shape)
    const shorter = height / rows <= width / columns ? axes : axes.toReversed()
    const value = shorter.reduce(
      (d, axis) => gradient(ctx, d, axis, mode, Arr.getUnsafe(inputShape, axis)),
      ctx.get(dy, layout)
    )
    return { layout, value }
  }
}
