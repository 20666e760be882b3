/** Squeeze-and-excitation by depthwise kernels over the images' lanes, or by rows if the images do not lie in lanes. */
import { type Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import { affine, blockedImage, fromBlocked, node as blocked } from "../internal/blocks.ts"
import type { Value } from "../internal/builder.ts"
import { type Context, fromChannelRows, type Lowered, type PartialRules } from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import { physicalShape } from "../internal/layout.ts"
import { eachInRows, isGate } from "../Target.ts"

/** Numbers per channel and image in the order of a blocked image's channels. */
export const perImage = (ctx: Context, gate: Tensor.Tensor, shape: Shape.Shape): Value =>
  E.reshape(ctx.b, ctx.get(gate, "channels"), shape)

/** Every channel of every image as a row. */
export const imageRows = (ctx: Context, x: Tensor.Tensor): Value =>
  E.reshape(ctx.b, ctx.get(x, "channels"), [
    Arr.getUnsafe(x.shape, 1) * Arr.getUnsafe(x.shape, 0),
    Arr.getUnsafe(x.shape, 2) * Arr.getUnsafe(x.shape, 3)
  ])

/** The mean of every channel of every image, in the order of a blocked image's channels. */
const imageMeans = (ctx: Context, x: Tensor.Tensor): Value => {
  if (eachInRows(ctx, x.shape)) return E.reduce(ctx.b, "ReduceMean", imageRows(ctx, x), [1])
  const image = blockedImage(ctx, x)
  return blocked(ctx, "GlobalAveragePool", [image], {}, [1, Arr.getUnsafe(image.shape, 1), 1, 1])
}

/** image · gate + bias, with gate and bias per channel and image. */
export const gateImage = (ctx: Context, image: Tensor.Tensor, gate: Tensor.Tensor, bias?: Tensor.Tensor): Lowered => {
  const groups = Arr.getUnsafe(image.shape, 0) * Arr.getUnsafe(image.shape, 1)
  const [factor, offset] = [gate, bias].map((t) => t && perImage(ctx, t, [groups]))
  if (factor === undefined) return { layout: "channels", value: ctx.get(image, "channels") }
  if (eachInRows(ctx, image.shape)) {
    const value = affine(ctx, imageRows(ctx, image), factor, offset === undefined ? {} : { offset })
    return fromChannelRows(ctx, image.shape, value)
  }
  const x = blockedImage(ctx, image)
  const attributes = { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], group: groups }
  const inputs = [x, E.reshape(ctx.b, factor, [groups, 1, 1, 1])]
  return fromBlocked(
    ctx,
    image.shape,
    blocked(ctx, "Conv", offset === undefined ? inputs : [...inputs, offset], attributes, x.shape)
  )
}

export const rules = {
  globalAveragePool: (node, ctx) => {
    const [x] = node.inputs
    const value = E.reshape(ctx.b, imageMeans(ctx, x), physicalShape("channels", node.shape, ctx.lanes))
    return { layout: "channels", value }
  },
  binary: (node, ctx) => {
    const [x, y] = node.inputs
    return isGate(x.shape, y.shape) ? gateImage(ctx, x, y) : gateImage(ctx, y, x)
  }
} satisfies PartialRules
