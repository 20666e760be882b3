/**
 * Lowering: every node of a program becomes a view of memory with the work that fills it, or is left to its readers.
 *
 * A tensor whose first axis is the batch is in lanes, with eight images innermost; all others are in plain order. Element-wise results are not computed immediately: they are expressions over
 * views that readers include in their own loops, unless it is cheaper or necessary to store them.
 */
import { Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Expression from "../Expression.ts"
import { loopsOf, type Nest, type Result, sameView } from "../Nest.ts"
import * as Pack from "./pack.ts"
import * as View from "../View.ts"
import type { Address, Scratch, Step } from "../Work.ts"

/** A tensor as an expression over views that all have its shape (in lanes, without the batch). */
export interface Lazy {
  readonly lanes: boolean
  readonly shape: Shape.Shape
  readonly expression: Expression.Expression
  readonly operands: ReadonlyArray<View.View>
}

/** What is known about a tensor: where it is, or how it is computed. */
export type Value = { readonly view: View.View } | { readonly lazy: Lazy }

export type Instruction = Nest | Step

/** The result of an attention, and what its gradients need from it: the largest score and the reciprocal of the sum of exponentials for every query. */
export interface Attended {
  readonly heads: number
  readonly scale: number
  readonly inputs: ReadonlyArray<Tensor.Tensor>
  readonly y: View.View
  readonly largest: View.View
  readonly share: View.View
  /** By the incoming gradient. */
  readonly gradients: Map<Tensor.Tensor, Readonly<Record<"query" | "key" | "value", View.View>>>
}

export interface Settings {
  /** Images in the batch; 0 if nothing is a batch. */
  readonly batch: number
  /** Stretches of tiles with separate sums. */
  readonly stretches: number
}

export interface Context extends Settings {
  readonly groups: number
  readonly instructions: Array<Instruction>
  readonly constants: Map<View.Buffer, Float32Array | Int32Array>
  readonly buffers: Array<View.Buffer>
  readonly values: Map<Tensor.Tensor, Value>
  /** Plain and lane versions of tensors that are stored in the other form. */
  readonly converted: Map<Tensor.Tensor, View.View>
  /** Images with borders, by the kind of border. */
  readonly bordered: Map<Tensor.Tensor, Map<string, View.View>>
  /** Named buffers: variables, inputs and outputs. */
  readonly named: Map<Tensor.Tensor, View.Buffer>
  readonly tables: Map<string, View.Buffer>
  /** Attentions and their gradients that have already been lowered. */
  readonly attended: Array<Attended>
  /** Convolution weights as one matrix per tap. */
  readonly matrices: Map<Tensor.Tensor, View.View>
  /** Scratch memory for kernels, once per thread. */
  readonly scratch: Scratch
  /** How much scratch memory kernels need. */
  readonly room: { bytes: number }
}

export const make = (settings: Settings): Context => ({
  ...settings,
  groups: Math.ceil(settings.batch / 8),
  instructions: [],
  constants: new Map(),
  buffers: [],
  values: new Map(),
  converted: new Map(),
  bordered: new Map(),
  named: new Map(),
  tables: new Map(),
  attended: [],
  matrices: new Map(),
  scratch: { scratch: 0 },
  room: { bytes: 1024 }
})

export const newBuffer = (ctx: Context, kind: View.Buffer["kind"], elements: number): View.Buffer => {
  const buffer = {
    id: ctx.buffers.length,
    kind,
    size: View.isVector({ id: 0, kind, size: 0 }) ? 8 * elements : elements
  }
  ctx.buffers.push(buffer)
  return buffer
}

/** Whether a tensor of this shape can be in lanes. */
export const canBeLanes = ({ batch }: Context, shape: Shape.Shape): boolean =>
  batch > 0 && shape.length > 0 && Arr.getUnsafe(shape, 0) % batch === 0

/** A tensor's shape as its views see it. */
export const domainOf = ({ batch }: Context, shape: Shape.Shape, lanes: boolean): Shape.Shape =>
  lanes ? shape.with(0, Arr.getUnsafe(shape, 0) / batch) : shape

/** The order of an image's axes in memory, with channels innermost. */
const defaultOrder = (shape: Shape.Shape): ReadonlyArray<number> | undefined =>
  shape.length === 4 ? [0, 2, 3, 1] : undefined

/** A new buffer for a tensor. */
export const allocate = (
  ctx: Context,
  shape: Shape.Shape,
  lanes: boolean,
  order: ReadonlyArray<number> | undefined = lanes ? defaultOrder(shape) : undefined
): View.View => View.contiguous(newBuffer(ctx, lanes ? "lanes" : "plain", Shape.size(shape)), shape, order)

/** A constant's buffer; equal constants share one. */
export const constant = (ctx: Context, name: string, make: () => Float32Array | Int32Array): View.Buffer => {
  const known = ctx.tables.get(name)
  if (known !== undefined) return known
  const data = make()
  const buffer = newBuffer(ctx, "plain", data.length)
  ctx.constants.set(buffer, data)
  ctx.tables.set(name, buffer)
  return buffer
}

export const place = (view: View.View): Address => ({ buffer: view.buffer, at: 4 * view.offset })

/** A view as a lazy tensor. */
export const seen = (view: View.View): Lazy => ({
  lanes: View.isVector(view.buffer),
  shape: View.shapeOf(view),
  expression: Expression.operand(0),
  operands: [view]
})

export const lazyOf = (ctx: Context, node: Tensor.Tensor): Lazy => {
  const value = valueOf(ctx, node)
  return "lazy" in value ? value.lazy : seen(value.view)
}

export const valueOf = (ctx: Context, node: Tensor.Tensor): Value => {
  const value = ctx.values.get(node)
  // Nodes are lowered in order, each after its inputs.
  if (value === undefined) throw new Error(`${node.kind} is read before it is lowered`)
  return value
}

export const isLanes = (ctx: Context, node: Tensor.Tensor): boolean => lazyOf(ctx, node).lanes

/** Stores lazy tensors of one shape in loops of their own, and gives views of the results. */
export const store = (
  ctx: Context,
  node: Tensor.Tensor,
  lazy: Lazy,
  target: View.View = allocate(ctx, lazy.shape, lazy.lanes, orderLike(lazy))
): View.View => {
  const whole = fitting(ctx, node, lazy)
  emit(ctx, node, whole, [{ expression: whole.expression, kind: "store", view: target, carry: false }])
  return target
}

/** The order of a result: that of its largest operand. */
const orderLike = ({ lanes, operands, shape }: Lazy): ReadonlyArray<number> | undefined => {
  const full = operands.find(
    (view) => View.isVector(view.buffer) === lanes && view.axes.every((pieces) => !pieces.some((p) => p.stride === 0))
  )
  return full !== undefined && full.axes.length === shape.length ? View.orderOf(full) : undefined
}

/** The same with operands that loops can go through together: one that does not fit is copied first. */
export const fitting = (ctx: Context, node: Tensor.Tensor, lazy: Lazy): Lazy => {
  const target = View.contiguous({ id: -1, kind: lazy.lanes ? "lanes" : "plain", size: 0 }, lazy.shape)
  const fits = (operands: ReadonlyArray<View.View>) =>
    loopsOf({
      _tag: "Nest",
      node,
      lanes: lazy.lanes,
      shape: lazy.shape,
      operands,
      results: [{ expression: lazy.expression, kind: "store", view: target, carry: false }]
    }) !== undefined
  if (fits(lazy.operands)) return lazy
  const operands = lazy.operands.map((view) => (fits([view]) ? view : copied(ctx, node, view)))
  return { ...lazy, operands }
}

/** The elements of a view in row-major order in a separate buffer. */
export const copied = (ctx: Context, node: Tensor.Tensor, view: View.View): View.View => {
  const lanes = View.isVector(view.buffer)
  const shape = View.shapeOf(view)
  const target = View.contiguous(newBuffer(ctx, lanes ? "lanes" : "plain", Shape.size(shape)), shape)
  emit(ctx, node, seen(view), [{ expression: Expression.operand(0), kind: "store", view: target, carry: false }])
  return target
}

/** Loops over a lazy tensor's operands with these results. */
export const emit = (
  ctx: Context,
  node: Tensor.Tensor,
  { lanes, operands, shape }: Lazy,
  results: ReadonlyArray<Result>
): void => {
  ctx.instructions.push({ _tag: "Nest", node, lanes, shape, operands, results })
}

/** Sets every element of a view to zero, or to another number. */
export const filled = (ctx: Context, node: Tensor.Tensor, view: View.View, value = 0): void =>
  emit(
    ctx,
    node,
    {
      lanes: View.isVector(view.buffer),
      shape: View.shapeOf(view),
      expression: Expression.number(value),
      operands: []
    },
    [{ expression: Expression.number(value), kind: "store", view, carry: false }]
  )

/** The view of a tensor, which is stored first if necessary. */
export const viewOf = (ctx: Context, node: Tensor.Tensor): View.View => {
  const value = valueOf(ctx, node)
  if ("view" in value) return value.view
  const view = store(ctx, node, value.lazy)
  ctx.values.set(node, { view })
  return view
}

/** A tensor in lanes. */
export const inLanes = (ctx: Context, node: Tensor.Tensor): View.View => {
  const { lanes } = lazyOf(ctx, node)
  if (lanes) return viewOf(ctx, node)
  const known = ctx.converted.get(node)
  if (known !== undefined) return known
  const source = rowMajor(ctx, node, viewOf(ctx, node))
  const shape = domainOf(ctx, node.shape, true)
  const target = View.contiguous(newBuffer(ctx, "lanes", Shape.size(shape)), shape)
  ctx.instructions.push(Pack.work(ctx, node, source, target, "pack"))
  ctx.converted.set(node, target)
  return target
}

/** A tensor in plain order. */
export const inPlain = (ctx: Context, node: Tensor.Tensor): View.View => {
  const { lanes } = lazyOf(ctx, node)
  if (!lanes) return viewOf(ctx, node)
  const known = ctx.converted.get(node)
  if (known !== undefined) return known
  const view = unpacked(ctx, node, viewOf(ctx, node), node.shape)
  ctx.converted.set(node, view)
  return view
}

/** A view in lanes converted to plain order. */
export const unpacked = (ctx: Context, node: Tensor.Tensor, lanes: View.View, shape: Shape.Shape): View.View => {
  const source = rowMajor(ctx, node, lanes)
  const target = View.contiguous(newBuffer(ctx, "plain", Shape.size(shape)), shape)
  ctx.instructions.push(Pack.work(ctx, node, target, source, "unpack"))
  return target
}

/** A view whose elements are in row-major order from the start of its buffer: the same view or a copy. */
export const rowMajor = (ctx: Context, node: Tensor.Tensor, view: View.View): View.View =>
  isRowMajor(view) ? view : copied(ctx, node, view)

const isRowMajor = ({ axes, buffer, offset }: View.View): boolean => {
  let expected = View.isVector(buffer) ? 8 : 1
  for (const pieces of axes.toReversed())
    for (const { length, stride } of pieces.toReversed()) {
      if (stride !== expected) return false
      expected *= length
    }
  return offset === 0 && expected === buffer.size
}

/** A lazy tensor in lanes, for any tensor whose first axis is the batch or only repeats. */
export const lazyInLanes = (ctx: Context, node: Tensor.Tensor, shape: Shape.Shape): Lazy => {
  const lazy = repeatable(ctx, node, shape)
  if (lazy.lanes) return broadcastLazy(lazy, domainOf(ctx, shape, true))
  // What does not move along the batch is read as numbers, the same for all lanes.
  const wide = broadcastLazy(lazy, shape)
  if (wide.operands.every((view) => View.isStill(Arr.getUnsafe(view.axes, 0)))) {
    const domain = domainOf(ctx, shape, true)
    const length = Arr.getUnsafe(domain, 0)
    return {
      lanes: true,
      shape: domain,
      expression: wide.expression,
      operands: wide.operands.map((view) => ({
        ...view,
        axes: view.axes.with(0, length === 1 ? [] : [{ length, stride: 0 }])
      }))
    }
  }
  return broadcastLazy(seen(inLanes(ctx, node)), domainOf(ctx, shape, true))
}

/** A tensor that is about to be repeated up to a shape: anything that would be computed repeatedly is stored first. */
const repeatable = (ctx: Context, node: Tensor.Tensor, shape: Shape.Shape): Lazy => {
  const lazy = lazyOf(ctx, node)
  const repeated = Shape.size(shape) > Shape.size(node.shape) && Expression.cost([lazy.expression]) > 0
  return repeated ? seen(viewOf(ctx, node)) : lazy
}

const broadcastLazy = (lazy: Lazy, shape: Shape.Shape): Lazy =>
  Shape.equals(lazy.shape, shape)
    ? lazy
    : { ...lazy, shape, operands: lazy.operands.map((view) => View.broadcast(view, shape)) }

/** Lazy tensors of one shape, in lanes if any of them is. */
export const aligned = (
  ctx: Context,
  nodes: ReadonlyArray<Tensor.Tensor>,
  shape: Shape.Shape
): { readonly lanes: boolean; readonly all: ReadonlyArray<Lazy> } => {
  const lead = (x: Tensor.Tensor) => x.shape.length === shape.length && x.shape[0] === shape[0]
  const lanes = canBeLanes(ctx, shape) && nodes.some((x) => isLanes(ctx, x) && lead(x))
  if (lanes) return { lanes, all: nodes.map((x) => lazyInLanes(ctx, x, shape)) }
  return {
    lanes,
    all: nodes.map((x) => {
      const lazy = repeatable(ctx, x, shape)
      return broadcastLazy(lazy.lanes ? seen(inPlain(ctx, x)) : lazy, shape)
    })
  }
}

/** The operands of several lazy tensors as one list without duplicates, and their expressions over that list. */
export const joined = (
  all: ReadonlyArray<Lazy>
): { readonly operands: ReadonlyArray<View.View>; readonly expressions: ReadonlyArray<Expression.Expression> } => {
  const operands: Array<View.View> = []
  const expressions = all.map((lazy) =>
    Expression.substitute(lazy.expression, (index) => {
      const view = Arr.getUnsafe(lazy.operands, index)
      const known = operands.findIndex((other) => sameView(other, view))
      if (known >= 0) return Expression.operand(known)
      operands.push(view)
      return Expression.operand(operands.length - 1)
    })
  )
  return { operands, expressions }
}
