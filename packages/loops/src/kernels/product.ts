/**
 * A matrix times tiles of eight numbers: y[position][row] = Σₖ w[row][k] · x[position][k], where each element of x and y is eight adjacent numbers. A few rows by two positions
 * stay in registers while k runs. This covers linear layers, 1×1 convolutions, the input gradients of both and, over taps, any convolution.
 */
import * as Arr from "effect/Array"
import {
  again,
  call,
  type Code,
  f32x4,
  type Function,
  get,
  i32,
  type Local,
  loop,
  module,
  moved,
  set,
  tee,
  v128,
  when,
  type Writer,
  writer
} from "../internal/wasm.ts"
import type { Kernel, Style } from "../Kernel.ts"
import * as Split from "../Split.ts"

export interface Product {
  /** Rows that are computed at once, and how many are left over at the end. */
  readonly rows: number
  readonly rest: number
  /** Which elements of the matrix are adjacent: those of a row, `k` by `k`, or those of a column. */
  readonly order: "rows" | "columns"
  /** Values of k per round of the inner loop. */
  readonly unroll: 1 | 2
  /** What the sums start from: zero, a number per row, or the values in y. */
  readonly start: "zero" | "bias" | "result"
  /** Whether the matrix's elements are eight numbers each, like those of x: one matrix per image. */
  readonly wide?: boolean
  /** Whether there are several such products at regular distances. */
  readonly many?: boolean
}

/** The arguments, in order. Addresses and strides are in bytes. */
export interface Arguments<A> {
  readonly w: A
  readonly x: A
  readonly y: A
  /** The bias's address; ignored if there is none. */
  readonly bias: A
  /** Number of blocks of `rows` rows. */
  readonly blocks: number
  /** Number of blocks of `unroll` values of k. */
  readonly depth: A | number
  /** Distance from one row of the matrix to the next or, if columns are adjacent, from one column to the next. */
  readonly wStride: number
  /** Distance from one k to the next in x. */
  readonly xStride: number
  /** Distance from one row to the next in y. */
  readonly yStride: number
  /** Positions: lines of columns. */
  readonly lines: number
  readonly columns: number
  readonly xColumn: number
  readonly xLine: number
  readonly yColumn: number
  readonly yLine: number
  readonly taps: number
  /** Address of pairs of offsets, in x and in w: one pair per tap. */
  readonly table: A
}

/** How many products there are, in two loops, and the distances between them. */
export interface Many {
  readonly outer: number
  readonly inner: number
  readonly wOuter: number
  readonly xOuter: number
  readonly yOuter: number
  readonly wInner: number
  readonly xInner: number
  readonly yInner: number
}

/** The names of the arguments of one product, in order. */
export const own = [
  "w",
  "x",
  "y",
  "bias",
  "blocks",
  "depth",
  "wStride",
  "xStride",
  "yStride",
  "lines",
  "columns",
  "xColumn",
  "xLine",
  "yColumn",
  "yLine",
  "taps",
  "table"
] as const satisfies ReadonlyArray<keyof Arguments<unknown>>

const ofMany = [
  "outer",
  "inner",
  "wOuter",
  "xOuter",
  "yOuter",
  "wInner",
  "xInner",
  "yInner"
] as const satisfies ReadonlyArray<keyof Many>

const names = [...own, ...ofMany] as const

export const argumentsOf = <A>(a: Arguments<A>, many?: Many): ReadonlyArray<A | number> => [
  ...own.map((name) => a[name]),
  ...(many === undefined ? [] : ofMany.map((name) => many[name]))
]

/** Size in bytes from which a matrix no longer fits into a core's second-level cache next to its other contents. */
const large = 262_144

