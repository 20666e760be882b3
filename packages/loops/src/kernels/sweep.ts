/**
 * Loops over the elements of some operands: element-wise functions, sums and maxima, with any number of results at once.
 *
 * An element is either eight adjacent numbers (eight images of a batch, or eight neighbours in a plain array) or one number. If an operand does not move in a loop, it is
 * read outside the loop, and everything that depends only on it is computed there too. A sum over inner loops stays in registers; a sum over outer loops is accumulated in memory.
 */
import * as Arr from "effect/Array"
import * as Expression from "../Expression.ts"
import {
  again,
  type Code,
  f32x4,
  forget,
  get,
  i32,
  i32x4,
  type Local,
  loop,
  module,
  set,
  v128,
  type Writer,
  writer
} from "../internal/wasm.ts"
import type { Kernel, Style } from "../Kernel.ts"

/** How an operand moves from one round of a loop to the next: not at all, to the adjacent element, or by a given stride. */
export type Move = "no" | "unit" | "stride"

export interface Operand {
  /** A `splat` is one number used for all eight. */
  readonly kind: "vector" | "splat"
  /** For each loop, outermost first; only the innermost may be `unit`. */
  readonly moves: ReadonlyArray<Move>
}

export interface Result {
  readonly expression: Expression.Expression
  readonly kind: "store" | "sum" | "max" | "min"
  readonly moves: ReadonlyArray<Move>
  /** Whether it is combined with the existing value. */
  readonly carry: boolean
}

/** A nest of loops, without addresses and lengths. */
export interface Sweep {
  /** Numbers per element. */
  readonly width: 8 | 1
  readonly loops: number
  readonly operands: ReadonlyArray<Operand>
  readonly results: ReadonlyArray<Result>
  /** Elements of the innermost loop that are processed per round. */
  readonly unroll: 1 | 2
}

/** The arguments in their order in memory: the lengths of the loops, then the address of every operand and result with its strides in bytes. */
export const argumentsOf = (
  { loops, operands, results, unroll }: Sweep,
  lengths: ReadonlyArray<number>,
  places: ReadonlyArray<{ readonly address: number; readonly strides: ReadonlyArray<number> }>
): ReadonlyArray<number> => [
  ...lengths.map((n, loop) => (loop === loops - 1 ? n / unroll : n)),
  ...[...operands, ...results].flatMap(({ moves }, i) => [
    Arr.getUnsafe(places, i).address,
    ...Arr.getUnsafe(places, i).strides.filter((_, loop) => moves[loop] === "stride")
  ])
]

const letters = (moves: ReadonlyArray<Move>) => moves.map((move) => move[0]).join("")

const keyOf = ({ loops, operands, results, unroll, width }: Sweep): string => {
  return [
    `sweep ${width} ${loops} ${unroll}`,
    ...operands.map((o) => `${o.kind[0]}${letters(o.moves)}`),
    ...results.map((r) => `${r.kind}${r.carry ? "+" : ""}${letters(r.moves)}=${Expression.key(r.expression)}`)
  ].join(" ")
}

/** The loops outside of which nothing moves. */
const depthOf = (moves: ReadonlyArray<Move>): number => moves.findLastIndex((move) => move !== "no") + 1

/** Makes a product and a sum one instruction if the product is added to something and not used otherwise. */
const contracted = (results: ReadonlyArray<Result>): ReadonlyArray<Result> => {
  const uses = new Map<string, number>()
  for (const part of Expression.parts(results.map((r) => r.expression)))
    for (const arg of Expression.argsOf(part)) uses.set(Expression.key(arg), (uses.get(Expression.key(arg)) ?? 0) + 1)
  for (const { expression } of results)
    uses.set(Expression.key(expression), (uses.get(Expression.key(expression)) ?? 0) + 1)
  const done = new Map<string, Expression.Expression>()
  const isProduct = (x: Expression.Expression) => x.op === "mul" && uses.get(Expression.key(x)) === 1
  const go = (e: Expression.Expression): Expression.Expression => {
    if (!("args" in e)) return e
    const known = done.get(Expression.key(e))
    if (known !== undefined) return known
    let made = Expression.withArgs(e, e.args.map(go))
    if (e.op === "add" || e.op === "sub") {
      const [x, y] = e.args
      if (isProduct(y) && y.op === "mul") {
        const [a, b] = [go(y.args[0]), go(y.args[1])]
        made = e.op === "add" ? Expression.madd(a, b, go(x)) : Expression.nmadd(a, b, go(x))
      } else if (isProduct(x) && x.op === "mul" && e.op === "add") {
        const [a, b] = [go(x.args[0]), go(x.args[1])]
        made = Expression.madd(a, b, go(y))
      }
    }
    done.set(Expression.key(e), made)
    return made
  }
  return results.map((r) => ({ ...r, expression: go(r.expression) }))
}

