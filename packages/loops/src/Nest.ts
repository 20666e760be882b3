/** Loops over tensors before they become a kernel: what is computed from which views, over which shape. */
import { Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Expression from "./Expression.ts"
import * as Sweep from "./kernels/sweep.ts"
import * as Split from "./Split.ts"
import * as View from "./View.ts"
import type { Address, Arg, Work } from "./Work.ts"

export interface Result {
  readonly expression: Expression.Expression
  readonly kind: Sweep.Result["kind"]
  /** Over the nest's shape; it does not move along reduced axes. */
  readonly view: View.View
  /** Whether it is combined with the existing value. */
  readonly carry: boolean
}

export interface Nest {
  readonly _tag: "Nest"
  readonly node: Tensor.Tensor
  /** Whether it runs over groups of the batch, in lanes; the shape then excludes the batch. */
  readonly lanes: boolean
  readonly shape: Shape.Shape
  /** All of them over the shape. */
  readonly operands: ReadonlyArray<View.View>
  readonly results: ReadonlyArray<Result>
  /** Whether the loops follow the order of the shape's axes rather than that of the elements in memory. */
  readonly inOrder?: boolean
  /** Whether it runs where its result is first read, rather than as early as possible. */
  readonly late?: boolean
}

/** Whether two views show the same elements. */
export const sameView = (a: View.View, b: View.View): boolean =>
  a.buffer === b.buffer &&
  a.offset === b.offset &&
  a.axes.length === b.axes.length &&
  a.axes.every((pieces, i) => {
    const others = b.axes[i]
    return (
      pieces.length === others?.length &&
      pieces.every((p, j) => p.length === others[j]?.length && p.stride === others[j]?.stride)
    )
  })

/** The view that the loops follow: the one that moves through the most elements. */
const mainOf = (views: ReadonlyArray<View.View>): number => {
  // Of equals, the result's, which comes last: writing in order matters more than reading.
  return views.reduce(
    (best, view, i) => (View.distinct(view) >= View.distinct(Arr.getUnsafe(views, best)) ? i : best),
    0
  )
}

const most = 6

const foundLoops = new WeakMap<Nest, ReadonlyArray<View.Loop> | "none">()

/** The loops through all views of a nest; `undefined` if their pieces do not fit together or are too many. */
export const loopsOf = (nest: Nest): ReadonlyArray<View.Loop> | undefined => {
  const known = foundLoops.get(nest)
  if (known !== undefined) return known === "none" ? undefined : known
  const { inOrder = false, operands, results } = nest
  const views = [...operands, ...results.map((r) => r.view)]
  const found = View.loops(views, inOrder ? undefined : mainOf(views))
  const loops = found !== undefined && found.length <= most ? found : undefined
  foundLoops.set(nest, loops ?? "none")
  return loops
}

/** Buffers end at multiples of eight elements, so that plain ones can be processed eight at a time to the end. */
const eights = (n: number) => Math.ceil(n / 8)

/** Turns the innermost loop into steps of eight elements, if a plain nest allows it: everything moves to the next element or stays where it is. */
const inEights = (nest: Nest, loops: ReadonlyArray<View.Loop>): ReadonlyArray<View.Loop> | undefined => {
  const last = loops.at(-1)
  const operands = nest.operands.length
  if (last === undefined || !last.strides.every((s, i) => s === 1 || (s === 0 && i < operands))) return undefined
  // Past the end, there may only be the buffer's padding.
  const ends = nest.results.every(({ view: { buffer, offset } }) => offset + last.length === buffer.size)
  if (last.length % 8 !== 0 && (loops.length > 1 || !ends)) return undefined
  if (nest.results.some((r) => r.kind !== "store" || r.view.offset % 8 !== 0) || last.length < 8) return undefined
  return [...loops.slice(0, -1), { length: eights(last.length), strides: last.strides }]
}

/** The start of a view, as an address. */
const placeOf = ({ buffer, offset }: View.View, tile?: number): Address => ({
  buffer,
  at: 4 * offset,
  ...(tile === undefined ? {} : { tile })
})

const textOf = ({ operands, results }: Nest): string => {
  const name = (i: number) => `%${operands[i]?.buffer.id}`
  return results
    .map(({ carry, expression, kind, view }) => {
      const what = Expression.print(expression, name)
      return `%${view.buffer.id} ${carry ? "+=" : "="} ${kind === "store" ? what : `${kind} ${what}`}`
    })
    .join("; ")
}

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b))

/**
 * Whether different steps of a loop never touch the same element when one of them writes it, as happens with the results of overlapping windows. If two views show the same buffer, either a step
 * is longer than everything within it, or all other steps, and the distance between the two views, lead past the whole loop.
 */
const keepsApart = (
  views: ReadonlyArray<View.View>,
  firstResult: number,
  loops: ReadonlyArray<View.Loop>,
  loop: number
): boolean =>
  views.slice(firstResult).every((result, r) =>
    views.every((other, i) => {
      if (i === firstResult + r || other.buffer.id !== result.buffer.id || sameView(other, result)) return true
      const at = firstResult + r
      if (loops.some(({ strides }) => strides[at] !== strides[i])) return false
      const others = loops
        .filter((_, l) => l !== loop)
        .map(({ length, strides }) => ({ length, stride: Arr.getUnsafe(strides, at) }))
      const { length, strides } = Arr.getUnsafe(loops, loop)
      const [step, away] = [Arr.getUnsafe(strides, at), Math.abs(other.offset - result.offset)]
      const within = others.reduce((sum, { length, stride }) => sum + (length - 1) * stride, away)
      return (
        within < step || others.reduce((divisor, { stride }) => commonDivisor(divisor, stride), away) >= length * step
      )
    })
  )