/** As many rows at once as fit into registers, but few enough to leave no short rest. */
export const blocking = (rows: number): Pick<Product, "rows" | "rest"> & { readonly blocks: number } => {
  const sizes = [6, 5, 4].filter((size) => rows % size === 0)
  const size = rows < 6 ? rows : (sizes[0] ?? [6, 5, 4].find((n) => rows % n >= 3) ?? 6)
  return { rows: size, rest: rows % size, blocks: Math.floor(rows / size) }
}

export const keyOf = ({ many, order, rest, rows, start, unroll, wide }: Product) =>
  `product ${rows}+${rest} ${order} ${unroll} ${start}${wide === true ? " wide" : ""}${many === true ? " many" : ""}`

/**
 * How threads share a product: by lines of positions, by positions, or by rows; by rows first if the matrix is large, so that each thread has less of it to go through repeatedly. Several
 * products are shared one by one.
 */
export const splitOf = (product: Product, a: Arguments<unknown>, many?: Many): Split.Split | undefined => {
  const { order, rest, rows, wide } = product
  const element = wide === true ? 32 : 4
  const depth = typeof a.depth === "number" ? a.depth * product.unroll : 0
  const byRows =
    rest > 0
      ? []
      : [
          Split.of(names, {
            steps: a.blocks,
            counts: ["blocks"],
            moves: {
              w: order === "rows" ? rows * a.wStride : rows * element,
              y: rows * a.yStride,
              bias: product.start === "bias" ? 4 * rows : 0
            }
          })
        ]
  const byPositions = [
    Split.of(names, { steps: a.lines, counts: ["lines"], moves: { x: a.xLine, y: a.yLine } }),
    ...(a.lines === 1
      ? [Split.of(names, { steps: a.columns, grain: 2, counts: ["columns"], moves: { x: a.xColumn, y: a.yColumn } })]
      : [])
  ]
  if (many !== undefined)
    return Split.best([
      Split.of(names, {
        steps: many.outer,
        counts: ["outer"],
        moves: { w: many.wOuter, x: many.xOuter, y: many.yOuter }
      }),
      ...(many.outer === 1
        ? [
            Split.of(names, {
              steps: many.inner,
              counts: ["inner"],
              moves: { w: many.wInner, x: many.xInner, y: many.yInner }
            })
          ]
        : []),
      ...byPositions
    ])
  const isLarge = element * rows * a.blocks * depth * a.taps > large
  return Split.best(isLarge ? [...byRows, ...byPositions] : [...byPositions, ...byRows])
}

/** Reads those arguments that a function needs, by name, from the address in its first parameter. */
const read = <Name extends (typeof names)[number]>(w: Writer, wanted: ReadonlyArray<Name>) => {
  const locals = wanted.map((name) => [name, w.local("i32")] as const)
  return {
    code: locals.map(([name, local]) => [get(0), i32.load(4 * names.indexOf(name)), set(local)]),
    // One entry for each of the names.
    at: Object.fromEntries(locals) as Record<Name, Local>
  }
}

/**
 * The function for a tile: `count` rows by `wide` positions. It is a separate function with nothing around its loops, because that is where V8 finds registers for all sums.
 */
