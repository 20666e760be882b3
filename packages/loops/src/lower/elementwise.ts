/** Leaves, arithmetic and activations: expressions that readers include in their loops. */
import { Op, Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as E from "../Expression.ts"
import * as Functions from "../Functions.ts"
import * as View from "../View.ts"
import {
  aligned,
  type Context,
  constant,
  copied,
  domainOf,
  inPlain,
  joined,
  type Lazy,
  lazyOf,
  newBuffer,
  seen,
  viewOf,
  type Value
} from "./context.ts"
import type { Rules } from "./rules.ts"

const one = (mask: E.Expression) => E.binary("and", mask, E.number(1))

const unary: Record<Op.UnaryFunction, (x: E.Expression) => E.Expression> = {
  neg: (x) => E.unary("neg", x),
  exp: Functions.exp,
  log: Functions.log,
  sqrt: (x) => E.unary("sqrt", x),
  reciprocal: (x) => E.div(E.number(1), x),
  abs: (x) => E.unary("abs", x),
  sign: Functions.sign
}

const binary: Record<Op.BinaryFunction, (x: E.Expression, y: E.Expression) => E.Expression> = {
  add: E.add,
  sub: E.sub,
  mul: E.mul,
  div: E.div,
  max: (x, y) => E.binary("max", x, y),
  min: (x, y) => E.binary("min", x, y)
}

const compare: Record<Op.Comparison, readonly [E.Binary, E.Binary]> = {
  greater: ["greater", "greaterWords"],
  greaterOrEqual: ["greaterOrEqual", "greaterOrEqualWords"],
  equal: ["equal", "equalWords"]
}

const clampedBy = (x: E.Expression, low: number, high: number) =>
  E.binary("pseudoMin", E.binary("pseudoMax", x, E.number(low)), E.number(high))

const activation: Record<Op.ActivationFunction, (x: E.Expression) => E.Expression> = {
  relu: (x) => E.binary("pseudoMax", x, E.number(0)),
  gelu: Functions.gelu,
  sigmoid: Functions.sigmoid,
  tanh: Functions.tanh,
  hardSigmoid: (x) => E.mul(clampedBy(E.add(x, E.number(3)), 0, 6), E.number(1 / 6)),
  silu: (x) => E.mul(x, Functions.sigmoid(x))
}

/** The slopes of the activations. */
const slope: Record<Op.ActivationFunction, (x: E.Expression) => E.Expression> = {
  relu: (x) => one(E.binary("greater", x, E.number(0))),
  gelu: Functions.geluSlope,
  sigmoid: (x) => {
    const s = Functions.sigmoid(x)
    return E.mul(s, E.sub(E.number(1), s))
  },
  tanh: (x) => {
    const t = Functions.tanh(x)
    return E.sub(E.number(1), E.mul(t, t))
  },
  hardSigmoid: (x) => E.binary("and", E.binary("greater", E.number(3), E.unary("abs", x)), E.number(1 / 6)),
  silu: (x) => {
    const s = Functions.sigmoid(x)
    return E.mul(s, E.madd(x, E.sub(E.number(1), s), E.number(1)))
  }
}

/** An expression of a node's inputs, element by element. */
const pointwise = (
  ctx: Context,
  node: Tensor.Tensor,
  f: (...xs: ReadonlyArray<E.Expression>) => E.Expression
): Value => {
  const { all, lanes } = aligned(ctx, node.inputs, node.shape)
  const { expressions, operands } = joined(all)
  return { lazy: { lanes, shape: domainOf(ctx, node.shape, lanes), expression: f(...expressions), operands } }
}

/** Another view of the same elements or, if there is none, of a copy of them in row-major order. */
const moved = (
  ctx: Context,
  node: Tensor.Tensor,
  lanes: boolean,
  move: (view: View.View) => View.View | undefined
): Value => {
  const x = Arr.getUnsafe(node.inputs, 0)
  const source = lanes ? lazyOf(ctx, x) : plainLazy(ctx, x)
  const operands = source.operands.map(move)
  const shape = domainOf(ctx, node.shape, lanes)
  if (operands.every((view) => view !== undefined)) return moveOf({ ...source, shape, operands })
  const view = move(copied(ctx, x, viewIn(source) ?? viewOf(ctx, x)))
  if (view === undefined)
    throw new Error(
      `${node.kind} cannot be a view ${JSON.stringify([x.shape, node.shape, source.shape, source.operands, shape, ctx.batch])}`
    ) // always possible on a copy in row-major order
  return { view }
}

const moveOf = (lazy: Lazy): Value => {
  const view = viewIn(lazy)
  return view === undefined ? { lazy } : { view }
}

/** The view that a lazy tensor consists of, if it is a single one. */
export const viewIn = ({ expression, operands }: Lazy): View.View | undefined =>
  expression.op === "operand" && operands.length === 1 ? operands[0] : undefined

/** A tensor without lanes. */
export const plainLazy = (ctx: Context, x: Tensor.Tensor): Lazy => {
  const lazy = lazyOf(ctx, x)
  return lazy.lanes ? seen(inPlain(ctx, x)) : lazy
}

const reshaped = (node: Tensor.Tensor, ctx: Context): Value => {
  const lanes =
    lazyOf(ctx, Arr.getUnsafe(node.inputs, 0)).lanes &&
    node.shape.length > 0 &&
    Arr.getUnsafe(node.shape, 0) % ctx.batch === 0
  const shape = domainOf(ctx, node.shape, lanes)
  return moved(ctx, node, lanes, (view) => View.reshape(view, shape))
}

/** A value that comes from outside, by name: it has its own plain memory. */
const named = (node: Tensor.Tensor<"input"> | Tensor.Tensor<"variable">, ctx: Context) => {
  const buffer = newBuffer(ctx, "plain", Shape.size(node.shape))
  ctx.named.set(node, buffer)
  return { view: View.contiguous(buffer, node.shape) }
}

export const rules: Pick<
  Rules,
  | "input"
  | "variable"
  | "constant"
  | "fill"
  | "unary"
  | "binary"
  | "compare"
  | "activation"
  | "activationGrad"
  | "broadcastTo"
  | "oneHot"
  | "reshape"
  | "transpose"
  | "slice"
> = {
  input: named,
  variable: named,
  constant: (node, ctx) => {
    const buffer = newBuffer(ctx, "plain", node.attributes.data.length)
    ctx.constants.set(buffer, node.attributes.data)
    return { view: View.contiguous(buffer, node.shape) }
  },
  fill: ({ attributes: { value }, shape }) => ({
    lazy: { lanes: false, shape, expression: E.number(value), operands: [] }
  }),
  unary: (node, ctx) => pointwise(ctx, node, unary[node.attributes.fn]),
  binary: (node, ctx) => pointwise(ctx, node, binary[node.attributes.fn]),
  compare: (node, ctx) => {
    const [floats, words] = compare[node.attributes.fn]
    const op = node.inputs[0].dtype === "int32" ? words : floats
    return pointwise(ctx, node, (x, y) => one(E.binary(op, x, y)))
  },
  activation: (node, ctx) => pointwise(ctx, node, activation[node.attributes.fn]),
  activationGrad: (node, ctx) => pointwise(ctx, node, (x, dy) => E.mul(dy, slope[node.attributes.fn](x))),
  broadcastTo: (node, ctx) => pointwise(ctx, node, (x) => x),
  oneHot: (node, ctx) => {
    const { depth } = node.attributes
    const iota = View.contiguous(
      constant(ctx, `iota ${depth}`, () => Int32Array.from({ length: depth }, (_, i) => i)),
      [depth]
    )
    const wide = Op.reshape(node.inputs[0], [...node.inputs[0].shape, 1])
    ctx.values.set(wide, reshaped(wide, ctx))
    const { all, lanes } = aligned(ctx, [wide], node.shape)
    const shape = domainOf(ctx, node.shape, lanes)
    const numbers = { lanes, shape, expression: E.operand(0), operands: [View.broadcast(iota, shape)] }
    const { expressions, operands } = joined([Arr.getUnsafe(all, 0), numbers])
    return {
      lazy: {
        lanes,
        shape,
        expression: one(E.binary("equalWords", Arr.getUnsafe(expressions, 0), Arr.getUnsafe(expressions, 1))),
        operands
      }
    }
  },

  reshape: reshaped,
  transpose: (node, ctx) => {
    const { permutation } = node.attributes
    const lanes = lazyOf(ctx, node.inputs[0]).lanes && permutation[0] === 0
    return moved(ctx, node, lanes, (view) => View.transpose(view, permutation))
  },
  slice: (node, ctx) => {
    const { axis, end, start } = node.attributes
    const [x] = node.inputs
    const lazy = lazyOf(ctx, x)
    // The batch's first image is lane 0 of the first group: single numbers among the lanes.
    if (lazy.lanes && axis === 0 && start === 0 && end === 1 && x.shape[0] === ctx.batch) {
      const view = viewOf(ctx, x)
      return { view: { ...view, buffer: { ...view.buffer, kind: "plain" } } }
    }
    const lanes = lazy.lanes && axis > 0
    return moved(ctx, node, lanes, (view) => View.slice(view, axis, start, end))
  }
}
