/**
 * The blocked kernels of ONNX Runtime (`com.microsoft.nchwc`) as one-pass workers over feature maps.
 *
 * They require "channels" in blocks of 8 or 16 innermost. With as many images of the batch innermost as a block is wide, a feature map
 * `[c, b/L, h, w, L]` is already one blocked image of c·b channels, so a depthwise kernel can run over it without moving anything. A depthwise
 * 1×1 convolution with bias and Sum is then a·x + b + y in one pass; one with a map as its kernel is a dot product per row.
 */
import { Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Value } from "./builder.ts"
import type { Context, Lowered } from "./context.ts"
import * as E from "./emit.ts"
import { physicalShape } from "./layout.ts"

const domain = "com.microsoft.nchwc"

/** A blocked operator. */
export const node = (
  ctx: Context,
  opType: "Conv" | "MaxPool" | "AveragePool" | "GlobalAveragePool",
  inputs: ReadonlyArray<Value | undefined>,
  attributes: Parameters<Context["b"]["node"]>[2],
  shape: Shape.Shape
): Value => ctx.b.node(opType, inputs, attributes, [shape], domain)[0]

/** An image as one blocked image of c·b channels. */
export const blockedImage = (ctx: Context, x: Tensor.Tensor): Value => {
  const [batch, channels, height, width] = Shape.ofRank(4)(x.shape)
  return ordered(ctx, E.reshape(ctx.b, ctx.get(x, "channels"), [1, batch * channels, height, width]))
}

/** An image of c·b channels in blocks. */
const ordered = (ctx: Context, image: Value): Value =>
  ctx.lanes === ctx.block ? image : ctx.b.node("ReorderInput", [image], {}, [image.shape], domain)[0]

/** A blocked image as the tensor of this shape. */
export const fromBlocked = (ctx: Context, shape: Shape.Shape, value: Value): Lowered => {
  const image = E.reshape(ctx.b, value, [
    1,
    Arr.getUnsafe(shape, 0) * Arr.getUnsafe(shape, 1),
    Arr.getUnsafe(shape, 2),
    Arr.getUnsafe(shape, 3)
  ])
  const apart =
    ctx.lanes === ctx.block
      ? image
      : ctx.b.node("ReorderOutput", [image], { channels: Arr.getUnsafe(image.shape, 1) }, [image.shape], domain)[0]
  return { layout: "channels", value: E.reshape(ctx.b, apart, physicalShape("channels", shape, ctx.lanes)) }
}

/** A matrix `[c, m]` as a blocked image of c·L channels, one row high. */
const rowImage = (ctx: Context, rows: Value): Value =>
  E.reshape(ctx.b, rows, [1, Arr.getUnsafe(rows.shape, 0) * ctx.block, 1, Arr.getUnsafe(rows.shape, 1) / ctx.block])

/** A number per row, or one for all of them, repeated over the rows' lanes. */
const perLane = (ctx: Context, column: Value | number, rows: number): Value =>
  typeof column === "number"
    ? ctx.b.constant(new Float32Array(rows * ctx.block).fill(column), [rows * ctx.block])
    : E.repeated(ctx.b, E.column(ctx.b, column), ctx.block)

/** `factor · x + offset + sum` over the rows of a matrix `[c, m]` in one pass, with one number per row as factor and offset. */
export const affine = (
  ctx: Context,
  x: Value,
  factor: Value | number,
  { offset, sum }: { readonly offset?: Value | number; readonly sum?: Value } = {}
): Value => {
  const rows = Arr.getUnsafe(x.shape, 0)
  const groups = rows * ctx.block
  const image = rowImage(ctx, x)
  const weight = E.reshape(ctx.b, perLane(ctx, factor, rows), [groups, 1, 1, 1])
  const bias = offset === undefined ? undefined : E.reshape(ctx.b, perLane(ctx, offset, rows), [groups])
  const inputs = [image, weight, ...(bias === undefined && sum === undefined ? [] : [bias])]
  const y = node(
    ctx,
    "Conv",
    sum === undefined ? inputs : [...inputs, rowImage(ctx, sum)],
    { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], group: groups },
    image.shape
  )
  return E.reshape(ctx.b, y, x.shape)
}

/** `factor · x + offset + sum`, with one number each as factor and offset, over a tensor of any shape whose size is a whole number of blocks. */
export const affineAll = (ctx: Context, x: Value, factor: number, offset: number, sum?: Value): Value => {
  const row = [1, Shape.size(x.shape)]
  const more = sum === undefined ? {} : { sum: E.reshape(ctx.b, sum, row) }
  return E.reshape(ctx.b, affine(ctx, E.reshape(ctx.b, x, row), factor, { offset, ...more }), x.shape)
}

/** Σ x·y along the rows of two matrices `[c, m]`: `[c]`. Reads both once and writes nothing. */
export const rowDot = (ctx: Context, x: Value, y: Value): Value => {
  const [rows, columns] = Shape.ofRank(2)(x.shape)
  const groups = rows * ctx.block
  const width = columns / ctx.block
  const kernel = E.reshape(ctx.b, y, [groups, 1, 1, width])
  const each = node(
    ctx,
    "Conv",
    [rowImage(ctx, x), kernel],
    { kernel_shape: [1, width], strides: [1, 1], pads: [0, 0, 0, 0], group: groups },
    [1, groups, 1, 1]
  )
  return E.sum(ctx.b, E.reshape(ctx.b, each, [rows, ctx.block]), [1])
}
