/**
 * The forms in which an op can be computed, and the layout of its result. Which forms exist for a node depends only on its own shapes and attributes.
 */
import { Op, Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Fused from "./Fused.ts"
import type { Layout } from "./internal/layout.ts"
import * as T from "./Target.ts"

/**
 * - `standard`: operators of the ONNX standard
 * - `blocked`: the blocked convolution kernels of the CPU
 * - `patches`: one matrix product over patches
 * - `tokens`: channels as rows, tokens as columns
 * - `views`: elements are only moved when something needs them in another order
 */
export type Form = "standard" | "blocked" | "patches" | "tokens" | "views"

/** The preferred form of a node, where it exists. */
type Preferred = {
  readonly [K in Tensor.Primitive]?: (node: Tensor.Tensor<K>, target: T.Target) => Form | undefined
}

/** The minimum rows and columns around a gradient that is convolved with a rotated kernel; negative where the kernel does not reach. */
const around = (
  dy: Shape.Shape,
  weight: Shape.Shape,
  { dilation, inputShape, padding, stride }: Tensor.Attributes["conv2dGradInput"]
): number => {
  const extent = Op.kernelExtent([Arr.getUnsafe(weight, 2), Arr.getUnsafe(weight, 3)], dilation)
  const each = extent.flatMap((n, axis) => {
    const before = n - 1 - Arr.getUnsafe(padding, axis)
    return [
      before,
      Arr.getUnsafe(inputShape, 2 + axis) - Arr.getUnsafe(dy, 2 + axis) * Arr.getUnsafe(stride, axis) - before + n - 1
    ]
  })
  return Math.min(...each)
}

/** Whether the gradients of patches can be added up in the positions that they were taken from. */
const addsUp = (
  dy: Shape.Shape,
  weight: Shape.Shape,
  { dilation, inputShape, padding, stride }: Tensor.Attributes["conv2dGradInput"]
): boolean =>
  [...stride, ...dilation].every((n) => n === 1) &&
  Arr.getUnsafe(weight, 3) - 1 - padding[1] >= 0 &&
  Arr.getUnsafe(inputShape, 3) - Arr.getUnsafe(dy, 3) + padding[1] >= 0

const preferred: Preferred = {
  conv2d: ({ attributes, inputs: [x, weight] }, target) =>
    T.isBlocked(target, x.shape) && T.isDepthwise(weight.shape, attributes.groups)
      ? "blocked"
      : T.hasPatches(target, x.shape, weight.shape, attributes)
        ? "patches"
        : undefined,
  conv2dGradInput: ({ attributes, inputs: [dy, weight] }, target) =>
    T.isBlocked(target, dy.shape) &&
    T.isDepthwise(weight.shape, attributes.groups) &&
    around(dy.shape, weight.shape, attributes) >= 0
      ? "blocked"
      : T.hasPatches(target, attributes.inputShape, weight.shape, attributes) &&
          addsUp(dy.shape, weight.shape, attributes)
        ? "patches"
        : undefined,
  conv2dGradWeight: ({ attributes, inputs: [, x] }, target) =>
    T.isBlocked(target, x.shape) && T.isDepthwise(attributes.weightShape, attributes.groups)
      ? "blocked"
      : T.hasPatches(target, x.shape, attributes.weightShape, attributes)
        ? "patches"
        : undefined,
  maxPool2d: ({ inputs: [x] }, target) => (T.isBlocked(target, x.shape) ? "blocked" : undefined),
  maxPool2dGrad: ({ inputs: [x] }, target) => (T.isBlocked(target, x.shape) ? "blocked" : undefined),
  averagePool2d: ({ inputs: [x] }, target) => (T.isBlocked(target, x.shape) ? "blocked" : undefined),
  averagePool2dGrad: ({ shape }, target) => (T.isBlocked(target, shape) ? "blocked" : undefined),
  globalAveragePool: ({ inputs: [x] }, target) =>
    target.lanes === target.block && T.isBlocked(target, x.shape) ? "blocked" : undefined,
  binary: ({ attributes: { fn }, inputs: [x, y], shape }, target) => {
    if (fn === "add") return target.views ? "views" : undefined
    if (fn !== "mul") return undefined
    const [tokens, vector] = x.shape.length === 3 ? [x, y] : [y, x]
    if (T.tokensInRows(target, tokens.shape) && Shape.equals(vector.shape, [Arr.getUnsafe(tokens.shape, 2)]))
      return "tokens"
    const isGate = T.isGate(x.shape, y.shape) || T.isGate(y.shape, x.shape)
    return shape.length === 4 && isGate && T.gatesImages(target, shape) ? "blocked" : undefined
  },
  linear: ({ shape }, target) => (T.tokensInRows(target, shape) ? "tokens" : undefined),
  linearGradInput: ({ shape }, target) => (T.tokensInRows(target, shape) ? "tokens" : undefined),
  linearGradWeight: ({ inputs: [, x] }, target) => (T.tokensInRows(target, x.shape) ? "tokens" : undefined),
  attention: (_, target) => (target.block > 0 ? "tokens" : undefined),
  attentionGrad: (_, target) => (target.block > 0 ? "tokens" : undefined),
  reshape: (_, target) => (target.views ? "views" : undefined),
  transpose: (_, target) => (target.views ? "views" : undefined),
  slice: (_, target) => (target.views ? "views" : undefined)
}

/** The form in which a node is computed. */
export const of = (node: Tensor.Tensor, target: T.Target): Form => {
  // A node's kind and the row for that kind belong together, which the type of a lookup by a union of kinds cannot express.
  const row = preferred[node.kind as Tensor.Primitive] as
    | ((node: Tensor.Tensor, target: T.Target) => Form | undefined)
    | undefined
  const form = row?.(node, target) ?? "standard"
  return target.without.includes(form) ? "standard" : form
}

const is = {
  conv2d: Tensor.is("conv2d"),
  concat: Tensor.is("concat"),
  pad: Tensor.is("pad"),
  composite: Tensor.is("composite")
}

/** Whether a product over channels is a product over rows. */
const inRows = (target: T.Target, x: Shape.Shape, weight: Shape.Shape, attributes: Op.Convolution) =>
  T.isPointwise(weight, attributes) && target.allows("channels", x)

/**
 * The layout of a node's result: the one in which its form leaves it, or that of its input.
 *
 * Moves of elements count as leaving them with channels outermost where that is possible.
 */
export const layoutOf = (node: Tensor.Tensor, target: T.Target): Layout => {
  const channels = (): Layout => (target.allows("channels", node.shape) ? "channels" : "plain")
  const [x, y] = node.inputs
  const form = of(node, target)
  if (x === undefined) return "plain"
  if (form !== "standard" && node.kind !== "binary") return channels()
  if (is.conv2d(node)) {
    const [, weight] = node.inputs
    const { attributes } = node
    return inRows(target, x.shape, weight.shape, attributes) ||
      (T.isDepthwise(weight.shape, attributes.groups) && target.lanes === 1)
      ? channels()
      : "plain"
  }
  switch (node.kind) {
    case "maxPool2d":
    case "averagePool2d":
      return target.lanes === 1 ? channels() : "plain"
    case "batchNorm":
    case "toImage":
    case "toTokens":
      return channels()
    case "unary":
    case "activation":
    case "resize":
    case "batchNormInference":
      return layoutOf(x, target)
    case "concat":
      return is.concat(node) && node.attributes.axis > 0 ? layoutOf(x, target) : "plain"
    case "pad":
      return is.pad(node) && node.attributes.before[0] === 0 && node.attributes.after[0] === 0
        ? layoutOf(x, target)
        : "plain"
    case "binary":
    case "compare": {
      if (form === "blocked" || form === "tokens") return channels()
      const larger = y === undefined || Shape.size(x.shape) >= Shape.size(y.shape) ? x : y
      return target.allows("channels", node.shape) ? layoutOf(larger, target) : "plain"
    }
    case "composite": {
      const name = is.composite(node) ? node.attributes.name : ""
      return ["line", "geluOfScaled", "geluGradOfScaled", "scaled"].includes(name) ? layoutOf(x, target) : channels()
    }
    default:
      return "plain"
  }
}

/** A gradient as `factor · value`, if it was made with channels outermost and its readers may apply the factor elsewhere. */
export const scaledOf = (t: Tensor.Tensor, target: T.Target): ReturnType<typeof Fused.scaledOf> => {
  const parts = Fused.scaledOf(t)
  return parts.factor === undefined || layoutOf(t, target) === "channels" ? parts : { value: t, factor: undefined }
}

/** Whether a factor of the result's gradient can be folded into the weights of the gradient for a convolution's input. */
export const inputTakesFactor = (
  { attributes, inputs: [dy, weight] }: Tensor.Tensor<"conv2dGradInput">,
  form: Form,
  target: T.Target
): boolean => form !== "standard" || inRows(target, dy.shape, weight.shape, attributes)

/** The same for the gradient of its weights. */
export const weightTakesFactor = (
  { attributes, inputs: [, x] }: Tensor.Tensor<"conv2dGradWeight">,
  form: Form,
  target: T.Target
): boolean => form !== "standard" || inRows(target, x.shape, attributes.weightShape, attributes)
