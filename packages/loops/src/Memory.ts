/**
 * Where buffers lie: each from the phase that first writes it to the phase that last reads it, in the lowest place that is free meanwhile. What a tile alone needs, within one phase, lies in a room that
 * the next tile uses again, from the piece of work that first writes it to the one that last reads it: it stays in the cache.
 */
import * as Arr from "effect/Array"
import type { Phase } from "./Schedule.ts"
import type { Buffer } from "./View.ts"

/** From a phase to a phase, both included. */
export interface Life {
  readonly buffer: Buffer
  /** Of the buffer. */
  readonly bytes: number
  /** The first phase. */
  readonly from: number
  /** The last phase. */
  readonly to: number
}

/** Where buffers lie. */
export interface Placement {
  /** Bytes from the start of the memory, by the buffer's number. */
  readonly places: ReadonlyMap<number, number>
  /** Of all together. */
  readonly bytes: number
}

const aligned = (bytes: number) => Math.ceil(bytes / 64) * 64

/** Bytes of a buffer, of all groups or stretches together, up to whole eights of elements. */
export const bytesOf = ({ kind, size }: Buffer, groups: number, stretches: number): number =>
  aligned(4 * Math.ceil(size / 8) * 8 * (kind === "lanes" ? groups : kind === "sums" ? stretches : 1))

/** A buffer's first and last phase, and within them its first and last piece of work. */
interface Span {
  from: number
  to: number
  first: number
  last: number
  /** Whether tiles only ever see what is theirs. */
  lanes: boolean
}

const spansOf = (phases: ReadonlyArray<Phase>): ReadonlyMap<number, Span> => {
  const spans = new Map<number, Span>()
  for (const [i, phase] of phases.entries()) {
    const all = phase._tag === "Host" ? [phase.host] : phase.work
    for (const [n, { reads, writes }] of all.entries())
      for (const { id, kind } of [...reads, ...writes]) {
        const lanes = kind === "lanes" && phase._tag === "Tiles"
        const span = spans.get(id)
        if (span === undefined) spans.set(id, { from: i, to: i, first: n, last: n, lanes })
        else {
          span.to = i
          span.last = n
          span.lanes &&= lanes
        }
      }
  }
  return spans
}

/** What decides where a program's buffers lie. */
export interface Needs {
  readonly phases: ReadonlyArray<Phase>
  readonly buffers: ReadonlyArray<Buffer>
  /** Those that stay to the end, and those that lie elsewhere. */
  readonly kept: ReadonlySet<number>
  readonly elsewhere: ReadonlySet<number>
  /** How many groups of lanes the batch makes. */
  readonly groups: number
  /** How many stretches the batch makes. */
  readonly stretches: number
}

/** Buffers that phases share, and those that tiles have for themselves, by phase; of these `from` and `to` are pieces of work. */
export interface Lives {
  readonly shared: ReadonlyArray<Life>
  readonly tiles: ReadonlyArray<ReadonlyArray<Life>>
}

/** When each buffer is in use. */
export const livesOf = ({ buffers, elsewhere, groups, kept, phases, stretches }: Needs): Lives => {
  const shared: Array<Life> = []
  const tiles = phases.map((): Array<Life> => [])
  for (const [id, { first, from, lanes, last, to }] of spansOf(phases)) {
    const buffer = Arr.getUnsafe(buffers, id)
    if (elsewhere.has(id)) continue
    if (lanes && from === to && !kept.has(id))
      Arr.getUnsafe(tiles, from).push({ buffer, bytes: bytesOf(buffer, 1, 1), from: first, to: last })
    else shared.push({ buffer, bytes: bytesOf(buffer, groups, stretches), from, to: kept.has(id) ? phases.length : to })
  }
  return { shared, tiles }
}

/** Where everything lies: what all share, and what each tile has of its own. */
export interface Layout {
  readonly shared: Placement
  /** From the start of a tile's room. */
  readonly tile: Placement
}

/** Where buffers lie that are in use when these are. */
export const layoutOf = ({ shared, tiles }: Lives): Layout => {
  const rooms = tiles.map(placed)
  return {
    shared: placed(shared),
    tile: {
      places: new Map(rooms.flatMap(({ places }) => [...places])),
      bytes: Math.max(0, ...rooms.map(({ bytes }) => bytes))
    }
  }
}

/** The largest first, each in the lowest gap between those that live at the same time. */
export const placed = (lives: ReadonlyArray<Life>): Placement => {
  /** In the order in which they lie. */
  const done: Array<Life & { readonly at: number }> = []
  let bytes = 0
  for (const life of lives.toSorted((a, b) => b.bytes - a.bytes || a.from - b.from)) {
    let at = 0
    for (const other of done) {
      if (at + life.bytes <= other.at) break
      if (other.from <= life.to && life.from <= other.to) at = Math.max(at, other.at + other.bytes)
    }
    const behind = done.findIndex((other) => other.at > at)
    done.splice(behind < 0 ? done.length : behind, 0, { ...life, at })
    bytes = Math.max(bytes, at + life.bytes)
  }
  return { places: new Map(done.map(({ at, buffer }) => [buffer.id, at])), bytes }
}

/** Bytes that are in use in each phase. */
export const usage = (lives: ReadonlyArray<Life>, phases: number): ReadonlyArray<number> =>
  Array.from({ length: phases }, (_, phase) =>
    lives.reduce((sum, { bytes, from, to }) => (from <= phase && phase <= to ? sum + bytes : sum), 0)
  )
