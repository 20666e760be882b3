/** ONNX operators as functions of values, which compute the resulting shapes. */
import { Shape } from "@uninet/graph"
import * as Arr from "effect/Array"
import { once } from "./arrays.ts"
import type { Builder, Value } from "./builder.ts"

export const reshape = (b: Builder, x: Value, shape: Shape.Shape): Value => {
  if (Shape.equals(x.shape, shape)) return x
  const source = b.unreshaped(x)
  return Shape.equals(source.shape, shape) ? source : b.node("Reshape", [source, b.ints(shape)], {}, [shape])[0]
}

/** A vector as a matrix of one column. */
export const column = (b: Builder, vector: Value): Value => reshape(b, vector, [Shape.size(vector.shape), 1])

/** A vector as a matrix of one row. */
export const row = (b: Builder, vector: Value): Value => reshape(b, vector, [1, Shape.size(vector.shape)])

/** Joins neighbouring axes that a permutation keeps together and drops those of length 1: engines have fast paths for few axes. */
const simplify = (shape: Shape.Shape, permutation: ReadonlyArray<number>) => {
  const axes = permutation.filter((axis) => shape[axis] !== 1)
  const groups: Array<Array<number>> = []
  for (const axis of axes) {
    const group = groups.at(-1)
    const previous = group?.at(-1)
    // Axes of length 1 between two others do not separate them.
    const follows = previous !== undefined && previous < axis && shape.slice(previous + 1, axis).every((n) => n === 1)
    if (follows) group?.push(axis)
    else groups.push([axis])
  }
  const sorted = groups.toSorted((a, b) => Arr.getUnsafe(a, 0) - Arr.getUnsafe(b, 0))
  return {
    shape: sorted.map((group) => group.reduce((n, axis) => n * Arr.getUnsafe(shape, axis), 1)),
    permutation: groups.map((group) => sorted.indexOf(group))
  }
}

export const transpose = (b: Builder, x: Value, permutation: ReadonlyArray<number>): Value => {
  const shape = permutation.map((axis) => Arr.getUnsafe(x.shape, axis))
  const simple = simplify(x.shape, permutation)
  if (simple.permutation.every((axis, i) => axis === i)) return reshape(b, x, shape)
  const joined = reshape(b, x, simple.shape)
  const from = simple.shape.length - 1
  const to = Arr.getUnsafe(simple.permutation, from)
  const onlyLastMoves = simple.permutation
    .slice(0, -1)
    .every((axis, i, all) => i === 0 || axis > Arr.getUnsafe(all, i - 1))
  const others = simple.permutation.filter((axis) => axis !== from)
  const lastLeaves = others.every((axis, i) => axis === i)
  if (to !== from && !onlyLastMoves && !lastLeaves) {
    // Engines are fast at moving one axis to or from the end and at moving whole pieces, but slow at both in one step.
    const moved = (axes: ReadonlyArray<number>, then: ReadonlyArray<number>) =>
      reshape(
        b,
        transpose(
          b,
          transpose(b, joined, axes),
          then.map((axis) => axes.indexOf(axis))
        ),
        shape
      )
    // Longer pieces move faster.
    if (Arr.getUnsafe(simple.shape, from) > Arr.getUnsafe(simple.shape, to))
      return moved([...others, from], simple.permutation)
    return moved([...simple.shape.flatMap((_, axis) => (axis === to ? [] : [axis])), to], simple.permutation)
  }
  const out = simple.permutation.map((axis) => Arr.getUnsafe(simple.shape, axis))
  const [y] = b.node("Transpose", [joined], { perm: simple.permutation }, [out])
  return reshape(b, y, shape)
}

/** An element-wise operator. It is applied to the value before any reshapes, so that chains of such operators need none. */
export const unary = (b: Builder, opType: string, x: Value, attributes = {}): Value => {
  const source = b.unreshaped(x)
  return reshape(b, b.node(opType, [source], attributes, [source.shape])[0], x.shape)
}

/** An operator along the last axis. */
export const alongLast = (b: Builder, opType: "Softmax" | "LogSoftmax", x: Value): Value =>
  b.node(opType, [x], { axis: -1 }, [x.shape])[0]

