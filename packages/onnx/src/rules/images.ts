/** Convolution, pooling and normalisation by standard operators only. */
import { Op, Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Value } from "../internal/builder.ts"
import {
  channelRows,
  type Context,
  featureRows,
  fromChannelRows,
  type Lowered,
  plain,
  type Rules
} from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import { type Layout, physicalShape } from "../internal/layout.ts"
import { isDepthwise, isPointwise } from "../Target.ts"

type Window = Op.Window

const windowAttributes = ({ stride, padding }: Window, kernel: ReadonlyArray<number>) => ({
  kernel_shape: kernel,
  strides: stride,
  pads: padding
})

/** An attribute that is omitted if it has its default: steps of one row and one column. */
export const unlessOnes = (name: "dilations" | "strides", steps: readonly [number, number]) =>
  steps.every((n) => n === 1) ? {} : { [name]: steps }

const convolutionAttributes = (window: Op.Convolution, kernel: ReadonlyArray<number>) => ({
  ...windowAttributes(window, kernel),
  ...unlessOnes("dilations", window.dilation)
})

/** Rows and columns of the padded input from where the last window begins to its end: those of a kernel without dilation, and what no window reaches. */
const lastWindow = (x: Shape.Shape, dy: Shape.Shape, { padding, stride }: Window): readonly [number, number] => {
  const [, , height, width] = Shape.ofRank(4)(x)
  const [, , rows, columns] = Shape.ofRank(4)(dy)
  const [top, left, bottom, right] = padding
  const [down, across] = stride
  return [height + top + bottom - (rows - 1) * down, width + left + right - (columns - 1) * across]
}

/** Rows and columns of a weight's gradient, including those beyond the image's end that a convolution with the result's gradient as its kernel also gives. */
export const fullSize = (x: Shape.Shape, dy: Shape.Shape, window: Op.Convolution): readonly [number, number] => {
  const [rows, columns] = lastWindow(x, dy, window)
  const [down, across] = window.dilation
  return [Math.ceil(rows / down), Math.ceil(columns / across)]
}

const matrix = (ctx: Context, weight: Tensor.Tensor): Value =>
  E.reshape(ctx.b, ctx.plain(weight), [
    Arr.getUnsafe(weight.shape, 0),
    Shape.size(weight.shape) / Arr.getUnsafe(weight.shape, 0)
  ])

/** An image `[b, c, h, w]` as one image of c·b channels; channels outermost if no lanes prevent it. */
const asOneImage = (ctx: Context, x: Tensor.Tensor): { readonly value: Value; readonly layout: Layout } => {
  const layout: Layout = ctx.lanes === 1 && ctx.allows("channels", x.shape) ? "channels" : "plain"
  const [batch, channels, height, width] = Shape.ofRank(4)(x.shape)
  return { layout, value: E.reshape(ctx.b, ctx.get(x, layout), [1, batch * channels, height, width]) }
}

/** A depthwise kernel `[c, 1, kh, kw]` repeated for every image of the batch, in the order of `asOneImage`. */
const spreadKernel = (ctx: Context, weight: Tensor.Tensor, batch: number): Value => {
  const [channels, , kh, kw] = Shape.ofRank(4)(weight.shape)
  const outer = ctx.lanes === 1
  const one = E.reshape(ctx.b, ctx.plain(weight), outer ? [channels, 1, kh, kw] : [1, channels, kh, kw])
  const all = E.expand(ctx.b, one, outer ? [channels, batch, kh, kw] : [batch, channels, kh, kw])
  return E.reshape(ctx.b, all, [batch * channels, 1, kh, kw])
}

const fromOneImage = (ctx: Context, node: Tensor.Tensor, layout: Layout, value: Value): Lowered => ({
  layout,
  value: E.reshape(ctx.b, value, physicalShape(layout, node.shape, ctx.lanes))
})

/** Rows and columns that a transposed convolution must add at the bottom and right to reach the input's size. */
const outputPadding = (
  x: Shape.Shape,
  dy: Shape.Shape,
  [kernelRows, kernelColumns]: readonly [number, number],
  window: Window
) => {
  const [rows, columns] = lastWindow(x, dy, window)
  return [rows - kernelRows, columns - kernelColumns]
}

