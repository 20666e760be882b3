/**
 * Sums of products over positions and lanes, like `outer`, for matrices with many rows: out[row][column] += Σ a[position][row] · b[position][column]. A few positions of b at a time are
 * transposed so that eight columns are adjacent and lanes follow one another. It is then a product of a matrix with tiles whose depth is positions times lanes, and every sum is completed in a
 * register.
 */
import {
  again,
  call,
  type Code,
  type Function,
  type Local,
  get,
  i32,
  loop,
  module,
  moved,
  set,
  v128,
  writer
} from "../internal/wasm.ts"
import type { Kernel, Style } from "../Kernel.ts"
import * as Split from "../Split.ts"
import * as Product from "./product.ts"

/** The arguments that follow the product's. The product's `w` is the first chunk of a, its `x` the memory for transposed columns. */
export interface Arguments<A> {
  readonly b: A
  /** Bytes from one chunk of positions to the next. */
  readonly aChunk: number
  readonly bChunk: number
  readonly chunks: number
  /** Positions per chunk, and the address of their offsets in b. */
  readonly positions: number
  readonly offsets: A
  /** Groups of eight columns, and the distance from one column to the next. */
  readonly eights: number
  readonly bColumn: number
}

const names = [
  "b",
  "aChunk",
  "bChunk",
  "chunks",
  "positions",
  "offsets",
  "eights",
  "bColumn"
] as const satisfies ReadonlyArray<keyof Arguments<unknown>>

/** The index after all the arguments of a product. */
const first = Product.own.length

export const argumentsOf = <A>(product: Product.Arguments<A>, a: Arguments<A>): ReadonlyArray<A | number> => [
  ...Product.argumentsOf(product),
  ...names.map((name) => a[name])
]

/** How threads share it: by groups of eight columns, each thread transposing its own, or else by rows. */
export const splitOf = (
  product: Product.Product,
  given: Product.Arguments<unknown>,
  a: Arguments<unknown>
): Split.Split | undefined => {
  const all = [...Product.own, ...names] as const
  const { rest, rows } = product
  return Split.best([
    Split.of(all, {
      steps: a.eights,
      counts: ["columns", "eights"],
      moves: { b: 8 * a.bColumn, y: given.yColumn }
    }),
    ...(rest > 0
      ? []
      : [
          Split.of(all, {
            steps: given.blocks,
            counts: ["blocks"],
            moves: { w: rows * given.wStride, y: rows * given.yStride }
          })
        ])
  ])
}

/** Bytes of memory for a chunk's transposed columns. */
export const roomOf = (positions: number, columns: number): number => 32 * positions * columns

type Four = readonly [Local, Local, Local, Local]

/** Transposes four vectors of four columns' lanes into four vectors of four lanes' columns. */
const turned = (four: Four, two: Four): Code => [
  [get(four[0]), get(four[1]), v128.shuffle(0, 4, 1, 5), set(two[0])],
  [get(four[2]), get(four[3]), v128.shuffle(0, 4, 1, 5), set(two[1])],
  [get(four[0]), get(four[1]), v128.shuffle(2, 6, 3, 7), set(two[2])],
  [get(four[2]), get(four[3]), v128.shuffle(2, 6, 3, 7), set(two[3])],
  [get(two[0]), get(two[1]), v128.shuffle(0, 1, 4, 5), set(four[0])],
  [get(two[0]), get(two[1]), v128.shuffle(2, 3, 6, 7), set(four[1])],
  [get(two[2]), get(two[3]), v128.shuffle(0, 1, 4, 5), set(four[2])],
  [get(two[2]), get(two[3]), v128.shuffle(2, 3, 6, 7), set(four[3])]
]

const driver = (product: number): Function => {
  const w = writer()
  const given = Object.fromEntries(names.map((name) => [name, w.local("i32")])) as Record<
    (typeof names)[number],
    number
  >
  const [a, kept, room, to, block, position, from, at, column] = w.several(9, "i32")
  const four = w.several(4, "v128")
  const two = w.several(4, "v128")
  /** Moves four columns' lanes of one half to where the columns of those lanes belong. */
  const quarter = (half: number, quad: number): Code => [
    four.map((vector) => [get(column), v128.load(16 * half), set(vector), moved(column, get(given.bColumn))]),
    turned(four, two),
    four.map((vector, lane) => [get(to), get(vector), v128.store(32 * (4 * half + lane) + 16 * quad)])
  ]
  const body = [
    names.map((name, i) => [get(0), i32.load(4 * (first + i)), set(given[name])]),
    [get(0), i32.load(0), set(a), get(a), set(kept), get(0), i32.load(4), set(room)],
    loop([
      [get(room), set(to), get(given.b), set(from), get(given.eights), set(block)],
      loop([
        [get(given.offsets), set(at), get(given.positions), set(position)],
        loop([
          [0, 1].map((half) => [
            [get(from), get(at), i32.load(0), i32.add, set(column)],
            quarter(half, 0),
            quarter(half, 1)
          ]),
          moved(to, i32.const(256)),
          moved(at, i32.const(4)),
          again(position)
        ]),
        moved(from, [get(given.bColumn), i32.const(3), i32.shl]),
        again(block)
      ]),
      [get(0), get(a), i32.store(0), get(0), call(product)],
      moved(a, get(given.aChunk)),
      moved(given.b, get(given.bChunk)),
      again(given.chunks)
    ]),
    [get(0), get(kept), i32.store(0)]
  ]
  return { writer: w, body }
}

const write = (product: Product.Product, style: Style): Uint8Array => {
  const functions = Product.functions(product, style)
  return module([...functions, driver(functions.length - 1)], style)
}

/** The kernel for such sums, built on the product that they are. */
export const kernel = (product: Product.Product, style: Style): Kernel => ({
  key: `crossed ${Product.keyOf(product)}`,
  bytes: () => write(product, style)
})
