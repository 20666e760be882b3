/** Pooling, first along rows and then along columns: shifted views of an image are the operands, and the results, of one loop. */
import { Op, Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as E from "../Expression.ts"
import * as View from "../View.ts"
import { allocate, type Context, constant, domainOf, emit, filled, inLanes, type Lazy, store } from "./context.ts"
import { bordered, part } from "./movement.ts"
import type { Rules } from "./rules.ts"

const lengths = Shape.ofRank(4)

/** A window along one axis of an image. */
interface Line {
  readonly axis: 2 | 3
  readonly kernel: number
  readonly stride: number
  /** How many windows there are. */
  readonly count: number
}

const linesOf = ({ kernel, stride }: Op.Pool, [, , height, width]: Shape.OfRank<4>): readonly [Line, Line] => [
  { axis: 2, kernel: kernel[0], stride: stride[0], count: height },
  { axis: 3, kernel: kernel[1], stride: stride[1], count: width }
]

/** Element `k` of every window, as an image. */
const element = (image: View.View, { axis, count, stride }: Line, k: number): View.View => {
  const whole = View.shapeOf(image)
  const from = View.slice(image, axis, k, Arr.getUnsafe(whole, axis)) ?? image
  return View.slice(from, axis, 0, (count - 1) * stride + 1, stride) ?? from
}

const elements = (image: View.View, line: Line): ReadonlyArray<View.View> =>
  Array.from({ length: line.kernel }, (_, k) => element(image, line, k))

/** An expression over every window's elements. */
const pooled = (
  ctx: Context,
  node: Tensor.Tensor,
  image: View.View,
  line: Line,
  join: (x: E.Expression, y: E.Expression) => E.Expression
): View.View => {
  const operands = elements(image, line)
  const expression = operands.map((_, k) => E.operand(k)).reduce(join)
  return store(ctx, node, { lanes: true, shape: View.shapeOf(Arr.getUnsafe(operands, 0)), expression, operands })
}

/** The share of every window's gradient that each of its elements gets, added at the position of the element. */
const spread = (
  ctx: Context,
  node: Tensor.Tensor,
  target: View.View,
  line: Line,
  gradient: Lazy,
  share: (k: number, d: E.Expression) => E.Expression
): void => {
  filled(ctx, node, target)
  emit(
    ctx,
    node,
    gradient,
    elements(target, line).map((view, k) => ({
      expression: share(k, gradient.expression),
      kind: "sum",
      view,
      carry: true
    }))
  )
}

/** Maxima along rows, which the gradient also needs. */
const rowMaxima = (ctx: Context, node: Tensor.Tensor, x: Tensor.Tensor, window: Op.Pool, columns: Line) => {
  const image = bordered(ctx, node, x, window.padding, -Infinity)
  const key = `maxima ${columns.kernel} ${columns.stride} ${window.padding.join()}`
  const known = ctx.bordered.get(x)?.get(key)
  if (known !== undefined) return { image, maxima: known }
  const maxima = pooled(ctx, node, image, columns, (a, b) => E.binary("max", a, b))
  ctx.bordered.set(x, (ctx.bordered.get(x) ?? new Map<string, View.View>()).set(key, maxima))
  return { image, maxima }
}

/** All bits set if element k is the first of a window's maxima; the elements are the operands from `from` on. */
const isFirstLargest = (kernel: number, k: number, from: number): E.Expression | undefined =>
  Array.from({ length: kernel }, (_, j) => j)
    .filter((j) => j !== k)
    .map((j) => E.binary(j < k ? "greater" : "greaterOrEqual", E.operand(from + k), E.operand(from + j)))
    .reduce<E.Expression | undefined>((all, one) => (all === undefined ? one : E.binary("and", all, one)), undefined)

/** The gradient of a maximum along a line. */
const maximumGradient = (ctx: Context, node: Tensor.Tensor, image: View.View, dy: View.View, line: Line): View.View => {
  const target = allocate(ctx, View.shapeOf(image), true)
  const windows = elements(image, line)
  const gradient: Lazy = {
    lanes: true,
    shape: View.shapeOf(dy),
    expression: E.operand(0),
    operands: [dy, ...windows]
  }
  spread(ctx, node, target, line, gradient, (k, d) => {
    const first = isFirstLargest(line.kernel, k, 1)
    return first === undefined ? d : E.binary("and", d, first)
  })
  return target
}

/** The image without its added border. */
const inside = (view: View.View, [top, left]: Op.Pool["padding"], [, , height, width]: Shape.OfRank<4>): View.View => {
  const [m, channels] = lengths(View.shapeOf(view))
  return part(view, [0, 0, top, left], [m, channels, height, width])
}

/** The factor on a window's sum, as an operand over an image of windows. */
const shares = (
  ctx: Context,
  inputShape: Shape.Shape,
  windows: Shape.Shape,
  pool: Op.Pool & { readonly countPadding: boolean }
) => {
  const area = pool.kernel[0] * pool.kernel[1]
  if (pool.countPadding || pool.padding.every((n) => n === 0)) return { factor: E.number(1 / area), operands: [] }
  const [, , height, width] = lengths(inputShape)
  const name = `shares ${[height, width, ...pool.kernel, ...pool.stride, ...pool.padding].join()}`
  const counts = constant(ctx, name, () => Op.windowCounts([height, width], pool).map((count) => 1 / count))
  const view = View.contiguous(counts, windows.slice(2))
  return { factor: undefined, operands: [View.broadcast(view, windows)] }
}

export const rules = {
  maxPool2d: (node, ctx) => {
    const [rows, columns] = linesOf(node.attributes, lengths(node.shape))
    const { maxima } = rowMaxima(ctx, node, node.inputs[0], node.attributes, columns)
    return { view: pooled(ctx, node, maxima, rows, (a, b) => E.binary("max", a, b)) }
  },
  maxPool2dGrad: (node, ctx) => {
    const [x, gradient] = node.inputs
    const [rows, columns] = linesOf(node.attributes, lengths(gradient.shape))
    const { image, maxima } = rowMaxima(ctx, node, x, node.attributes, columns)
    const dMaxima = maximumGradient(ctx, node, maxima, inLanes(ctx, gradient), rows)
    const dx = maximumGradient(ctx, node, image, dMaxima, columns)
    return { view: inside(dx, node.attributes.padding, lengths(node.shape)) }
  },
  averagePool2d: (node, ctx) => {
    const [x] = node.inputs
    const [rows, columns] = linesOf(node.attributes, lengths(node.shape))
    const image = bordered(ctx, node, x, node.attributes.padding)
    const sums = pooled(ctx, node, image, columns, E.add)
    const shape = domainOf(ctx, node.shape, true)
    const { factor, operands } = shares(ctx, x.shape, shape, node.attributes)
    const windows = elements(sums, rows)
    const total = windows.map((_, k) => E.operand(k)).reduce(E.add)
    const expression = E.mul(total, factor ?? E.operand(windows.length))
    return { view: store(ctx, node, { lanes: true, shape, expression, operands: [...windows, ...operands] }) }
  },
  averagePool2dGrad: (node, ctx) => {
    const [gradient] = node.inputs
    const { inputShape, padding } = node.attributes
    const [rows, columns] = linesOf(node.attributes, lengths(gradient.shape))
    const dy = inLanes(ctx, gradient)
    const shape = View.shapeOf(dy)
    const { factor, operands } = shares(ctx, inputShape, shape, node.attributes)
    const scaled: Lazy = {
      lanes: true,
      shape,
      expression: E.mul(E.operand(0), factor ?? E.operand(1)),
      operands: [dy, ...operands]
    }
    const [m, channels] = lengths(shape)
    const [top, left, bottom, right] = padding
    const [, , height, width] = lengths(inputShape)
    const dSums = allocate(ctx, [m, channels, height + top + bottom, columns.count], true)
    spread(ctx, node, dSums, rows, scaled, (_, d) => d)
    const dx = allocate(ctx, [m, channels, height + top + bottom, width + left + right], true)
    const whole: Lazy = { lanes: true, shape: View.shapeOf(dSums), expression: E.operand(0), operands: [dSums] }
    spread(ctx, node, dx, columns, whole, (_, d) => d)
    return { view: inside(dx, padding, lengths(inputShape)) }
  }
} satisfies Partial<Rules>
