/** Where buffers lie: each from the phase that first writes it to the phase that last reads it, in the lowest place that is free meanwhile. */
import type { Phase } from "./Schedule.ts"
import type { Buffer } from "./View.ts"

/** From a phase to a phase, both included. */
export interface Life {
  readonly buffer: Buffer
  readonly bytes: number
  readonly from: number
  readonly to: number
}

export interface Placement {
  /** Bytes from the start of the memory, by the buffer's number. */
  readonly places: ReadonlyMap<number, number>
  readonly bytes: number
}

const aligned = (bytes: number) => Math.ceil(bytes / 64) * 64

/** Bytes of a buffer, of all groups or stretches together, up to whole eights of elements. */
export const bytesOf = ({ kind, size }: Buffer, groups: number, stretches: number): number =>
  aligned(4 * Math.ceil(size / 8) * 8 * (kind === "lanes" ? groups : kind === "sums" ? stretches : 1))

/** When each buffer is in use. Those that are kept stay to the end. */
export const livesOf = (
  phases: ReadonlyArray<Phase>,
  buffers: ReadonlyArray<Buffer>,
  kept: ReadonlySet<number>,
  groups: number,
  stretches: number
): ReadonlyArray<Life> => {
  const spans = new Map<number, { from: number; to: number }>()
  const use = (buffer: Buffer, phase: number) => {
    const span = spans.get(buffer.id)
    if (span === undefined) spans.set(buffer.id, { from: phase, to: phase })
    else span.to = phase
  }
  for (const [i, phase] of phases.entries()) {
    const all = phase._tag === "Host" ? [phase.host] : phase.work
    for (const { reads, writes } of all) for (const buffer of [...reads, ...writes]) use(buffer, i)
  }
  return [...spans].map(([id, { from, to }]) => ({
    buffer: buffers[id],
    bytes: bytesOf(buffers[id], groups, stretches),
    from,
    to: kept.has(id) ? phases.length : to
  }))
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
