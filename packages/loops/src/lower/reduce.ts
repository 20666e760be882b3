/** Sums and maxima over axes, including products of matrices. */
import { Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as E from "../Expression.ts"
import { neutral } from "../kernels/sweep.ts"
import { loopsOf, type Nest } from "../Nest.ts"
import * as View from "../View.ts"
import {
  allocate,
  type Context,
  copied,
  constant,
  domainOf,
  emit,
  filled,
  joined,
  type Lazy,
  lazyOf,
  newBuffer,
  seen,
  type Value,
  viewOf
} from "./context.ts"
import type { Rules } from "./rules.ts"

type Kind = "sum" | "max" | "min"

/** A view of a result over the shape that is reduced: it does not move along the reduced axes. */
const over = (result: View.View, shape: Shape.Shape, axes: ReadonlyArray<number>): View.View => {
  const left = [...result.axes]
  return {
    ...result,
    axes: shape.map((length, axis) =>
      axes.includes(axis) ? (length === 1 ? [] : [{ length, stride: 0 }]) : (left.shift() ?? [])
    )
  }
}

/** Whether a sum leaves its place and returns to it. */
const comesBack = (nest: Nest): boolean => {
  const loops = loopsOf(nest) ?? []
  const at = nest.operands.length
  const firstStill = loops.findIndex((loop) => loop.strides[at] === 0)
  return firstStill >= 0 && loops.slice(firstStill).some((loop) => loop.strides[at] !== 0)
}

/** Reduces over axes of a lazy tensor other than the batch, into a view of what is left. */
export const reduceInto = (
  ctx: Context,
  node: Tensor.Tensor,
  lazy: Lazy,
  kind: Kind,
  axes: ReadonlyArray<number>,
  target: View.View,
  inOrder = !lazy.lanes
): void => {
  const view = over(target, lazy.shape, axes)
  const nest = (carry: boolean): Nest => ({
    _tag: "Nest",
    node,
    ...lazy,
    inOrder,
    results: [{ expression: lazy.expression, kind, view, carry }]
  })
  if (loopsOf(nest(false)) === undefined) {
    // Copied to rows of their own, operands fit; those that repeat along an axis no longer do so.
    const operands = lazy.operands.map((operand) => copied(ctx, node, operand))
    return reduceInto(ctx, node, { ...lazy, operands }, kind, axes, target, inOrder)
  }
  const carry = comesBack(nest(false))
  if (carry) filled(ctx, node, target, neutral[kind])
  ctx.instructions.push(nest(carry))
}

/** All bits set in the lanes that are images. */
const mask = (ctx: Context, shape: Shape.Shape): View.View => {
  const buffer = constant(ctx, "mask", () =>
    Int32Array.from({ length: 8 * ctx.groups }, (_, i) => (i < ctx.batch ? -1 : 0))
  )
  const lanes = { ...buffer, kind: "lanes", size: 8 } as const
  return View.broadcast({ buffer: lanes, offset: 0, axes: [] }, shape)
}

/** The same with a neutral number in the lanes that are not images. */
export const masked = (ctx: Context, lazy: Lazy, kind: Kind): Lazy => {
  if (ctx.batch % 8 === 0) return lazy
  const operands = [...lazy.operands, mask(ctx, lazy.shape)]
  const images = E.operand(lazy.operands.length)
  const expression =
    kind === "sum"
      ? E.binary("and", lazy.expression, images)
      : E.select(images, lazy.expression, E.number(neutral[kind]))
  return { ...lazy, operands, expression }
}

/** Eight words for every group of the batch: all bits set in the lanes that are images. */
export const laneMask = (ctx: Context): View.View => mask(ctx, [])

/** Reduces over the batch, and over other axes of a lazy tensor in lanes. */
const overBatch = (
  ctx: Context,
  node: Tensor.Tensor,
  given: Lazy,
  kind: Kind,
  axes: ReadonlyArray<number>,
  target: View.View
): void => {
  const lazy = masked(ctx, given, kind)
  const kept = lazy.shape.filter((_, axis) => axis > 0 && !axes.includes(axis))
  // A part for every stretch of tiles and every lane, then the sum of those.
  const sums = newBuffer(ctx, "sums", Shape.size(kept))
  ctx.instructions.push({ _tag: "Clear", node, buffer: sums, value: neutral[kind] })
  const full = kept.map((_, axis) => axis)
  const source = lazy.operands.find((view) => View.isVector(view.buffer))
  // The parts are in the tensor's order, so that the loop goes through them in order.
  const order = source === undefined ? full : View.orderOf(source).filter((axis) => axis > 0 && !axes.includes(axis))
  const places = lazy.shape.map((_, axis) => axis).filter((axis) => axis > 0 && !axes.includes(axis))
  const parts = View.contiguous(
    sums,
    kept,
    order.map((axis) => places.indexOf(axis))
  )
  const view = over(parts, lazy.shape, [0, ...axes])
  emit(ctx, node, lazy, [{ expression: lazy.expression, kind, view, carry: true }])
  joinParts(ctx, node, parts, kind, target)
}

/** Adds up the parts of every number from all stretches and lanes. */
const joinParts = (ctx: Context, node: Tensor.Tensor, parts: View.View, kind: Kind, target: View.View): void => {
  const sums = parts.buffer
  const all = { ...sums, kind: "plain", size: sums.size * ctx.stretches } as const
  const apart = ctx.stretches === 1 ? [] : [{ length: ctx.stretches, stride: sums.size }]
  const each: View.View = { buffer: all, offset: 0, axes: [...parts.axes, apart, [{ length: 8, stride: 1 }]] }
  reduceInto(ctx, node, seen(each), kind, [parts.axes.length, parts.axes.length + 1], target)
}

/** The same for parts in the order of their result. */
export const sumOfParts = (
  ctx: Context,
  node: Tensor.Tensor,
  sums: View.Buffer,
  shape: Shape.Shape,
  target: View.View
): void => joinParts(ctx, node, View.contiguous(sums, shape), "sum", target)

/** A tensor reduced over axes, as the tensor of this shape. */
export const reduced = (
  ctx: Context,
  node: Tensor.Tensor,
  lazy: Lazy,
  kind: Kind,
  axes: ReadonlyArray<number>,
  shape: Shape.Shape
): Value => {
  const lanes = lazy.lanes && !axes.includes(0)
  const domain = domainOf(ctx, shape, lanes)
  const kept = lazy.shape.filter((_, axis) => !axes.includes(axis))
  const target = allocate(ctx, kept, lanes, lanes ? undefined : kept.map((_, axis) => axis))
  if (lazy.lanes && !lanes) overBatch(ctx, node, lazy, kind, axes, target)
  else reduceInto(ctx, node, lazy, kind, axes, target)
  const view = View.reshape(target, domain)
  return { view: view ?? target }
}

/** Sums plain numbers in a row, eight sums at once. */
const flatSum = (ctx: Context, node: Tensor.Tensor, lazy: Lazy): Value | undefined => {
  const size = Shape.size(lazy.shape)
  const flat = lazy.operands.map((view) => View.reshape(view, [size]))
  const whole = size - (size % 8)
  const single = flat.every((view) => view !== undefined && View.strideOf(Arr.getUnsafe(view.axes, 0)) === 1)
  if (lazy.lanes || size < 64 || !single) return undefined
  const target = View.contiguous(newBuffer(ctx, "plain", 1), [])
  const sums = View.contiguous(newBuffer(ctx, "plain", 8), [8])
  const views = flat.flatMap((view) => (view === undefined ? [] : [view]))
  const eights = views.map((view) => View.reshape(View.slice(view, 0, 0, whole) ?? view, [whole / 8, 8]) ?? view)
  filled(ctx, node, sums)
  emit(ctx, node, { ...lazy, shape: [whole / 8, 8], operands: eights }, [
    { expression: lazy.expression, kind: "sum", view: View.broadcast(sums, [whole / 8, 8]), carry: true }
  ])
  let second: Lazy | undefined
  if (whole < size) {
    const rest = views.map((view) => View.slice(view, 0, whole, size) ?? view)
    const tail = View.contiguous(newBuffer(ctx, "plain", 1), [])
    reduceInto(ctx, node, { ...lazy, shape: [size - whole], operands: rest }, "sum", [0], tail)
    second = seen(View.broadcast(tail, [1]))
  }
  reduceInto(ctx, node, seen(sums), "sum", [0], target)
  if (second !== undefined)
    emit(ctx, node, second, [
      { expression: second.expression, kind: "sum", view: View.broadcast(target, [1]), carry: true }
    ])
  return { view: target }
}

export const rules = {
  reduce: (node, ctx) => {
    const { axes, fn } = node.attributes
    const [x] = node.inputs
    const lazy = lazyOf(ctx, x)
    const kind = fn === "max" ? "max" : "sum"
    if (kind === "sum" && axes.length === x.shape.length) {
      const flat = flatSum(ctx, node, lazy)
      if (flat !== undefined && "view" in flat) return { view: View.reshape(flat.view, node.shape) ?? flat.view }
    }
    return reduced(ctx, node, lazy, kind, axes, node.shape)
  },
  argMax: (node, ctx) => {
    const [x] = node.inputs
    const last = x.shape.length - 1
    viewOf(ctx, x)
    const lazy = lazyOf(ctx, x)
    const largest = reduced(ctx, node, lazy, "max", [last], node.shape)
    if (!("view" in largest)) return largest
    // The smallest of the indices at which the maximum occurs.
    const depth = Arr.getUnsafe(x.shape, last)
    const iota = constant(ctx, `places ${depth}`, () => Float32Array.from({ length: depth }, (_, i) => i))
    const wide = (view: View.View): View.View => View.broadcast({ ...view, axes: [...view.axes, []] }, lazy.shape)
    const places = View.broadcast(View.contiguous(iota, [depth]), lazy.shape)
    const all = joined([
      lazy,
      { ...lazy, expression: E.operand(0), operands: [wide(largest.view)] },
      { ...lazy, expression: E.operand(0), operands: [places] }
    ])
    const expression = (i: number) => Arr.getUnsafe(all.expressions, i)
    const found = {
      ...lazy,
      operands: all.operands,
      expression: E.select(E.binary("equal", expression(0), expression(1)), expression(2), E.number(Infinity))
    }
    const least = reduced(ctx, node, found, "min", [last], node.shape)
    return "view" in least ? { lazy: { ...seen(least.view), expression: E.unary("toWords", E.operand(0)) } } : least
  }
} satisfies Partial<Rules>
