/**
 * Sums of products over positions and lanes: out[row][column] += Σ a[position][row] · b[position][column], where every element of a and b is eight numbers. They are the weight gradients of
 * linear layers and convolutions. Six rows by two columns stay in registers during the loop over positions; at the end, each sum's eight parts are added up.
 */
import * as Arr from "effect/Array"
import {
  again,
  type Code,
  f32x4,
  forget,
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
  writer
} from "../internal/wasm.ts"
import type { Kernel, Style } from "../Kernel.ts"
import * as Split from "../Split.ts"

export interface Outer {
  readonly rows: number
  readonly restRows: number
  readonly columns: 1 | 2
  readonly restColumns: 0 | 1
  /** Whether a mask excludes lanes that are not images. */
  readonly masked: boolean
}

/** The arguments, in order. Addresses and strides are in bytes. */
export interface Arguments<A> {
  readonly a: A
  readonly b: A
  readonly out: A
  /** 24 · 16 bytes of scratch memory. */
  readonly scratch: A
  readonly rowBlocks: number
  readonly columnBlocks: number
  /** Distances from one row to the next in a and in the result, and from one column to the next in b. Columns of the result are adjacent. */
  readonly aRow: number
  readonly bColumn: number
  readonly outRow: number
  /** Positions: lines of columns of them; lines in chunks. */
  readonly chunks: number
  readonly lines: number
  readonly positions: number
  readonly aPosition: number
  readonly aLine: number
  readonly bPosition: number
  readonly bLine: number
  /** Eight words with all bits set or none. */
  readonly mask: A
}

const names = [
  "a",
  "b",
  "out",
  "scratch",
  "rowBlocks",
  "columnBlocks",
  "aRow",
  "bColumn",
  "outRow",
  "chunks",
  "lines",
  "positions",
  "aPosition",
  "aLine",
  "bPosition",
  "bLine",
  "mask"
] as const satisfies ReadonlyArray<keyof Arguments<unknown>>

export const argumentsOf = <A>(given: Arguments<A>): ReadonlyArray<A | number> => names.map((name) => given[name])

/** How threads share it: by columns or by rows, if nothing is left over at the end of these. */
export const splitOf = (
  { columns, restColumns, restRows, rows }: Outer,
  a: Arguments<unknown>
): Split.Split | undefined =>
  Split.best([
    ...(restColumns > 0
      ? []
      : [
          Split.of(names, {
            steps: a.columnBlocks,
            counts: ["columnBlocks"],
            moves: { b: columns * a.bColumn, out: 4 * columns }
          })
        ]),
    ...(restRows > 0
      ? []
      : [
          Split.of(names, {
            steps: a.rowBlocks,
            counts: ["rowBlocks"],
            moves: { a: rows * a.aRow, out: rows * a.outRow }
          })
        ])
  ])

/** How rows and columns are divided. */
export const blocking = (rows: number, columns: number) => {
  const size = rows < 6 ? rows : ([6, 5, 4].find((n) => rows % n === 0) ?? 6)
  const wide = columns < 2 ? 1 : 2
  return {
    rows: size,
    restRows: rows % size,
    rowBlocks: Math.floor(rows / size),
    columns: wide,
    restColumns: wide === 2 && columns % 2 === 1 ? 1 : 0,
    columnBlocks: Math.floor(columns / wide)
  } as const
}

const keyOf = ({ columns, masked, restColumns, restRows, rows }: Outer) =>
  `outer ${rows}+${restRows} × ${columns}+${restColumns}${masked ? " masked" : ""}`