/** How two lengths of an axis broadcast: both the same, or one of them repeated. */
const meeting = (p: number, q: number) => (p === q ? "same" : p === 1 ? "first" : "second")

/**
 * Joins neighbouring axes that broadcast in the same way and drops those of length 1 in both: an engine's loop over a few long axes is
 * fast, and one over trailing axes of length 1 is very slow.
 */
const joinBroadcast = (x: Shape.Shape, y: Shape.Shape): readonly [Shape.Shape, Shape.Shape] => {
  const joined: [Array<number>, Array<number>] = [[], []]
  let last: string | undefined
  for (const [i, p] of x.entries()) {
    const q = Arr.getUnsafe(y, i)
    if (p === 1 && q === 1) continue
    const kind = meeting(p, q)
    const [ps = 1, qs = 1] = kind === last ? [joined[0].pop(), joined[1].pop()] : []
    joined[0].push(ps * p)
    joined[1].push(qs * q)
    last = kind
  }
  return joined
}

/** Turns a single number into a scalar, and drops a tensor's trailing axes of length 1 that would make a scalar operand very slow. */
const asOperand = (b: Builder, given: Value): Value => {
  if (Shape.size(given.shape) === 1) return reshape(b, given, [])
  const x = b.unreshaped(given)
  return x.shape[x.shape.length - 1] === 1
    ? reshape(b, x, x.shape.slice(0, 1 + x.shape.findLastIndex((n) => n !== 1)))
    : x
}

export type BinaryOperator = "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Greater" | "GreaterOrEqual" | "Equal"

/** An element-wise operator with broadcasting; shapes of different rank are aligned at their last axes. */
export const binary = (b: Builder, opType: BinaryOperator, x: Value, y: Value): Value => {
  const shape = Shape.broadcast(x.shape, y.shape) ?? x.shape
  if (Shape.size(x.shape) === 1 || Shape.size(y.shape) === 1) {
    const [p, q] = [asOperand(b, x), asOperand(b, y)]
    return reshape(b, b.node(opType, [p, q], {}, [Shape.size(p.shape) === 1 ? q.shape : p.shape])[0], shape)
  }
  if (Shape.equals(x.shape, y.shape)) {
    const [p, q] = [b.unreshaped(x), b.unreshaped(y)]
    const [left, right] = Shape.equals(p.shape, q.shape) ? [p, q] : [x, y]
    return reshape(b, b.node(opType, [left, right], {}, [left.shape])[0], shape)
  }
  const widened = (v: Value) => [...shape.slice(v.shape.length).map(() => 1), ...v.shape]
  const [p, q] = joinBroadcast(widened(x), widened(y))
  const joined = Shape.broadcast(p, q) ?? shape
  return reshape(b, b.node(opType, [reshape(b, x, p), reshape(b, y, q)], {}, [joined])[0], shape)
}

export const add = (b: Builder, x: Value, y: Value) => binary(b, "Add", x, y)
export const sub = (b: Builder, x: Value, y: Value) => binary(b, "Sub", x, y)
export const mul = (b: Builder, x: Value, y: Value) => binary(b, "Mul", x, y)
export const div = (b: Builder, x: Value, y: Value) => binary(b, "Div", x, y)

/** `a·b + c` for matrices, with `c` broadcast; `alpha` multiplies the product. */
export const gemm = (
  b: Builder,
  x: Value,
  y: Value,
  options: { readonly transA?: boolean; readonly transB?: boolean; readonly alpha?: number; readonly c?: Value } = {}
): Value => {
  const { transA = false, transB = false, alpha = 1, c } = options
  const shape = [Arr.getUnsafe(x.shape, transA ? 1 : 0), Arr.getUnsafe(y.shape, transB ? 0 : 1)]
  const attributes = {
    transA: transA ? 1 : 0,
    transB: transB ? 1 : 0,
    ...(alpha === 1 ? {} : { alpha: { float: alpha } })
  }
  return b.node("Gemm", c === undefined ? [x, y] : [x, y, c], attributes, [shape])[0]
}

/** Batched matrix product over the last two axes. */
export const matmul = (b: Builder, x: Value, y: Value): Value => {
  const lead = x.shape.length >= y.shape.length ? x.shape.slice(0, -2) : y.shape.slice(0, -2)
  return b.node("MatMul", [x, y], {}, [
    [...lead, Arr.getUnsafe(x.shape, x.shape.length - 2), Arr.getUnsafe(y.shape, y.shape.length - 1)]
  ])[0]
}

