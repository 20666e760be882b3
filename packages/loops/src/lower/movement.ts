/** Ops that move elements to new places: padding, concatenation, rows of tables, resizing images. */
import { Op, Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as E from "../Expression.ts"
import * as View from "../View.ts"
import {
  allocate,
  type Context,
  domainOf,
  emit,
  filled,
  fitting,
  inLanes,
  inPlain,
  isLanes,
  lazyInLanes,
  lazyOf,
  newBuffer,
  place,
  rowMajor,
  seen,
  canBeLanes,
  type Lazy,
  valueOf,
  viewOf
} from "./context.ts"
import * as Rows from "../kernels/rows.ts"
import { plainLazy } from "./elementwise.ts"
import type { Rules } from "./rules.ts"

/** Part of a view: a number of elements from a start along each axis. */
export const part = (view: View.View, start: ReadonlyArray<number>, shape: Shape.Shape): View.View =>
  start.reduce<View.View>((v, from, axis) => View.slice(v, axis, from, from + Arr.getUnsafe(shape, axis)) ?? v, view)

/** Writes a lazy tensor into a view. */
export const storeInto = (ctx: Context, node: Tensor.Tensor, lazy: Lazy, view: View.View): void =>
  emit(ctx, node, lazy, [{ expression: lazy.expression, kind: "store", view, carry: false }])

/** Fills the surroundings of a part of a view with a number. */
const surround = (
  ctx: Context,
  node: Tensor.Tensor,
  view: View.View,
  start: ReadonlyArray<number>,
  shape: Shape.Shape,
  value: number
): void => {
  const whole = View.shapeOf(view)
  // Axis by axis, each only where the previous axes are inside the part.
  for (const [axis, all] of whole.entries()) {
    const [before, length] = [Arr.getUnsafe(start, axis), Arr.getUnsafe(shape, axis)]
    const from = start.map((n, i) => (i < axis ? n : 0))
    const lengths = whole.map((n, i) => (i < axis ? Arr.getUnsafe(shape, i) : n))
    const after = all - before - length
    if (before > 0) filled(ctx, node, part(view, from, lengths.with(axis, before)), value)
    if (after > 0) filled(ctx, node, part(view, from.with(axis, before + length), lengths.with(axis, after)), value)
  }
}

/** Rows and columns around an image: at the top, left, bottom, right. */
export type Border = readonly [number, number, number, number]

/**
 * An image in lanes with a border; the image itself if there is none. An image that has not been stored yet is written straight to its place inside the border.
 */
export const bordered = (ctx: Context, node: Tensor.Tensor, x: Tensor.Tensor, border: Border, value = 0): View.View => {
  if (border.every((n) => n === 0)) return inLanes(ctx, x)
  const key = `${border.join()} ${value}`
  const known = ctx.bordered.get(x)?.get(key)
  if (known !== undefined) return known
  const lazy = isLanes(ctx, x) ? lazyOf(ctx, x) : seen(inLanes(ctx, x))
  const [m, channels, height, width] = Shape.ofRank(4)(lazy.shape)
  const [top, left, bottom, right] = border
  const target = allocate(ctx, [m, channels, height + top + bottom, width + left + right], true)
  const start = [0, 0, top, left]
  surround(ctx, node, target, start, lazy.shape, value)
  const inner = part(target, start, lazy.shape)
  const { operands } = fitting(ctx, node, lazy)
  storeInto(ctx, node, { ...lazy, operands }, inner)
  if ("lazy" in valueOf(ctx, x)) ctx.values.set(x, { view: inner })
  const own = ctx.bordered.get(x) ?? new Map<string, View.View>()
  ctx.bordered.set(x, own.set(key, target))
  return target
}

/** One axis of a lazy view, resized: one instruction per line. */
const resizedAxis = (
  ctx: Context,
  node: Tensor.Tensor,
  x: View.View,
  axis: number,
  mode: Op.Interpolation,
  length: number
): View.View => {
  const shape = View.shapeOf(x)
  if (shape[axis] === length) return x
  const { first, second, share } = Op.resizeTaps(mode, Arr.getUnsafe(shape, axis), length)
  const target = allocate(ctx, shape.with(axis, length), View.isVector(x.buffer))
  const line = (view: View.View, at: number) => View.slice(view, axis, at, at + 1) ?? view
  for (const [i, upper] of share.entries()) {
    const lower = line(x, Arr.getUnsafe(first, i))
    const mixed = E.madd(E.sub(E.operand(1), E.operand(0)), E.number(upper), E.operand(0))
    const lazy = { ...seen(lower), expression: mixed, operands: [lower, line(x, Arr.getUnsafe(second, i))] }
    storeInto(ctx, node, upper === 0 ? seen(lower) : lazy, line(target, i))
  }
  return target
}

const resizedAxisGradient = (
  ctx: Context,
  node: Tensor.Tensor,
  dy: View.View,
  axis: number,
  mode: Op.Interpolation,
  length: number
): View.View => {
  const shape = View.shapeOf(dy)
  if (shape[axis] === length) return dy
  const { first, second, share } = Op.resizeTaps(mode, length, Arr.getUnsafe(shape, axis))
  const target = allocate(ctx, shape.with(axis, length), View.isVector(dy.buffer))
  filled(ctx, node, target)
  const line = (view: View.View, at: number) => View.slice(view, axis, at, at + 1) ?? view
  const add = (to: number, from: View.View, factor: number) =>
    emit(ctx, node, seen(from), [
      { expression: E.mul(E.operand(0), E.number(factor)), kind: "sum", view: line(target, to), carry: true }
    ])
  for (const [i, upper] of share.entries()) {
    add(Arr.getUnsafe(first, i), line(dy, i), 1 - upper)
    if (upper > 0) add(Arr.getUnsafe(second, i), line(dy, i), upper)
  }
  return target
}

export const rules = {
  pad: (node, ctx) => {
    const { after, before } = node.attributes
    const [x] = node.inputs
    const lanes = isLanes(ctx, x) && before[0] === 0 && after[0] === 0
    const lazy = lanes ? lazyOf(ctx, x) : plainLazy(ctx, x)
    const target = allocate(ctx, domainOf(ctx, node.shape, lanes), lanes)
    surround(ctx, node, target, before, lazy.shape, 0)
    storeInto(ctx, node, lazy, part(target, before, lazy.shape))
    return { view: target }
  },
  concat: (node, ctx) => {
    const { axis } = node.attributes
    const lanes = axis > 0 && canBeLanes(ctx, node.shape) && node.inputs.some((x) => isLanes(ctx, x))
    const target = allocate(ctx, domainOf(ctx, node.shape, lanes), lanes)
    let from = 0
    for (const x of node.inputs) {
      const lazy = lanes ? lazyInLanes(ctx, x, x.shape) : plainLazy(ctx, x)
      const start = node.shape.map((_, i) => (i === axis ? from : 0))
      storeInto(ctx, node, lazy, part(target, start, lazy.shape))
      from += Arr.getUnsafe(x.shape, axis)
    }
    return { view: target }
  },
  gather: (node, ctx) => {
    const [table, indices] = node.inputs
    const rows = Arr.getUnsafe(table.shape, 0)
    const row = Shape.size(table.shape) / rows
    const from = rowMajor(ctx, node, inPlain(ctx, table))
    const at = rowMajor(ctx, node, inPlain(ctx, indices))
    const target = View.contiguous(newBuffer(ctx, "plain", Shape.size(node.shape)), node.shape)
    const count = Shape.size(indices.shape)
    ctx.instructions.push(Rows.work(node, "gather", place(from), place(at), place(target), { count, row, rows }))
    return { view: target }
  },
  scatterAdd: (node, ctx) => {
    const [values, indices] = node.inputs
    const rows = Arr.getUnsafe(node.shape, 0)
    const row = Shape.size(node.shape) / rows
    const from = rowMajor(ctx, node, inPlain(ctx, values))
    const at = rowMajor(ctx, node, inPlain(ctx, indices))
    const target = View.contiguous(newBuffer(ctx, "plain", Shape.size(node.shape)), node.shape)
    filled(ctx, node, target)
    const count = Shape.size(indices.shape)
    ctx.instructions.push(Rows.work(node, "scatterAdd", place(from), place(at), place(target), { count, row, rows }))
    return { view: target }
  },
  resize: (node, ctx) => {
    const { mode, size } = node.attributes
    const [x] = node.inputs
    // The axis that shrinks goes first, which leaves less work for the other one.
    const [, , height, width] = Shape.ofRank(4)(x.shape)
    const axes = size[0] / height <= size[1] / width ? [2, 3] : [3, 2]
    return {
      view: axes.reduce(
        (view, axis) => resizedAxis(ctx, node, view, axis, mode, Arr.getUnsafe(node.shape, axis)),
        viewOf(ctx, x)
      )
    }
  },
  resizeGrad: (node, ctx) => {
    const { inputShape, mode } = node.attributes
    const [dy] = node.inputs
    const [, , height, width] = Shape.ofRank(4)(inputShape)
    const [, , rows, columns] = Shape.ofRank(4)(dy.shape)
    const axes = height / rows <= width / columns ? [2, 3] : [3, 2]
    return {
      view: axes.reduce(
        (view, axis) => resizedAxisGradient(ctx, node, view, axis, mode, Arr.getUnsafe(inputShape, axis)),
        viewOf(ctx, dy)
      )
    }
  }
} satisfies Partial<Rules>
