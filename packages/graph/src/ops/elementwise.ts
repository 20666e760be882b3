/**
 * Arithmetic element by element, with NumPy's broadcasting.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const [a, b] = [Op.input("a", [2, 3]), Op.input("b", [3])]
 * for (const y of [Op.div(a, b), Op.max(a, b), Op.min(a, b), Op.greater(a, b), Op.equal(a, b)]) console.log(y.shape)
 * for (const f of [Op.neg, Op.exp, Op.log, Op.sqrt, Op.reciprocal, Op.sign]) console.log(f(a).shape) // [ 2, 3 ]
 * console.log(Op.broadcastTo(b, [2, 3]).shape)
 * ```
 */
import { flops, free } from "../Cost.ts"
import { apply, define, type Definitions } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"
import { fill } from "./leaf.ts"
import { reshape } from "./layout.ts"
import { sum } from "./reduction.ts"

/** A function of one element. */
export type UnaryFunction = "neg" | "exp" | "log" | "sqrt" | "reciprocal" | "abs" | "sign"
/** A function of two elements. */
export type BinaryFunction = "add" | "sub" | "mul" | "div" | "max" | "min"
/** A comparison of two elements, which gives 1 or 0. */
export type Comparison = "greater" | "greaterOrEqual" | "equal"

export interface Attributes {
  readonly unary: { readonly fn: UnaryFunction }
  readonly binary: { readonly fn: BinaryFunction }
  /** 1 where the comparison holds, 0 elsewhere. */
  readonly compare: { readonly fn: Comparison }
  /** Repeats axes of length 1 (or missing leading axes) up to a shape. */
  readonly broadcastTo: { readonly shape: Shape.Shape }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly unary: readonly [x: Tensor]
  readonly binary: readonly [a: Tensor, b: Tensor]
  readonly compare: readonly [a: Tensor, b: Tensor]
  readonly broadcastTo: readonly [x: Tensor]
}

/** Sums a gradient over the axes along which its tensor was broadcast. */
const unbroadcast = (dy: Tensor, like: Tensor, path: string): Tensor => {
  const axes = Shape.broadcastAxes(like.shape, dy.shape)
  return axes.length === 0 ? dy : reshape(sum(dy, axes, true, path), like.shape, path)
}

const broadcastShape = (_: unknown, [a, b]: Inputs["binary"]) =>
  Shape.broadcast(a.shape, b.shape) ?? "the two shapes cannot be broadcast together"

export const definitions: Definitions<Attributes> = {
  unary: define("unary", {
    shape: (_, [x]) => x.shape,
    cost: (y) => flops(Shape.size(y.shape)),
    gradient: (y, dy) => {
      const { path } = y
      const [x] = y.inputs
      switch (y.attributes.fn) {
        case "neg":
          return [neg(dy, path)]
        case "exp":
          return [mul(dy, y, path)]
        case "log":
          return [div(dy, x, path)]
        case "sqrt":
          return [div(scale(dy, 0.5, path), y, path)]
        case "reciprocal":
          return [neg(mul(dy, mul(y, y, path), path), path)]
        case "abs":
          return [mul(dy, sign(x, path), path)]
        case "sign":
          return [fill(0, x.shape)]
      }
    }
  }),
  binary: define("binary", {
    shape: broadcastShape,
    cost: (y) => flops(Shape.size(y.shape)),
    gradient: (y, dy) => {
      const { path } = y
      const [a, b] = y.inputs
      const each = (da: Tensor, db: Tensor) => [unbroadcast(da, a, path), unbroadcast(db, b, path)]
      switch (y.attributes.fn) {
        case "add":
          return each(dy, dy)
        case "sub":
          return each(dy, neg(dy, path))
        case "mul":
          return each(mul(dy, b, path), mul(dy, a, path))
        case "div":
          return each(div(dy, b, path), neg(div(mul(dy, y, path), b, path), path))
        // At a tie the first of the two gets the whole gradient.
        case "max":
          return each(mul(dy, greaterOrEqual(a, b, path), path), mul(dy, greater(b, a, path), path))
        case "min":
          return each(mul(dy, greaterOrEqual(b, a, path), path), mul(dy, greater(a, b, path), path))
      }
    }
  }),
  compare: define("compare", {
    takes: "same",
    shape: broadcastShape,
    cost: (y) => flops(Shape.size(y.shape)),
    gradient: "zero"
  }),
  broadcastTo: define("broadcastTo", {
    takes: "same",
    dtype: "same",
    shape: ({ shape }, [x]) => {
      const common = Shape.broadcast(x.shape, shape)
      return common !== undefined && Shape.equals(common, shape)
        ? shape
        : `the input cannot be broadcast to ${Shape.print(shape)}`
    },
    cost: () => free,
    gradient: (y, dy) => [unbroadcast(dy, y.inputs[0], y.path)]
  })
}