/** One channel group of an image in plain layout. */
const group = (ctx: Context, x: Value, index: number, groups: number): Value => {
  const size = Arr.getUnsafe(x.shape, 1) / groups
  return E.slice(ctx.b, x, [{ axis: 1, start: index * size, end: (index + 1) * size }])
}

/**
 * The weight gradient of one group: a convolution of the input with the output's gradient as its kernel, with batch and channels exchanged. The stride
 * becomes the dilation of that kernel, and the dilation its stride.
 */
const weightGradient = (
  ctx: Context,
  x: Value,
  dy: Value,
  window: Op.Convolution,
  kernel: ReadonlyArray<number>
): Value => {
  const { b } = ctx
  const xs = E.transpose(b, x, [1, 0, 2, 3])
  const ds = E.transpose(b, dy, [1, 0, 2, 3])
  const full = fullSize(x.shape, dy.shape, window)
  const attributes = {
    kernel_shape: ds.shape.slice(2),
    dilations: window.stride,
    pads: window.padding,
    ...unlessOnes("strides", window.dilation)
  }
  const [y] = b.node("Conv", [xs, ds], attributes, [[Arr.getUnsafe(xs.shape, 0), Arr.getUnsafe(ds.shape, 0), ...full]])
  const cut = E.slice(
    b,
    y,
    kernel.map((n, axis) => ({ axis: axis + 2, start: 0, end: n }))
  )
  return E.transpose(b, cut, [1, 0, 2, 3])
}

/** Whether axis 1 lies outermost; with three axes, as for tokens, the last one does. */
const hasRows = (ctx: Context, x: Tensor.Tensor) => x.shape.length !== 3 && ctx.allows("channels", x.shape)

/** Statistics and normalised values of a batch norm: rows of a matrix `[channels, rest]`. */
const normalisedRows = (ctx: Context, x: Tensor.Tensor, epsilon: number) => {
  const rows = channelRows(ctx, x)
  const ones = E.ones(ctx.b, [Arr.getUnsafe(rows.shape, 1)])
  const column = [Arr.getUnsafe(rows.shape, 0), 1]
  const [normal, mean, inverse] = ctx.b.node(
    "LayerNormalization",
    [rows, ones],
    { axis: -1, epsilon: { float: epsilon } },
    [rows.shape, column, column]
  )
  return { normal, mean, inverse }
}

/** Statistics and normalised values of a layer norm. */
const normalisedTokens = (ctx: Context, x: Tensor.Tensor, epsilon: number) => {
  const rows = featureRows(ctx, x)
  const ones = E.ones(ctx.b, [Arr.getUnsafe(rows.shape, 1)])
  const column = [Arr.getUnsafe(rows.shape, 0), 1]
  const [normal, , inverse] = ctx.b.node(
    "LayerNormalization",
    [rows, ones],
    { axis: -1, epsilon: { float: epsilon } },
    [rows.shape, column, column]
  )
  return { normal, inverse }
}

const columnOf = (ctx: Context, vector: Tensor.Tensor): Value => E.column(ctx.b, ctx.plain(vector))

/** All zeros, one number per channel. */
const zeros = ({ b }: Context, channels: number): Value => b.constant(new Float32Array(channels), [channels])

/** `x · gamma + beta` per channel, for those of the two that exist. */
const scaledAndMoved = (
  ctx: Context,
  x: Value,
  gamma: Tensor.Tensor | undefined,
  beta?: Tensor.Tensor | undefined
): Value => {
  const scaled = gamma === undefined ? x : E.mul(ctx.b, x, columnOf(ctx, gamma))
  return beta === undefined ? scaled : E.add(ctx.b, scaled, columnOf(ctx, beta))
}

/** Tensors whose rank differs from that of images and tokens are normalised as `[batch, channels, rest]` in plain layout. */
const asImage = (x: Tensor.Tensor): Shape.Shape => [
  Arr.getUnsafe(x.shape, 0),
  Arr.getUnsafe(x.shape, 1),
  Shape.size(x.shape.slice(2)),
  1
]

