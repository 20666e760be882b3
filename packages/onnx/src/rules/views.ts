/**
 * Moves elements lazily: reshapes, transpositions and slices in a row become a single move, when something needs the elements in a
 * particular order, or none at all.
 */
import { Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import { type Lowered, type PartialRules, viewed } from "../internal/context.ts"
import * as View from "../internal/view.ts"

const isPad = Tensor.is("pad")
const isSum = (x: Tensor.Tensor): x is Tensor.Tensor<"binary"> => Tensor.is("binary")(x) && x.attributes.fn === "add"

/** A part of a tensor along one axis; the rest is zeros. */
interface Part {
  readonly tensor: Tensor.Tensor
  readonly axis: number
  readonly start: number
}

/** The part inside a tensor that was padded with zeros along one axis, if the tensor is one. */
const partOf = (x: Tensor.Tensor): Part | undefined => {
  if (!isPad(x)) return undefined
  const [tensor] = x.inputs
  const [axis, ...others] = x.shape.flatMap((n, i) => (n === tensor.shape[i] ? [] : [i]))
  return axis === undefined || others.length > 0
    ? undefined
    : { tensor, axis, start: Arr.getUnsafe(x.attributes.before, axis) }
}

/** The parts that a sum places side by side. */
const partsOf = (sum: Tensor.Tensor): ReadonlyArray<Part> | undefined => {
  if (!isSum(sum)) {
    const part = partOf(sum)
    return part && [part]
  }
  const [x, y] = sum.inputs
  if (!Shape.equals(x.shape, y.shape)) return undefined
  const [left, right] = [partsOf(x), partsOf(y)]
  return left && right && [...left, ...right]
}

export const rules = {
  reshape: (node, ctx) => {
    const view = View.reshape(ctx.view(node.inputs[0]), node.shape)
    return view && viewed(ctx, node.shape, view)
  },
  transpose: (node, ctx) =>
    viewed(ctx, node.shape, View.transpose(ctx.view(node.inputs[0]), node.attributes.permutation)),
  slice: (node, ctx) => {
    const { axis, end, start } = node.attributes
    const view = View.slice(ctx.b, ctx.view(node.inputs[0]), axis, start, end)
    return view && viewed(ctx, node.shape, view)
  },
  // The gradients of slices that made up a whole are joined again.
  binary: (node, ctx): Lowered | undefined => {
    const parts = partsOf(node)?.toSorted((x, y) => x.start - y.start)
    if (parts === undefined) return undefined
    const { axis } = Arr.getUnsafe(parts, 0)
    let end = 0
    for (const part of parts) {
      if (part.axis !== axis || part.start !== end) return undefined
      end += Arr.getUnsafe(part.tensor.shape, axis)
    }
    if (end !== node.shape[axis]) return undefined
    const view = View.concat(
      ctx.b,
      parts.map(({ tensor }) => ctx.view(tensor)),
      axis
    )
    return view && viewed(ctx, node.shape, view)
  }
} satisfies PartialRules
