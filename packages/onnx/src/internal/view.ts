/**
 * A tensor seen through the order of its elements: which pieces of memory each of its axes consists of.
 *
 * Reshapes, transpositions and slices only change the view. Elements move once, when something needs them in a particular order.
 */
import { Shape } from "@uninet/graph"
import * as Arr from "effect/Array"
import { type Builder, type Value } from "./builder.ts"
import * as E from "./emit.ts"

export interface View {
  readonly value: Value
  /** The value's axes: their lengths, outermost first. */
  readonly lengths: Shape.Shape
  /** For each axis of the tensor, the value's axes that it consists of, outermost first; axes of length 1 belong to none. */
  readonly axes: ReadonlyArray<ReadonlyArray<number>>
}

/** Leaves out axes of length 1, which no view needs. */
const withoutOnes = ({ axes, lengths, value }: View): View => {
  const kept = lengths.flatMap((n, i) => (n === 1 ? [] : [i]))
  return {
    value,
    lengths: kept.map((i) => Arr.getUnsafe(lengths, i)),
    axes: axes.map((parts) => parts.filter((i) => lengths[i] !== 1).map((i) => kept.indexOf(i)))
  }
}

/** A value whose axes are the tensor's, or pieces of them. */
export const make = (value: Value, lengths: Shape.Shape, axes: View["axes"]): View =>
  withoutOnes({ value, lengths, axes })

/** The tensor's shape. */
export const shapeOf = ({ axes, lengths }: View): Shape.Shape =>
  axes.map((parts) => parts.reduce((n, i) => n * Arr.getUnsafe(lengths, i), 1))

/** Splits one of the value's axes in two, the inner one of this length. */
const splitAxis = ({ axes, lengths, value }: View, axis: number, inner: number): View => ({
  value,
  lengths: lengths.toSpliced(axis, 1, Arr.getUnsafe(lengths, axis) / inner, inner),
  axes: axes.map((parts) => parts.flatMap((i) => (i === axis ? [i, i + 1] : [i > axis ? i + 1 : i])))
})

/** The same elements in row-major order under another shape; `undefined` if an axis would end inside a piece that cannot be cut there. */
export const reshape = (view: View, shape: Shape.Shape): View | undefined => {
  let current: View = { ...view, axes: [view.axes.flat()] }
  const axes: Array<ReadonlyArray<number>> = []
  let taken = 0
  for (const length of shape) {
    const from = taken
    for (let missing = length; missing > 1;) {
      const axis = Arr.getUnsafe(Arr.getUnsafe(current.axes, 0), taken)
      const n = Arr.getUnsafe(current.lengths, axis)
      if (n > missing) {
        if (n % missing !== 0) return undefined
        current = splitAxis(current, axis, n / missing)
        // Axes taken earlier may come later in memory.
        for (const [i, parts] of axes.entries()) axes[i] = parts.map((p) => (p > axis ? p + 1 : p))
      }
      const got = Math.min(n, missing)
      if (missing % got !== 0) return undefined
      missing /= got
      taken++
    }
    axes.push(Arr.getUnsafe(current.axes, 0).slice(from, taken))
  }
  return { ...current, axes }
}

/** Axis `i` of the result is axis `permutation[i]`. */
export const transpose = (view: View, permutation: ReadonlyArray<number>): View => ({
  ...view,
  axes: permutation.map((axis) => Arr.getUnsafe(view.axes, axis))
})

/** Elements `start ≤ i < end` of one axis; `undefined` if they are not whole pieces. */
export const slice = (b: Builder, view: View, axis: number, start: number, end: number): View | undefined => {
  const { axes, lengths, value } = view
  const [outer, ...rest] = Arr.getUnsafe(axes, axis)
  const inner = rest.reduce((n, i) => n * Arr.getUnsafe(lengths, i), 1)
  if (outer === undefined || start % inner !== 0 || end % inner !== 0) return undefined
  const cut = E.slice(b, E.reshape(b, value, lengths), [{ axis: outer, start: start / inner, end: end / inner }])
  return make(cut, cut.shape, axes)
}

/** Joins tensors along an axis; `undefined` if their layouts differ. */
export const concat = (b: Builder, views: ReadonlyArray<View>, axis: number): View | undefined => {
  const { axes, lengths } = Arr.getUnsafe(views, 0)
  const [outer] = Arr.getUnsafe(axes, axis)
  const alike = (view: View) =>
    view.lengths.length === lengths.length &&
    view.lengths.every((n, i) => i === outer || n === lengths[i]) &&
    view.axes.every((parts, i) => parts.join() === axes[i]?.join())
  if (outer === undefined || !views.every(alike)) return undefined
  const values = views.map((view) => E.reshape(b, view.value, view.lengths))
  const joined = E.concat(b, values, outer)
  return { value: joined, lengths: joined.shape, axes }
}

/** The axes of a tensor in the order of a layout. */
const inOrder = ({ axes }: View, order: ReadonlyArray<number>) => order.flatMap((axis) => Arr.getUnsafe(axes, axis))

/** Whether the tensor's axes are already in this order in memory. */
export const lies = (view: View, order: ReadonlyArray<number>): boolean =>
  inOrder(view, order).every((axis, i) => axis === i)

/** The elements with the tensor's axes in this order, outermost first; the result's axes are the tensor's. */
export const laid = (b: Builder, view: View, order: ReadonlyArray<number>): Value => {
  const shape = shapeOf(view)
  const moved = E.transpose(b, E.reshape(b, view.value, view.lengths), inOrder(view, order))
  return E.reshape(
    b,
    moved,
    order.map((axis) => Arr.getUnsafe(shape, axis))
  )
}
