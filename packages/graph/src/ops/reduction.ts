/** Sums, means and maxima over axes; softmax; one-hot and arg-max. */
import { flops, free } from "../Cost.ts"
import { apply, define, type Definitions } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"
import { broadcastTo, exp, mul, scale, sub } from "./elementwise.ts"
import { reshape, transpose } from "./layout.ts"
import { fill } from "./leaf.ts"

export interface Attributes {
  readonly reduce: {
    readonly fn: "sum" | "mean" | "max"
    readonly axes: ReadonlyArray<number>
    readonly keepDims: boolean
  }
  /** Over the last axis. */
  readonly softmax: {}
  /** Inputs `[y, dy]` of a softmax: y · (dy − Σ y·dy). */
  readonly softmaxGrad: {}
  /** Over the last axis. */
  readonly logSoftmax: {}
  /** Index of the largest element along the last axis; the first one at a tie. */
  readonly argMax: {}
  /** Index → a new last axis with 1 at the index and 0 elsewhere. */
  readonly oneHot: { readonly depth: number }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly reduce: readonly [x: Tensor]
  readonly softmax: readonly [x: Tensor]
  readonly softmaxGrad: readonly [y: Tensor, dy: Tensor]
  readonly logSoftmax: readonly [x: Tensor]
  readonly argMax: readonly [x: Tensor]
  readonly oneHot: readonly [indices: Tensor]
}

/** The shape after a reduction that keeps the reduced axes with length 1. */
const kept = (shape: Shape.Shape, axes: ReadonlyArray<number>) => shape.map((n, i) => (axes.includes(i) ? 1 : n))

/** The gradient of maxima over axes: each goes entirely to the first of the largest elements, in row-major order. */
const toFirst = (x: Tensor, axes: ReadonlyArray<number>, dy: Tensor, path: string): Tensor => {
  const left = x.shape.map((_, i) => i).filter((i) => !axes.includes(i))
  const order = [...left, ...axes]
  const turned = transpose(x, order, path)
  const rows = turned.shape.slice(0, left.length)
  const length = Shape.size(turned.shape.slice(left.length))
  const each = reshape(turned, [...rows, length], path)
  const winners = oneHot(argMax(each, path), length, path)
  const shares = mul(winners, reshape(dy, [...rows, 1], path), path)
  return transpose(
    reshape(shares, turned.shape, path),
    order.map((_, i) => order.indexOf(i)),
    path
  )
}

const last = (_: unknown, [x]: Inputs["softmax"]) => (x.shape.length === 0 ? "a scalar has no last axis" : x.shape)

export const definitions: Definitions<Attributes> = {
  reduce: define("reduce", {
    shape: ({ axes, keepDims }, [x]) => {
      if (!axes.every((axis) => Shape.hasAxis(axis)(x.shape)))
        return `there are no axes [${axes.join(", ")}]: the ${x.shape.length} axes are numbered from 0`
      if (new Set(axes).size < axes.length) return `the axes [${axes.join(", ")}] contain a duplicate`
      return keepDims ? kept(x.shape, axes) : x.shape.filter((_, i) => !axes.includes(i))
    },
    cost: (y) => flops(Shape.size(y.inputs[0].shape)),
    gradient: (y, dy) => {
      const { path } = y
      const [x] = y.inputs
      const { fn, axes } = y.attributes
      if (fn === "max") return [toFirst(x, axes, dy, path)]
      const spread = broadcastTo(reshape(dy, kept(x.shape, axes), path), x.shape, path)
      return [fn === "sum" ? spread : scale(spread, Shape.size(y.shape) / Shape.size(x.shape), path)]
    }
  }),
  softmax: define("softmax", {
    shape: last,
    cost: (y) => flops(8 * Shape.size(y.shape)),
    gradient: (y, dy) => [apply(definitions.softmaxGrad, {}, [y, dy], y.path)]
  }),
  softmaxGrad: define("softmaxGrad", {
    shape: (_, [y, dy]) => (Shape.equals(y.shape, dy.shape) ? y.shape : "the gradient must have the softmax's shape"),
    cost: (y) => flops(4 * Shape.size(y.shape)),
    gradient: "unsupported"
  }),
  logSoftmax: define("logSoftmax", {
    shape: last,
    cost: (y) => flops(8 * Shape.size(y.shape)),
    gradient: (y, dy) => {
      const { path } = y
      return [sub(dy, mul(exp(y, path), sum(dy, [y.shape.length - 1], true, path), path), path)]
    }
  }),
  argMax: define("argMax", {
    shape: (_, [x]) => (x.shape.length === 0 ? "a scalar has no last axis" : x.shape.slice(0, -1)),
    dtype: "int32",
    cost: (y) => flops(Shape.size(y.inputs[0].shape)),
    gradient: "zero"
  }),
  oneHot: define("oneHot", {
    takes: "int32",
    shape: ({ depth }, [x]) => [...x.shape, depth],
    cost: () => free,
    gradient: "zero"
  })
}

const reduce = (
  fn: Attributes["reduce"]["fn"],
  x: Tensor,
  axes: ReadonlyArray<number>,
  keepDims: boolean,
  path: string
): Tensor =>
  axes.length === 0 ? x : apply(definitions.reduce, { fn, axes: [...axes].sort((a, b) => a - b), keepDims }, [x], path)

/** Sum over `axes`; over all of them by default. `keepDims` keeps them with length 1. */
export const sum = (
  x: Tensor,
  axes = x.shape.map((_, i) => i) as ReadonlyArray<number>,
  keepDims = false,
  path = x.path
): Tensor => {
  // What a batch norm passes back sums to exactly zero over the batch, so the gradient of a bias in front of it is known without rounding noise.
  const overBatch =
    !keepDims && axes.length === x.shape.length - 1 && x.shape.every((_, axis) => axes.includes(axis) !== (axis === 1))
  return overBatch && x.kind === "batchNormGradInput" && x.fault === undefined
    ? fill(0, x.shape.slice(1, 2), path)
    : reduce("sum", x, axes, keepDims, path)
}
/** Mean over `axes`; over all of them by default. */
export const mean = (
  x: Tensor,
  axes = x.shape.map((_, i) => i) as ReadonlyArray<number>,
  keepDims = false,
  path = x.path
) => reduce("mean", x, axes, keepDims, path)
/** Maximum over `axes`. At a tie the gradient goes to the first element, in row-major order. */
export const reduceMax = (x: Tensor, axes: ReadonlyArray<number>, keepDims = false, path = x.path) =>
  reduce("max", x, axes, keepDims, path)
/** Softmax over the last axis. */
export const softmax = (x: Tensor, path = x.path): Tensor<"softmax"> => apply(definitions.softmax, {}, [x], path)
/** Logarithm of the softmax over the last axis. */
export const logSoftmax = (x: Tensor, path = x.path): Tensor<"logSoftmax"> =>
  apply(definitions.logSoftmax, {}, [x], path)
/** Index of the largest element along the last axis; the first one at a tie. No gradient flows through it. */
export const argMax = (x: Tensor, path = x.path): Tensor<"argMax"> => apply(definitions.argMax, {}, [x], path)
/** `[...]` of indices → `[..., depth]` with 1 at the index. An index out of range gives only zeros. */
export const oneHot = (indices: Tensor, depth: number, path = indices.path): Tensor<"oneHot"> =>
  apply(definitions.oneHot, { depth }, [indices], path)