export const rules = {
  conv2d: (node, ctx) => {
    const { b } = ctx
    const [x, weight, bias] = node.inputs
    const { groups } = node.attributes
    const kernel = weight.shape.slice(2)
    if (isPointwise(weight.shape, node.attributes) && ctx.allows("channels", x.shape)) {
      const c = bias === undefined ? {} : { c: columnOf(ctx, bias) }
      return fromChannelRows(ctx, node.shape, E.gemm(b, matrix(ctx, weight), channelRows(ctx, x), c))
    }
    if (isDepthwise(weight.shape, groups) && ctx.lanes === 1 && ctx.allows("channels", node.shape)) {
      const [batch, channels] = Shape.ofRank(4)(x.shape)
      const { value, layout } = asOneImage(ctx, x)
      const spread = spreadKernel(ctx, weight, batch)
      const biases =
        bias === undefined
          ? []
          : [E.reshape(b, E.expand(b, columnOf(ctx, bias), [channels, batch]), [channels * batch])]
      const shape = [1, batch * channels, ...node.shape.slice(2)]
      const attributes = { ...convolutionAttributes(node.attributes, kernel), group: batch * channels }
      return fromOneImage(ctx, node, layout, b.node("Conv", [value, spread, ...biases], attributes, [shape])[0])
    }
    const inputs = [ctx.plain(x), ctx.plain(weight), ...(bias === undefined ? [] : [ctx.plain(bias)])]
    return plain(
      b.node("Conv", inputs, { ...convolutionAttributes(node.attributes, kernel), group: groups }, [node.shape])[0]
    )
  },
  conv2dGradInput: (node, ctx) => {
    const { b } = ctx
    const [dy, weight] = node.inputs
    const { dilation, groups, inputShape } = node.attributes
    const [, , kh, kw] = Shape.ofRank(4)(weight.shape)
    if (isPointwise(weight.shape, node.attributes) && ctx.allows("channels", dy.shape)) {
      const product = E.gemm(b, matrix(ctx, weight), channelRows(ctx, dy), { transA: true })
      return fromChannelRows(ctx, inputShape, product)
    }
    const attributes = {
      ...convolutionAttributes(node.attributes, [kh, kw]),
      output_padding: outputPadding(inputShape, dy.shape, Op.kernelExtent([kh, kw], dilation), node.attributes)
    }
    if (isDepthwise(weight.shape, groups) && ctx.lanes === 1 && ctx.allows("channels", node.shape)) {
      const [batch, channels, height, width] = Shape.ofRank(4)(inputShape)
      const { value, layout } = asOneImage(ctx, dy)
      const spread = spreadKernel(ctx, weight, batch)
      const shape = [1, batch * channels, height, width]
      const [dx] = b.node("ConvTranspose", [value, spread], { ...attributes, group: batch * channels }, [shape])
      return fromOneImage(ctx, node, layout, dx)
    }
    return plain(
      b.node("ConvTranspose", [ctx.plain(dy), ctx.plain(weight)], { ...attributes, group: groups }, [inputShape])[0]
    )
  },
  conv2dGradWeight: (node, ctx) => {
    const { b } = ctx
    const [dy, x] = node.inputs
    const { groups, weightShape } = node.attributes
    const [out, perGroup, ...kernel] = Shape.ofRank(4)(weightShape)
    if (isPointwise(weightShape, node.attributes) && ctx.allows("channels", x.shape)) {
      const product = E.gemm(b, channelRows(ctx, dy), channelRows(ctx, x), { transB: true })
      return plain(E.reshape(b, product, weightShape))
    }
    if (isDepthwise(weightShape, groups)) {
      // Every channel of every image separately, with its output's gradient as its kernel; then the sum over the batch.
      const [batch, channels] = Shape.ofRank(4)(x.shape)
      const image = asOneImage(ctx, x)
      const d = asOneImage(ctx, dy)
      const { dilation, padding, stride } = node.attributes
      const full = fullSize(x.shape, dy.shape, node.attributes)
      const kernels = E.reshape(b, d.value, [
        batch * channels,
        1,
        Arr.getUnsafe(dy.shape, 2),
        Arr.getUnsafe(dy.shape, 3)
      ])
      const attributes = {
        kernel_shape: dy.shape.slice(2),
        dilations: stride,
        pads: padding,
        group: batch * channels,
        ...unlessOnes("strides", dilation)
      }
      const [each] = b.node("Conv", [image.value, kernels], attributes, [[1, batch * channels, ...full]])
      const outer = image.layout === "channels"
      const apart = E.reshape(b, each, outer ? [channels, batch, ...full] : [batch, channels, ...full])
      const summed = E.sum(b, apart, [outer ? 1 : 0])
      const cut = E.slice(
        b,
        summed,
        kernel.map((n, axis) => ({ axis: axis + 1, start: 0, end: n }))
      )
      return plain(E.reshape(b, cut, weightShape))
    }
    const parts = Array.from({ length: groups }, (_, g) =>
      weightGradient(
        ctx,
        group(ctx, ctx.plain(x), g, groups),
        group(ctx, ctx.plain(dy), g, groups),
        node.attributes,
        kernel
      )
    )
    return plain(E.reshape(b, E.concat(b, parts, 0), [out, perGroup, ...kernel]))
  },

  maxPool2d: (node, ctx) => {
    const { attributes } = node
    if (ctx.keepsImages)
      return plain(
        ctx.b.node("MaxPool", [ctx.plain(node.inputs[0])], windowAttributes(attributes, attributes.kernel), [
          node.shape
        ])[0]
      )
    const { value, layout } = asOneImage(ctx, node.inputs[0])
    return fromOneImage(ctx, node, layout, pooled(ctx, value, node.attributes, node.shape).y)
  },
  maxPool2dGrad: (node, ctx) => {
    const { b } = ctx
    const [x, dyNode] = node.inputs
    const { value, layout } = asOneImage(ctx, x)
    const dy = asOneImage(ctx, dyNode).value
    const { indices } = pooled(ctx, value, node.attributes, dyNode.shape)
    const flat = (v: Value) => E.reshape(b, v, [Shape.size(v.shape)])
    const zeros = E.expand(b, b.scalar(0), [Shape.size(node.shape)])
    const [dx] = b.node("ScatterElements", [zeros, flat(indices), flat(dy)], { axis: 0, reduction: "add" }, [
      zeros.shape
    ])
    return fromOneImage(ctx, node, layout, dx)
  },
  averagePool2d: (node, ctx) => {
    const { attributes } = node
    const [x] = node.inputs
    const { value, layout } = ctx.keepsImages ? { value: ctx.plain(x), layout: "plain" as const } : asOneImage(ctx, x)
    const shape = [...value.shape.slice(0, 2), ...node.shape.slice(2)]
    const pooling = {
      ...windowAttributes(attributes, attributes.kernel),
      count_include_pad: attributes.countPadding ? 1 : 0
    }
    return fromOneImage(ctx, node, layout, ctx.b.node("AveragePool", [value], pooling, [shape])[0])
  },
  // Each result's gradient is shared equally among the elements of its window: a transposed convolution with a kernel of ones.
  averagePool2dGrad: (node, ctx) => {
    const { b } = ctx
    const { inputShape, kernel } = node.attributes
    const [dy] = node.inputs
    const { layout, value } = asOneImage(ctx, dy)
    const [, images, rows, columns] = Shape.ofRank(4)(value.shape)
    const area = kernel[0] * kernel[1]
    const shares = E.reshape(b, E.mul(b, value, windowShares(ctx, node, 1 / area)), [images, 1, rows, columns])
    const attributes = {
      ...windowAttributes(node.attributes, kernel),
      output_padding: outputPadding(inputShape, dy.shape, kernel, node.attributes)
    }
    const shape = [images, 1, ...inputShape.slice(2)]
    const [dx] = b.node("ConvTranspose", [shares, E.ones(b, [1, 1, ...kernel])], attributes, [shape])
    return fromOneImage(ctx, node, layout, dx)
  },
  globalAveragePool: (node, ctx) => {
    const [x] = node.inputs
    if (ctx.keepsImages) {
      const [mean] = ctx.b.node("GlobalAveragePool", [ctx.plain(x)], {}, [[...node.shape, 1, 1]])
      return plain(E.reshape(ctx.b, mean, node.shape))
    }
    const preferred = ctx.layoutOf(x)
    const layout = preferred === "channels" ? "channels" : "plain"
    const value = ctx.get(x, layout)
    const positions = Arr.getUnsafe(x.shape, 2) * Arr.getUnsafe(x.shape, 3)
    if (layout === "plain")
      return plain(E.reduce(ctx.b, "ReduceMean", E.reshape(ctx.b, value, [...node.shape, positions]), [2]))
    const [batch, channels] = Shape.ofRank(2)(node.shape)
    const lanes = Arr.getUnsafe(value.shape, 4)
    const outer = (channels * batch) / lanes
    const rows = E.reshape(ctx.b, value, lanes === 1 ? [outer, positions] : [outer, positions, lanes])
    const mean = E.reduce(ctx.b, "ReduceMean", rows, [1])
    return { layout, value: E.reshape(ctx.b, mean, physicalShape(layout, node.shape, ctx.lanes)) }
  },

  batchNorm: (node, ctx) => {
    const [x, gamma, beta] = node.inputs
    if (!hasRows(ctx, x)) return plain(plainBatchNorm(ctx, node))
    const { normal } = normalisedRows(ctx, x, node.attributes.epsilon)
    return fromChannelRows(ctx, node.shape, scaledAndMoved(ctx, normal, gamma, beta))
  },
  batchMoments: (node, ctx) => {
    const { b } = ctx
    const [x] = node.inputs
    if (!hasRows(ctx, x)) {
      const [c1, c2] = plainMoments(ctx, x)
      return plain(
        E.concat(
          b,
          [c1, c2].map((v) => E.reshape(b, v, [1, Arr.getUnsafe(x.shape, 1)])),
          0
        )
      )
    }
    const { mean, inverse } = normalisedRows(ctx, x, momentsEpsilon)
    const deviation = E.unary(b, "Reciprocal", inverse)
    const variance = E.sub(b, E.mul(b, deviation, deviation), b.scalar(momentsEpsilon))
    return plain(
      E.concat(
        b,
        [mean, variance].map((v) => E.reshape(b, v, [1, Arr.getUnsafe(x.shape, 1)])),
        0
      )
    )
  },
  batchNormGradInput: (node, ctx) => {
    const { b } = ctx
    const [dyNode, x, gamma] = node.inputs
    if (!hasRows(ctx, x)) return plain(plainBatchNormGrad(ctx, node).input)
    const { normal, inverse } = normalisedRows(ctx, x, node.attributes.epsilon)
    const dy = channelRows(ctx, dyNode)
    const share = b.scalar(-1 / Arr.getUnsafe(dy.shape, 1))
    const along = E.mul(b, dy, normal)
    const [sum, product] = [E.sum(b, dy, [1], true), E.sum(b, along, [1], true)]
    const [meanDy, meanProduct] = [E.mul(b, sum, share), E.mul(b, product, share)]
    const centred = E.add(b, E.add(b, dy, meanDy), E.mul(b, normal, meanProduct))
    return fromChannelRows(ctx, node.shape, E.mul(b, centred, scaledAndMoved(ctx, inverse, gamma)))
  },
  batchNormGradScale: (node, ctx) => {
    const { b } = ctx
    const [dyNode, x] = node.inputs
    if (!hasRows(ctx, x)) return plain(plainBatchNormGrad(ctx, node).scale)
    const { normal } = normalisedRows(ctx, x, node.attributes.epsilon)
    return plain(E.reshape(b, E.sum(b, E.mul(b, channelRows(ctx, dyNode), normal), [1], true), node.shape))
  },
  batchNormInference: (node, ctx) => {
    const { b } = ctx
    const [x] = node.inputs
    const layout = ctx.layoutOf(x)
    const { inputs } = node
    const statistics = inputs.length === 5 ? ([inputs[3], inputs[4]] as const) : ([inputs[1], inputs[2]] as const)
    const [average, spread] = Tensor.each(ctx.plain)(statistics)
    const channels = Arr.getUnsafe(x.shape, 1)
    const scale = inputs.length === 5 ? ctx.plain(inputs[1]) : E.ones(b, [channels])
    const bias = inputs.length === 5 ? ctx.plain(inputs[2]) : zeros(ctx, channels)
    if (layout !== "channels" || !hasRows(ctx, x))
      return plain(
        b.node(
          "BatchNormalization",
          [ctx.plain(x), scale, bias, average, spread],
          { epsilon: { float: node.attributes.epsilon } },
          [node.shape]
        )[0]
      )
    const [gamma, beta] = [E.column(b, scale), E.column(b, bias)]
    const [mean, variance] = [E.column(b, average), E.column(b, spread)]
    const deviation = E.unary(b, "Sqrt", E.add(b, variance, b.scalar(node.attributes.epsilon)))
    const factor = E.div(b, gamma, deviation)
    const offset = E.sub(b, beta, E.mul(b, mean, factor))
    return fromChannelRows(ctx, node.shape, E.add(b, E.mul(b, channelRows(ctx, x), factor), offset))
  },

  layerNorm: (node, ctx) => {
    const [x, gamma, beta] = node.inputs
    const rows = featureRows(ctx, x)
    const column = [Arr.getUnsafe(rows.shape, 0), 1]
    const [y] = ctx.b.node(
      "LayerNormalization",
      [rows, ctx.plain(gamma), ctx.plain(beta)],
      { axis: -1, epsilon: { float: node.attributes.epsilon } },
      [rows.shape, column, column]
    )
    return plain(E.reshape(ctx.b, y, node.shape))
  },
  layerNormGradInput: (node, ctx) => {
    const { b } = ctx
    const [dyNode, x, gamma] = node.inputs
    const { normal, inverse } = normalisedTokens(ctx, x, node.attributes.epsilon)
    const g = E.mul(b, featureRows(ctx, dyNode), ctx.plain(gamma))
    const mean = E.reduce(b, "ReduceMean", g, [1], true)
    const meanProduct = E.reduce(b, "ReduceMean", E.mul(b, g, normal), [1], true)
    const centred = E.sub(b, E.sub(b, g, mean), E.mul(b, normal, meanProduct))
    return plain(E.reshape(b, E.mul(b, centred, inverse), node.shape))
  },
  layerNormGradScale: (node, ctx) => {
    const { b } = ctx
    const [dyNode, x] = node.inputs
    const { normal } = normalisedTokens(ctx, x, node.attributes.epsilon)
    return plain(E.sum(b, E.mul(b, featureRows(ctx, dyNode), normal), [0]))
  },

  adamw: (node, ctx) => {
    const { b } = ctx
    const [parameter, gradient, moment1, moment2, rate, step] = Tensor.each(ctx.plain)(node.inputs)
    const { beta1, beta2, epsilon, weightDecay, of } = node.attributes
    const mix = (old: Value, fresh: Value, beta: number) =>
      E.add(b, E.mul(b, old, b.scalar(beta)), E.mul(b, fresh, b.scalar(1 - beta)))
    const m = mix(moment1, gradient, beta1)
    const v = mix(moment2, E.mul(b, gradient, gradient), beta2)
    if (of === "moment1") return plain(m)
    if (of === "moment2") return plain(v)
    const correction = (beta: number) => E.sub(b, b.scalar(1), b.node("Pow", [b.scalar(beta), step], {}, [[]])[0])
    const deviation = E.add(
      b,
      E.div(b, E.unary(b, "Sqrt", v), E.unary(b, "Sqrt", correction(beta2))),
      b.scalar(epsilon)
    )
    const stepSize = E.div(b, rate, correction(beta1))
    const kept = E.sub(b, b.scalar(1), E.mul(b, rate, b.scalar(weightDecay)))
    return plain(E.sub(b, E.mul(b, parameter, kept), E.mul(b, E.div(b, m, deviation), stepSize)))
  },
  sgd: (node, ctx) => {
    const { b } = ctx
    const [parameter, gradient, velocity, rate] = Tensor.each(ctx.plain)(node.inputs)
    const { momentum, nesterov, of, weightDecay } = node.attributes
    const times = (x: Value, factor: number) => E.mul(b, x, b.scalar(factor))
    const pull = weightDecay === 0 ? gradient : E.add(b, gradient, times(parameter, weightDecay))
    const next = E.add(b, times(velocity, momentum), pull)
    if (of === "velocity") return plain(next)
    const direction = nesterov ? E.add(b, pull, times(next, momentum)) : next
    return plain(E.sub(b, parameter, E.mul(b, direction, rate)))
  },
  movingAverage: (node, ctx) => {
    const { b } = ctx
    const [average, current, decay] = Tensor.each(ctx.plain)(node.inputs)
    return plain(E.add(b, E.mul(b, average, decay), E.mul(b, current, E.sub(b, b.scalar(1), decay))))
  },
  globalNorm: ({ inputs }, ctx) => {
    const { b } = ctx
    const squares = inputs.map(ctx.plain).map((x) => {
      const vector = E.reshape(b, x, [Shape.size(x.shape)])
      return E.sum(b, E.mul(b, vector, vector), [0])
    })
    return plain(E.unary(b, "Sqrt", E.total(b, squares)))
  },
  clipByNorm: (node, ctx) => {
    const { b } = ctx
    const [gradient, norm] = Tensor.each(ctx.plain)(node.inputs)
    const share = E.div(b, b.scalar(node.attributes.most), E.add(b, norm, b.scalar(1e-6)))
    return plain(E.mul(b, gradient, E.binary(b, "Min", share, b.scalar(1))))
  }
} satisfies Partial<Rules>