const operators: Partial<Record<Expression.Expression["op"], Code>> = {
  neg: f32x4.neg,
  abs: f32x4.abs,
  sqrt: f32x4.sqrt,
  nearest: f32x4.nearest,
  floor: f32x4.floor,
  fromWords: f32x4.fromWords,
  toWords: i32x4.fromFloats,
  not: v128.not,
  add: f32x4.add,
  sub: f32x4.sub,
  mul: f32x4.mul,
  div: f32x4.div,
  min: f32x4.min,
  max: f32x4.max,
  pseudoMin: f32x4.pseudoMin,
  pseudoMax: f32x4.pseudoMax,
  less: f32x4.less,
  greater: f32x4.greater,
  greaterOrEqual: f32x4.greaterOrEqual,
  equal: f32x4.equal,
  greaterWords: i32x4.greater,
  greaterOrEqualWords: i32x4.greaterOrEqual,
  equalWords: i32x4.equal,
  addWords: i32x4.add,
  subWords: i32x4.sub,
  and: v128.and,
  andNot: v128.andNot,
  or: v128.or
}

/** An instruction on its arguments. */
const instruction = (e: Expression.Expression, args: ReadonlyArray<Code>, { fused }: Style): Code => {
  switch (e.op) {
    case "shift":
      return [args, i32.const(Math.abs(e.by)), e.by > 0 ? i32x4.shiftLeft : i32x4.shiftRight]
    case "madd":
      return fused
        ? [args, f32x4.relaxedMadd]
        : [Arr.getUnsafe(args, 0), Arr.getUnsafe(args, 1), f32x4.mul, Arr.getUnsafe(args, 2), f32x4.add]
    case "nmadd":
      return fused
        ? [args, f32x4.relaxedNmadd]
        : [Arr.getUnsafe(args, 2), Arr.getUnsafe(args, 0), Arr.getUnsafe(args, 1), f32x4.mul, f32x4.sub]
    case "select":
      return [Arr.getUnsafe(args, 1), Arr.getUnsafe(args, 2), Arr.getUnsafe(args, 0), v128.select]
    default:
      return [args, operators[e.op] ?? []]
  }
}

const joining: Record<"sum" | "max" | "min", Code> = { sum: f32x4.add, max: f32x4.max, min: f32x4.min }
/** The neutral element of each kind of reduction. */
export const neutral: Record<"sum" | "max" | "min", number> = { sum: 0, max: -Infinity, min: Infinity }

/** An address that moves through the loops. */
interface Pointer {
  readonly moves: ReadonlyArray<Move>
  readonly at: Local
  /** What is added at the end of a round of each loop, if anything. */
  readonly steps: ReadonlyArray<Code | undefined>
}

/** Reads the arguments: the code, and where things are afterwards. */
const prologue = (w: Writer, sweep: Sweep) => {
  const { loops, operands, results, unroll, width } = sweep
  const code: Array<Code> = []
  let next = 0
  const argument = (): Local => {
    const local = w.local("i32")
    code.push(get(0), i32.load(4 * next++), set(local))
    return local
  }
  const lengths = Array.from({ length: loops }, argument)
  const pointer = ({ kind, moves }: { readonly kind: string; readonly moves: ReadonlyArray<Move> }): Pointer => {
    const at = argument()
    const unit = kind === "splat" || width === 1 ? 4 : 32
    const strides = moves.map((move) => (move === "no" ? 0 : move === "unit" ? unit : argument()))
    // In the innermost loop the pointer advances; in the others it also reverts the moves of the loop inside.
    const steps = moves.map((move, loop): Code | undefined => {
      const inner = moves[loop + 1] ?? "no"
      const innermost = loop === loops - 1
      if (move === "no" && inner === "no") return undefined
      if (innermost && move === "unit") return i32.const(unit * unroll)
      const strideOf = (loop: number): Code =>
        moves[loop] === "stride" ? get(Arr.getUnsafe(strides, loop)) : i32.const(Arr.getUnsafe(strides, loop))
      const roundsInside = (): Code => {
        const length = get(Arr.getUnsafe(lengths, loop + 1))
        return loop + 1 === loops - 1 ? [length, i32.const(unroll), i32.mul] : length
      }
      const back = inner === "no" ? [] : [roundsInside(), strideOf(loop + 1), i32.mul, i32.sub]
      const step = w.local("i32")
      code.push(strideOf(loop), innermost ? [i32.const(unroll), i32.mul] : [], back, set(step))
      return get(step)
    })
    return { moves, at, steps }
  }
  return {
    lengths,
    operands: operands.map(pointer),
    results: results.map((r) => pointer({ kind: "vector", moves: r.moves })),
    code
  }
}

