/** TensorFlow.js's kernels as functions of values, which compute the resulting shapes. */
import { Shape } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Builder, Value } from "./plan.ts"

export const reshape = (b: Builder, x: Value, shape: Shape.Shape): Value => {
  if (Shape.equals(x.shape, shape)) return x
  const source = b.unreshaped(x)
  return Shape.equals(source.shape, shape)
    ? source
    : b.call("Reshape", [["x", source]], { shape: [...shape] }, shape, x.dtype)
}

/** A permutation without axes of length 1, in which neighbours that stay together are joined. */
const simplified = (shape: Shape.Shape, permutation: ReadonlyArray<number>) => {
  const groups: Array<Array<number>> = []
  for (const axis of permutation) {
    if (shape[axis] === 1) continue
    const group = groups.at(-1)
    const previous = group?.at(-1)
    const follows = previous !== undefined && previous < axis && shape.slice(previous + 1, axis).every((n) => n === 1)
    if (follows) group?.push(axis)
    else groups.push([axis])
  }
  const sorted = groups.toSorted((x, y) => Arr.getUnsafe(x, 0) - Arr.getUnsafe(y, 0))
  return {
    shape: sorted.map((group) => group.reduce((n, axis) => n * Arr.getUnsafe(shape, axis), 1)),
    permutation: groups.map((group) => sorted.indexOf(group))
  }
}

export const transpose = (b: Builder, x: Value, permutation: ReadonlyArray<number>): Value => {
  const shape = permutation.map((axis) => Arr.getUnsafe(x.shape, axis))
  const simple = simplified(x.shape, permutation)
  if (simple.permutation.every((axis, i) => axis === i)) return reshape(b, x, shape)
  const moved = b.call(
    "Transpose",
    [["x", reshape(b, x, simple.shape)]],
    { perm: simple.permutation },
    simple.permutation.map((axis) => Arr.getUnsafe(simple.shape, axis)),
    x.dtype
  )
  return reshape(b, moved, shape)
}

export type Unary =
  | "Neg"
  | "Exp"
  | "Log"
  | "Sqrt"
  | "Rsqrt"
  | "Reciprocal"
  | "Abs"
  | "Sign"
  | "Square"
  | "Relu"
  | "Sigmoid"
  | "Tanh"
  | "Erf"

export const unary = (b: Builder, kernel: Unary, x: Value): Value => b.call(kernel, [["x", x]], {}, x.shape)

/** 1 where positive, else 0. */
export const step = (b: Builder, x: Value): Value => b.call("Step", [["x", x]], { alpha: 0 }, x.shape)

export const clip = (b: Builder, x: Value, low: number, high: number): Value =>
  b.call("ClipByValue", [["x", x]], { clipValueMin: low, clipValueMax: high }, x.shape)

/** Integers clamped to the range from `low` to `high`. */
export const within = (b: Builder, x: Value, low: Value, high: Value): Value => {
  const bounded = (kernel: "Maximum" | "Minimum", v: Value, bound: Value) =>
    b.call(
      kernel,
      [
        ["a", v],
        ["b", bound]
      ],
      {},
      x.shape,
      "int32"
    )
  return bounded("Minimum", bounded("Maximum", x, low), high)
}

export type Binary = "Add" | "Sub" | "Multiply" | "RealDiv" | "Maximum" | "Minimum" | "Pow"

/** Joins neighbouring axes that broadcast in the same way: kernels are made for few axes. */
const joined = (x: Shape.Shape, y: Shape.Shape): readonly [Shape.Shape, Shape.Shape] => {
  const p: Array<number> = []
  const q: Array<number> = []
  let before: string | undefined
  for (const [i, m] of x.entries()) {
    const n = Arr.getUnsafe(y, i)
    if (m === 1 && n === 1) continue
    const kind = m === n ? "both" : m === 1 ? "second" : "first"
    const [ps, qs] = kind === before ? [p.pop(), q.pop()] : []
    p.push((ps ?? 1) * m)
    q.push((qs ?? 1) * n)
    before = kind
  }
  return [p, q]
}

