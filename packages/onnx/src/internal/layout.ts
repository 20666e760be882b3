/**
 * How a tensor lies in memory. Models know nothing of it.
 *
 * - `plain`: row-major in its logical shape.
 * - `channels`: channels outermost. An image `[b, c, h, w]` lies as `[c, b/L, h, w, L]`, tokens `[b, n, c]` as `[c, b/L, n, L]`, a matrix
 *   `[b, c]` as `[c, b]`. Every 1×1 convolution, its gradients and a linear layer are then one plain `Gemm`, and a channel is a row.
 * - `rows`: tokens `[b, n, c]` as `[b/L, n, L, c]`: every token's features together, for layer norm and linear layers.
 *
 * L is the number of lanes: so many images of the batch stand innermost, which is the form that blocked convolution kernels work on.
 */
import type { Shape } from "@uninet/graph"
import type { Builder, Value } from "./builder.ts"
import { reshape, transpose } from "./emit.ts"

export type Layout = "plain" | "channels" | "rows"

/** The physical axes of a layout: the logical shape with the batch split in two, and the order of those axes. */
interface Physical {
  readonly split: Shape.Shape
  readonly permutation: ReadonlyArray<number>
}

const permutations: Record<Layout, Partial<Record<number, ReadonlyArray<number>>>> = {
  plain: {},
  channels: { 2: [2, 0, 1], 3: [3, 0, 2, 1], 4: [2, 0, 3, 4, 1] },
  rows: { 3: [0, 2, 1, 3] }
}

const physical = (layout: Layout, shape: Shape.Shape, lanes: number): Physical => {
  const [batch, ...rest] = shape
  const split =
    shape.length === 0 ? [1, 1] : batch % lanes === 0 ? [batch / lanes, lanes, ...rest] : [1, batch, ...rest]
  return { split, permutation: permutations[layout][shape.length] ?? split.map((_, i) => i) }
}

/** Whether a tensor of this shape can lie so. */
export const allows = (layout: Layout, shape: Shape.Shape, lanes: number): boolean =>
  layout === "plain" || (permutations[layout][shape.length] !== undefined && (shape[0] % lanes === 0 || shape[0] === 1))

/** The lengths of the physical axes. */
export const physicalShape = (layout: Layout, shape: Shape.Shape, lanes: number): Shape.Shape => {
  if (layout === "plain") return shape
  const { split, permutation } = physical(layout, shape, lanes)
  return permutation.map((axis) => split[axis])
}

/** The physical axes that hold logical axes: the batch is two of them. */
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

/** Moves a tensor of logical `shape` from one layout to another. */
export const convert = (b: Builder, x: Value, shape: Shape.Shape, lanes: number, from: Layout, to: Layout): Value => {
  if (from === to) return x
  const source = physical(from, shape, lanes)
  const target = physical(to, shape, lanes)
  const split = reshape(
    b,
    x,
    source.permutation.map((axis) => source.split[axis])
  )
  const moved = transpose(
    b,
    split,
    target.permutation.map((axis) => source.permutation.indexOf(axis))
  )
  return to === "plain" ? reshape(b, moved, shape) : moved
}
