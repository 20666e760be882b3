/** Linear layers, convolutions and their gradients: products of a matrix with tiles, and sums of products over positions. */
import { Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as E from "../Expression.ts"
import * as Crossed from "../kernels/crossed.ts"
import * as Outer from "../kernels/outer.ts"
import * as Stencil from "../kernels/stencil.ts"
import * as Product from "../kernels/product.ts"
import * as View from "../View.ts"
import type { Kernel, Style } from "../Kernel.ts"
import type { Split } from "../Split.ts"
import type { Address, Arg } from "../Work.ts"
import {
  allocate,
  type Context,
  constant,
  copied,
  domainOf,
  emit,
  filled,
  inLanes,
  inPlain,
  newBuffer,
  place,
  rowMajor,
  seen,
  store
} from "./context.ts"
import { type Border, bordered, part } from "./movement.ts"
import { laneMask, masked, sumOfParts } from "./reduce.ts"
import type { Rules } from "./rules.ts"

/** Lines of columns of positions, each with the strides of the tensors involved, in elements. */
export interface Positions {
  readonly lines: number
  readonly columns: number
  readonly line: ReadonlyArray<number>
  readonly column: ReadonlyArray<number>
}

/** At most two loops through the same axes of some views. */
export const positionsOf = (views: ReadonlyArray<View.View>): Positions | undefined => {
  const loops = View.loops(views, 0)
  if (loops === undefined || loops.length > 2) return undefined
  const still = { length: 1, strides: views.map(() => 0) }
  const [column = still, line = still] = loops.toReversed()
  return { lines: line.length, columns: column.length, line: line.strides, column: column.strides }
}

/** A view restricted to some of its axes. */
export const only = (view: View.View, axes: ReadonlyArray<number>): View.View => ({
  ...view,
  axes: axes.map((axis) => Arr.getUnsafe(view.axes, axis))
})

/** The same elements with this axis as one piece, copied if it has several. */
const inOne = (ctx: Context, node: Tensor.Tensor, view: View.View, axis: number): View.View =>
  View.strideOf(Arr.getUnsafe(view.axes, axis)) === undefined ? copied(ctx, node, view) : view

export const strideOf = (view: View.View, axis: number): number => View.strideOf(Arr.getUnsafe(view.axes, axis)) ?? 0

/** A tap of a kernel: where it reads its image and its matrix, in elements. */
interface Tap {
  readonly x: number
  readonly w: number
}

/** The address of pairs of offsets. */
export const tableOf = (ctx: Context, taps: ReadonlyArray<Tap>): Address => {
  const words = taps.flatMap(({ w, x }) => [4 * x, 4 * w])
  return { buffer: constant(ctx, `taps ${words.join()}`, () => Int32Array.from(words)), at: 0 }
}

/** A product's matrix: its number of rows, and the strides through it. */
interface Matrix {
  readonly at: Address
  readonly rows: number
  readonly depth: number
  readonly rowStride: number
  readonly depthStride: number
}

/** y[position][row] = bias[row] + Σ over taps and k of w[row][k] · x[position][k]. */
const product = (
  ctx: Context,
  node: Tensor.Tensor,
  matrix: Matrix,
  x: { readonly at: Address; readonly stride: number },
  y: { readonly at: Address; readonly stride: number },
  positions: Positions,
  {
    bias,
    start = "zero",
    taps = [{ x: 0, w: 0 }]
  }: {
    readonly bias?: Address | undefined
    readonly start?: "zero" | "result"
    readonly taps?: ReadonlyArray<Tap>
  } = {}
): void => {
  const { blocks, rest, rows } = Product.blocking(matrix.rows)
  const order = matrix.depthStride === 1 || matrix.rowStride !== 1 ? "rows" : "columns"
  const unroll = matrix.depth % 2 === 0 && (order === "columns" || matrix.depthStride === 1) ? 2 : 1
  const spec: Product.Product = { rows, rest, order, unroll, start: bias === undefined ? start : "bias" }
  const macs = ctx.batch * positions.lines * positions.columns * matrix.rows * matrix.depth * taps.length
  const given: Product.Arguments<Arg> = {
    w: matrix.at,
    x: x.at,
    y: y.at,
    bias: bias ?? 0,
    blocks,
    depth: matrix.depth / unroll,
    wStride: 4 * (order === "rows" ? matrix.rowStride : matrix.depthStride),
    xStride: 4 * x.stride,
    yStride: 4 * y.stride,
    lines: positions.lines,
    columns: positions.columns,
    xLine: 4 * Arr.getUnsafe(positions.line, 0),
    xColumn: 4 * Arr.getUnsafe(positions.column, 0),
    yLine: 4 * Arr.getUnsafe(positions.line, 1),
    yColumn: 4 * Arr.getUnsafe(positions.column, 1),
    taps: taps.length,
    table: tableOf(ctx, taps)
  }
  const tiles = 32 * ctx.groups * positions.lines * positions.columns
  ctx.instructions.push({
    _tag: "Work",
    node,
    text: `%${y.at.buffer.id} = %${matrix.at.buffer.id} [${matrix.rows}×${matrix.depth}]${taps.length > 1 ? ` over ${taps.length} taps` : ""} · %${x.at.buffer.id}`,
    kernel: (style) => Product.kernel(spec, style),
    args: Product.argumentsOf(given),
    split: Product.splitOf(spec, given),
    tiles: ctx.groups,
    reads: [
      matrix.at.buffer,
      x.at.buffer,
      ...(bias === undefined ? [] : [bias.buffer]),
      ...(spec.start === "result" ? [y.at.buffer] : [])
    ],
    writes: [y.at.buffer],
    macs,
    bytes: tiles * (matrix.rows + matrix.depth) + 4 * ctx.groups * matrix.rows * matrix.depth * taps.length
  })
}

/** The largest divisor of a number that does not exceed another. */
export const divisorUpTo = (n: number, most: number): number => {
  for (let d = Math.min(n, most); d > 1; d--) if (n % d === 0) return d
  return 1
}

/** Divides a long line into several with at most this many positions each. */
const inLines = (positions: Positions, most: number): Positions => {
  const { column, columns, lines } = positions
  const length = divisorUpTo(columns, most)
  if (lines > 1 || columns <= most || length < most / 4) return positions
  return { lines: columns / length, columns: length, line: column.map((stride) => stride * length), column }
}

/** From this many positions per group on, sums of products are taken group by group; with fewer, they are taken over all groups at once, and threads share rows instead. */
const fewPositions = 32

/** From this many rows on, it pays off to transpose the columns. */
const manyRows = 24

/** The kernels for sums of products with their arguments, for whole groups and for the last one. */
interface Sums {
  readonly kernel: (style: Style) => Kernel
  readonly lastKernel?: (style: Style) => Kernel
  readonly args: ReadonlyArray<Arg>
  readonly split: Split | undefined
  readonly reads: ReadonlyArray<View.Buffer>
}

interface Side {
  readonly at: Address
  readonly count: number
  readonly stride: number
}

/** How many lines make up a chunk of at most this many positions. */
const linesOf = ({ columns, lines }: Positions, most: number) =>
  divisorUpTo(lines, Math.max(1, Math.floor(most / columns)))

/** Sums that keep their lanes separate to the end. */
const byLanes = (ctx: Context, a: Side, b: Side, positions: Positions, target: Address): Sums => {
  const cut = Outer.blocking(a.count, b.count)
  const spec = { rows: cut.rows, restRows: cut.restRows, columns: cut.columns, restColumns: cut.restColumns } as const
  // About 64 positions at once stay in the first-level cache.
  const lines = linesOf(positions, 64)
  const isMasked = ctx.batch % 8 !== 0
  const given: Outer.Arguments<Arg> = {
    a: a.at,
    b: b.at,
    out: target,
    scratch: ctx.scratch,
    rowBlocks: cut.rowBlocks,
    columnBlocks: cut.columnBlocks,
    aRow: 4 * a.stride,
    bColumn: 4 * b.stride,
    outRow: 4 * b.count,
    chunks: positions.lines / lines,
    lines,
    positions: positions.columns,
    aPosition: 4 * Arr.getUnsafe(positions.column, 0),
    aLine: 4 * Arr.getUnsafe(positions.line, 0),
    bPosition: 4 * Arr.getUnsafe(positions.column, 1),
    bLine: 4 * Arr.getUnsafe(positions.line, 1),
    mask: isMasked ? place(laneMask(ctx)) : 0
  }
  return {
    kernel: (style) => Outer.kernel({ ...spec, masked: false }, style),
    ...(isMasked ? { lastKernel: (style) => Outer.kernel({ ...spec, masked: true }, style) } : {}),
    args: Outer.argumentsOf(given),
    split: Outer.splitOf({ ...spec, masked: false }, given),
    reads: isMasked ? [laneMask(ctx).buffer] : []
  }
}

/** Sums with columns and lanes transposed. */
const byColumns = (ctx: Context, a: Side, b: Side, positions: Positions, target: Address): Sums => {
  const lines = linesOf(positions, 32)
  const count = lines * positions.columns
  const cut = Product.blocking(a.count)
  const places = (strides: 0 | 1) =>
    Array.from({ length: count }, (_, i) => {
      const line = Math.floor(i / positions.columns)
      return (
        line * Arr.getUnsafe(positions.line, strides) +
        (i % positions.columns) * Arr.getUnsafe(positions.column, strides)
      )
    })
  const offsets = places(1).map((n) => 4 * n)
  const table = tableOf(
    ctx,
    places(0).map((w, i) => ({ x: 64 * i, w }))
  )
  const offsetTable = constant(ctx, `offsets ${offsets.join()}`, () => Int32Array.from(offsets))
  ctx.room.bytes = Math.max(ctx.room.bytes, Crossed.roomOf(count, b.count))
  const spec = (lanes: number): Product.Product => ({
    rows: cut.rows,
    rest: cut.rest,
    order: "rows",
    unroll: lanes % 2 === 0 ? 2 : 1,
    start: "result"
  })
  const last = ctx.batch % 8
  const given: Product.Arguments<Arg> = {
    w: a.at,
    x: ctx.scratch,
    y: target,
    bias: 0,
    blocks: cut.blocks,
    depth: last === 0 ? 4 : { all: 4, last: last % 2 === 0 ? last / 2 : last },
    wStride: 4 * a.stride,
    xStride: 32,
    yStride: 4 * b.count,
    lines: 1,
    columns: b.count / 8,
    xColumn: 256 * count,
    xLine: 0,
    yColumn: 32,
    yLine: 0,
    taps: count,
    table
  }
  const turned: Crossed.Arguments<Arg> = {
    b: b.at,
    aChunk: 4 * lines * Arr.getUnsafe(positions.line, 0),
    bChunk: 4 * lines * Arr.getUnsafe(positions.line, 1),
    chunks: positions.lines / lines,
    positions: count,
    offsets: { buffer: offsetTable, at: 0 },
    eights: b.count / 8,
    bColumn: 4 * b.stride
  }
  return {
    kernel: (style) => Crossed.kernel(spec(8), style),
    ...(last === 0 ? {} : { lastKernel: (style) => Crossed.kernel(spec(last), style) }),
    args: Crossed.argumentsOf(given, turned),
    split: Crossed.splitOf(spec(8), given, turned),
    reads: [table.buffer, offsetTable]
  }
}

/** out[row][column] = Σ over the batch and the positions of a[position][row] · b[position][column], into a plain matrix with consecutive rows. */
const outer = (
  ctx: Context,
  node: Tensor.Tensor,
  given: { readonly a: Side; readonly b: Side },
  where: Positions,
  out: { readonly buffer: View.Buffer; readonly offset: number }
): void => {
  const all = where.lines * where.columns
  const whole = all < fewPositions && ctx.batch % 8 === 0 && where.lines === 1
  const isTurned = given.a.count >= manyRows && given.b.count % 8 === 0 && all >= 8
  const seenAs = (side: Side): Side => (whole ? { ...side, at: plainly(side.at) } : side)
  const [a, b] = [seenAs(given.a), seenAs(given.b)]
  const size = a.count * b.count
  // If there is one stretch, and it covers the whole result, its sums are the result.
  const isResult = whole || (ctx.stretches === 1 && size === out.buffer.size)
  const sums: View.Buffer = isResult ? out.buffer : { ...newBuffer(ctx, "plain", size), kind: "sums", size }
  if (!isResult) ctx.buffers[sums.id] = sums
  const target = isResult ? { buffer: out.buffer, at: 4 * out.offset } : { buffer: sums, at: 0 }
  const groups = [given.a.at.buffer.size, given.b.at.buffer.size]
  const positions = whole ? { ...where, lines: ctx.groups, line: groups } : inLines(where, isTurned ? 32 : 64)
  const { reads, ...how } = (isTurned ? byColumns : byLanes)(ctx, a, b, positions, target)
  if (isResult) filled(ctx, node, outView(out, size))
  // Each stretch of tiles has its own sums, as single numbers.
  else ctx.instructions.push({ _tag: "Clear", node, buffer: sums, value: 0 })
  ctx.instructions.push({
    _tag: "Work",
    node,
    text: `%${sums.id} += %${a.at.buffer.id} [${a.count}] ⊗ %${b.at.buffer.id} [${b.count}] over ${all} positions`,
    ...how,
    tiles: whole ? 1 : ctx.groups,
    reads: [a.at.buffer, b.at.buffer, ...reads],
    writes: [sums],
    macs: ctx.batch * all * size,
    bytes: 32 * ctx.groups * all * (a.count + b.count)
  })
  if (isResult) return
  // The stretches' sums become operands of one loop.
  const parts: View.Buffer = { ...sums, kind: "plain", size: size * ctx.stretches }
  const operands = Array.from({ length: ctx.stretches }, (_, i) => outView({ buffer: parts, offset: i * size }, size))
  const total = operands.map((_, i) => E.operand(i)).reduce((sum, x) => E.add(sum, x))
  emit(ctx, node, { lanes: false, shape: [size], expression: total, operands }, [
    { expression: total, kind: "store", view: outView(out, size), carry: false }
  ])
}

const outView = (
  { buffer, offset }: { readonly buffer: View.Buffer; readonly offset: number },
  size: number
): View.View => ({
  buffer,
  offset,
  axes: [size === 1 ? [] : [{ length: size, stride: 1 }]]
})

/** All groups of a buffer in lanes at once. */
const plainBuffer = (buffer: View.Buffer): View.Buffer => ({ ...buffer, kind: "plain" })
const plainly = (at: Address): Address => ({ ...at, buffer: plainBuffer(at.buffer) })

/** Which phases of a stride the taps of a kernel lead to, along one axis: for every offset of the result, the taps that reach it and where they read, in positions of the gradient. */
const phases = (length: number, kernel: number, stride: number, before: number, dilation: number) =>
  Array.from({ length: Math.min(stride, length) }, (_, phase) => ({
    phase,
    count: Math.ceil((length - phase) / stride),
    taps: Array.from({ length: kernel }, (_, tap) => ({
      tap,
      from: (phase + before - tap * dilation) / stride
    })).filter(({ from }) => Number.isInteger(from))
  }))

const lengths = Shape.ofRank(4)

const isDepthwise = ([out, perGroup]: Shape.Shape, groups: number) => perGroup === 1 && out === groups && groups > 1

/** A convolution's weight as one matrix per tap: `[kh·kw][out][in]`. */
const taps = (ctx: Context, node: Tensor.Tensor, weight: Tensor.Tensor): View.View => {
  const view = inPlain(ctx, weight)
  const [out, perGroup, kh, kw] = lengths(weight.shape)
  if (kh * kw === 1) return View.reshape(view, [1, out, perGroup]) ?? view
  const known = ctx.matrices.get(weight)
  if (known !== undefined) return known
  const turned = View.transpose(View.reshape(view, [out, perGroup, kh * kw]) ?? view, [2, 0, 1])
  const made = copied(ctx, node, turned)
  ctx.matrices.set(weight, made)
  return made
}

/** A view with the positions of one axis scaled, as a stride reads them. */
const strided = (view: View.View, axis: number, count: number, step: number): View.View =>
  View.slice(view, axis, 0, (count - 1) * step + 1, step) ?? view

/** One entry of a batch. */
const entry = (view: View.View, i: number): View.View => View.slice(view, 0, i, i + 1) ?? view

/** The images of a batch one by one if no two loops go through their positions together, otherwise all at once. `m` is how many there are, not counting lanes. */
const inTurn = (m: number, x: View.View, y: View.View): ReadonlyArray<readonly [x: View.View, y: View.View]> => {
  if (m === 1 || positionsOf([only(x, [0, 2, 3]), only(y, [0, 2, 3])]) !== undefined) return [[x, y]]
  return Array.from({ length: m }, (_, i) => [entry(x, i), entry(y, i)] as const)
}

/** One group of a convolution's channels. */
const groupOf = (view: View.View, axis: number, index: number, groups: number): View.View => {
  const size = View.lengthOf(Arr.getUnsafe(view.axes, axis)) / groups
  return View.slice(view, axis, index * size, (index + 1) * size) ?? view
}

/** A depthwise convolution of an image, or the sums for the gradient of its taps, as lines of positions. */
const stencil = (
  ctx: Context,
  node: Tensor.Tensor,
  image: View.View,
  y: View.View,
  w: Address,
  {
    bias,
    step,
    taps,
    weights,
    what
  }: Pick<Stencil.Stencil, "step" | "taps" | "weights" | "what"> & {
    readonly bias?: Address | undefined
  }
): void => {
  const [m, channels, lines, positions] = lengths(View.shapeOf(y))
  const spec: Stencil.Stencil = { what, taps, step: step, weights, bias: bias !== undefined }
  const [xLine, xColumn] = [strideOf(image, 2), strideOf(image, 3)]
  const given: Stencil.Arguments<Arg> = {
    x: place(image),
    y: place(y),
    w,
    bias: bias ?? 0,
    channels,
    lines,
    positions,
    xLine: 4 * xLine,
    xColumn: 4 * xColumn,
    xNext: 4 * xLine * step,
    yNext: 4 * strideOf(y, 2),
    yColumn: 4 * strideOf(y, 3)
  }
  const reads = what === "apply" ? [image.buffer, w.buffer] : [image.buffer, y.buffer, w.buffer]
  ctx.instructions.push({
    _tag: "Work",
    node,
    text:
      what === "apply"
        ? `%${y.buffer.id} = %${w.buffer.id} over ${taps.length} taps of %${image.buffer.id}`
        : `%${w.buffer.id} += %${y.buffer.id} · %${image.buffer.id} for ${taps.length} taps`,
    kernel: (style) => Stencil.kernel(spec, style),
    args: Stencil.argumentsOf(given),
    split: Stencil.splitOf(spec, given),
    tiles: ctx.groups,
    reads: [...reads, ...(bias === undefined ? [] : [bias.buffer])],
    writes: [what === "apply" ? y.buffer : w.buffer],
    macs: ctx.batch * m * channels * lines * positions * taps.length,
    bytes: 32 * ctx.groups * (Shape.size(View.shapeOf(image)) + Shape.size(View.shapeOf(y)))
  })
}

/** Whether an image's channels are adjacent and every position is separate, as the kernel for depthwise convolutions requires. */
const isStencil = (view: View.View): boolean => {
  const [m, channels] = View.shapeOf(view)
  return m === 1 && (channels === 1 || strideOf(view, 1) === 8)
}

export const rules: Pick<
  Rules,
  "linear" | "linearGradInput" | "linearGradWeight" | "conv2d" | "conv2dGradInput" | "conv2dGradWeight"
> = {
  linear: (node, ctx) => {
    const [input, weight, bias] = node.inputs
    const last = input.shape.length - 1
    const x = inOne(ctx, node, inLanes(ctx, input), last)
    const w = inPlain(ctx, weight)
    const [rows, depth] = Shape.ofRank(2)(weight.shape)
    const places = x.axes.map((_, axis) => axis).slice(0, -1)
    const shape = domainOf(ctx, node.shape, true)
    const y = allocate(ctx, shape, true, View.orderOf(x))
    const positions = positionsOf([only(x, places), only(y, places)])
    if (positions === undefined) {
      const copy = copied(ctx, node, x)
      ctx.values.set(input, { view: copy })
      return rules.linear(node, ctx)
    }
    product(
      ctx,
      node,
      { at: place(w), rows, depth, rowStride: strideOf(w, 0), depthStride: strideOf(w, 1) },
      { at: place(x), stride: strideOf(x, last) },
      { at: place(y), stride: strideOf(y, last) },
      positions,
      { bias: bias === undefined ? undefined : place(inPlain(ctx, bias)) }
    )
    return { view: y }
  },
  linearGradInput: (node, ctx) => {
    const [gradient, weight] = node.inputs
    const last = gradient.shape.length - 1
    const dy = inOne(ctx, node, inLanes(ctx, gradient), last)
    const w = inPlain(ctx, weight)
    const [depth, rows] = Shape.ofRank(2)(weight.shape)
    const places = dy.axes.map((_, axis) => axis).slice(0, -1)
    const dx = allocate(ctx, domainOf(ctx, node.shape, true), true, View.orderOf(dy))
    const positions = positionsOf([only(dy, places), only(dx, places)])
    if (positions === undefined) {
      ctx.values.set(gradient, { view: copied(ctx, node, dy) })
      return rules.linearGradInput(node, ctx)
    }
    product(
      ctx,
      node,
      { at: place(w), rows, depth, rowStride: strideOf(w, 1), depthStride: strideOf(w, 0) },
      { at: place(dy), stride: strideOf(dy, last) },
      { at: place(dx), stride: strideOf(dx, last) },
      positions
    )
    return { view: dx }
  },
  linearGradWeight: (node, ctx) => {
    const [gradient, input] = node.inputs
    const last = gradient.shape.length - 1
    const places = input.shape.map((_, axis) => axis).slice(0, -1)
    let [dy, x] = Tensor.each((t) => inOne(ctx, node, inLanes(ctx, t), last))(node.inputs)
    let positions = positionsOf([only(dy, places), only(x, places)])
    if (positions === undefined) {
      dy = copied(ctx, node, dy)
      x = copied(ctx, node, x)
      positions = positionsOf([only(dy, places), only(x, places)])
    }
    const [rows, columns] = Shape.ofRank(2)(node.shape)
    const target = newBuffer(ctx, "plain", rows * columns)
    if (positions !== undefined)
      outer(
        ctx,
        node,
        {
          a: { at: place(dy), count: rows, stride: strideOf(dy, last) },
          b: { at: place(x), count: columns, stride: strideOf(x, last) }
        },
        positions,
        { buffer: target, offset: 0 }
      )
    return { view: View.contiguous(target, node.shape) }
  },

  conv2d: (node, ctx) => {
    const [input, weight, bias] = node.inputs
    const { dilation, groups, padding, stride } = node.attributes
    const [out, perGroup, kh, kw] = lengths(weight.shape)
    const image = bordered(ctx, node, input, padding)
    const shape = domainOf(ctx, node.shape, true)
    const [m, , height, width] = lengths(shape)
    const places = Array.from(
      { length: kh * kw },
      (_, i) => [Math.floor(i / kw) * dilation[0], (i % kw) * dilation[1]] as const
    )
    const [rowStride, columnStride] = [strideOf(image, 2), strideOf(image, 3)]
    const every = strided(strided(image, 2, height, stride[0]), 3, width, stride[1])
    if (isDepthwise(weight.shape, groups) && stride[0] === stride[1] && isStencil(image)) {
      const y = allocate(ctx, shape, true)
      const weights = kh * kw
      stencil(ctx, node, image, y, place(rowMajor(ctx, node, inPlain(ctx, weight))), {
        what: "apply",
        step: stride[0],
        taps: places.map(([line, column], i) => ({ line, column, weight: i })),
        weights,
        bias: bias === undefined ? undefined : place(inPlain(ctx, bias))
      })
      return { view: y }
    }
    const w = taps(ctx, node, weight)
    const y = allocate(ctx, shape, true)
    const matrixSize = View.strideOf(Arr.getUnsafe(w.axes, 0)) ?? 0
    for (let group = 0; group < groups; group++) {
      const ws = groupOf(w, 1, group, groups)
      for (const [xs, ys] of inTurn(m, groupOf(every, 1, group, groups), groupOf(y, 1, group, groups))) {
        const positions = positionsOf([only(xs, [0, 2, 3]), only(ys, [0, 2, 3])])
        if (positions === undefined) throw new Error(`no loops lead over ${height}×${width} positions`) // always possible for an image
        product(
          ctx,
          node,
          {
            at: place(ws),
            rows: out / groups,
            depth: perGroup,
            rowStride: strideOf(ws, 1),
            depthStride: strideOf(ws, 2)
          },
          { at: place(xs), stride: strideOf(xs, 1) },
          { at: place(ys), stride: strideOf(ys, 1) },
          positions,
          {
            bias: bias === undefined ? undefined : place(groupOf(inPlain(ctx, bias), 0, group, groups)),
            taps: places.map(([row, column], i) => ({ x: row * rowStride + column * columnStride, w: i * matrixSize }))
          }
        )
      }
    }
    return { view: y }
  },
  conv2dGradInput: (node, ctx) => {
    const [gradient, weight] = node.inputs
    const { dilation, groups, inputShape, padding, stride } = node.attributes
    const [out, perGroup, kh, kw] = lengths(weight.shape)
    const shape = domainOf(ctx, inputShape, true)
    const [, , height, width] = lengths(inputShape)
    const [, , rows, columns] = lengths(gradient.shape)
    const down = phases(height, kh, stride[0], padding[0], dilation[0])
    const across = phases(width, kw, stride[1], padding[1], dilation[1])
    // How far the taps read beyond the ends of the gradient.
    const reach = (all: typeof down, length: number) => {
      const at = all.flatMap(({ count, taps }) => taps.flatMap(({ from }) => [from, from + count - 1]))
      return [Math.max(0, ...at.map((n) => -n)), Math.max(0, ...at.map((n) => n - length + 1))] as const
    }
    const [[top, bottom], [left, right]] = [reach(down, rows), reach(across, columns)]
    const dy = bordered(ctx, node, gradient, [top, left, bottom, right] satisfies Border)
    const dx = allocate(ctx, shape, true)
    const depthwise = isDepthwise(weight.shape, groups) && isStencil(dy)
    const w = depthwise ? rowMajor(ctx, node, inPlain(ctx, weight)) : taps(ctx, node, weight)
    const matrixSize = View.strideOf(Arr.getUnsafe(w.axes, 0)) ?? 0
    const [rowStride, columnStride] = [strideOf(dy, 2), strideOf(dy, 3)]
    for (const v of down)
      for (const h of across) {
        const lines = strided(shifted(dx, 2, v.phase), 2, v.count, stride[0])
        const own = strided(shifted(lines, 3, h.phase), 3, h.count, stride[1])
        const places = v.taps.flatMap(({ from, tap }) =>
          h.taps.map((other) => ({
            tap: tap * kw + other.tap,
            offset: (from + top) * rowStride + (other.from + left) * columnStride
          }))
        )
        if (places.length === 0) {
          filled(ctx, node, own)
          continue
        }
        const source = part(dy, [0, 0, 0, 0], [Arr.getUnsafe(shape, 0), out, v.count, h.count])
        if (depthwise) {
          stencil(ctx, node, dy, own, place(w), {
            what: "apply",
            step: 1,
            taps: v.taps.flatMap((line) =>
              h.taps.map((column) => ({
                line: line.from + top,
                column: column.from + left,
                weight: line.tap * kw + column.tap
              }))
            ),
            weights: kh * kw
          })
          continue
        }
        for (let group = 0; group < groups; group++) {
          const ws = groupOf(w, 1, group, groups)
          for (const [xs, ys] of inTurn(
            Arr.getUnsafe(shape, 0),
            groupOf(source, 1, group, groups),
            groupOf(own, 1, group, groups)
          )) {
            const positions = positionsOf([only(xs, [0, 2, 3]), only(ys, [0, 2, 3])])
            if (positions === undefined) throw new Error("no loops lead over the positions") // always possible for an image
            product(
              ctx,
              node,
              {
                at: place(ws),
                rows: perGroup,
                depth: out / groups,
                rowStride: strideOf(ws, 2),
                depthStride: strideOf(ws, 1)
              },
              { at: place(xs), stride: strideOf(xs, 1) },
              { at: place(ys), stride: strideOf(ys, 1) },
              positions,
              { taps: places.map(({ offset, tap }) => ({ x: offset, w: tap * matrixSize })) }
            )
          }
        }
      }
    return { view: dx }
  },
  conv2dGradWeight: (node, ctx) => {
    const [gradient, input] = node.inputs
    const { dilation, groups, padding, stride, weightShape } = node.attributes
    const [out, perGroup, kh, kw] = lengths(weightShape)
    const image = bordered(ctx, node, input, padding)
    const dy = inLanes(ctx, gradient)
    const [, , height, width] = lengths(gradient.shape)
    const [rowStride, columnStride] = [strideOf(image, 2), strideOf(image, 3)]
    const every = strided(strided(image, 2, height, stride[0]), 3, width, stride[1])
    const tapImages = Array.from({ length: kh * kw }, (_, i) => ({
      ...every,
      offset: every.offset + Math.floor(i / kw) * dilation[0] * rowStride + (i % kw) * dilation[1] * columnStride
    }))
    if (isDepthwise(weightShape, groups) && stride[0] === stride[1] && isStencil(image) && isStencil(dy)) {
      const weights = kh * kw
      const sums = newBuffer(ctx, "sums", out * weights)
      const target = View.contiguous(newBuffer(ctx, "plain", out * weights), [out * weights])
      ctx.instructions.push({ _tag: "Clear", node, buffer: sums, value: 0 })
      const taps = Array.from({ length: weights }, (_, i) => ({
        line: Math.floor(i / kw) * dilation[0],
        column: (i % kw) * dilation[1],
        weight: i
      }))
      stencil(
        ctx,
        node,
        image,
        maskedGradient(ctx, node, dy),
        { buffer: sums, at: 0 },
        { what: "gradient", step: stride[0], taps, weights }
      )
      sumOfParts(ctx, node, sums, [out * weights], target)
      return { view: View.reshape(target, weightShape) ?? target }
    }
    // A matrix for every tap, and then the weight in its own order.
    const rows = out / groups
    const matrices = newBuffer(ctx, "plain", Shape.size(weightShape))
    for (const [i, x] of tapImages.entries())
      for (let group = 0; group < groups; group++) {
        let [ds, xs] = [groupOf(dy, 1, group, groups), groupOf(x, 1, group, groups)]
        let positions = positionsOf([only(ds, [0, 2, 3]), only(xs, [0, 2, 3])])
        if (positions === undefined) {
          ds = copied(ctx, node, ds)
          xs = copied(ctx, node, xs)
          positions = positionsOf([only(ds, [0, 2, 3]), only(xs, [0, 2, 3])])
        }
        if (positions === undefined) throw new Error("no loops lead over the positions") // always possible for two copies
        outer(
          ctx,
          node,
          {
            a: { at: place(ds), count: rows, stride: strideOf(ds, 1) },
            b: { at: place(xs), count: perGroup, stride: strideOf(xs, 1) }
          },
          positions,
          { buffer: matrices, offset: (i * groups + group) * rows * perGroup }
        )
      }
    const made = View.contiguous(matrices, [kh * kw, out, perGroup])
    if (kh * kw === 1) return { view: View.reshape(made, weightShape) ?? made }
    const turned = copied(ctx, node, View.transpose(made, [1, 2, 0]))
    return { view: View.reshape(turned, weightShape) ?? turned }
  }
}

/** A gradient without the lanes that are not images. */
const maskedGradient = (ctx: Context, node: Tensor.Tensor, dy: View.View): View.View =>
  ctx.batch % 8 === 0 ? dy : store(ctx, node, masked(ctx, seen(dy), "sum"))

/** The same elements from a later position along an axis; the axis keeps the rest. */
const shifted = (view: View.View, axis: number, by: number): View.View =>
  by === 0 ? view : (View.slice(view, axis, by, View.lengthOf(Arr.getUnsafe(view.axes, axis))) ?? view)
