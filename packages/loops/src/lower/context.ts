/**
 * Lowering: every node of a program becomes a view of memory with the work that fills it, or is left to whoever reads it.
 *
 * A tensor whose first axis is the batch lies in lanes, eight images innermost; all others lie plainly. What is computed element by element is not computed at once: it is an expression over
 * views, which its readers take into their own loops, unless it is cheaper or necessary to write it down.
 */
import { Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Expression from "../Expression.ts"
import { loopsOf, type Nest, type Result, sameView } from "../Nest.ts"
import * as Pack from "./pack.ts"
import * as View from "../View.ts"
import type { Address, Scratch, Step } from "../Work.ts"

/** A tensor as an expression of views, all of them over its shape (in lanes without the batch). */
export interface Lazy {
  readonly lanes: boolean
  readonly shape: Shape.Shape
  readonly expression: Expression.Expression
  readonly operands: ReadonlyArray<View.View>
}

/** What is known of a tensor: where it lies, or how it is computed. */
export type Value = { readonly view: View.View } | { readonly lazy: Lazy }

export type Instruction = Nest | Step

/** An attention's result, and what its gradients take from it: the largest score and one over the sum of powers of every query. */
export interface Attended {
  readonly heads: number
  readonly scale: number
  readonly inputs: ReadonlyArray<Tensor.Tensor>
  readonly y: View.View
  readonly largest: View.View
  readonly share: View.View
  /** By the gradient that they come from. */
  readonly gradients: Map<Tensor.Tensor, Readonly<Record<"query" | "key" | "value", View.View>>>
}

export interface Settings {
  /** Images of the batch; 0 where nothing is a batch. */
  readonly batch: number
  /** Stretches over whose tiles sums are taken apart. */
  readonly stretches: number
}

export interface Context extends Settings {
  readonly groups: number
  readonly instructions: Array<Instruction>
  readonly constants: Map<View.Buffer, Float32Array | Int32Array>
  readonly buffers: Array<View.Buffer>
  readonly values: Map<Tensor.Tensor, Value>
  /** Plain and lane forms of what lies otherwise. */
  readonly converted: Map<Tensor.Tensor, View.View>
  /** Images with borders, by what the borders are. */
  readonly bordered: Map<Tensor.Tensor, Map<string, View.View>>
  /** Buffers that come or go under a name: variables, inputs and outputs. */
  readonly named: Map<Tensor.Tensor, View.Buffer>
  readonly tables: Map<string, View.Buffer>
  /** Attentions and their gradients that are lowered already. */
  readonly attended: Array<Attended>
  /** Weights of convolutions as a matrix for each tap. */
  readonly matrices: Map<Tensor.Tensor, View.View>
  /** Room for a kernel to work in, once for every thread. */
  readonly scratch: Scratch
  /** How much of it kernels need. */
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

/** Whether a tensor of this shape can lie in lanes. */
export const canBeLanes = ({ batch }: Context, shape: Shape.Shape): boolean =>
  batch > 0 && shape.length > 0 && Arr.getUnsafe(shape, 0) % batch === 0

/** A tensor's shape as its views see it. */
export const domainOf = ({ batch }: Context, shape: Shape.Shape, lanes: boolean): Shape.Shape =>
  lanes ? shape.with(0, Arr.getUnsafe(shape, 0) / batch) : shape

/** Images lie with their channels innermost. */
const defaultOrder = (shape: Shape.Shape): ReadonlyArray<number> | undefined =>
  shape.length === 4 ? [0, 2, 3, 1] : undefined

/** A new buffer for a tensor. */
export const allocate = (
  ctx: Context,
  shape: Shape.Shape,
  lanes: boolean,
  order: ReadonlyArray<number> | undefined = lanes ? defaultOrder(shape) : undefined
): View.View => View.contiguous(newBuffer(ctx, lanes ? "lanes" : "plain", Shape.size(shape)), shape, order)

/** A constant's buffer; equal ones are one. */
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

/** Writes lazy tensors of one shape down in loops of their own; views of where they lie then. */
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

/** A result lies in the order of its largest operand. */
const orderLike = ({ lanes, operands, shape }: Lazy): ReadonlyArray<number> | undefined => {
  const full = operands.find(
    (view) => View.isVector(view.buffer) === lanes && view.axes.every((pieces) => !pieces.some((p) => p.stride === 0))
  )
  return full !== undefined && full.axes.length === shape.length ? View.orderOf(full) : undefined
}

/** The same with operands that loops can lead through together: one that does not fit is copied first. */
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

/** The elements of a view in row-major order in a buffer of their own. */
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

/** Zeros, or another number, in every element of a view. */
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

/** Where a tensor lies, written down if it was not. */
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

/** A tensor that lies plainly. */
export const inPlain = (ctx: Context, node: Tensor.Tensor): View.View => {
  const { lanes } = lazyOf(ctx, node)
  if (!lanes) return viewOf(ctx, node)
  const known = ctx.converted.get(node)
  if (known !== undefined) return known
  const view = unpacked(ctx, node, viewOf(ctx, node), node.shape)
  ctx.converted.set(node, view)
  return view
}

/** A view in lanes as one that lies plainly. */
export const unpacked = (ctx: Context, node: Tensor.Tensor, lanes: View.View, shape: Shape.Shape): View.View => {
  const source = rowMajor(ctx, node, lanes)
  const target = View.contiguous(newBuffer(ctx, "plain", Shape.size(shape)), shape)
  ctx.instructions.push(Pack.work(ctx, node, target, source, "unpack"))
  return target
}

/** A view whose elements follow one another in row-major order from the start of its buffer, the same or a copy. */
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

/** A lazy tensor in lanes, of any tensor whose first axis is the batch or stands still. */
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

/** A tensor that is to be repeated up to a shape: what would be computed again and again is written down first. */
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

/** Several lazy tensors' operands as one list, equal ones once, and their expressions over it. */
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