const pairwise = (b: Builder, kernel: string, x: Value, y: Value, dtype: "float32" | "bool"): Value => {
  const shape = Shape.broadcast(x.shape, y.shape) ?? x.shape
  const widened = (v: Value) => [...shape.slice(v.shape.length).map(() => 1), ...v.shape]
  const [p, q] = joined(widened(x), widened(y))
  const common = Shape.broadcast(p, q) ?? shape
  const operands = [
    ["a", reshape(b, x, p)],
    ["b", reshape(b, y, q)]
  ] as const
  const made = b.call(kernel, operands, {}, common)
  const value = dtype === "bool" ? b.call("Cast", [["x", made]], { dtype: "float32" }, common) : made
  return reshape(b, value, shape)
}

/** An element-wise operation with broadcasting. */
export const binary = (b: Builder, kernel: Binary, x: Value, y: Value): Value => pairwise(b, kernel, x, y, "float32")
export const add = (b: Builder, x: Value, y: Value) => binary(b, "Add", x, y)
export const sub = (b: Builder, x: Value, y: Value) => binary(b, "Sub", x, y)
export const mul = (b: Builder, x: Value, y: Value) => binary(b, "Multiply", x, y)
export const div = (b: Builder, x: Value, y: Value) => binary(b, "RealDiv", x, y)

/** 1 where the comparison holds, else 0. */
export const compare = (b: Builder, kernel: "Greater" | "GreaterEqual" | "Equal", x: Value, y: Value): Value =>
  pairwise(b, kernel, x, y, "bool")

export const scalar = (b: Builder, value: number): Value => b.constant(Float32Array.of(value), [])
export const filled = (b: Builder, value: number, shape: Shape.Shape): Value =>
  b.constant(new Float32Array(Shape.size(shape)).fill(value), shape)
export const scale = (b: Builder, x: Value, factor: number): Value => (factor === 1 ? x : mul(b, x, scalar(b, factor)))
export const plus = (b: Builder, x: Value, offset: number): Value => add(b, x, scalar(b, offset))

/** For each builder, the shape in which data has been the right-hand side of a product. */
const rightSides = new WeakMap<Builder, Map<number, string>>()

/**
 * The right-hand side of a product, copied if necessary: the WebAssembly backend caches a packed form of it by its data alone, and would mistake
 * the same data in another shape for it.
 */
const rightSide = (b: Builder, y: Value): Value => {
  const known = rightSides.get(b) ?? new Map<number, string>()
  rightSides.set(b, known)
  const source = b.unreshaped(y)
  const shape = y.shape.slice(-2)
  const before = known.get(source.id)
  // A vector can be a row in one product and a column in another, possibly in another program.
  const ambiguous = source !== y && shape.includes(1)
  if (!ambiguous && (before === undefined || before === shape.join())) {
    known.set(source.id, shape.join())
    return y
  }
  const operands = [
    ["a", y],
    ["b", scalar(b, 0)]
  ] as const
  return b.call("Add", operands, {}, y.shape)
}

/** A product of matrices, or of batches of them. */
export const matmul = (
  b: Builder,
  x: Value,
  y: Value,
  { transposeA = false, transposeB = false }: { readonly transposeA?: boolean; readonly transposeB?: boolean } = {}
): Value => {
  const lead = x.shape.length >= y.shape.length ? x.shape.slice(0, -2) : y.shape.slice(0, -2)
  const rows = Arr.getUnsafe(x.shape, x.shape.length - (transposeA ? 1 : 2))
  const columns = Arr.getUnsafe(y.shape, y.shape.length - (transposeB ? 2 : 1))
  return b.call(
    "BatchMatMul",
    [
      ["a", x],
      ["b", rightSide(b, y)]
    ],
    { transposeA, transposeB },
    [...lead, rows, columns]
  )
}

const reduced = (shape: Shape.Shape, axes: ReadonlyArray<number>, keepDims: boolean): Shape.Shape =>
  keepDims ? shape.map((n, i) => (axes.includes(i) ? 1 : n)) : shape.filter((_, i) => !axes.includes(i))

