/** The order that a program's instructions require, and the phases that they are divided into. */
import * as Arr from "effect/Array"
import type { Instruction } from "./lower/context.ts"
import { toWork } from "./Nest.ts"
import type { Buffer } from "./View.ts"
import type { Clear } from "./Work.ts"

/** An instruction, with the numbers of those that it waits for. */
export interface Step {
  readonly instruction: Exclude<Instruction, Clear>
  readonly clears: ReadonlyArray<Clear>
  /** The instructions that it reads from or overwrites, and whether a tile only ever meets its own data. */
  readonly after: ReadonlyArray<{ readonly step: number; readonly own: boolean }>
}

export const readsOf = (i: Step["instruction"]): ReadonlyArray<Buffer> =>
  i._tag === "Nest"
    ? [...i.operands.map((view) => view.buffer), ...i.results.flatMap((r) => (r.carry ? [r.view.buffer] : []))]
    : i.reads

export const writesOf = (i: Step["instruction"]): ReadonlyArray<Buffer> =>
  i._tag === "Nest" ? i.results.map((r) => r.view.buffer) : i.writes

/** Whether a tile only reads what the same tile wrote: both see the buffer as lanes. */
const isOwn = (a: Buffer, b: Buffer) => a.kind === "lanes" && b.kind === "lanes"

/** Which instructions wait for which. */
export const stepsOf = (instructions: ReadonlyArray<Instruction>): ReadonlyArray<Step> => {
  const writers = new Map<number, Array<{ readonly step: number; readonly buffer: Buffer }>>()
  const readers = new Map<number, Array<{ readonly step: number; readonly buffer: Buffer }>>()
  const clears = new Map<number, Clear>()
  const steps: Array<Step> = []
  for (const instruction of instructions) {
    if (instruction._tag === "Clear") {
      clears.set(instruction.buffer.id, instruction)
      continue
    }
    const step = steps.length
    const after = new Map<number, boolean>()
    const wait = (
      others: ReadonlyArray<{ readonly step: number; readonly buffer: Buffer }> | undefined,
      buffer: Buffer
    ) => {
      for (const other of others ?? [])
        if (other.step !== step) after.set(other.step, (after.get(other.step) ?? true) && isOwn(other.buffer, buffer))
    }
    const [reads, writes] = [readsOf(instruction), writesOf(instruction)]
    for (const buffer of reads) wait(writers.get(buffer.id), buffer)
    for (const buffer of writes) {
      wait(writers.get(buffer.id), buffer)
      wait(readers.get(buffer.id), buffer)
    }
    const note = (to: typeof writers, buffer: Buffer) => {
      const known = to.get(buffer.id)
      if (known === undefined) to.set(buffer.id, [{ step, buffer }])
      else known.push({ step, buffer })
    }
    for (const buffer of reads) note(readers, buffer)
    for (const buffer of writes) note(writers, buffer)
    const own = writes.flatMap((buffer) => {
      const clear = clears.get(buffer.id)
      clears.delete(buffer.id)
      return clear === undefined ? [] : [clear]
    })
    steps.push({ instruction, clears: own, after: [...after].map(([step, own]) => ({ step, own })) })
  }
  return steps
}

/** What a phase consists of: calls to JavaScript, work on a single tile, work on parts of plain arrays, or work on groups of the batch. */
const kinds = ["host", "once", "parts", "groups"] as const
type Kind = (typeof kinds)[number]

const kindOf = (instruction: Step["instruction"], groups: number): Kind => {
  if (instruction._tag === "Host") return "host"
  if (instruction._tag === "Nest" && instruction.lanes) return "groups"
  const tiles = instruction._tag === "Nest" ? (toWork(instruction, groups)?.tiles ?? 1) : instruction.tiles
  const inLanes =
    instruction._tag === "Work" && [...instruction.reads, ...instruction.writes].some(({ kind }) => kind === "lanes")
  return inLanes ? "groups" : tiles === 1 ? "once" : "parts"
}

/** The phase number of every step; the kinds of phases alternate in a fixed cycle. */
export const phaseNumbers = (steps: ReadonlyArray<Step>, groups: number) => {
  const phases: Array<number> = []
  const own: Array<Kind> = []
  for (const { after, instruction } of steps) {
    const kind = kindOf(instruction, groups)
    const turn = kinds.indexOf(kind)
    let earliest = 0
    for (const { own: isOwn, step } of after) {
      const together = own[step] === kind && (kind === "once" || kind === "host" || (kind === "groups" && isOwn))
      earliest = Math.max(earliest, Arr.getUnsafe(phases, step) + (together ? 0 : 1))
    }
    phases.push(earliest + ((turn - (earliest % kinds.length) + kinds.length) % kinds.length))
    own.push(kind)
  }
  // Instructions that wait for nothing, above all zeros, and recomputed ones run where they are first needed.
  const wanted = new Map<number, Array<number>>()
  for (const [i, { after }] of steps.entries())
    for (const { step } of after) {
      const known = wanted.get(step)
      if (known === undefined) wanted.set(step, [i])
      else known.push(i)
    }
  for (let i = steps.length - 1; i >= 0; i--) {
    const { after, instruction } = Arr.getUnsafe(steps, i)
    const isLate = instruction._tag === "Nest" && instruction.late === true
    if (!isLate && (after.length > 0 || readsOf(instruction).length > 0)) continue
    const readers = wanted.get(i) ?? []
    const first = Math.min(...readers.map((other) => Arr.getUnsafe(phases, other) - (own[other] === own[i] ? 0 : 1)))
    const turn = kinds.indexOf(Arr.getUnsafe(own, i))
    const latest = first - ((((first - turn) % kinds.length) + kinds.length) % kinds.length)
    if (latest > Arr.getUnsafe(phases, i) && latest < Infinity) phases[i] = latest
  }
  return phases
}
