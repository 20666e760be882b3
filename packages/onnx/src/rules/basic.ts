/** Leaves, arithmetic, activations, reductions, and moves of elements. */
import { Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Value } from "../internal/builder.ts"
import { type Context, fits, type Lowered, plain, type Rules, scaledFeatureRows, widened } from "../internal/context.ts"
import * as E from "../internal/emit.ts"
import { type Layout, physicalAxes, physicalShape } from "../internal/layout.ts"

const unaryOperators = {
  neg: "Neg",
  exp: "Exp",
  log: "Log",
  sqrt: "Sqrt",
  reciprocal: "Reciprocal",
  abs: "Abs",
  sign: "Sign"
}
const binaryOperators = { add: "Add", sub: "Sub", mul: "Mul", div: "Div", max: "Max", min: "Min" } as const
const comparisons = { greater: "Greater", greaterOrEqual: "GreaterOrEqual", equal: "Equal" } as const

const single = (t: Tensor.Tensor) => Shape.size(t.shape) === 1

/** Both operands in one layout, so that their physical axes match; and that layout. */
const aligned = (ctx: Context, node: Tensor.Tensor<"binary" | "compare">): readonly [Value, Value, Layout] => {
  const [x, y] = node.inputs
  const rank = node.shape.length
  // It is the layout of the operand with more elements, since the smaller one is cheaper to move.
  const larger = Shape.size(x.shape) >= Shape.size(y.shape) ? x : y
  const preferred = ctx.layoutOf(larger)
  const possible = [x, y].every((t) => single(t) || fits(ctx, t, rank, preferred)) && ctx.allows(preferred, node.shape)
  const layout = possible ? preferred : "plain"
  // A number needs no layout.
  const operand = (t: Tensor.Tensor) => (single(t) ? E.reshape(ctx.b, ctx.plain(t), []) : widened(ctx, t, rank, layout))
  return [operand(x), operand(y), layout]
}

/** Reshapes the result of two operands to the physical shape of its layout (two numbers give a number). */
const shaped = (ctx: Context, node: Tensor.Tensor, layout: Layout, value: Value): Lowered => ({
  layout,
  value: E.reshape(ctx.b, value, physicalShape(layout, node.shape, ctx.lanes))
})

const cast = (ctx: Context, x: Value, to: "float32" | "int32"): Value =>
  E.unary(ctx.b, "Cast", x, { to: to === "float32" ? 1 : 6 })

/** 1 + erf(x / √2), which is twice the normal distribution function. */
const twicePhi = (ctx: Context, x: Value): Value => {
  const u = E.div(ctx.b, x, ctx.b.scalar(Math.SQRT2))
  return E.add(ctx.b, E.unary(ctx.b, "Erf", u), ctx.b.scalar(1))
}

/** Whether a reshape keeps the layout: it does if it only adds or removes trailing axes of length 1. */
const trims = (from: Shape.Shape, to: Shape.Shape) => {
  const [short, long] = from.length < to.length ? [from, to] : [to, from]
  return short.every((n, i) => n === long[i]) && long.slice(short.length).every((n) => n === 1)
}

