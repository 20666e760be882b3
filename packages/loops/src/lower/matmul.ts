/** Matrix products: by the product kernel if both are in lanes or one is the same for all images, and by loops otherwise. */
import { Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as E from "../Expression.ts"
import * as Product from "../kernels/product.ts"
import * as View from "../View.ts"
import type { Arg } from "../Work.ts"
import {
  allocate,
  canBeLanes,
  copied,
  type Context,
  domainOf,
  inPlain,
  isLanes,
  joined,
  type Lazy,
  lazyInLanes,
  lazyOf,
  place,
  seen,
  viewOf
} from "./context.ts"
import { viewIn } from "./elementwise.ts"
import { divisorUpTo, only, strideOf, tableOf } from "./products.ts"
import { reduced, reduceInto } from "./reduce.ts"
import type { Rules } from "./rules.ts"

/** A lazy tensor with an additional axis along which it repeats. */
const withAxis = (lazy: Lazy, axis: number, length: number): Lazy => ({
  ...lazy,
  shape: lazy.shape.toSpliced(axis, 0, length),
  operands: lazy.operands.map((view) => ({
    ...view,
    axes: view.axes.toSpliced(axis, 0, length === 1 ? [] : [{ length, stride: 0 }])
  }))
})

/** The last two axes swapped. */
const turned = (lazy: Lazy): Lazy => {
  const n = lazy.shape.length
  const order = [...lazy.shape.map((_, i) => i).slice(0, -2), n - 1, n - 2]
  return {
    ...lazy,
    shape: order.map((axis) => Arr.getUnsafe(lazy.shape, axis)),
    operands: lazy.operands.map((view) => View.transpose(view, order))
  }
}

const spread = (lazy: Lazy, shape: Shape.Shape): Lazy => ({
  ...lazy,
  shape,
  operands: lazy.operands.map((view) => View.broadcast(view, shape))
})

/** Whether a view repeats, or moves evenly, along an axis. */
const isEven = (view: View.View, axis: number) => View.strideOf(Arr.getUnsafe(view.axes, axis)) !== undefined

/** The address of the element `n` steps further on. */
const from = (view: View.View, stride: number, n: number) => ({ ...place(view), at: 4 * (view.offset + n * stride) })

/** From this many bytes on, consecutive rows are in different pages; a CPU can keep track of a few dozen of them. */
const farApart = 2048
const mostPages = 32

/**
 * y[…][i][j] = Σₖ x[…][i][k] · w[…][j][k], with all three views over the same leading axes, for multiples of eight images. `undefined` if the kernel cannot handle them.
 */
export const tiled = (
  ctx: Context,
  node: Tensor.Tensor,
  { w, x, y }: { readonly w: View.View; readonly x: View.View; readonly y: View.View },
  { chunk: most, start = "zero" }: { readonly start?: "zero" | "result"; readonly chunk?: number } = {}
): boolean => {
  const [i, k] = [x.axes.length - 2, x.axes.length - 1]
  if (![w, x, y].every((view) => isEven(view, i) && isEven(view, k))) return false
  const [rowStride, depthStride] = [strideOf(w, i), strideOf(w, k)]
  if (rowStride !== 8 && depthStride !== 8) return false
  const places = x.axes.map((_, axis) => axis).slice(0, -2)
  const loops = View.loops(
    [w, x, y].map((view) => only(view, places)),
    undefined
  )
  if (loops === undefined || loops.length > 2) return false
  const still = { length: 1, strides: [0, 0, 0] }
  const [inner = still, outer = still] = loops.toReversed()
  const [rows, depth] = [View.lengthOf(Arr.getUnsafe(w.axes, i)), View.lengthOf(Arr.getUnsafe(x.axes, k))]
  const columns = View.lengthOf(Arr.getUnsafe(x.axes, i))
  const cut = Product.blocking(rows)
  const order = depthStride === 8 ? "rows" : "columns"
  // If a column spreads over as many pages as it is long, take few elements at a time.
  const far = 4 * strideOf(x, k) >= farApart && depth > mostPages
  const divisor = most !== undefined || far ? divisorUpTo(depth, most ?? mostPages) : depth
  const chunk = divisor < mostPages / 4 ? depth : divisor
  const unroll = chunk % 2 === 0 ? 2 : 1
  const spec = (from: "zero" | "result"): Product.Product => ({
    rows: cut.rows,
    rest: cut.rest,
    order,
    unroll,
    start: from,
    wide: true,
    many: true
  })
  const argumentsFrom = (n: number): Product.Arguments<Arg> => ({
    w: from(w, depthStride, n),
    x: from(x, strideOf(x, k), n),
    y: place(y),
    bias: 0,
    blocks: cut.blocks,
    depth: chunk / unroll,
    wStride: 4 * (order === "rows" ? rowStride : depthStride),
    xStride: 4 * strideOf(x, k),
    yStride: 4 * strideOf(y, k),
    lines: 1,
    columns,
    xLine: 0,
    xColumn: 4 * strideOf(x, i),
    yLine: 0,
    yColumn: 4 * strideOf(y, i),
    taps: 1,
    table: tableOf(ctx, [{ x: 0, w: 0 }])
  })
  const many: Product.Many = {
    outer: outer.length,
    inner: inner.length,
    wOuter: 4 * Arr.getUnsafe(outer.strides, 0),
    xOuter: 4 * Arr.getUnsafe(outer.strides, 1),
    yOuter: 4 * Arr.getUnsafe(outer.strides, 2),
    wInner: 4 * Arr.getUnsafe(inner.strides, 0),
    xInner: 4 * Arr.getUnsafe(inner.strides, 1),
    yInner: 4 * Arr.getUnsafe(inner.strides, 2)
  }
  const count = outer.length * inner.length
  const table = tableOf(ctx, [{ x: 0, w: 0 }]).buffer
  for (let n = 0; n < depth; n += chunk)
    ctx.instructions.push({
      _tag: "Work",
      node,
      text: `%${y.buffer.id} ${n === 0 && start === "zero" ? "" : "+"}= ${count} × %${x.buffer.id} [${columns}×${chunk}] · %${w.buffer.id} [${chunk}×${rows}]`,
      kernel: (style) => Product.kernel(spec(n === 0 ? start : "result"), style),
      args: Product.argumentsOf(argumentsFrom(n), many),
      split: Product.splitOf(spec("zero"), argumentsFrom(n), many),
      tiles: ctx.groups,
      reads: [w.buffer, x.buffer, table, ...(n === 0 && start === "zero" ? [] : [y.buffer])],
      writes: [y.buffer],
      macs: ctx.batch * count * rows * columns * chunk,
      bytes: 32 * ctx.groups * count * (rows * columns + chunk * (rows + columns))
    })
  return true
}

export const rules: Pick<Rules, "matmul"> = {
  matmul: (node, ctx) => {
    const { transposeA, transposeB } = node.attributes
    const [a, b] = node.inputs
    // It is read many times, so it is better stored than computed each time.
    viewOf(ctx, a)
    viewOf(ctx, b)
    const rank = node.shape.length
    const both = isLanes(ctx, a) && isLanes(ctx, b)
    if (rank === 2 && transposeA && !transposeB && both) {
      // Σ over the batch of the products of two rows.
      const { expressions, operands } = joined([
        withAxis(lazyOf(ctx, a), 2, Arr.getUnsafe(b.shape, 1)),
        withAxis(lazyOf(ctx, b), 1, Arr.getUnsafe(a.shape, 1))
      ])
      const shape = [Arr.getUnsafe(lazyOf(ctx, a).shape, 0), Arr.getUnsafe(a.shape, 1), Arr.getUnsafe(b.shape, 1)]
      const product = {
        lanes: true,
        shape,
        operands,
        expression: E.mul(Arr.getUnsafe(expressions, 0), Arr.getUnsafe(expressions, 1))
      }
      return reduced(ctx, node, product, "sum", [0], node.shape)
    }
    // In a product of two matrices, the rows of the first may be the batch: then there are as many matrices with one row.
    const rows = rank === 2 && !transposeA && isLanes(ctx, a)
    const lead = rows ? node.shape.slice(0, 1) : node.shape.slice(0, -2)
    const m = rows ? 1 : Arr.getUnsafe(node.shape, rank - 2)
    const n = Arr.getUnsafe(node.shape, rank - 1)
    const depth = Arr.getUnsafe(a.shape, a.shape.length - (transposeA ? 2 : 1))
    const inLead = (x: Tensor.Tensor) =>
      isLanes(ctx, x) && x.shape[0] === lead[0] && (rows ? x === a : x.shape.length === rank)
    const lanes = canBeLanes(ctx, lead) && [a, b].some(inLead)
    const matrices = (x: Tensor.Tensor, transposed: boolean, [p, q]: readonly [number, number]): Lazy => {
      const shape = [...lead, ...(transposed ? [q, p] : [p, q])]
      const own = rows && x === a ? withAxis(lazyOf(ctx, a), 1, 1) : undefined
      const plain = () => spread(isLanes(ctx, x) ? seen(inPlain(ctx, x)) : lazyOf(ctx, x), shape)
      const found = own ?? (lanes ? lazyInLanes(ctx, x, shape) : plain())
      return transposed ? turned(found) : found
    }
    const [first, second] = [matrices(a, transposeA, [m, depth]), turned(matrices(b, transposeB, [depth, n]))]
    const [x, w] = [viewIn(first), viewIn(second)]
    if (lanes && x !== undefined && w !== undefined && View.isVector(x.buffer) && View.isVector(w.buffer)) {
      const shape = [...first.shape.slice(0, -1), n]
      const target = allocate(
        ctx,
        shape,
        true,
        shape.map((_, axis) => axis)
      )
      const last = shape.length - 1
      const turnedTarget = View.transpose(target, [...shape.keys()].slice(0, -2).concat(last, last - 1))
      const done = { view: View.reshape(target, domainOf(ctx, node.shape, lanes)) ?? target }
      // Either of the two may be the one whose rows or columns must be adjacent.
      const either = (p: View.View, q: View.View) =>
        tiled(ctx, node, { w: q, x: p, y: target }) || tiled(ctx, node, { w: p, x: q, y: turnedTarget })
      // Windows consist of too many pieces; copied to rows of their own they fit.
      if (either(x, w) || either(copied(ctx, node, x), copied(ctx, node, w))) return done
    }
    const left = withAxis(first, lead.length + 1, n)
    const right = withAxis(second, lead.length, m)
    const { expressions, operands } = joined([left, right])
    const product = {
      lanes,
      shape: left.shape,
      operands,
      expression: E.mul(Arr.getUnsafe(expressions, 0), Arr.getUnsafe(expressions, 1))
    }
    const kept = left.shape.slice(0, -1)
    const order = kept.map((_, axis) => axis)
    const target = allocate(ctx, kept, lanes, order)
    reduceInto(ctx, node, product, "sum", [kept.length], target, true)
    return { view: View.reshape(target, domainOf(ctx, node.shape, lanes)) ?? target }
  }
}