/** Small compared with any variance that matters. The layer norm that provides the moments adds it, and the moments subtract it again. */
const momentsEpsilon = 1e-5

/**
 * The factor on a result's gradient for each element of its window: one number, or one per window `[h, w]` if padding does not count. `whole` is that
 * number for a window without padding.
 */
export const windowShares = (ctx: Context, node: Tensor.Tensor<"averagePool2dGrad">, whole: number): Value => {
  const { countPadding, inputShape, kernel, padding } = node.attributes
  if (countPadding || padding.every((n) => n === 0)) return ctx.b.scalar(whole)
  const [, , height, width] = Shape.ofRank(4)(inputShape)
  const area = kernel[0] * kernel[1]
  const shares = Op.windowCounts([height, width], node.attributes).map((count) => (whole * area) / count)
  return ctx.b.constant(shares, node.inputs[0].shape.slice(2))
}

/** The maximum and its position, as flat indices into the whole tensor. */
const pooled = (
  ctx: Context,
  x: Value,
  window: Window & { readonly kernel: ReadonlyArray<number> },
  shape: Shape.Shape
) => {
  const out = [1, Arr.getUnsafe(x.shape, 1), ...shape.slice(2)]
  const [y, indices] = ctx.b.node("MaxPool", [x], windowAttributes(window, window.kernel), [out, out])
  return { y, indices }
}