export const rules = {
  input: (node, { b }) => plain(b.input(node.attributes.name, node.dtype, node.shape)),
  variable: (node, { b, given, weight }) => {
    const { name } = node.attributes
    const elements = given(name)
    if (elements !== undefined) return plain(E.reshape(b, elements, node.shape))
    const known = weight(name)
    return plain(known === undefined ? b.input(name, node.dtype, node.shape) : b.weight(name, known, node.shape))
  },
  constant: (node, { b }) => plain(b.constant(node.attributes.data, node.shape)),
  fill: (node, { b }) => plain(E.expand(b, b.scalar(node.attributes.value), node.shape)),

  unary: (node, ctx) => {
    const layout = ctx.layoutOf(node.inputs[0])
    return { layout, value: E.unary(ctx.b, unaryOperators[node.attributes.fn], ctx.get(node.inputs[0], layout)) }
  },
  binary: (node, ctx) => {
    const [x, y, layout] = aligned(ctx, node)
    return shaped(ctx, node, layout, E.binary(ctx.b, binaryOperators[node.attributes.fn], x, y))
  },
  compare: (node, ctx) => {
    const [x, y, layout] = aligned(ctx, node)
    return shaped(ctx, node, layout, cast(ctx, E.binary(ctx.b, comparisons[node.attributes.fn], x, y), "float32"))
  },
  broadcastTo: (node, ctx) => {
    const [x] = node.inputs
    const preferred = ctx.layoutOf(x)
    const rank = node.shape.length
    const layout = fits(ctx, x, rank, preferred) && ctx.allows(preferred, node.shape) ? preferred : "plain"
    return {
      layout,
      value: E.expand(ctx.b, widened(ctx, x, rank, layout), physicalShape(layout, node.shape, ctx.lanes))
    }
  },

  activation: (node, ctx) => {
    const { b } = ctx
    const layout = ctx.layoutOf(node.inputs[0])
    const x = ctx.get(node.inputs[0], layout)
    const value = {
      relu: () => E.unary(b, "Relu", x),
      gelu: () => E.mul(b, E.mul(b, x, twicePhi(ctx, x)), b.scalar(0.5)),
      sigmoid: () => E.unary(b, "Sigmoid", x),
      tanh: () => E.unary(b, "Tanh", x),
      hardSigmoid: () => E.unary(b, "HardSigmoid", x, { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }),
      silu: () => E.mul(b, x, E.unary(b, "Sigmoid", x))
    }[node.attributes.fn]()
    return { layout, value }
  },
  activationGrad: (node, ctx) => {
    const { b } = ctx
    const [xNode, dyNode] = node.inputs
    const layout = ctx.layoutOf(xNode)
    const x = ctx.get(xNode, layout)
    const dy = ctx.get(dyNode, layout)
    const one = b.scalar(1)
    const positive = () => cast(ctx, E.binary(b, "Greater", x, b.scalar(0)), "float32")
    const slope = {
      relu: positive,
      // Φ(x) + x·φ(x), where φ is the normal density.
      gelu: () => {
        const density = E.unary(b, "Exp", E.mul(b, E.mul(b, x, x), b.scalar(-0.5)))
        const peaked = E.mul(b, E.mul(b, x, density), b.scalar(1 / Math.sqrt(2 * Math.PI)))
        return E.add(b, E.mul(b, twicePhi(ctx, x), b.scalar(0.5)), peaked)
      },
      sigmoid: () => {
        const s = E.unary(b, "Sigmoid", x)
        return E.mul(b, s, E.sub(b, one, s))
      },
      tanh: () => {
        const t = E.unary(b, "Tanh", x)
        return E.sub(b, one, E.mul(b, t, t))
      },
      hardSigmoid: () => {
        const inside = E.binary(b, "Greater", b.scalar(3), E.unary(b, "Abs", x))
        return E.mul(b, cast(ctx, inside, "float32"), b.scalar(1 / 6))
      },
      silu: () => {
        const s = E.unary(b, "Sigmoid", x)
        return E.mul(b, s, E.add(b, one, E.mul(b, x, E.sub(b, one, s))))
      }
    }[node.attributes.fn]()
    return { layout, value: E.mul(b, dy, slope) }
  },

  reduce: (node, ctx) => {
    const { fn, axes, keepDims } = node.attributes
    const [x] = node.inputs
    if (fn === "sum" && axes.length === x.shape.length - 1 && !axes.includes(axes.length)) {
      const { factor, rows } = scaledFeatureRows(ctx, x)
      if (factor !== undefined)
        return plain(E.reshape(ctx.b, E.mul(ctx.b, E.sum(ctx.b, rows, [0]), factor), node.shape))
    }
    const operator = ({ sum: "ReduceSum", mean: "ReduceMean", max: "ReduceMax" } as const)[fn]
    const layout = ctx.layoutOf(x)
    const value = ctx.get(x, layout)
    const physical = physicalAxes(layout, x.shape, ctx.lanes, axes)
    // Joining axes that are all reduced or all kept lets the engine take its fast path.
    const reduced = reduceJoined(ctx, operator, value, physical)
    if (layout === "plain" || (keepDims && !axes.includes(0)))
      return { layout, value: E.reshape(ctx.b, reduced, physicalShape(layout, node.shape, ctx.lanes)) }
    const remaining = x.shape.map((_, i) => i).filter((i) => !axes.includes(i))
    // `[b, c]` from an image with channels outermost is a matrix with channels outermost.
    if (!keepDims && layout === "channels" && remaining.join() === "0,1")
      return { layout, value: E.reshape(ctx.b, reduced, physicalShape(layout, node.shape, ctx.lanes)) }
    if (remaining.filter((axis) => x.shape[axis] !== 1).length <= 1) return plain(E.reshape(ctx.b, reduced, node.shape))
    const flat = ctx.plain(x)
    return plain(E.reshape(ctx.b, reduceJoined(ctx, operator, flat, axes), node.shape))
  },
  softmax: (node, ctx) => plain(E.alongLast(ctx.b, "Softmax", ctx.plain(node.inputs[0]))),
  softmaxGrad: (node, ctx) => {
    const { b } = ctx
    const [y, dy] = Tensor.each(ctx.plain)(node.inputs)
    const along = E.sum(b, E.mul(b, y, dy), [y.shape.length - 1], true)
    return plain(E.mul(b, y, E.sub(b, dy, along)))
  },
  logSoftmax: (node, ctx) => plain(E.alongLast(ctx.b, "LogSoftmax", ctx.plain(node.inputs[0]))),
  argMax: (node, ctx) => {
    const x = ctx.plain(node.inputs[0])
    const [index] = ctx.b.node("ArgMax", [x], { axis: -1, keepdims: 0 }, [node.shape])
    return plain(cast(ctx, index, "int32"))
  },
  oneHot: (node, { b, plain: get }) => {
    const { depth } = node.attributes
    const range = b.constant(
      Int32Array.from({ length: depth }, (_, i) => i),
      [depth]
    )
    const indices = E.reshape(b, get(node.inputs[0]), [...node.inputs[0].shape, 1])
    const hit = b.node("Equal", [indices, range], {}, [node.shape])[0]
    return plain(E.unary(b, "Cast", hit, { to: 1 }))
  },

  reshape: (node, ctx) => {
    const [x] = node.inputs
    const layout = ctx.layoutOf(x)
    const keeps = trims(x.shape, node.shape) && x.shape.length > 1 && node.shape.length > 1 && layout === "channels"
    return keeps && ctx.allows(layout, node.shape)
      ? { layout, value: E.reshape(ctx.b, ctx.get(x, layout), physicalShape(layout, node.shape, ctx.lanes)) }
      : plain(E.reshape(ctx.b, ctx.plain(x), node.shape))
  },
  transpose: (node, ctx) => plain(E.transpose(ctx.b, ctx.plain(node.inputs[0]), node.attributes.permutation)),
  slice: (node, ctx) => {
    const { axis, start, end } = node.attributes
    const [x] = node.inputs
    const layout = axis === 0 ? "plain" : ctx.layoutOf(x)
    const at = Arr.getUnsafe(physicalAxes(layout, x.shape, ctx.lanes, [axis]), 0)
    return { layout, value: E.slice(ctx.b, ctx.get(x, layout), [{ axis: at, start, end }]) }
  },
  pad: (node, ctx) => {
    const { before, after } = node.attributes
    const [x] = node.inputs
    const layout = before[0] === 0 && after[0] === 0 ? ctx.layoutOf(x) : "plain"
    const value = ctx.get(x, layout)
    const spread = (zeros: ReadonlyArray<number>) => {
      const out = value.shape.map(() => 0)
      for (const [axis, n] of zeros.entries())
        if (n > 0) out[Arr.getUnsafe(physicalAxes(layout, x.shape, ctx.lanes, [axis]), 0)] = n
      return out
    }
    return { layout, value: E.pad(ctx.b, value, spread(before), spread(after)) }
  },
  concat: (node, ctx) => {
    const { axis } = node.attributes
    const preferred = ctx.layoutOf(node.inputs[0])
    const possible = axis > 0 && node.inputs.every((t) => ctx.allows(preferred, t.shape))
    const layout = possible ? preferred : "plain"
    const at = Arr.getUnsafe(physicalAxes(layout, node.shape, ctx.lanes, [axis]), 0)
    return {
      layout,
      value: E.concat(
        ctx.b,
        node.inputs.map((t) => ctx.get(t, layout)),
        at
      )
    }
  },
  // With channels outermost, an image already is its tokens.
  toTokens: (node, ctx) => {
    const [x] = node.inputs
    return ctx.allows("channels", x.shape)
      ? {
          layout: "channels",
          value: E.reshape(ctx.b, ctx.get(x, "channels"), physicalShape("channels", node.shape, ctx.lanes))
        }
      : plain(
          E.transpose(
            ctx.b,
            E.reshape(ctx.b, ctx.plain(x), [
              Arr.getUnsafe(x.shape, 0),
              Arr.getUnsafe(x.shape, 1),
              Arr.getUnsafe(x.shape, 2) * Arr.getUnsafe(x.shape, 3)
            ]),
            [0, 2, 1]
          )
        )
  },
  toImage: (node, ctx) => {
    const [x] = node.inputs
    return ctx.allows("channels", x.shape)
      ? {
          layout: "channels",
          value: E.reshape(ctx.b, ctx.get(x, "channels"), physicalShape("channels", node.shape, ctx.lanes))
        }
      : plain(E.reshape(ctx.b, E.transpose(ctx.b, ctx.plain(x), [0, 2, 1]), node.shape))
  }
} satisfies Partial<Rules>

/** A reduction that joins neighbouring axes where all are reduced or all kept. The result has lost all joined structure: reshape it. */
const reduceJoined = (
  ctx: Context,
  operator: "ReduceSum" | "ReduceMean" | "ReduceMax",
  x: Value,
  axes: ReadonlyArray<number>
): Value => {
  const shape: Array<number> = []
  const reduced: Array<boolean> = []
  for (const [i, n] of x.shape.entries()) {
    if (n === 1) continue
    const is = axes.includes(i)
    if (reduced.at(-1) === is) shape.push((shape.pop() ?? 1) * n)
    else {
      shape.push(n)
      reduced.push(is)
    }
  }
  const joined = reduced.flatMap((is, i) => (is ? [i] : []))
  const value = E.reshape(ctx.b, x, shape)
  return joined.length === 0 ? value : E.reduce(ctx.b, operator, value, joined)
}
