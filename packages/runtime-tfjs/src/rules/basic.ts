/** Leaves, arithmetic, activations, reductions, moves of elements, and the optimiser. */
import { type Op, Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import {
  type Context,
  convert,
  last,
  type Layout,
  type Lowered,
  physicalAxis,
  physicalShape,
  plain,
  type Rules
} from "../internal/context.ts"
import * as K from "../internal/kernels.ts"
import type { Value } from "../internal/plan.ts"

const unaryKernels = {
  neg: "Neg",
  exp: "Exp",
  log: "Log",
  sqrt: "Sqrt",
  reciprocal: "Reciprocal",
  abs: "Abs",
  sign: "Sign"
} as const satisfies Record<Op.UnaryFunction, K.Unary>

const binaryKernels = {
  add: "Add",
  sub: "Sub",
  mul: "Multiply",
  div: "RealDiv",
  max: "Maximum",
  min: "Minimum"
} as const satisfies Record<Op.BinaryFunction, K.Binary>

const comparisons = { greater: "Greater", greaterOrEqual: "GreaterEqual", equal: "Equal" } as const

/** The tensor before a broadcast, if another operand of the broadcast's shape makes it redundant. */
const narrowed = (t: Tensor.Tensor, other: Tensor.Tensor): Tensor.Tensor =>
  Tensor.is("broadcastTo")(t) && other.kind !== "broadcastTo" && Shape.equals(t.shape, other.shape) ? t.inputs[0] : t

/** A tensor with leading axes of length 1 added, in a layout. */
const widened = (ctx: Context, tensor: Tensor.Tensor, rank: number, layout: Layout): Value => {
  if (tensor.shape.length === rank) return ctx.get(tensor, layout)
  const shape = [...Array.from({ length: rank - tensor.shape.length }, () => 1), ...tensor.shape]
  return convert(ctx.b, K.reshape(ctx.b, ctx.plain(tensor), shape), shape, "plain", layout)
}

/** Two operands and their layout, that of the larger one. */
const aligned = (ctx: Context, node: Tensor.Tensor<"binary" | "compare">): readonly [Value, Value, Layout] => {
  const [a, b] = node.inputs
  const [x, y] = [narrowed(a, b), narrowed(b, a)]
  const rank = node.shape.length
  const layout = ctx.layoutOf(Shape.size(x.shape) >= Shape.size(y.shape) ? x : y)
  return [widened(ctx, x, rank, layout), widened(ctx, y, rank, layout), layout]
}

const shaped = (ctx: Context, node: Tensor.Tensor, layout: Layout, value: Value): Lowered => ({
  layout,
  value: K.reshape(ctx.b, value, physicalShape(layout, node.shape))
})

/** Φ, the normal distribution function, and e^(−x²/2), from which its density follows. */
const normal = (ctx: Context, x: Value): { readonly cumulative: Value; readonly peaked: Value } => {
  const { b } = ctx
  const half = K.scale(b, K.unary(b, "Square", x), -0.5)
  if (!ctx.traits.composedErf) {
    const erf = K.unary(b, "Erf", K.scale(b, x, Math.SQRT1_2))
    return { cumulative: K.scale(b, K.plus(b, erf, 1), 0.5), peaked: K.unary(b, "Exp", half) }
  }
  // e^u = σ(u) / (1 − σ(u)), and 1 − Φ(|x|) = t·(…) · e^(−x²/2) / 2 with t = 1 / (1 + p|x|/√2) [Abramowitz & Stegun 7.1.26, error 1.5e-7].
  const s = K.unary(b, "Sigmoid", half)
  const peaked = K.div(b, s, K.sub(b, K.scalar(b, 1), s))
  const t = K.unary(b, "Reciprocal", K.plus(b, K.scale(b, K.unary(b, "Abs", x), 0.327_591_1 * Math.SQRT1_2), 1))
  const [c1, ...rest] = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592]
  const polynomial = rest.reduce((sum, c) => K.plus(b, K.mul(b, sum, t), c / 2), K.scalar(b, c1 / 2))
  const tail = K.mul(b, K.mul(b, polynomial, t), peaked)
  // The tail is Φ below zero and 1 − Φ above.
  const above = K.step(b, x)
  return { cumulative: K.add(b, K.mul(b, tail, K.sub(b, K.scalar(b, 1), K.scale(b, above, 2))), above), peaked }
}

