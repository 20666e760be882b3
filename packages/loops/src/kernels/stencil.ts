/**
 * Depthwise convolutions: every channel of an image has its own few taps. `apply` is y[position][c] = bias[c] + Σ over taps of w[c][tap] · x[position + tap][c]; `gradient` is
 * Σ over positions of dy[position][c] · x[position + tap][c] for every tap. Up to four positions of a line are processed at once, since they share taps and neighbours.
 */
import * as Arr from "effect/Array"
import {
  again,
  call,
  type Code,
  f32x4,
  forget,
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

/** Where a tap reads, in lines and columns of the image, and which weight of a channel it uses. */
export interface Tap {
  readonly line: number
  readonly column: number
  readonly weight: number
}

export interface Stencil {
  readonly what: "apply" | "gradient"
  readonly taps: ReadonlyArray<Tap>
  /** Columns of the image from one position to the next. */
  readonly step: number
  /** Weights per channel. */
  readonly weights: number
  readonly bias: boolean
}

/**
 * The arguments, in order; addresses and strides in bytes. `y` is the result, or the incoming gradient; `w` the weights, `[channel][weight]`, or the sums, `[channel][weight][8]`.
 */
export interface Arguments<A> {
  readonly x: A
  readonly y: A
  readonly w: A
  readonly bias: A
  readonly channels: number
  readonly lines: number
  readonly positions: number
  /** Distances from one line of the image to the next that a tap may name, and from one column to the next. */
  readonly xLine: number
  readonly xColumn: number
  /** Distance from one line of positions to the next, in the image. */
  readonly xNext: number
  readonly yNext: number
  readonly yColumn: number
}

const names = [
  "x",
  "y",
  "w",
  "bias",
  "channels",
  "lines",
  "positions",
  "xLine",
  "xColumn",
  "xNext",
  "yNext",
  "yColumn"
] as const satisfies ReadonlyArray<keyof Arguments<unknown>>

export const argumentsOf = <A>(given: Arguments<A>): ReadonlyArray<A | number> => names.map((name) => given[name])

/** How threads share it: by lines of positions or by channels; sums over positions only by channels. */
export const splitOf = ({ bias, weights, what }: Stencil, a: Arguments<unknown>): Split.Split | undefined =>
  Split.best([
    ...(what === "apply"
      ? [Split.of(names, { steps: a.lines, counts: ["lines"], moves: { x: a.xNext, y: a.yNext } })]
      : []),
    Split.of(names, {
      steps: a.channels,
      counts: ["channels"],
      moves: { x: 32, y: 32, w: (what === "apply" ? 4 : 32) * weights, bias: bias ? 4 : 0 }
    })
  ])

const keyOf = ({ bias, step, taps, weights, what }: Stencil): string =>
  `stencil ${what} ${step} of ${weights}${bias ? " bias" : ""} ${taps.map((t) => `${t.line},${t.column}:${t.weight}`).join(" ")}`

const read = <Name extends (typeof names)[number]>(w: Writer, wanted: ReadonlyArray<Name>) => {
  const locals = wanted.map((name) => [name, w.local("i32")] as const)
  return {
    code: locals.map(([name, local]) => [get(0), i32.load(4 * names.indexOf(name)), set(local)]),
    // One entry for each of the names.
    at: Object.fromEntries(locals) as Record<Name, Local>
  }
}

/** An integer times a factor. */
const times = (factor: number, local: Local): Code =>
  factor === 1 ? get(local) : [get(local), i32.const(factor), i32.mul]

/** All channels of `wide` positions. */
const block = ({ bias, step, taps, weights, what }: Stencil, wide: number, { fused }: Style): Function => {
  const w = writer(3)
  const [, xAt, yAt] = [0, 1, 2] as const
  const { at: given, code: begin } = read(w, ["w", "bias", "channels", "xLine", "xColumn", "yColumn"])
  const positions = Array.from({ length: wide }, (_, i) => i)
  const lines = [...new Set(taps.map((t) => t.line))].sort((a, b) => a - b)
  const columns = [...new Set(taps.flatMap((t) => positions.map((i) => t.column + i * step)))].sort((a, b) => a - b)
  const lineAt = lines.map(() => w.local("i32"))
  const columnAt = columns.map(() => w.local("i32"))
  const yAts = positions.map(() => w.local("i32"))
  const here = w.local("i32")
  const halves = [0, 1]
  const madd = (a: Code, b: Code, c: Code): Code =>
    fused ? [a, b, c, f32x4.relaxedMadd] : [c, a, b, f32x4.mul, f32x4.add]
  const offsets = [
    columns.map((column, i) => [times(column, given.xColumn), set(Arr.getUnsafe(columnAt, i))]),
    positions.map((i) => [
      i === 0 ? get(yAt) : [get(Arr.getUnsafe(yAts, i - 1)), get(given.yColumn), i32.add],
      set(Arr.getUnsafe(yAts, i))
    ])
  ]
  const startOfLines = lines.map((line, i) => [
    line === 0 ? get(xAt) : [get(xAt), times(line, given.xLine), i32.add],
    set(Arr.getUnsafe(lineAt, i))
  ])
  const image = halves.map(() => w.local("v128"))
  /** Loads every element of the image once, for all positions whose taps meet it. */
  const everyElement = (met: (half: number, tap: number, position: number) => Code) =>
    lines.map((line, l) =>
      columns.map((column, c) => {
        const meets = taps.flatMap((t, tap) =>
          positions.flatMap((i) => (t.line === line && t.column + i * step === column ? [{ tap, i }] : []))
        )
        if (meets.length === 0) return []
        return [
          [get(Arr.getUnsafe(lineAt, l)), get(Arr.getUnsafe(columnAt, c)), i32.add, set(here)],
          halves.map((h) => [get(here), v128.load(16 * h), set(Arr.getUnsafe(image, h))]),
          meets.map(({ i, tap }) => halves.map((h) => met(h, tap, i)))
        ]
      })
    )
  const inner =
    what === "apply"
      ? (() => {
          const sums = positions.map(() => halves.map(() => w.local("v128")))
          const sum = (i: number, h: number) => Arr.getUnsafe(Arr.getUnsafe(sums, i), h)
          const factors = taps.map(() => w.local("v128"))
          const first = positions.map((i) =>
            halves.map((h) => [bias ? [get(given.bias), v128.splat()] : v128.floats(0), set(sum(i, h))])
          )
          const loaded = taps.map((t, i) => [get(given.w), v128.splat(4 * t.weight), set(Arr.getUnsafe(factors, i))])
          const through = everyElement((h, tap, i) => [
            madd(get(Arr.getUnsafe(image, h)), get(Arr.getUnsafe(factors, tap)), get(sum(i, h))),
            set(sum(i, h))
          ])
          const stores = positions.map((i) =>
            halves.map((h) => [get(Arr.getUnsafe(yAts, i)), get(sum(i, h)), v128.store(16 * h)])
          )
          return [
            first,
            loaded,
            through,
            stores,
            moved(given.w, i32.const(4 * weights)),
            bias ? moved(given.bias, i32.const(4)) : [],
            forget([...sums.flat(), ...factors, ...image])
          ]
        })()
      : (() => {
          const sums = taps.map(() => halves.map(() => w.local("v128")))
          const sum = (i: number, h: number) => Arr.getUnsafe(Arr.getUnsafe(sums, i), h)
          const ys = positions.map(() => halves.map(() => w.local("v128")))
          const y = (i: number, h: number) => Arr.getUnsafe(Arr.getUnsafe(ys, i), h)
          const loaded = [
            taps.map((t, i) => halves.map((h) => [get(given.w), v128.load(32 * t.weight + 16 * h), set(sum(i, h))])),
            positions.map((i) => halves.map((h) => [get(Arr.getUnsafe(yAts, i)), v128.load(16 * h), set(y(i, h))]))
          ]
          const through = everyElement((h, tap, i) => [
            madd(get(Arr.getUnsafe(image, h)), get(y(i, h)), get(sum(tap, h))),
            set(sum(tap, h))
          ])
          const stores = taps.map((t, i) =>
            halves.map((h) => [get(given.w), get(sum(i, h)), v128.store(32 * t.weight + 16 * h)])
          )
          return [
            loaded,
            through,
            stores,
            moved(given.w, i32.const(32 * weights)),
            forget([...sums.flat(), ...ys.flat(), ...image])
          ]
        })()
  const body = [
    begin,
    offsets,
    startOfLines,
    loop([
      inner,
      lineAt.map((at) => moved(at, i32.const(32))),
      yAts.map((at) => moved(at, i32.const(32))),
      again(given.channels)
    ])
  ]
  return { writer: w, body }
}

const widths = [1, 2, 4]

const write = (stencil: Stencil, style: Style): Uint8Array => {
  const w = writer()
  const { at: given, code: begin } = read(w, ["x", "y", "lines", "positions", "xColumn", "xNext", "yNext", "yColumn"])
  const [left, xAt, yAt] = w.several(3, "i32")
  const called = (index: number): Code => [
    [get(0), get(xAt), get(yAt), call(index)],
    moved(xAt, [get(given.xColumn), i32.const(Arr.getUnsafe(widths, index) * stencil.step), i32.mul]),
    moved(yAt, [get(given.yColumn), i32.const(Arr.getUnsafe(widths, index)), i32.mul])
  ]
  const body = [
    begin,
    loop([
      [get(given.x), set(xAt), get(given.y), set(yAt)],
      [get(given.positions), i32.const(2), i32.shrUnsigned, tee(left)],
      when(loop([called(2), again(left)])),
      [get(given.positions), i32.const(2), i32.and, when(called(1))],
      [get(given.positions), i32.const(1), i32.and, when(called(0))],
      moved(given.x, get(given.xNext)),
      moved(given.y, get(given.yNext)),
      again(given.lines)
    ])
  ]
  return module([...widths.map((wide) => block(stencil, wide, style)), { writer: w, body }], style)
}

/** The kernel for a depthwise convolution. */
export const kernel = (stencil: Stencil, style: Style): Kernel => ({
  key: keyOf(stencil),
  bytes: () => write(stencil, style)
})
