/**
 * Where the elements of a tensor are: a buffer, and for every axis the strides that lead through it. Reshapes, transpositions, slices and broadcasts are other views of the same buffer.
 *
 * A buffer is either `plain`, row-major in the shape that it was made for, or in `lanes`, with eight images of the batch innermost. The first axis of a tensor in lanes is a
 * multiple of the batch. Element `b` of the batch is in lane `b mod 8` of group `⌊b / 8⌋`, and a view of the tensor leaves the batch out of its first axis.
 */
import type { Shape } from "@uninet/graph"
import * as Arr from "effect/Array"

/** A piece of an axis: a number of steps, each of a number of elements of the buffer. */
export interface Piece {
  /** Number of steps. */
  readonly length: number
  /** Elements of the buffer from one step to the next. */
  readonly stride: number
}

/** A region of memory that a program works in. */
export interface Buffer {
  /** Its number, which is unique. */
  readonly id: number
  /** `sums` has eight parts of every number, and all of these once per stretch of tiles over which sums are taken. */
  readonly kind: "plain" | "lanes" | "sums"
  /** Number of elements: in a group of the batch for lanes, in one of the stretches for sums. */
  readonly size: number
}

/** Whether its elements are eight adjacent numbers each. */
export const isVector = ({ kind }: Buffer): boolean => kind !== "plain"

/**
 * How a tensor is read from a buffer: element `(i, j, …)` is at `offset` plus what each axis adds for its index. An axis with one piece adds the index times the stride. With several pieces, the index is
 * written with their lengths as the bases, outermost first, like the digits of a number. A stride of 0 repeats an element.
 */
export interface View {
  readonly buffer: Buffer
  /** Elements to skip in the buffer, or in each of its groups. */
  readonly offset: number
  /** For each axis, the pieces that it consists of, outermost first. */
  readonly axes: ReadonlyArray<ReadonlyArray<Piece>>
}

/** The length of an axis in pieces: the product of their lengths. */
export const lengthOf = (pieces: ReadonlyArray<Piece>): number => pieces.reduce((n, { length }) => n * length, 1)

/** The tensor's shape; for lanes, without the batch. */
export const shapeOf = ({ axes }: View): Shape.Shape => axes.map(lengthOf)

/** Removes pieces with one step, and joins pieces that follow one another evenly. */
const simple = (pieces: ReadonlyArray<Piece>): ReadonlyArray<Piece> => {
  const joined: Array<Piece> = []
  for (const piece of pieces) {
    if (piece.length === 1) continue
    const last = joined.at(-1)
    if (last !== undefined && last.stride === piece.stride * piece.length)
      joined[joined.length - 1] = { length: last.length * piece.length, stride: piece.stride }
    else joined.push(piece)
  }
  return joined
}

/**
 * A view of a whole buffer, with `unit` elements from one element of the tensor to the next. `order` lists the axes in their order in memory, outermost first; by default that is their own order.
 */
export const contiguous = (
  buffer: Buffer,
  shape: Shape.Shape,
  order: ReadonlyArray<number> = shape.map((_, axis) => axis)
): View => {
  const strides = shape.map(() => 0)
  let stride = isVector(buffer) ? 8 : 1
  for (const axis of order.toReversed()) {
    strides[axis] = stride
    stride *= Arr.getUnsafe(shape, axis)
  }
  return {
    buffer,
    offset: 0,
    axes: shape.map((length, axis) => simple([{ length, stride: Arr.getUnsafe(strides, axis) }]))
  }
}

/** Splits a piece in two: the last `inner` steps, and the steps over those. */
const cut = ({ length, stride }: Piece, inner: number): readonly [Piece, Piece] => [
  { length: length / inner, stride: stride * inner },
  { length: inner, stride }
]

/** The same elements in row-major order under another shape; `undefined` if an axis would end inside a piece. */
export const reshape = (view: View, shape: Shape.Shape): View | undefined => {
  const left = [...simple(view.axes.flat())]
  const axes: Array<ReadonlyArray<Piece>> = []
  for (const length of shape.toReversed()) {
    const pieces: Array<Piece> = []
    for (let missing = length; missing > 1;) {
      const piece = left.pop()
      if (piece === undefined) return undefined
      if (missing % piece.length === 0) {
        pieces.unshift(piece)
        missing /= piece.length
      } else if (piece.length % missing === 0) {
        const [outer, inner] = cut(piece, missing)
        left.push(outer)
        pieces.unshift(inner)
        missing = 1
      } else return undefined
    }
    axes.unshift(simple(pieces))
  }
  return left.every(({ length }) => length === 1) ? { ...view, axes } : undefined
}