/** Plain nests with this many elements or more are cut into parts, which threads share. */
const large = 65_536
const parts = 8

const foundWork = new WeakMap<Nest, { readonly groups: number; readonly work: Work | undefined }>()

/** The work of a nest, over this many groups of the batch. */
export const toWork = (nest: Nest, groups: number): Work | undefined => {
  const known = foundWork.get(nest)
  if (known?.groups === groups) return known.work
  const work = made(nest, groups)
  foundWork.set(nest, { groups, work })
  return work
}

const made = (nest: Nest, groups: number): Work | undefined => {
  const found = loopsOf(nest)
  if (found === undefined) return undefined
  const { lanes, operands, results } = nest
  const views = [...operands, ...results.map((r) => r.view)]
  const wide = lanes ? undefined : inEights(nest, found)
  const width = lanes || wide !== undefined ? 8 : 1
  const loops = wide ?? found
  const innermost = loops.length - 1
  // With elements of eight, a step of the innermost loop moves by eight numbers.
  const moves = (i: number): ReadonlyArray<Sweep.Move> =>
    loops.map(({ strides }, loop) =>
      strides[i] === 0
        ? "no"
        : loop === innermost && strides[i] === View.unitOf(Arr.getUnsafe(views, i))
          ? "unit"
          : "stride"
    )
  const kindOf = (i: number): Sweep.Operand["kind"] =>
    View.isVector(Arr.getUnsafe(views, i).buffer) ||
    (wide !== undefined && Arr.getUnsafe(Arr.getUnsafe(loops, innermost).strides, i) === 1)
      ? "vector"
      : "splat"
  const length = loops[innermost]?.length ?? 1
  const evenly = views.every((_, i) => loops.length > 0 && moves(i)[innermost] !== "stride")
  const sweep: Sweep.Sweep = {
    width,
    loops: loops.length,
    unroll: evenly && length % 2 === 0 && length > 2 ? 2 : 1,
    operands: operands.map((_, i) => ({ kind: kindOf(i), moves: moves(i) })),
    results: results.map((r, i) => ({ ...r, moves: moves(operands.length + i) }))
  }
  const outermost = loops[0] ?? { length: 1, strides: views.map(() => 0) }
  const elements = loops.reduce((n, loop) => n * loop.length, width)
  const cut =
    !lanes &&
    elements >= large &&
    outermost.length >= parts &&
    results.every((_, i) => outermost.strides[operands.length + i] !== 0)
      ? parts
      : 1
  // Every part has a whole number of rounds of the unrolled loop.
  const per = Math.ceil(outermost.length / cut / sweep.unroll) * sweep.unroll
  const isCut = cut > 1 && per * (cut - 1) < outermost.length
  const step = (i: number) =>
    wide !== undefined && innermost === 0 && Arr.getUnsafe(Arr.getUnsafe(loops, 0).strides, i) === 1
      ? 8
      : Arr.getUnsafe(outermost.strides, i)
  const lengths = loops.map((loop) => loop.length)
  const marked = Sweep.argumentsOf(
    sweep,
    lengths,
    views.map((_, i) => ({ address: i, strides: loops.map((loop) => 4 * Arr.getUnsafe(loop.strides, i)) }))
  )
  // Where the addresses are among the arguments: after the lengths, each before its strides.
  const addresses: Array<number> = []
  let next = loops.length
  for (const i of views.keys()) {
    addresses.push(next)
    next += 1 + moves(i).filter((move) => move === "stride").length
  }
  const args = marked.map((value, at): Arg => {
    const view = addresses.indexOf(at)
    if (view >= 0) return placeOf(Arr.getUnsafe(views, view), isCut ? 4 * per * step(view) : undefined)
    if (at !== 0 || !isCut) return value
    const rounds = loops.length === 1 ? sweep.unroll : 1
    return { all: per / rounds, last: (outermost.length - per * (cut - 1)) / rounds }
  })
  const tiles = lanes ? groups : isCut ? cut : 1
  const sharable = loops.flatMap(({ strides }, loop) => {
    if (results.some((_, i) => strides[operands.length + i] === 0) || !keepsApart(views, operands.length, found, loop))
      return []
    const rounds = loop === innermost ? sweep.unroll : 1
    const stepOf = (i: number) =>
      moves(i)[loop] === "unit" ? (kindOf(i) === "vector" ? width : 1) : Arr.getUnsafe(strides, i)
    return [
      {
        steps: Arr.getUnsafe(lengths, loop) / rounds,
        grain: 1,
        counts: [loop],
        moves: new Map(addresses.map((at, i) => [at, 4 * rounds * stepOf(i)]))
      }
    ]
  })
  return {
    _tag: "Work",
    node: nest.node,
    // Only needed for explanations.
    get text() {
      return textOf(nest)
    },
    kernel: (style) => Sweep.kernel(sweep, style),
    args,
    split: Split.best(sharable),
    tiles,
    reads: [...operands.map((view) => view.buffer), ...results.flatMap((r) => (r.carry ? [r.view.buffer] : []))],
    writes: results.map((r) => r.view.buffer),
    macs: 0,
    bytes: (lanes ? groups : 1) * views.reduce((sum, view) => sum + 4 * View.unitOf(view) * View.distinct(view), 0)
  }
}