export const swapLastTwo = (b: Builder, x: Value): Value => {
  const rank = x.shape.length
  return transpose(b, x, [...x.shape.slice(0, -2).map((_, i) => i), rank - 1, rank - 2])
}

export const reduce = (
  b: Builder,
  opType: "ReduceSum" | "ReduceMean" | "ReduceMax",
  x: Value,
  axes: ReadonlyArray<number>,
  keepDims = false
): Value => {
  const shape = keepDims
    ? x.shape.map((n, i) => (axes.includes(i) ? 1 : n))
    : x.shape.filter((_, i) => !axes.includes(i))
  return b.node(opType, [x, b.ints(axes)], { keepdims: keepDims ? 1 : 0 }, [shape])[0]
}

export const sum = (b: Builder, x: Value, axes: ReadonlyArray<number>, keepDims = false) =>
  reduce(b, "ReduceSum", x, axes, keepDims)

export const expand = (b: Builder, x: Value, shape: Shape.Shape): Value =>
  Shape.equals(x.shape, shape) ? x : b.node("Expand", [x, b.ints(shape)], {}, [shape])[0]

export const ones = (b: Builder, shape: Shape.Shape): Value => {
  const size = Shape.size(shape)
  const array = once(`ones ${size}`, () => new Float32Array(size).fill(1))
  return b.constant(array, shape)
}

/** A column `[n, 1]` repeated to `[n, count]`: a matrix product does it ten times as fast as `Expand`. */
export const repeated = (b: Builder, column: Value, count: number): Value =>
  count === 1 ? column : gemm(b, column, ones(b, [1, count]))

export const slice = (
  b: Builder,
  x: Value,
  axes: ReadonlyArray<{ readonly axis: number; readonly start: number; readonly end: number; readonly step?: number }>
): Value => {
  const cuts = axes.filter(
    ({ axis, start, end, step = 1 }) => start !== 0 || end < Arr.getUnsafe(x.shape, axis) || step !== 1
  )
  if (cuts.length === 0) return x
  const shape = x.shape.map((n, i) => {
    const cut = cuts.find(({ axis }) => axis === i)
    return cut === undefined ? n : Math.ceil((Math.min(cut.end, n) - cut.start) / (cut.step ?? 1))
  })
  const ints = (f: (cut: (typeof cuts)[number]) => number) => b.ints(cuts.map(f))
  const inputs = [x, ints((c) => c.start), ints((c) => c.end), ints((c) => c.axis), ints((c) => c.step ?? 1)]
  return b.node("Slice", inputs, {}, [shape])[0]
}

/** The elements at these positions along an axis, in this order. */
export const gather = (b: Builder, x: Value, axis: number, places: ReadonlyArray<number>): Value =>
  b.node("Gather", [x, b.ints(places)], { axis }, [x.shape.with(axis, places.length)])[0]

/** Padding with `value` (0 by default) before and after, per axis; a negative number crops. */
export const pad = (
  b: Builder,
  x: Value,
  before: ReadonlyArray<number>,
  after: ReadonlyArray<number>,
  value: number | false = 0
): Value =>
  before.every((n) => n === 0) && after.every((n) => n === 0)
    ? x
    : b.node("Pad", [x, b.ints([...before, ...after]), value === false ? undefined : b.scalar(value)], {}, [
        x.shape.map((n, i) => n + Arr.getUnsafe(before, i) + Arr.getUnsafe(after, i))
      ])[0]

export const concat = (b: Builder, xs: ReadonlyArray<Value>, axis: number): Value =>
  xs.length === 1
    ? Arr.getUnsafe(xs, 0)
    : b.node("Concat", xs, { axis }, [
        Arr.getUnsafe(xs, 0).shape.map((n, i) =>
          i === axis ? xs.reduce((sum, x) => sum + Arr.getUnsafe(x.shape, axis), 0) : n
        )
      ])[0]

/** `Σ` of values by pairwise addition. */
export const total = (b: Builder, xs: ReadonlyArray<Value>): Value => xs.reduce((sum, x) => add(b, sum, x))