/** Axis `i` of the result is axis `permutation[i]`. */
export const transpose = (view: View, permutation: ReadonlyArray<number>): View => ({
  ...view,
  axes: permutation.map((axis) => Arr.getUnsafe(view.axes, axis))
})

/** Every `step`-th of the elements `start ≤ i < end` of one axis; `undefined` if they are not whole pieces. */
export const slice = (view: View, axis: number, start: number, end: number, step = 1): View | undefined => {
  const pieces = Arr.getUnsafe(view.axes, axis)
  const count = Math.ceil((end - start) / step)
  if (start === 0 && count === lengthOf(pieces)) return view
  const [outer, ...rest] = pieces
  if (outer === undefined) return view
  const inner = lengthOf(rest)
  if (start % inner !== 0 || (end - start) % inner !== 0 || (step > 1 && inner > 1)) return undefined
  const kept = simple([{ length: count / inner, stride: outer.stride * step }, ...rest])
  return { ...view, offset: view.offset + (start / inner) * outer.stride, axes: view.axes.with(axis, kept) }
}

/** Repeated along axes of length 1 and missing leading axes. */
export const broadcast = (view: View, shape: Shape.Shape): View => {
  const lead = shape.length - view.axes.length
  return {
    ...view,
    axes: shape.map((length, axis) => {
      const own = view.axes[axis - lead] ?? []
      return lengthOf(own) === length ? own : [{ length, stride: 0 }]
    })
  }
}

/** Whether an axis only repeats one element: all of its strides are 0. */
export const isStill = (pieces: ReadonlyArray<Piece>): boolean =>
  pieces.every(({ length, stride }) => stride === 0 || length === 1)

/** How many distinct elements of the buffer a view shows: those repeated by broadcasting count once. */
export const distinct = ({ axes }: View): number =>
  axes.reduce((n, pieces) => n * pieces.reduce((m, p) => (p.stride === 0 ? m : m * p.length), 1), 1)

/** How many numbers each element consists of: 8 in lanes, one per image, and 1 otherwise. */
export const unitOf = ({ buffer }: View): number => (isVector(buffer) ? 8 : 1)

/** The stride of an axis that is one piece, or none; `undefined` if it is several. */
export const strideOf = (pieces: ReadonlyArray<Piece>): number | undefined =>
  pieces.length > 1 ? undefined : (pieces[0]?.stride ?? 0)

/** A loop over several views: how often it runs, and how many elements each view moves per step. */
export interface Loop {
  /** How often it runs. */
  readonly length: number
  readonly strides: ReadonlyArray<number>
}

/**
 * The loops that lead through several views of one shape at once, outermost first, as few as possible; `undefined` if their pieces do not fit together. They follow the order of
 * the view with index `main` in memory, or the order of the axes if none is given.
 */
export const loops = (views: ReadonlyArray<View>, main: number | undefined): ReadonlyArray<Loop> | undefined => {
  const found: Array<Loop> = []
  const { axes } = Arr.getUnsafe(views, 0)
  for (const axis of axes.keys()) {
    const left = views.map((view) => [...Arr.getUnsafe(view.axes, axis)])
    const own: Array<Loop> = []
    for (;;) {
      const open = left.filter((pieces) => pieces.length > 0)
      if (open.length === 0) break
      const length = Math.min(...open.map((pieces) => Arr.getUnsafe(pieces, pieces.length - 1).length))
      const strides: Array<number> = []
      for (const pieces of left) {
        const piece = pieces.pop()
        if (piece === undefined || piece.length % length !== 0) return undefined
        const [outer, inner] = cut(piece, length)
        if (outer.length > 1) pieces.push(outer)
        strides.push(inner.stride)
      }
      own.unshift({ length, strides })
    }
    found.push(...own)
  }
  const ordered =
    main === undefined
      ? found
      : found.toSorted((a, b) => Arr.getUnsafe(b.strides, main) - Arr.getUnsafe(a.strides, main))
  const joined: Array<Loop> = []
  for (const loop of ordered) {
    const last = joined.at(-1)
    if (last?.strides.every((stride, i) => stride === Arr.getUnsafe(loop.strides, i) * loop.length) === true)
      joined[joined.length - 1] = { length: last.length * loop.length, strides: loop.strides }
    else joined.push(loop)
  }
  return joined
}

/** The axes in their order in memory, outermost first. */
export const orderOf = ({ axes }: View): ReadonlyArray<number> => {
  const largest = (axis: number) => Math.max(0, ...Arr.getUnsafe(axes, axis).map(({ stride }) => stride))
  return axes.map((_, axis) => axis).toSorted((a, b) => largest(b) - largest(a))
}