/** The lengths of neighbouring axes that are all reduced or all kept, joined. */
const runs = (shape: Shape.Shape, axes: ReadonlyArray<number>) => {
  const lengths: Array<number> = []
  const reducing: Array<boolean> = []
  for (const [i, n] of shape.entries()) {
    if (n === 1) continue
    const is = axes.includes(i)
    if (reducing.at(-1) === is) lengths.push((lengths.pop() ?? 1) * n)
    else {
      lengths.push(n)
      reducing.push(is)
    }
  }
  return { lengths, reducing }
}

/** The largest divisor of `n` up to `most`. */
const divisorNear = (most: number, n: number): number => {
  let divisor = Math.floor(most)
  while (n % divisor !== 0) divisor--
  return divisor
}

/**
 * The mean over axes that come before or between others, by a pooling kernel over all of them: in WebAssembly that is ten times as fast as the kernel
 * for sums. `undefined` for other axes.
 */
const pooledMean = (b: Builder, x: Value, axes: ReadonlyArray<number>): Value | undefined => {
  if (!b.poolsSums) return undefined
  const { lengths, reducing } = runs(x.shape, axes)
  const pattern = reducing.map((is) => (is ? "r" : "k")).join("")
  if (pattern === "rk") {
    const [p, q] = Shape.ofRank(2)(lengths)
    // In two steps of about equal length: one long sum of 32-bit floats would lose digits.
    const pieces = divisorNear(Math.sqrt(p), p)
    const some = average(b, reshape(b, x, [pieces, p / pieces, 1, q]))
    return average(b, reshape(b, some, [1, pieces, 1, q]))
  }
  if (pattern !== "krk") return undefined
  const [p, q, r] = Shape.ofRank(3)(lengths)
  return average(b, reshape(b, x, [p, q, 1, r]))
}

/** The sum over axes. */
export const sum = (b: Builder, x: Value, axes: ReadonlyArray<number>, keepDims = false): Value => {
  const shape = reduced(x.shape, axes, keepDims)
  const pooled = pooledMean(b, x, axes)
  if (pooled !== undefined) return reshape(b, scale(b, pooled, Shape.size(x.shape) / Shape.size(shape)), shape)
  const { lengths, reducing } = runs(x.shape, axes)
  const along = reducing.flatMap((is, i) => (is ? [i] : []))
  if (along.length === 0) return reshape(b, x, shape)
  const narrow = reshape(b, x, lengths)
  const total = b.call("Sum", [["x", narrow]], { axis: along, keepDims: false }, reduced(lengths, along, false))
  return reshape(b, total, shape)
}

/** The mean over axes. */
export const mean = (b: Builder, x: Value, axes: ReadonlyArray<number>, keepDims = false): Value => {
  const shape = reduced(x.shape, axes, keepDims)
  const pooled = pooledMean(b, x, axes)
  return pooled === undefined
    ? scale(b, sum(b, x, axes, keepDims), Shape.size(shape) / Shape.size(x.shape))
    : reshape(b, pooled, shape)
}

export const largest = (b: Builder, x: Value, axes: ReadonlyArray<number>, keepDims = false): Value => {
  const { lengths, reducing } = runs(x.shape, axes)
  const along = reducing.flatMap((is, i) => (is ? [i] : []))
  const shape = reduced(x.shape, axes, keepDims)
  if (along.length === 0) return reshape(b, x, shape)
  const narrow = reshape(b, x, lengths)
  const value = b.call(
    "Max",
    [["x", narrow]],
    { reductionIndices: along, keepDims: false },
    reduced(lengths, along, false)
  )
  return reshape(b, value, shape)
}

/** The mean over height and width of `[batch, height, width, channels]`: `[batch, channels]`. */
export const average = (b: Builder, x: Value): Value => {
  const [batch, height, width, channels] = Shape.ofRank(4)(x.shape)
  if (height * width === 1) return reshape(b, x, [batch, channels])
  const attributes = { filterSize: [height, width], strides: [1, 1], pad: "valid" }
  return reshape(b, b.call("AvgPool", [["x", x]], attributes, [batch, 1, 1, channels]), [batch, channels])
}

