/** A schedule as the machine runs it: kernels, their arguments, and lists of both. */
import type { Kernel, Style } from "./Kernel.ts"
import * as ClearKernel from "./kernels/clear.ts"
import * as Repeat from "./kernels/repeat.ts"
import type { Phase } from "./Schedule.ts"
import * as Split from "./Split.ts"
import type { Address, Arg, Clear, Host, Work } from "./Work.ts"

type Tiles = Extract<Phase, { readonly _tag: "Tiles" }>

/** The calls for a stretch of tiles in a phase, or for a share of a piece of work: pairs of words between two addresses. */
export interface Calls {
  readonly from: number
  readonly to: number
  /** The piece of work that each call is for, by its number in the phase; −1 where sums are cleared. */
  readonly work: ReadonlyArray<number>
}

export type Part =
  | {
      readonly _tag: "Calls"
      readonly stretches: ReadonlyArray<Calls>
      readonly phase: number
      /** The address of the table of the stretches' ends, a pair of words each. */
      readonly table: number
      /** Whether it is worth waking other threads for them. */
      readonly together: boolean
    }
  | {
      readonly _tag: "Host"
      readonly host: Host
      readonly inputs: ReadonlyArray<number>
      readonly outputs: ReadonlyArray<number>
    }

export interface Code {
  readonly kernels: ReadonlyArray<Kernel>
  /** Arguments and lists, to be placed at the given address. */
  readonly words: Int32Array
  readonly parts: ReadonlyArray<Part>
}

/** What emission needs to know about where things are. */
export interface Places {
  /** The address of a buffer. */
  readonly addressOf: (id: number) => number
  /** The address of a buffer in the memory of a stretch's tiles, if it is there. */
  readonly tileOf: (id: number, stretch: number) => number | undefined
  /** Where the words will be placed. */
  readonly words: number
  /** Scratch memory, by stretch. */
  readonly scratchOf: (stretch: number) => number
  /** A kernel's index in the machine's table of kernels. */
  readonly numberOf: (kernel: Kernel) => number
  readonly stretches: number
  readonly threads: number
}

/** Roughly how long work takes, in nanoseconds. */
const worth = ({ bytes, macs }: Work): number => macs / 15 + bytes / 10

/** Phases and shares of work that take less time are not worth waking other threads for. */
const leastPhase = 30_000
const leastShare = 10_000
/** Shares per thread: a thread that finishes early takes another one. */
const sharesEach = 2

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

/** The most shares of one piece of work that are computed at the same time. */
export const mostShares = (threads: number): number => (threads > 1 ? sharesEach * threads : 1)