const tile = (product: Product, count: number, wide: 1 | 2, { fused }: Style): Function => {
  const { order, start, unroll } = product
  const isWide = product.wide === true
  const element = isWide ? 32 : 4
  const w = writer(5)
  const [, xAt, yAt, wAt, biasAt] = [0, 1, 2, 3, 4] as const
  const { at: given, code: begin } = read(w, [
    "depth",
    "wStride",
    "xStride",
    "yStride",
    "xColumn",
    "yColumn",
    "taps",
    "table"
  ])
  const k = w.local("i32")
  // One local per position: V8 joins stores at two offsets from the same local.
  const at = w.several(2, "i32")
  const xs = w.several(2, "i32")
  const ws = w.several(count, "i32")
  const halves = Array.from({ length: 2 * wide }, (_, h) => h)
  const each = Array.from({ length: count }, (_, r) => r)
  const sums = each.map(() => halves.map(() => w.local("v128")))
  const sum = (r: number, h: number) => Arr.getUnsafe(Arr.getUnsafe(sums, r), h)
  const loads = halves.map(() => w.local("v128"))
  const factors = isWide ? [w.local("v128"), w.local("v128")] : [w.local("v128")]
  const factor = (h: number) => Arr.getUnsafe(factors, isWide ? h & 1 : 0)
  const madd = (a: Code, b: Code, c: Code): Code =>
    fused ? [a, b, c, f32x4.relaxedMadd] : [c, a, b, f32x4.mul, f32x4.add]
  const yOf = (h: number): Code => get(Arr.getUnsafe(at, h >> 1))
  const first: Code = [[get(yAt), set(at[0])], wide === 2 ? [get(yAt), get(given.yColumn), i32.add, set(at[1])] : []]
  const next: Code = at.slice(0, wide).map((position) => moved(position, get(given.yStride)))
  const initial = each.map((r): Code => {
    if (start === "zero") return halves.map((h) => [v128.floats(0), set(sum(r, h))])
    if (start === "bias")
      return [get(biasAt), v128.splat(4 * r), set(factor(0)), halves.map((h) => [get(factor(0)), set(sum(r, h))])]
    return [halves.map((h) => [yOf(h), v128.load(16 * (h & 1)), set(sum(r, h))]), next]
  })
  const oneK = (u: number): Code => [
    halves.map((h) => [get(Arr.getUnsafe(xs, h >> 1)), v128.load(16 * (h & 1)), set(Arr.getUnsafe(loads, h))]),
    xs.slice(0, wide).map((x) => moved(x, get(given.xStride))),
    each.map((r) => [
      factors.map((own, half) => {
        const [from, offset] = order === "rows" ? ([r, element * u] as const) : ([0, element * r] as const)
        return [get(Arr.getUnsafe(ws, from)), isWide ? v128.load(offset + 16 * half) : v128.splat(offset), set(own)]
      }),
      halves.map((h) => [madd(get(factor(h)), get(Arr.getUnsafe(loads, h)), get(sum(r, h))), set(sum(r, h))])
    ]),
    order === "columns" ? moved(Arr.getUnsafe(ws, 0), get(given.wStride)) : []
  ]
  const body = [
    begin,
    first,
    initial,
    loop([
      [get(xAt), get(given.table), i32.load(0), i32.add, set(xs[0])],
      wide === 2 ? [get(xs[0]), get(given.xColumn), i32.add, set(xs[1])] : [],
      [get(wAt), get(given.table), i32.load(4), i32.add, set(Arr.getUnsafe(ws, 0))],
      order === "rows"
        ? each
            .slice(1)
            .map((r) => [get(Arr.getUnsafe(ws, r - 1)), get(given.wStride), i32.add, set(Arr.getUnsafe(ws, r))])
        : [],
      [get(given.depth), set(k)],
      loop([
        Array.from({ length: unroll }, (_, u) => oneK(u)),
        order === "rows" ? each.map((r) => moved(Arr.getUnsafe(ws, r), i32.const(element * unroll))) : [],
        again(k)
      ]),
      moved(given.table, i32.const(8)),
      again(given.taps)
    ]),
    first,
    each.map((r) => [halves.map((h) => [yOf(h), get(sum(r, h)), v128.store(16 * (h & 1))]), next])
  ]
  return { writer: w, body }
}