const activations: Record<Op.ActivationFunction, (ctx: Context, x: Value) => Value> = {
  relu: ({ b }, x) => K.unary(b, "Relu", x),
  gelu: (ctx, x) => K.mul(ctx.b, x, normal(ctx, x).cumulative),
  sigmoid: ({ b }, x) => K.unary(b, "Sigmoid", x),
  tanh: ({ b }, x) => K.unary(b, "Tanh", x),
  hardSigmoid: ({ b }, x) => K.clip(b, K.plus(b, K.scale(b, x, 1 / 6), 0.5), 0, 1),
  silu: ({ b }, x) => K.mul(b, x, K.unary(b, "Sigmoid", x))
}

const slopes: Record<Op.ActivationFunction, (ctx: Context, x: Value) => Value> = {
  relu: ({ b }, x) => K.step(b, x),
  // Φ(x) + x·φ(x), where φ is the normal density.
  gelu: (ctx, x) => {
    const { cumulative, peaked } = normal(ctx, x)
    return K.add(ctx.b, cumulative, K.scale(ctx.b, K.mul(ctx.b, x, peaked), 1 / Math.sqrt(2 * Math.PI)))
  },
  sigmoid: ({ b }, x) => {
    const s = K.unary(b, "Sigmoid", x)
    return K.mul(b, s, K.sub(b, K.scalar(b, 1), s))
  },
  tanh: ({ b }, x) => K.sub(b, K.scalar(b, 1), K.unary(b, "Square", K.unary(b, "Tanh", x))),
  hardSigmoid: ({ b }, x) => K.scale(b, K.step(b, K.sub(b, K.scalar(b, 3), K.unary(b, "Abs", x))), 1 / 6),
  silu: ({ b }, x) => {
    const s = K.unary(b, "Sigmoid", x)
    return K.mul(b, s, K.plus(b, K.mul(b, x, K.sub(b, K.scalar(b, 1), s)), 1))
  }
}

