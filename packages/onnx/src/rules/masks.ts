/**
 * Max pooling without the indices of the maxima, which WebGPU's kernel does not provide.
 *
 * The gradient uses masks: first for the maximum of each row of the window, then for the maximum of those, so that the first one in reading order wins. On
 * the grid of the image's positions, a neighbour is a shift.
 */
import { type Op, Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Value } from "../internal/builder.ts"
import { type Context, type Lowered, plain, type Rules } from "../internal/context.ts"
import * as E from "../internal/emit.ts"

type Pool = Op.Window & { readonly kernel: readonly [number, number] }

/** Less than any number that a window may contain. */
const lowest = -3.4e38

const pool = (ctx: Context, x: Value, kernel: Pool["kernel"], stride: Pool["stride"]): Value => {
  const length = (axis: 0 | 1) => Math.floor((Arr.getUnsafe(x.shape, 2 + axis) - kernel[axis]) / stride[axis]) + 1
  const shape = [...x.shape.slice(0, 2), length(0), length(1)]
  if (kernel.every((n) => n === 1) && stride.every((n) => n === 1)) return x
  return ctx.b.node("MaxPool", [x], { kernel_shape: kernel, strides: stride, pads: [0, 0, 0, 0] }, [shape])[0]
}

/** Inserts zeros after every element of one axis, as many as make the stride 1, then pads to a length. */
const spread = ({ b }: Context, x: Value, axis: 2 | 3, stride: number, length: number): Value => {
  const [outer, inner] = [Shape.size(x.shape.slice(0, axis)), Shape.size(x.shape.slice(axis + 1))]
  const n = Arr.getUnsafe(x.shape, axis)
  const apart = E.pad(b, E.reshape(b, x, [outer * n, 1, inner]), [0, 0, 0], [0, stride - 1, 0])
  const wide = E.reshape(b, apart, [outer, n * stride, inner])
  const cut = E.slice(b, wide, [{ axis: 1, start: 0, end: Math.min(length, n * stride) }])
  const whole = E.pad(b, cut, [0, 0, 0], [0, length - Arr.getUnsafe(cut.shape, 1), 0])
  return E.reshape(b, whole, [...x.shape.slice(0, axis), length, ...x.shape.slice(axis + 1)])
}

/** The gradient of maxima `y` over `size` neighbours along one axis of an image. */
const throughMaxima = (
  ctx: Context,
  x: Value,
  y: Value,
  dy: Value,
  axis: 2 | 3,
  size: number,
  stride: number
): Value => {
  const { b } = ctx
  const length = Arr.getUnsafe(x.shape, axis)
  const places = length - size + 1
  const onGrid = (v: Value) => E.slice(b, spread(ctx, v, axis, stride, length), [{ axis, start: 0, end: places }])
  const [largest, gradient] = [onGrid(y), onGrid(dy)]
  const one = b.scalar(1)
  let left: Value | undefined
  const parts = Array.from({ length: size }, (_, i) => {
    const candidate = E.slice(b, x, [{ axis, start: i, end: i + places }])
    const is = E.binary(b, "GreaterOrEqual", candidate, largest)
    const wins = E.unary(b, "Cast", is, { to: 1 })
    // Whatever no earlier neighbour took must go to the last one.
    const takes = left === undefined ? wins : i === size - 1 ? left : E.mul(b, left, wins)
    const below = E.sub(b, one, wins)
    left = left === undefined ? below : E.mul(b, left, below)
    const zeros = (n: number) => x.shape.map((_, at) => (at === axis ? n : 0))
    return E.pad(b, E.mul(b, takes, gradient), zeros(i), zeros(length - places - i))
  })
  return E.total(b, parts)
}

const surrounded = ({ b }: Context, x: Value, [top, left, bottom, right]: Pool["padding"]): Value =>
  E.pad(b, x, [0, 0, top, left], [0, 0, bottom, right], lowest)

const gradient = (ctx: Context, node: Tensor.Tensor<"maxPool2dGrad">, { kernel, padding, stride }: Pool): Lowered => {
  const [xNode, dyNode] = node.inputs
  const [top, left] = padding
  const [, , height, width] = Shape.ofRank(4)(node.shape)
  const image = surrounded(ctx, ctx.plain(xNode), padding)
  const across = pool(ctx, image, [1, kernel[1]], [1, stride[1]])
  const down = pool(ctx, across, [kernel[0], 1], [stride[0], 1])
  const dAcross = throughMaxima(ctx, across, down, ctx.plain(dyNode), 2, kernel[0], stride[0])
  const dImage = throughMaxima(ctx, image, across, dAcross, 3, kernel[1], stride[1])
  return plain(
    E.slice(ctx.b, dImage, [
      { axis: 2, start: top, end: top + height },
      { axis: 3, start: left, end: left + width }
    ])
  )
}

export const rules = {
  maxPool2d: (node, ctx) => {
    const { kernel, padding, stride } = node.attributes
    const attributes = { kernel_shape: kernel, strides: stride, pads: padding }
    return plain(ctx.b.node("MaxPool", [ctx.plain(node.inputs[0])], attributes, [node.shape])[0])
  },
  maxPool2dGrad: (node, ctx) => gradient(ctx, node, node.attributes)
} satisfies Partial<Rules>