const valueOf = (arg: Arg, tile: number, tiles: number, stretch: number, places: Places, room = stretch): number => {
  if (typeof arg === "number") return arg
  if ("scratch" in arg) return places.scratchOf(room) + arg.scratch
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
  /** The address of the arguments of a piece of work, or of a share of it. */
  const argumentsOf = (
    { args, repeats, split }: Work,
    tile: number,
    tiles: number,
    stretch: number,
    room = stretch,
    share?: Split.Share
  ): number => {
    const values = (given: ReadonlyArray<Arg>) => given.map((arg) => valueOf(arg, tile, tiles, stretch, places, room))
    if (repeats === undefined) {
      const own = values(args)
      if (share === undefined || split === undefined) return put(own)
      return put(own.map((value, place) => Split.argument(split, share, place, value)))
    }
    const { kernels, rounds, shared } = repeats
    const moves: Array<Repeat.Moved> = []
    const calls = kernels.flatMap((one) => {
      const from = (place: number) => (share === undefined ? 0 : share.from * (one.moves.get(place)?.[shared] ?? 0))
      const at = put(values(one.args).map((value, place) => value + from(place)))
      for (const [place, strides] of one.moves) moves.push({ at: at + 4 * place, strides })
      return [numberOf(one.kernel(style)), at]
    })
    const own: Repeat.Rounds =
      share === undefined
        ? rounds
        : shared === 0
          ? [share.steps, rounds[1], rounds[2], rounds[3]]
          : [rounds[0], share.steps, rounds[2], rounds[3]]
    return put(Repeat.argumentsOf(own, calls, moves, put))
  }
  const tabled = (phase: number, stretches: ReadonlyArray<Calls>, together: boolean): Part => ({
    _tag: "Calls",
    stretches,
    phase,
    table: put(stretches.flatMap(({ from, to }) => [from, to])),
    together
  })
  const listed = (calls: ReadonlyArray<number>, work: ReadonlyArray<number>): Calls => {
    const from = put(calls)
    return { from, to: from + 4 * calls.length, work }
  }
  /** The parts of a single tile, one piece of work after another, shared where it pays off. */
  const inShares = ({ clears, work }: Tiles, phase: number): ReadonlyArray<Part> => {
    const parts: Array<Part> = []
    let alone = clears.flatMap((clear) => [...cleared(clear, 0)])
    let numbersAlone = clears.map(() => -1)
    const flush = () => {
      if (numbersAlone.length > 0) parts.push(tabled(phase, [listed(alone, numbersAlone)], false))
      ;[alone, numbersAlone] = [[], []]
    }
    for (const [number, step] of work.entries()) {
      const { last: kernel } = numbers(step)
      const most = Math.min(mostShares(places.threads), Math.floor(worth(step) / leastShare))
      const shares = step.split === undefined || most < 2 ? [] : Split.shares(step.split, most)
      if (shares.length < 2) {
        alone.push(kernel, argumentsOf(step, 0, 1, 0))
        numbersAlone.push(number)
        continue
      }
      flush()
      const all = shares.map((share, room) => listed([kernel, argumentsOf(step, 0, 1, 0, room, share)], [number]))
      parts.push(tabled(phase, all, true))
    }
    flush()
    return parts
  }
  const cleared = ({ buffer, value }: Clear, stretch: number) => {
    const at = addressOf({ buffer, at: 0 }, 0, stretch, places)
    return [numberOf(ClearKernel.kernel(style)), put(ClearKernel.argumentsOf(at, buffer.size, value))] as const
  }
  const parts = phases.flatMap((phase, index): ReadonlyArray<Part> => {
    if (phase._tag === "Host") {
      const { host } = phase
      const there = (at: Address) => addressOf(at, 0, 0, places)
      return [{ _tag: "Host", host, inputs: host.inputs.map(there), outputs: host.outputs.map(there) }]
    }
    const { clears, tiles, work } = phase
    if (tiles === 1 && places.threads > 1) return inShares(phase, index)
    // Parts of plain arrays have no sums of their own, so there can be one stretch per part.
    const isPlain = work.every(({ reads, writes }) => [...reads, ...writes].every(({ kind }) => kind === "plain"))
    const stretches = isPlain ? Math.max(places.stretches, tiles) : places.stretches
    const used = Math.min(stretches, tiles)
    const lists = Array.from({ length: stretches }, (_, stretch): Calls => {
      const calls: Array<number> = []
      const numbersOfWork: Array<number> = []
      for (const clear of clears) {
        numbersOfWork.push(-1)
        calls.push(...cleared(clear, stretch))
      }
      if (stretch < used)
        for (let tile = firstTile(stretch, tiles, used); tile < firstTile(stretch + 1, tiles, used); tile++)
          for (const [number, step] of work.entries()) {
            numbersOfWork.push(number)
            const { all, last } = numbers(step)
            calls.push(tile === tiles - 1 ? last : all, argumentsOf(step, tile, tiles, stretch))
          }
      return listed(calls, numbersOfWork)
    })
    const isWorthIt = work.reduce((sum, step) => sum + worth(step), 0) > leastPhase
    return [
      tabled(
        index,
        lists.filter((list) => list.work.length > 0),
        places.threads > 1 && isWorthIt
      )
    ]
  })
  return { kernels: [...kernels.values()], words: Int32Array.from(words), parts }
}