export const rules = {
  input: (node, { b }) => plain(b.input(node.attributes.name, node.shape, node.dtype)),
  variable: (node, { b }) => plain(b.variable(node.attributes.name, node.shape, node.dtype)),
  constant: (node, { b }) => plain(b.constant(node.attributes.data, node.shape)),
  fill: (node, { b }) => plain(K.filled(b, node.attributes.value, node.shape)),

  unary: (node, ctx) => {
    const layout = ctx.layoutOf(node.inputs[0])
    return { layout, value: K.unary(ctx.b, unaryKernels[node.attributes.fn], ctx.get(node.inputs[0], layout)) }
  },
  binary: (node, ctx) => {
    const [x, y, layout] = aligned(ctx, node)
    return shaped(ctx, node, layout, K.binary(ctx.b, binaryKernels[node.attributes.fn], x, y))
  },
  compare: (node, ctx) => {
    const [x, y, layout] = aligned(ctx, node)
    return shaped(ctx, node, layout, K.compare(ctx.b, comparisons[node.attributes.fn], x, y))
  },
  broadcastTo: (node, ctx) => {
    const layout = node.inputs[0].shape.length === node.shape.length ? ctx.layoutOf(node.inputs[0]) : "plain"
    const x = widened(ctx, node.inputs[0], node.shape.length, layout)
    return { layout, value: K.broadcast(ctx.b, x, physicalShape(layout, node.shape)) }
  },

  activation: (node, ctx) => {
    const layout = ctx.layoutOf(node.inputs[0])
    return { layout, value: activations[node.attributes.fn](ctx, ctx.get(node.inputs[0], layout)) }
  },
  activationGrad: (node, ctx) => {
    const [x, dy] = node.inputs
    const layout = ctx.layoutOf(x)
    return { layout, value: K.mul(ctx.b, ctx.get(dy, layout), slopes[node.attributes.fn](ctx, ctx.get(x, layout))) }
  },

  reduce: (node, ctx) => {
    const { b } = ctx
    const { axes, fn, keepDims } = node.attributes
    const [x] = node.inputs
    const layout = ctx.layoutOf(x)
    const rank = x.shape.length
    const along = axes.map((axis) => physicalAxis(layout, rank, axis))
    const value = ctx.get(x, layout)
    // With channels last, the remaining axes are in order unless an axis after the channels remains too.
    const left = x.shape.map((_, i) => i).filter((i) => !axes.includes(i) && x.shape[i] !== 1)
    const inOrder = layout === "plain" || !left.includes(1) || left.at(-1) === 1
    const of = (v: Value, over: ReadonlyArray<number>) => {
      if (fn === "max") return K.largest(b, v, over, keepDims)
      return fn === "sum" ? K.sum(b, v, over, keepDims) : K.mean(b, v, over, keepDims)
    }
    if (keepDims) return { layout, value: of(value, along) }
    return inOrder ? plain(K.reshape(b, of(value, along), node.shape)) : plain(of(ctx.plain(x), axes))
  },
  softmax: (node, ctx) => plain(K.softmax(ctx.b, ctx.plain(node.inputs[0]))),
  softmaxGrad: (node, ctx) => {
    const [y, dy] = Tensor.each(ctx.plain)(node.inputs)
    return plain(throughSoftmax(ctx, y, dy))
  },
  logSoftmax: (node, ctx) => {
    const { b } = ctx
    const x = ctx.plain(node.inputs[0])
    const axis = [x.shape.length - 1]
    const below = K.sub(b, x, K.largest(b, x, axis, true))
    return plain(K.sub(b, below, K.unary(b, "Log", K.sum(b, K.unary(b, "Exp", below), axis, true))))
  },
  argMax: (node, ctx) => {
    const x = ctx.plain(node.inputs[0])
    const features = Arr.getUnsafe(x.shape, x.shape.length - 1)
    const rows = K.reshape(ctx.b, x, [Shape.size(x.shape) / features, features])
    const found = ctx.b.call("ArgMax", [["x", rows]], { axis: 1 }, [Arr.getUnsafe(rows.shape, 0)], "int32")
    return plain(K.reshape(ctx.b, found, node.shape))
  },
  oneHot: (node, ctx) => {
    const { depth } = node.attributes
    const indices = ctx.plain(node.inputs[0])
    // By comparison: the kernel for it fails at a depth of one in WebAssembly.
    const range = ctx.b.constant(
      Int32Array.from({ length: depth }, (_, i) => i),
      [1, depth]
    )
    const column = K.reshape(ctx.b, indices, [Shape.size(indices.shape), 1])
    const hot = K.compare(ctx.b, "Equal", column, range)
    return plain(K.reshape(ctx.b, hot, node.shape))
  },

  // A reshape that only adds or removes axes of length 1 after the channels is the same in both layouts.
  reshape: (node, ctx) => plain(K.reshape(ctx.b, ctx.plain(node.inputs[0]), node.shape)),
  transpose: (node, ctx) => plain(K.transpose(ctx.b, ctx.plain(node.inputs[0]), node.attributes.permutation)),
  slice: (node, ctx) => {
    const { axis, end, start } = node.attributes
    const [x] = node.inputs
    const layout = ctx.layoutOf(x)
    return { layout, value: K.slice(ctx.b, ctx.get(x, layout), physicalAxis(layout, x.shape.length, axis), start, end) }
  },
  pad: (node, ctx) => {
    const { after, before } = node.attributes
    const [x] = node.inputs
    const layout = ctx.layoutOf(x)
    const [low, high] = [physicalShape(layout, before), physicalShape(layout, after)]
    return { layout, value: K.pad(ctx.b, ctx.get(x, layout), low, high) }
  },
  concat: (node, ctx) => {
    const layout = ctx.layoutOf(node.inputs[0])
    const axis = physicalAxis(layout, node.shape.length, node.attributes.axis)
    const xs = node.inputs.map((x) => ctx.get(x, layout))
    return { layout, value: K.concat(ctx.b, xs, axis) }
  },
  // With channels last, an image already is its tokens.
  toTokens: (node, ctx) => plain(K.reshape(ctx.b, ctx.last(node.inputs[0]), node.shape)),
  toImage: (node, ctx) => last(K.reshape(ctx.b, ctx.plain(node.inputs[0]), physicalShape("last", node.shape))),

  adamw: (node, ctx) => {
    const { b } = ctx
    const [parameter, gradient, moment1, moment2, rate, step] = Tensor.each(ctx.plain)(node.inputs)
    const { beta1, beta2, epsilon, of, weightDecay } = node.attributes
    const mix = (old: Value, fresh: Value, beta: number) => K.add(b, K.scale(b, old, beta), K.scale(b, fresh, 1 - beta))
    const m = mix(moment1, gradient, beta1)
    const v = mix(moment2, K.unary(b, "Square", gradient), beta2)
    if (of === "moment1") return plain(m)
    if (of === "moment2") return plain(v)
    const one = K.scalar(b, 1)
    const correction = (beta: number) => K.sub(b, one, K.binary(b, "Pow", K.scalar(b, beta), step))
    const root = K.unary(b, "Sqrt", K.div(b, v, correction(beta2)))
    const move = K.mul(b, K.div(b, m, K.plus(b, root, epsilon)), K.div(b, rate, correction(beta1)))
    const kept = weightDecay === 0 ? parameter : K.mul(b, parameter, K.sub(b, one, K.scale(b, rate, weightDecay)))
    return plain(K.sub(b, kept, move))
  },
  sgd: (node, ctx) => {
    const { b } = ctx
    const [parameter, gradient, velocity, rate] = Tensor.each(ctx.plain)(node.inputs)
    const { momentum, nesterov, of, weightDecay } = node.attributes
    const pull = weightDecay === 0 ? gradient : K.add(b, gradient, K.scale(b, parameter, weightDecay))
    const next = K.add(b, K.scale(b, velocity, momentum), pull)
    if (of === "velocity") return plain(next)
    const direction = nesterov ? K.add(b, pull, K.scale(b, next, momentum)) : next
    return plain(K.sub(b, parameter, K.mul(b, direction, rate)))
  },
  movingAverage: (node, ctx) => {
    const { b } = ctx
    const [average, current, decay] = Tensor.each(ctx.plain)(node.inputs)
    return plain(K.add(b, K.mul(b, average, decay), K.mul(b, current, K.sub(b, K.scalar(b, 1), decay))))
  },
  globalNorm: ({ inputs }, ctx) => {
    const { b } = ctx
    const squares = inputs.map(ctx.plain).map((x) =>
      K.sum(
        b,
        K.unary(b, "Square", x),
        x.shape.map((_, axis) => axis)
      )
    )
    return plain(
      K.unary(
        b,
        "Sqrt",
        squares.reduce((sum, x) => K.add(b, sum, x))
      )
    )
  },
  clipByNorm: (node, ctx) => {
    const { b } = ctx
    const [gradient, norm] = Tensor.each(ctx.plain)(node.inputs)
    const share = K.div(b, K.scalar(b, node.attributes.most), K.plus(b, norm, 1e-6))
    return plain(K.mul(b, gradient, K.binary(b, "Minimum", share, K.scalar(b, 1))))
  }
} satisfies Partial<Rules>

/** y · (dy − Σ y·dy) along the last axis. */
export const throughSoftmax = ({ b }: Context, y: Value, dy: Value): Value => {
  const product = K.mul(b, y, dy)
  return K.sub(b, product, K.mul(b, y, K.sum(b, product, [y.shape.length - 1], true)))
}