/** The functions that a product consists of; the last one takes the address of the arguments. */
export const functions = (product: Product, style: Style): ReadonlyArray<Function> => {
  const { order, rest, rows } = product
  const element = product.wide === true ? 32 : 4
  const widths = style.positions === 2 ? ([1, 2] as const) : ([1] as const)
  const tiles = [rows, ...(rest > 0 ? [rest] : [])].flatMap((count) => widths.map((wide) => ({ count, wide })))
  const w = writer()
  const { at: given, code: begin } = read(w, [
    "w",
    "x",
    "y",
    "bias",
    "blocks",
    "wStride",
    "yStride",
    "lines",
    "columns",
    "xColumn",
    "xLine",
    "yColumn",
    "yLine"
  ])
  const [column, block, xAt, yAt, yBlock, wBlock, biasAt] = w.several(7, "i32")
  const called = (count: number, wide: 1 | 2): Code => [
    [get(0), get(xAt), get(yBlock), get(wBlock), get(biasAt)],
    call(tiles.findIndex((t) => t.count === count && t.wide === wide))
  ]
  /** All rows at one or two positions. */
  const positions = (wide: 1 | 2): Code => [
    [get(yAt), set(yBlock), get(given.w), set(wBlock), get(given.bias), set(biasAt), get(given.blocks), set(block)],
    loop([
      called(rows, wide),
      moved(yBlock, [get(given.yStride), i32.const(rows), i32.mul]),
      moved(wBlock, order === "rows" ? [get(given.wStride), i32.const(rows), i32.mul] : i32.const(element * rows)),
      moved(biasAt, i32.const(4 * rows)),
      again(block)
    ]),
    rest > 0 ? called(rest, wide) : []
  ]
  /** All columns left, `wide` at a time. */
  const along = (wide: 1 | 2): Code =>
    loop([
      positions(wide),
      moved(xAt, [get(given.xColumn), i32.const(wide), i32.mul]),
      moved(yAt, [get(given.yColumn), i32.const(wide), i32.mul]),
      again(column)
    ])
  const line: Code =
    style.positions === 2
      ? [
          [get(given.columns), i32.const(1), i32.shrUnsigned, tee(column)],
          when(along(2)),
          [get(given.columns), i32.const(1), i32.and],
          when(positions(1))
        ]
      : [[get(given.columns), set(column)], along(1)]
  const body = [
    begin,
    loop([
      [get(given.x), set(xAt), get(given.y), set(yAt)],
      line,
      moved(given.x, get(given.xLine)),
      moved(given.y, get(given.yLine)),
      again(given.lines)
    ])
  ]
  const one = [...tiles.map(({ count, wide }) => tile(product, count, wide, style)), { writer: w, body }]
  return product.many === true ? [...one, repeated(one.length - 1)] : one
}

/** Calls a product for each of several: its three addresses among the arguments are moved, and restored at the end. */
const repeated = (product: number): Function => {
  const w = writer()
  const { at: given, code: begin } = read(w, [
    "w",
    "x",
    "y",
    "outer",
    "inner",
    "wOuter",
    "xOuter",
    "yOuter",
    "wInner",
    "xInner",
    "yInner"
  ])
  const count = w.local("i32")
  const places = (["w", "x", "y"] as const).map((name) => ({
    outer: given[name],
    by: { outer: given[`${name}Outer`], inner: given[`${name}Inner`] },
    inner: w.local("i32"),
    argument: 4 * names.indexOf(name)
  }))
  const told = (from: "outer" | "inner") =>
    places.map((place): Code => [get(0), get(place[from]), i32.store(place.argument)])
  const first = places.map((place) => [place, w.local("i32")] as const)
  const body = [
    begin,
    first.map(([place, kept]) => [get(place.outer), set(kept)]),
    loop([
      places.map((place) => [get(place.outer), set(place.inner)]),
      [get(given.inner), set(count)],
      loop([
        told("inner"),
        [get(0), call(product)],
        places.map((place) => moved(place.inner, get(place.by.inner))),
        again(count)
      ]),
      places.map((place) => moved(place.outer, get(place.by.outer))),
      again(given.outer)
    ]),
    first.map(([place, kept]) => [get(0), get(kept), i32.store(place.argument)])
  ]
  return { writer: w, body }
}

/** The kernel for a product. */
export const kernel = (product: Product, style: Style): Kernel => ({
  key: keyOf(product),
  bytes: () => module(functions(product, style), style)
})
