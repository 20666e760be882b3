/**
 * Runs other kernels, one after another, for every round of four nested loops, in which their addresses move. What they pass to one another is small and stays in the cache, however large it would
 * be over all rounds.
 */
import * as Arr from "effect/Array"
import {
  again,
  block,
  branch,
  branchIf,
  call,
  callIndirect,
  type Code,
  get,
  i32,
  loop,
  module,
  set,
  writer
} from "../internal/wasm.ts"
import type { Kernel, Style } from "../Kernel.ts"

/** A number for each of the loops, outermost first: how often it runs, or how far something moves per round. */
export type Rounds = readonly [number, number, number, number]

/** An address among the kernels' arguments: where it is, and how many bytes it moves per round of each loop. */
export interface Moved {
  readonly at: number
  readonly strides: Rounds
}

const word = 4

/** The arguments: the four numbers of rounds, the bounds of the list of calls, and the bounds of the lists of moves at the end of a round of each loop, innermost first, and after all of them. */
export const argumentsOf = (
  rounds: Rounds,
  calls: ReadonlyArray<number>,
  moves: ReadonlyArray<Moved>,
  put: (words: ReadonlyArray<number>) => number
): ReadonlyArray<number> => {
  const stands = (words: ReadonlyArray<number>) => {
    const at = put(words)
    return [at, at + word * words.length]
  }
  const [, second, third, fourth] = rounds
  // A loop's step also reverts the moves of the loop inside it.
  const levels = [
    ({ strides }: Moved) => strides[3],
    ({ strides }: Moved) => strides[2] - fourth * strides[3],
    ({ strides }: Moved) => strides[1] - third * strides[2],
    ({ strides }: Moved) => strides[0] - second * strides[1],
    ({ strides }: Moved) => -rounds[0] * strides[0]
  ]
  return [
    ...rounds,
    ...stands(calls),
    ...levels.flatMap((by) => stands(moves.flatMap((one) => (by(one) === 0 ? [] : [one.at, by(one)]))))
  ]
}

/** Loops through pairs of words between the addresses in two locals. */
const pairs = (from: number, to: number, body: Code): Code =>
  block(
    loop([
      [get(from), get(to), i32.ltUnsigned, i32.eqz, branchIf(1)],
      body,
      [get(from), i32.const(2 * word), i32.add, set(from), branch(0)]
    ])
  )

/** Calls the kernels. */
const calls = () => {
  const w = writer()
  const [from, to] = [w.local("i32"), w.local("i32")]
  const body = [
    [get(0), i32.load(4 * word), set(from), get(0), i32.load(5 * word), set(to)],
    // The type of the first function is that of a kernel.
    pairs(from, to, [get(from), i32.load(word), get(from), i32.load(0), callIndirect(0)])
  ]
  return { writer: w, body }
}

/** Moves addresses; takes the address of the arguments, and where among them the bounds of the moves are. */
const moves = () => {
  const w = writer(2)
  const [from, to] = [w.local("i32"), w.local("i32")]
  const body = [
    [get(0), get(1), i32.add, i32.load(0), set(from), get(0), get(1), i32.add, i32.load(word), set(to)],
    pairs(from, to, [
      [get(from), i32.load(0)],
      [get(from), i32.load(0), i32.load(0), get(from), i32.load(word), i32.add],
      i32.store(0)
    ])
  ]
  return { writer: w, body }
}

/** The moves at the end of a round of a loop, counted from the innermost. */
const movedOn = (level: number): Code => [get(0), i32.const(word * (6 + 2 * level)), call(1)]

const write = (style: Style): Uint8Array => {
  const w = writer()
  const counts = [0, 1, 2, 3].map(() => w.local("i32"))
  const inside = (level: number): Code =>
    level === counts.length
      ? [get(0), call(0)]
      : [
          [get(0), i32.load(word * level), set(Arr.getUnsafe(counts, level))],
          loop([inside(level + 1), movedOn(counts.length - 1 - level), again(Arr.getUnsafe(counts, level))])
        ]
  const body = [inside(0), movedOn(counts.length)]
  return module([calls(), moves(), { writer: w, body }], style, { callsKernels: true })
}

/** The kernel that repeats others. */
export const kernel = (style: Style): Kernel => ({ key: "repeat", bytes: () => write(style) })
