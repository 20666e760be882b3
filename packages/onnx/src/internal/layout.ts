/**
 * How a tensor is laid out in memory. Models know nothing about it.
 *
 * - `plain`: row-major in its logical shape.
 * - `channels`: channels outermost. An image `[b, c, h, w]` is laid out as `[c, b/L, h, w, L]`, tokens `[b, n, c]` as `[c, b/L, n, L]`, a matrix
 *   `[b, c]` as `[c, b]`. Every 1×1 convolution, its gradients and a linear layer are then one plain `Gemm`, and a channel is a row.
 *
 * L is the number of lanes: the number of images of the batch that lie innermost, in the form that blocked convolution kernels work on.
 */
import type { Shape } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Builder, Value } from "./builder.ts"
import { reshape } from "./emit.ts"
import * as View from "./view.ts"

export type Layout = "plain" | "channels"

/** The physical axes of a layout: the logical shape with the batch split in two, and the order of those axes. */
interface Physical {
  readonly split: Shape.Shape
  readonly permutation: ReadonlyArray<number>
}

const permutations: Record<Layout, Partial<Record<number, ReadonlyArray<number>>>> = {
  plain: {},
  channels: { 2: [2, 0, 1], 3: [3, 0, 2, 1], 4: [2, 0, 3, 4, 1] }
}

const physical = (layout: Layout, shape: Shape.Shape, lanes: number): Physical => {
  const [batch, ...rest] = shape
  const split =
    batch === undefined ? [1, 1] : batch % lanes === 0 ? [batch / lanes, lanes, ...rest] : [1, batch, ...rest]
  return { split, permutation: permutations[layout][shape.length] ?? split.map((_, i) => i) }
}

/** Whether a tensor of this shape can have this layout. */
export const allows = (layout: Layout, shape: Shape.Shape, lanes: number): boolean =>
  layout === "plain" ||
  (permutations[layout][shape.length] !== undefined && (Arr.getUnsafe(shape, 0) % lanes === 0 || shape[0] === 1))

/** The lengths of the physical axes. */
export const physicalShape = (layout: Layout, shape: Shape.Shape, lanes: number): Shape.Shape => {
  if (layout === "plain") return shape
  const { split, permutation } = physical(layout, shape, lanes)
  return permutation.map((axis) => Arr.getUnsafe(split, axis))
}

/** The physical axes that hold logical axes: the batch takes two of them. */
export const physicalAxes = (
  layout: Layout,
  shape: Shape.Shape,
  lanes: number,
  axes: ReadonlyArray<number>
): ReadonlyArray<number> => {
  if (layout === "plain") return axes
  const { permutation } = physical(layout, shape, lanes)
  return permutation.flatMap((axis, i) => (axes.includes(Math.max(0, axis - 1)) ? [i] : []))
}

/** The view of a tensor of logical `shape` in a layout. */
export const viewOf = (x: Value, shape: Shape.Shape, lanes: number, layout: Layout): View.View => {
  if (layout === "plain")
    return View.make(
      x,
      shape,
      shape.map((_, axis) => [axis])
    )
  const { permutation, split } = physical(layout, shape, lanes)
  const axes = split.map((_, axis) => permutation.indexOf(axis))
  return View.make(
    x,
    permutation.map((axis) => Arr.getUnsafe(split, axis)),
    // The first of the tensor's own axes is split in two.
    shape.length === 0 ? [] : [axes.slice(0, 2), ...axes.slice(2).map((axis) => [axis])]
  )
}

/** The view with the batch split in two, and the order of its axes in a layout. */
const ordered = (
  view: View.View,
  shape: Shape.Shape,
  lanes: number,
  layout: Layout
): { readonly view: View.View; readonly order: ReadonlyArray<number> } | undefined => {
  if (layout === "plain") return { view, order: shape.map((_, axis) => axis) }
  const { permutation, split } = physical(layout, shape, lanes)
  const apart = View.reshape(view, split)
  return apart && { view: apart, order: permutation }
}

/** Whether a tensor is already in a layout. */
export const lies = (view: View.View, shape: Shape.Shape, lanes: number, layout: Layout): boolean => {
  const found = ordered(view, shape, lanes, layout)
  return found !== undefined && View.lies(found.view, found.order)
}

/** The elements of a tensor in a layout. */
export const laid = (b: Builder, view: View.View, shape: Shape.Shape, lanes: number, layout: Layout): Value => {
  const found = ordered(view, shape, lanes, layout)
  if (found !== undefined) return reshape(b, View.laid(b, found.view, found.order), physicalShape(layout, shape, lanes))
  // This memory cannot be cut into lanes; in its logical order it can be cut anywhere.
  return laid(b, viewOf(laid(b, view, shape, lanes, "plain"), shape, lanes, "plain"), shape, lanes, layout)
}

/** Moves a tensor of logical `shape` from one layout to another. */
export const convert = (b: Builder, x: Value, shape: Shape.Shape, lanes: number, from: Layout, to: Layout): Value =>
  from === to ? x : laid(b, viewOf(x, shape, lanes, from), shape, lanes, to)
