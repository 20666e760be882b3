/** A schedule as what the machine runs: kernels, their arguments, and lists of both. */
import type { Kernel, Style } from "./Kernel.ts"
import * as Clear from "./kernels/clear.ts"
import type { Phase } from "./Schedule.ts"
import type { Address, Arg, Host, Work } from "./Work.ts"

/** Calls of a stretch of tiles in a phase, as pairs of words from one place to another. */
export interface Calls {
  readonly from: number
  readonly to: number
  /** What each of the calls is for, by its number among the phase's work; −1 where sums are cleared. */
  readonly work: ReadonlyArray<number>
}

export type Part =
  | {
      readonly _tag: "Calls"
      readonly stretches: ReadonlyArray<Calls>
      readonly phase: number
      /** Where the stretches' ends stand, a pair of words for each. */
      readonly table: number
    }
  | {
      readonly _tag: "Host"
      readonly host: Host
      readonly inputs: ReadonlyArray<number>
      readonly outputs: ReadonlyArray<number>
    }

export interface Code {
  readonly kernels: ReadonlyArray<Kernel>
  /** Arguments and lists, to lie from the given address on. */
  readonly words: Int32Array
  readonly parts: ReadonlyArray<Part>
}

/** What emission has to know of where things are. */
export interface Places {
  /** The address of a buffer. */
  readonly addressOf: (id: number) => number
  /** The address of a buffer that lies in the room of a stretch's tiles, where it does. */
  readonly tileOf: (id: number, stretch: number) => number | undefined
  /** Where the words will lie. */
  readonly words: number
  /** Room to work in, by stretch. */
  readonly scratchOf: (stretch: number) => number
  /** The place in the machine's table of kernels. */
  readonly numberOf: (kernel: Kernel) => number
  readonly stretches: number
}

const addressOf = ({ at, buffer, tile = 0 }: Address, tileNumber: number, stretch: number, places: Places): number => {
  const own = places.tileOf(buffer.id, stretch)
  if (own !== undefined) return own + at
  const further = {
    lanes: 4 * buffer.size * tileNumber,
    sums: 4 * buffer.size * stretch,
    plain: tile * tileNumber
  }[buffer.kind]
  return places.addressOf(buffer.id) + at + further
}

const valueOf = (arg: Arg, tile: number, tiles: number, stretch: number, places: Places): number => {
  if (typeof arg === "number") return arg
  if (arg === "scratch") return places.scratchOf(stretch)
  return "buffer" in arg ? addressOf(arg, tile, stretch, places) : tile === tiles - 1 ? arg.last : arg.all
}

/** The first tile of a stretch. */
export const firstTile = (stretch: number, tiles: number, stretches: number): number =>
  Math.floor((stretch * tiles) / stretches)

export const emit = (phases: ReadonlyArray<Phase>, style: Style, places: Places): Code => {
  const words: Array<number> = []
  const kernels = new Map<string, Kernel>()
  const numberOf = (kernel: Kernel) => {
    kernels.set(kernel.key, kernel)
    return places.numberOf(kernel)
  }
  const put = (values: ReadonlyArray<number>): number => {
    const at = places.words + 4 * words.length
    words.push(...values)
    return at
  }
  const kernelOf = new Map<Work, { readonly all: number; readonly last: number }>()
  const numbers = (work: Work) => {
    const known = kernelOf.get(work)
    if (known !== undefined) return known
    const all = numberOf(work.kernel(style))
    const made = { all, last: work.lastKernel === undefined ? all : numberOf(work.lastKernel(style)) }
    kernelOf.set(work, made)
    return made
  }
  const parts = phases.map((phase, index): Part => {
    if (phase._tag === "Host") {
      const { host } = phase
      const [inputs, outputs] = [host.inputs, host.outputs].map((all) => all.map((at) => addressOf(at, 0, 0, places)))
      return { _tag: "Host", host, inputs, outputs }
    }
    const { clears, tiles, work } = phase
    const used = Math.min(places.stretches, tiles)
    const lists = Array.from({ length: places.stretches }, (_, stretch): Calls => {
      const calls: Array<number> = []
      const numbersOfWork: Array<number> = []
      for (const { buffer, value } of clears) {
        const at = addressOf({ buffer, at: 0 }, 0, stretch, places)
        numbersOfWork.push(-1)
        calls.push(numberOf(Clear.kernel(style)), put(Clear.argumentsOf(at, buffer.size, value)))
      }
      if (stretch < used)
        for (let tile = firstTile(stretch, tiles, used); tile < firstTile(stretch + 1, tiles, used); tile++)
          for (const [number, step] of work.entries()) {
            numbersOfWork.push(number)
            const { all, last } = numbers(step)
            const args = step.args.map((arg) => valueOf(arg, tile, tiles, stretch, places))
            calls.push(tile === tiles - 1 ? last : all, put(args))
          }
      const from = put(calls)
      return { from, to: from + 4 * calls.length, work: numbersOfWork }
    })
    const stretches = lists.filter(({ work }) => work.length > 0)
    const table = put(stretches.flatMap(({ from, to }) => [from, to]))
    return { _tag: "Calls", stretches, phase: index, table }
  })
  return { kernels: [...kernels.values()], words: Int32Array.from(words), parts }
}