const write = ({ columns, masked, restColumns, restRows, rows }: Outer, style: Style): Uint8Array => {
  const w = writer()
  const given = Object.fromEntries(names.map((name) => [name, w.local("i32")])) as Record<(typeof names)[number], Local>
  const begin = names.map((name, i) => [get(0), i32.load(4 * i), set(given[name])])
  const [chunk, rowBlock, columnBlock, line, position] = w.several(5, "i32")
  const [aChunk, bChunk, aBlock, bBlock, outBlock, outAt] = w.several(6, "i32")
  const [aLine, bLine, aAt, bAt, bNext] = w.several(5, "i32")
  const aAts = Array.from({ length: Math.max(rows, restRows) }, () => w.local("i32"))
  const sums = Array.from({ length: Math.max(rows, restRows) * columns * 2 }, () => w.local("v128"))
  const bs = Array.from({ length: columns * 2 }, () => w.local("v128"))
  const as = [w.local("v128"), w.local("v128")]
  const masks = masked ? [w.local("v128"), w.local("v128")] : []
  const four = [w.local("v128"), w.local("v128"), w.local("v128"), w.local("v128")]
  const madd = (a: Code, b: Code, c: Code): Code =>
    style.fused ? [a, b, c, f32x4.relaxedMadd] : [c, a, b, f32x4.mul, f32x4.add]
  const loaded = (from: Code, half: number): Code => [
    from,
    v128.load(16 * half),
    masked ? [get(Arr.getUnsafe(masks, half)), v128.and] : []
  ]

  /** Adds a block's sums, which are consecutive in scratch memory, each to its place in the result. */
  const joined = (count: number, wide: number): Code => {
    const all = count * wide
    const code: Array<Code> = [[get(outAt), set(aAt)]]
    for (let from = 0; from < all; from += 4) {
      // Both halves of up to four sums, then the columns of their transposition added up.
      code.push(
        [0, 1, 2, 3].map((i) =>
          from + i < all
            ? [
                [get(given.scratch), v128.load(32 * (from + i)), get(given.scratch), v128.load(32 * (from + i) + 16)],
                f32x4.add,
                set(Arr.getUnsafe(four, i))
              ]
            : []
        )
      )
      const pair = (i: number, j: number): Code => [
        [get(Arr.getUnsafe(four, i)), get(Arr.getUnsafe(four, j)), v128.shuffle(0, 4, 1, 5)],
        [get(Arr.getUnsafe(four, i)), get(Arr.getUnsafe(four, j)), v128.shuffle(2, 6, 3, 7)],
        f32x4.add
      ]
      code.push([pair(0, 1), set(Arr.getUnsafe(four, 0)), pair(2, 3), set(Arr.getUnsafe(four, 2))])
      code.push([
        [get(Arr.getUnsafe(four, 0)), get(Arr.getUnsafe(four, 2)), v128.shuffle(0, 1, 4, 5)],
        [get(Arr.getUnsafe(four, 0)), get(Arr.getUnsafe(four, 2)), v128.shuffle(2, 3, 6, 7)],
        [f32x4.add, set(Arr.getUnsafe(four, 0))]
      ])
      const here = Math.min(4, all - from)
      for (let i = 0; i < here; i += wide)
        code.push([
          get(aAt),
          [
            get(aAt),
            v128.floats(0),
            wide === 2 ? v128.loadLane64(i >> 1) : v128.loadLane(i),
            get(Arr.getUnsafe(four, 0)),
            f32x4.add
          ],
          wide === 2 ? v128.storeLane64(i >> 1) : v128.storeLane(i),
          moved(aAt, get(given.outRow))
        ])
    }
    return code
  }
  /** A block of sums over the positions of a chunk. */
  const block = (count: number, wide: number): Code => {
    const each = Array.from({ length: count }, (_, r) => r)
    const halves = Array.from({ length: 2 * wide }, (_, h) => h)
    const sum = (r: number, h: number) => Arr.getUnsafe(sums, r * columns * 2 + h)
    return [
      each.map((r) => halves.map((h) => [v128.floats(0), set(sum(r, h))])),
      [get(aBlock), set(aLine), get(bBlock), set(bLine), get(given.lines), set(line)],
      loop([
        [
          get(aLine),
          set(Arr.getUnsafe(aAts, 0)),
          each
            .slice(1)
            .map((r) => [get(Arr.getUnsafe(aAts, r - 1)), get(given.aRow), i32.add, set(Arr.getUnsafe(aAts, r))])
        ],
        [get(bLine), set(bAt), get(given.positions), set(position)],
        loop([
          wide === 2 ? [get(bAt), get(given.bColumn), i32.add, set(bNext)] : [],
          halves.map((h) => [loaded(get(h < 2 ? bAt : bNext), h & 1), set(Arr.getUnsafe(bs, h))]),
          moved(bAt, get(given.bPosition)),
          each.map((r) => [
            as.map((a, half) => [loaded(get(Arr.getUnsafe(aAts, r)), half), set(a)]),
            moved(Arr.getUnsafe(aAts, r), get(given.aPosition)),
            halves.map((h) => [
              madd(get(Arr.getUnsafe(as, h & 1)), get(Arr.getUnsafe(bs, h)), get(sum(r, h))),
              set(sum(r, h))
            ])
          ]),
          forget([...as, ...bs]),
          again(position)
        ]),
        moved(aLine, get(given.aLine)),
        moved(bLine, get(given.bLine)),
        again(line)
      ]),
      each.map((r) =>
        halves.map((h) => [get(given.scratch), get(sum(r, h)), v128.store(32 * (r * wide + (h >> 1)) + 16 * (h & 1))])
      ),
      joined(count, wide),
      forget([...sums, ...four])
    ]
  }
  const columnsOf = (count: number): Code => [
    [get(bChunk), set(bBlock), get(outBlock), set(outAt), get(given.columnBlocks), set(columnBlock)],
    loop([
      block(count, columns),
      moved(bBlock, [get(given.bColumn), i32.const(columns), i32.mul]),
      moved(outAt, i32.const(4 * columns)),
      again(columnBlock)
    ]),
    restColumns === 1 ? block(count, 1) : []
  ]
  const body = [
    begin,
    masks.map((mask, half) => [get(given.mask), v128.load(16 * half), set(mask)]),
    [get(given.a), set(aChunk), get(given.b), set(bChunk), get(given.chunks), set(chunk)],
    loop([
      [get(aChunk), set(aBlock), get(given.out), set(outBlock), get(given.rowBlocks), tee(rowBlock)],
      when(
        loop([
          columnsOf(rows),
          moved(aBlock, [get(given.aRow), i32.const(rows), i32.mul]),
          moved(outBlock, [get(given.outRow), i32.const(rows), i32.mul]),
          again(rowBlock)
        ])
      ),
      restRows > 0 ? columnsOf(restRows) : [],
      moved(aChunk, [get(given.aLine), get(given.lines), i32.mul]),
      moved(bChunk, [get(given.bLine), get(given.lines), i32.mul]),
      again(chunk)
    ])
  ]
  return module([{ writer: w, body }], style)
}

/** The kernel of such a product. */
export const kernel = (outer: Outer, style: Style): Kernel => ({ key: keyOf(outer), bytes: () => write(outer, style) })