// An op gets the given layer path, or else that of its first operand.
const unary = (fn: UnaryFunction, x: Tensor, path = x.path) => apply(definitions.unary, { fn }, [x], path)
const binary = (fn: BinaryFunction, a: Tensor, b: Tensor, path = a.path) =>
  apply(definitions.binary, { fn }, [a, b], path)
const compare = (fn: Comparison, a: Tensor, b: Tensor, path = a.path) =>
  apply(definitions.compare, { fn }, [a, b], path)

/** −x, element by element. */
export const neg = (x: Tensor, path?: string) => unary("neg", x, path)
/** eˣ, element by element. */
export const exp = (x: Tensor, path?: string) => unary("exp", x, path)
/** The natural logarithm, element by element. */
export const log = (x: Tensor, path?: string) => unary("log", x, path)
/** The square root, element by element. */
export const sqrt = (x: Tensor, path?: string) => unary("sqrt", x, path)
/** 1 / x, element by element. */
export const reciprocal = (x: Tensor, path?: string) => unary("reciprocal", x, path)
/** The absolute value, element by element. No gradient flows at 0. */
export const abs = (x: Tensor, path?: string) => unary("abs", x, path)
/** −1, 0 or 1, element by element. No gradient flows through it. */
export const sign = (x: Tensor, path?: string) => unary("sign", x, path)
/** a + b, element by element, with NumPy's broadcasting. */
export const add = (a: Tensor, b: Tensor, path?: string) => binary("add", a, b, path)
/** a − b, element by element, with NumPy's broadcasting. */
export const sub = (a: Tensor, b: Tensor, path?: string) => binary("sub", a, b, path)
/** a · b, element by element, with NumPy's broadcasting. */
export const mul = (a: Tensor, b: Tensor, path?: string) => binary("mul", a, b, path)
/** a / b, element by element, with NumPy's broadcasting. */
export const div = (a: Tensor, b: Tensor, path?: string) => binary("div", a, b, path)
/** The larger of two, element by element. At a tie the gradient goes to the first. */
export const max = (a: Tensor, b: Tensor, path?: string) => binary("max", a, b, path)
/** The smaller of two, element by element. At a tie the gradient goes to the first. */
export const min = (a: Tensor, b: Tensor, path?: string) => binary("min", a, b, path)
/** 1 where a > b, else 0, element by element, with NumPy's broadcasting. No gradient flows through it. */
export const greater = (a: Tensor, b: Tensor, path?: string) => compare("greater", a, b, path)
/** 1 where a ≥ b, else 0, element by element, with NumPy's broadcasting. No gradient flows through it. */
export const greaterOrEqual = (a: Tensor, b: Tensor, path?: string) => compare("greaterOrEqual", a, b, path)
/** 1 where a = b, else 0, element by element, with NumPy's broadcasting. No gradient flows through it. */
export const equal = (a: Tensor, b: Tensor, path?: string) => compare("equal", a, b, path)
/** `x` times a number; same shape as `x`. */
export const scale = (x: Tensor, factor: number, path?: string) => binary("mul", x, fill(factor), path)
/** `x` repeated to a shape by NumPy's broadcasting: along axes of length 1 and along missing leading axes. */
export const broadcastTo = (x: Tensor, shape: Shape.Shape, path = x.path): Tensor =>
  Shape.equals(x.shape, shape) ? x : apply(definitions.broadcastTo, { shape }, [x], path)