const advance = ({ at, steps }: Pointer, loop: number): Code => {
  const step = steps[loop]
  return step === undefined ? [] : [get(at), step, i32.add, set(at)]
}

const write = (given: Sweep, style: Style): Uint8Array => {
  const sweep = { ...given, results: style.fused ? contracted(given.results) : given.results }
  const { loops, operands, results, unroll, width } = sweep
  const w = writer()
  const halves = width === 8 ? [0, 1] : [0]
  const { code: begin, lengths, operands: sources, results: targets } = prologue(w, sweep)
  const counters = lengths.map(() => w.local("i32"))
  const levels = new Map<string, number>()
  const order = Expression.parts(results.map((r) => r.expression))
  for (const part of order)
    levels.set(
      Expression.key(part),
      part.op === "operand"
        ? depthOf(Arr.getUnsafe(operands, part.index).moves)
        : Math.max(0, ...Expression.argsOf(part).map((arg) => levels.get(Expression.key(arg)) ?? 0))
    )
  const inputs = new Map<string, number>()
  for (const part of order)
    for (const arg of Expression.argsOf(part))
      inputs.set(Expression.key(arg), (inputs.get(Expression.key(arg)) ?? 0) + 1)
  for (const { expression } of results)
    inputs.set(Expression.key(expression), (inputs.get(Expression.key(expression)) ?? 0) + 1)
  const levelOf = (part: Expression.Expression) => levels.get(Expression.key(part)) ?? 0
  /**
   * Values that are used more than once, or outside the loop that computes them, are kept in locals; the others stay on the stack. V8 assumes that a local set in a loop lives on into the next
   * round, and only joins halves if few of them do.
   */
  const kept = new Set<string>()
  for (const part of order) {
    if (levelOf(part) < loops || (inputs.get(Expression.key(part)) ?? 0) > 1) kept.add(Expression.key(part))
    for (const arg of Expression.argsOf(part)) if (levelOf(arg) < levelOf(part)) kept.add(Expression.key(arg))
  }
  /** Whether both halves are the same vector. */
  const isSame = (part: Expression.Expression) =>
    part.op === "number" ||
    part.op === "word" ||
    (part.op === "operand" && Arr.getUnsafe(operands, part.index).kind === "splat")
  const places = new Map<string, ReadonlyArray<Local>>()
  const pool: Array<Local> = []
  const fresh = () => pool.pop() ?? w.local("v128")
  const loaded = ({ index }: { readonly index: number }, round: number, half: number): Code => {
    const { kind, moves } = Arr.getUnsafe(operands, index)
    const innermost = moves[loops - 1] === "unit" ? round : 0
    return [
      get(Arr.getUnsafe(sources, index).at),
      kind === "splat" || width === 1 ? v128.splat(4 * innermost) : v128.load(32 * innermost + 16 * half)
    ]
  }
  /** Code that leaves one half of a part on the stack. */
  const value = (part: Expression.Expression, round: number, half: number): Code => {
    const own = places.get(Expression.key(part))
    return own === undefined ? made(part, round, half) : get(Arr.getUnsafe(own, half))
  }
  const made = (part: Expression.Expression, round: number, half: number): Code =>
    part.op === "operand"
      ? loaded(part, round, half)
      : part.op === "number"
        ? v128.floats(part.value)
        : part.op === "word"
          ? v128.words(part.value)
          : instruction(
              part,
              part.args.map((arg) => value(arg, round, half)),
              style
            )
  const rounds = Array.from({ length: unroll }, (_, round) => round)
  /** Sets the locals for what is kept at a level. Those of the innermost loop are reused once nothing needs them any more. */
  const at = (level: number, round: number): Code => {
    const own = order.filter((part) => levelOf(part) === level && kept.has(Expression.key(part)))
    return own.map((part) => {
      const same = isSame(part)
      const locals = same ? [fresh()] : halves.map(fresh)
      const code = locals.map((local, half) => [made(part, round, half), set(local)])
      places.set(
        Expression.key(part),
        halves.map((half) => Arr.getUnsafe(locals, same ? 0 : half))
      )
      return code
    })
  }
  /** The innermost loop's locals are free for its next round. */
  const released = (): Code => {
    const free: Array<Local> = []
    for (const part of order)
      if (levelOf(part) === loops) {
        const own = places.get(Expression.key(part))
        if (own === undefined) continue
        free.push(...new Set(own))
        places.delete(Expression.key(part))
      }
    pool.push(...free)
    return forget(free)
  }

  const depths = results.map((r) => depthOf(r.moves))
  // Sums in registers, for results that do not move in the innermost loop.
  const sums = results.map((r, i) =>
    Arr.getUnsafe(depths, i) < loops && r.kind !== "store" ? halves.map(() => w.local("v128")) : []
  )
  const offset = (i: number, round: number, half: number) =>
    (Arr.getUnsafe(results, i).moves[loops - 1] === "unit" ? 4 * width * round : 0) + 16 * half
  const there = (i: number, offset: number): Code => [
    get(Arr.getUnsafe(targets, i).at),
    width === 1 ? v128.splat(offset) : v128.load(offset)
  ]
  const store = (offset: number): Code => (width === 1 ? v128.storeLane(0, offset) : v128.store(offset))

  /** Writes the results of a level: all are put on the stack before one is stored, so that V8 sees no store between two loads. */
  const written = (level: number, round: number): Code => {
    const own = results.flatMap((result, i) =>
      depths[i] === level && Arr.getUnsafe(sums, i).length === 0 ? halves.map((half) => ({ result, i, half })) : []
    )
    const values = own.map(({ half, i, result }): Code => {
      const fresh = value(result.expression, round, half)
      const joined =
        result.kind === "store" || !result.carry
          ? fresh
          : [there(i, offset(i, round, half)), fresh, joining[result.kind]]
      return [get(Arr.getUnsafe(targets, i).at), joined]
    })
    return [values, own.toReversed().map(({ half, i }) => store(offset(i, round, half)))]
  }
  const summed = (round: number): Code =>
    results.map((r, i) =>
      Arr.getUnsafe(sums, i).map((sum, half) =>
        r.kind === "store" ? [] : [get(sum), value(r.expression, round, half), joining[r.kind], set(sum)]
      )
    )
  const started = (level: number): Code =>
    results.map(({ kind }, i) =>
      depths[i] === level && kind !== "store"
        ? Arr.getUnsafe(sums, i).map((sum) => [v128.floats(neutral[kind]), set(sum)])
        : []
    )
  const ended = (level: number): Code =>
    results.map((r, i) => {
      if (depths[i] !== level || r.kind === "store") return []
      const { kind } = r
      return [
        Arr.getUnsafe(sums, i).map((sum, half) => [
          get(Arr.getUnsafe(targets, i).at),
          r.carry ? [there(i, 16 * half), get(sum), joining[kind]] : get(sum)
        ]),
        Arr.getUnsafe(sums, i)
          .map((_, half) => store(16 * half))
          .toReversed()
      ]
    })
  const round = (n: number): Code => {
    const code = [at(loops, n), summed(n), written(loops, n)]
    return [code, released()]
  }
  const inside = (level: number): Code => {
    if (level === loops) return rounds.map(round)
    const counter = Arr.getUnsafe(counters, level)
    const movedOn = [...sources, ...targets].map((pointer) => advance(pointer, level))
    return [
      at(level, 0),
      started(level),
      [get(Arr.getUnsafe(lengths, level)), set(counter)],
      loop([inside(level + 1), movedOn, again(counter)]),
      ended(level),
      written(level, 0)
    ]
  }
  return module([{ writer: w, body: [begin, inside(0)] }], style)
}

/** The kernel for a nest. */
export const kernel = (sweep: Sweep, style: Style): Kernel => ({
  key: keyOf(sweep),
  bytes: () => write(sweep, style)
})
