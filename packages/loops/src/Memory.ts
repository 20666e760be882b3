/**
 * Where buffers are placed: each from the phase that first writes it to the phase that last reads it, at the lowest address that is free in the meantime. What only a single tile needs, within one
 * phase, is placed in memory that the next tile reuses, from the piece of work that first writes it to the one that last reads it: it stays in the cache.
 */
import * as Arr from "effect/Array"
import type { Phase } from "./Schedule.ts"
import type { Buffer } from "./View.ts"

/** The lifetime of a buffer, from one phase to another, both included. */
export interface Life {
  readonly buffer: Buffer
  /** Size of the buffer. */
  readonly bytes: number
  /** The first phase. */
  readonly from: number
  /** The last phase. */
  readonly to: number
}

/** The placement of buffers. */
export interface Placement {
  /** Byte offsets from the start of the memory, by buffer number. */
  readonly places: ReadonlyMap<number, number>
  /** Total size. */
  readonly bytes: number
}

const aligned = (bytes: number) => Math.ceil(bytes / 64) * 64

/** Bytes of a buffer, over all groups or stretches, rounded up to multiples of eight elements. */
export const bytesOf = ({ kind, size }: Buffer, groups: number, stretches: number): number =>
  aligned(4 * Math.ceil(size / 8) * 8 * (kind === "lanes" ? groups : kind === "sums" ? stretches : 1))

/** A buffer's first and last phase, and within them its first and last piece of work. */
interface Span {
  from: number
  to: number
  first: number
  last: number
  /** Whether tiles only ever see their own part. */
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

/** What determines where a program's buffers are placed. */
export interface Needs {
  readonly phases: ReadonlyArray<Phase>
  readonly buffers: ReadonlyArray<Buffer>
  /** Buffers that are kept to the end, and buffers that are placed elsewhere. */
  readonly kept: ReadonlySet<number>
  readonly elsewhere: ReadonlySet<number>
  /** How many groups of lanes the batch is divided into. */
  readonly groups: number
  /** How many stretches the batch is divided into. */
  readonly stretches: number
}

/** Buffers that phases share and, by phase, those that tiles have to themselves; for the latter, `from` and `to` are pieces of work. */
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

/** Where everything is placed: what all share, and what each tile has to itself. */
export interface Layout {
  readonly shared: Placement
  /** Relative to the start of a tile's memory. */
  readonly tile: Placement
}

/** Places buffers with these lifetimes. */
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

/** Places the largest first, each in the lowest gap between those in use at the same time. */
export const placed = (lives: ReadonlyArray<Life>): Placement => {
  /** In order of address. */
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
