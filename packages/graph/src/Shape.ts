/**
 * Static shapes: the length of every axis, known when the graph is built.
 *
 * Images are `[batch, channels, height, width]`, tokens `[batch, tokens, channels]`, a scalar is `[]`.
 *
 * @example
 * ```ts
 * import { Shape } from "@uninet/graph"
 *
 * console.log(Shape.size([2, 3]), Shape.strides([2, 3]), Shape.print([2, 3])) // 6 [ 3, 1 ] 2×3
 * console.log(Shape.broadcast([2, 3], [3]), Shape.broadcastAxes([3], [2, 3]), Shape.equals([2], [2]))
 * console.log(Shape.isValid([2, 0]))
 * ```
 */
import type { TupleOf } from "effect/Types"

/** The length of every axis, outermost first. */
export type Shape = ReadonlyArray<number>

/** A shape with `Rank` axes. */
export type OfRank<Rank extends number> = Readonly<TupleOf<Rank, number>>

/**
 * Whether a shape has a given number of axes.
 *
 * @example
 * ```ts
 * import { Shape } from "@uninet/graph"
 *
 * console.log(Shape.hasRank(2)([2, 3]), Shape.hasRank(2)([])) // true false
 * ```
 */
export const hasRank =
  <Rank extends number>(rank: Rank) =>
  (shape: Shape): shape is OfRank<Rank> =>
    shape.length === rank

/**
 * The lengths of a shape whose rank is known, for example because an op takes no other: throws a `RangeError` if the rank differs. Use `hasRank` to ask first.
 *
 * @example
 * ```ts
 * import { Op, Shape } from "@uninet/graph"
 *
 * const y = Op.conv2d(Op.input("x", [8, 3, 32, 32]), Op.input("weight", [16, 3, 3, 3]))
 * const [batch, channels, height, width] = Shape.ofRank(4)(y.shape)
 * console.log(batch, channels, height, width) // 8 16 32 32
 * ```
 */
export const ofRank =
  <Rank extends number>(rank: Rank) =>
  (shape: Shape): OfRank<Rank> => {
    if (hasRank(rank)(shape)) return shape
    throw new RangeError(`${print(shape)} has ${shape.length} axes, not ${rank}`)
  }

/** The number of elements of a tensor of this shape. */
export const size = (shape: Shape): number => {
  let n = 1
  for (const length of shape) n *= length
  return n
}

/** Whether the length of every axis is a positive whole number. */
export const isValid = (shape: Shape): boolean => shape.every((length) => Number.isSafeInteger(length) && length > 0)

/**
 * Whether a number names an axis of the shape. Axes count from 0, outermost first; negative numbers name none.
 *
 * @example
 * ```ts
 * import { Shape } from "@uninet/graph"
 *
 * console.log(Shape.hasAxis(1)([2, 3]), Shape.hasAxis(-1)([2, 3])) // true false
 * ```
 */
export const hasAxis =
  (axis: number) =>
  (shape: Shape): boolean =>
    Number.isSafeInteger(axis) && axis >= 0 && axis < shape.length

/** Whether two shapes are the same, axis by axis. */
export const equals = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((length, i) => length === b[i])

/** `[2×3×8×8]`, the form in which errors print shapes. */
export const print = (shape: Shape): string => `[${shape.join("×")}]`

/** Elements to skip per axis to reach the next index, in row-major order. */
export const strides = (shape: Shape): ReadonlyArray<number> => {
  const out = shape.map(() => 1)
  let step = 1
  for (const [i, length] of [...shape.entries()].reverse()) {
    out[i] = step
    step *= length
  }
  return out
}

/** The shape that two shapes broadcast to by NumPy's rules, or `undefined` if they do not. */
export const broadcast = (a: Shape, b: Shape): Shape | undefined => {
  const rank = Math.max(a.length, b.length)
  const out: Array<number> = []
  for (let i = 0; i < rank; i++) {
    const p = a[a.length - rank + i] ?? 1
    const q = b[b.length - rank + i] ?? 1
    if (p !== q && p !== 1 && q !== 1) return undefined
    out.push(p === 1 ? q : p)
  }
  return out
}

/** The axes along which `from` is repeated when broadcast to `to`, as axes of `to`. */
export const broadcastAxes = (from: Shape, to: Shape): ReadonlyArray<number> => {
  const lead = to.length - from.length
  const axes: Array<number> = []
  for (let i = 0; i < to.length; i++) if (i < lead || (from[i - lead] === 1 && to[i] !== 1)) axes.push(i)
  return axes
}