/** Moments in plain layout, for shapes without channel rows. */
const plainMoments = (ctx: Context, x: Tensor.Tensor): readonly [Value, Value] => {
  const { b } = ctx
  const image = E.reshape(b, ctx.plain(x), asImage(x).slice(0, 3))
  const mean = E.reduce(b, "ReduceMean", image, [0, 2], true)
  const centred = E.sub(b, image, mean)
  return [mean, E.reduce(b, "ReduceMean", E.mul(b, centred, centred), [0, 2], true)]
}

const plainNormalised = (ctx: Context, x: Tensor.Tensor, epsilon: number) => {
  const { b } = ctx
  const [mean, variance] = plainMoments(ctx, x)
  const inverse = E.unary(b, "Reciprocal", E.unary(b, "Sqrt", E.add(b, variance, b.scalar(epsilon))))
  const centred = E.sub(b, E.reshape(b, ctx.plain(x), asImage(x).slice(0, 3)), mean)
  return { normal: E.mul(b, centred, inverse), inverse }
}

const plainBatchNorm = (ctx: Context, node: Tensor.Tensor<"batchNorm">): Value => {
  const { b } = ctx
  const [x, gamma, beta] = node.inputs
  const { normal } = plainNormalised(ctx, x, node.attributes.epsilon)
  return E.reshape(b, scaledAndMoved(ctx, normal, gamma, beta), node.shape)
}

const plainBatchNormGrad = (
  ctx: Context,
  node: Tensor.Tensor<"batchNormGradInput"> | Tensor.Tensor<"batchNormGradScale">
) => {
  const { b } = ctx
  const [dyNode, x, gamma] = node.inputs
  const { normal, inverse } = plainNormalised(ctx, x, node.attributes.epsilon)
  const dy = E.reshape(b, ctx.plain(dyNode), normal.shape)
  const share = b.scalar(-1 / (Arr.getUnsafe(normal.shape, 0) * Arr.getUnsafe(normal.shape, 2)))
  const along = E.mul(b, dy, normal)
  const [sum, product] = [E.sum(b, dy, [0, 2], true), E.sum(b, along, [0, 2], true)]
  const [meanDy, meanProduct] = [E.mul(b, sum, share), E.mul(b, product, share)]
  const centred = E.add(b, E.add(b, dy, meanDy), E.mul(b, normal, meanProduct))
  return {
    get input() {
      return E.reshape(b, E.mul(b, centred, scaledAndMoved(ctx, inverse, gamma)), node.shape)
    },
    scale: E.reshape(b, product, node.shape)
  }
}