/** Elements `start ≤ i < end` of one axis. */
export const slice = (b: Builder, x: Value, axis: number, start: number, end: number): Value => {
  if (start === 0 && end === x.shape[axis]) return x
  // With three axes at most: those before the sliced one, that one, and those after it.
  const shape = x.shape.map((n, i) => (i === axis ? end - start : n))
  const [outer, inner] = [Shape.size(x.shape.slice(0, axis)), Shape.size(x.shape.slice(axis + 1))]
  const flat = reshape(b, x, [outer, Arr.getUnsafe(x.shape, axis) * inner])
  const size = (end - start) * inner
  const cut = b.call("Slice", [["x", flat]], { begin: [0, start * inner], size: [outer, size] }, [outer, size], x.dtype)
  return reshape(b, cut, shape)
}

/** Pads with `value` (0 by default) before and after, per axis. */
export const pad = (
  b: Builder,
  x: Value,
  before: ReadonlyArray<number>,
  after: ReadonlyArray<number>,
  value = 0
): Value =>
  before.every((n) => n === 0) && after.every((n) => n === 0)
    ? x
    : b.call(
        "PadV2",
        [["x", x]],
        { paddings: Arr.zip(before, after), constantValue: value },
        x.shape.map((n, i) => n + Arr.getUnsafe(before, i) + Arr.getUnsafe(after, i)),
        x.dtype
      )

/** Pads where the numbers are positive and crops where they are negative. */
export const fit = (b: Builder, x: Value, before: ReadonlyArray<number>, after: ReadonlyArray<number>): Value => {
  let cut = x
  for (const [axis, n] of x.shape.entries())
    cut = slice(b, cut, axis, Math.max(0, -Arr.getUnsafe(before, axis)), n - Math.max(0, -Arr.getUnsafe(after, axis)))
  return pad(
    b,
    cut,
    before.map((n) => Math.max(0, n)),
    after.map((n) => Math.max(0, n))
  )
}

export const concat = (b: Builder, xs: ReadonlyArray<Value>, axis: number): Value => {
  const first = Arr.getUnsafe(xs, 0)
  if (xs.length === 1) return first
  const shape = first.shape.map((n, i) =>
    i === axis ? xs.reduce((all, x) => all + Arr.getUnsafe(x.shape, axis), 0) : n
  )
  const operands = xs.map((x, i) => [String(i), x] as const)
  return b.call("Concat", operands, { axis }, shape, first.dtype)
}

/** The elements at these positions along an axis, in this order. */
export const gather = (b: Builder, x: Value, axis: number, places: ReadonlyArray<number>): Value => {
  const [outer, inner] = [Shape.size(x.shape.slice(0, axis)), Shape.size(x.shape.slice(axis + 1))]
  const flat = reshape(b, x, [outer, Arr.getUnsafe(x.shape, axis), inner])
  const operands = [
    ["x", flat],
    ["indices", b.constant(Int32Array.from(places), [places.length])]
  ] as const
  const taken = b.call("GatherV2", operands, { axis: 1, batchDims: 0 }, [outer, places.length, inner], x.dtype)
  return reshape(b, taken, x.shape.with(axis, places.length))
}

/** In reverse order along some axes. */
export const reverse = (b: Builder, x: Value, axes: ReadonlyArray<number>): Value => {
  const dims = axes.filter((axis) => Arr.getUnsafe(x.shape, axis) > 1)
  return dims.length === 0 ? x : b.call("Reverse", [["x", x]], { dims }, x.shape)
}

/** Repeated to a shape of the same rank. */
export const broadcast = (b: Builder, x: Value, shape: Shape.Shape): Value => {
  if (Shape.equals(x.shape, shape)) return x
  if (x.dtype === "float32") return add(b, x, filled(b, 0, shape))
  const wide = reshape(b, x, [...shape.slice(x.shape.length).map(() => 1), ...x.shape])
  const reps = shape.map((n, i) => n / Arr.getUnsafe(wide.shape, i))
  return b.call("Tile", [["x", wide]], { reps }, shape, x.dtype)
}

export const softmax = (b: Builder, x: Value): Value => {
  const features = Arr.getUnsafe(x.shape, x.shape.length - 1)
  const rows = reshape(b, x, [Shape.size(x.shape) / features, features])
  return reshape(b, b.call("Softmax", [["logits", rows]], { dim: 1 }, rows.shape), x.shape)
}
