/** Resizes images axis by axis: two gathers that are mixed and, for the gradient, a product with the matrix that records what went where. */
import { Op } from "@uninet/graph"
import * as Arr from "effect/Array"
import { type Context, last, type Rules } from "../internal/context.ts"
import * as K from "../internal/kernels.ts"
import type { Value } from "../internal/plan.ts"
import { product, rows } from "./products.ts"

/** Rows and columns of images with channels last, and their axes in the program's shapes. */
const axes = [
  [1, 2],
  [2, 3]
] as const

/** One axis resized to its new number of elements. */
const resized = ({ b }: Context, x: Value, axis: number, mode: Op.Interpolation, length: number): Value => {
  if (x.shape[axis] === length) return x
  const { first, second, share } = Op.resizeTaps(mode, Arr.getUnsafe(x.shape, axis), length)
  const lower = K.gather(b, x, axis, first)
  if (share.every((s) => s === 0)) return lower
  const shares = b.constant(Float32Array.from(share), [length, ...x.shape.slice(axis + 1).map(() => 1)])
  return K.add(b, lower, K.mul(b, K.sub(b, K.gather(b, x, axis, second), lower), shares))
}

/** The gradient of one axis that was resized from `length` elements. */
const gradient = (ctx: Context, dy: Value, axis: number, mode: Op.Interpolation, length: number): Value => {
  const to = Arr.getUnsafe(dy.shape, axis)
  if (to === length) return dy
  const { b } = ctx
  const others = dy.shape.map((_, i) => i).filter((i) => i !== axis)
  const order = [...others, axis]
  const matrix = b.constant(Op.resizeMatrix(mode, length, to), [to, length])
  const turned = product(ctx, rows(ctx, K.transpose(b, dy, order)), matrix)
  const apart = K.reshape(b, turned, [...others.map((i) => Arr.getUnsafe(dy.shape, i)), length])
  return K.transpose(
    b,
    apart,
    order.map((_, i) => order.indexOf(i))
  )
}

export const rules: Pick<Rules, "resize" | "resizeGrad"> = {
  resize: (node, ctx) => {
    const [x] = node.inputs
    const { mode } = node.attributes
    return last(axes.reduce((y, [at, axis]) => resized(ctx, y, at, mode, Arr.getUnsafe(node.shape, axis)), ctx.last(x)))
  },
  resizeGrad: (node, ctx) => {
    const [dy] = node.inputs
    const { inputShape, mode } = node.attributes
    return last(
      axes.reduce((d, [at, axis]) => gradient(ctx, d, at, mode, Arr.getUnsafe(inputShape, axis)), ctx.last(dy))
    )
  }
}
