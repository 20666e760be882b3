/**
 * The order of a program's work, in phases. The tiles of a phase are independent of one another: each goes through all of the phase's work before the next one starts, while its data is in the
 * CPU's cache, and threads share them. Between two phases, all threads wait for one another. An instruction goes into the earliest phase in which its inputs are available.
 */
import * as Arr from "effect/Array"
import type { Lowered } from "./Lower.ts"
import { fused } from "./Fuse.ts"
import { sameView, toWork } from "./Nest.ts"
import { recomputed } from "./Recompute.ts"
import { phaseNumbers, readsOf, type Step, stepsOf, writesOf } from "./Steps.ts"
import type { Buffer } from "./View.ts"
import type { Clear, Host, Work } from "./Work.ts"

/** What runs between two points at which all threads wait. */
export type Phase =
  | {
      readonly _tag: "Tiles"
      readonly tiles: number
      readonly work: ReadonlyArray<Work>
      readonly clears: ReadonlyArray<Clear>
    }
  | { readonly _tag: "Host"; readonly host: Host }

const inWork = (instruction: Exclude<Step["instruction"], Host>, groups: number): Work => {
  if (instruction._tag === "Work") return instruction
  const work = toWork(instruction, groups)
  // Lowering copies anything that loops cannot handle.
  if (work === undefined) throw new Error(`no loops lead through ${instruction.node.kind} at ${instruction.node.path}`)
  return work
}

/** A program's phases, and all the buffers that they work on. */
export interface Schedule {
  readonly phases: ReadonlyArray<Phase>
  readonly buffers: ReadonlyArray<Buffer>
  /** New values that overwrite the old ones, from each buffer's number to its variable's. Each element depends on at most the same element of the old value, which nothing reads later. */
  readonly inPlace: ReadonlyMap<number, number>
}

/** Which new values are placed where their variables are. */
const inPlaceOf = (
  { outputs, updates, variables }: Lowered,
  phases: ReadonlyArray<ReadonlyArray<Step["instruction"]>>
): ReadonlyMap<number, number> => {
  const all = phases.flatMap((instructions, phase) => instructions.map((instruction) => ({ instruction, phase })))
  const readers = new Map<number, Array<(typeof all)[number]>>()
  const writers = new Map<number, Array<(typeof all)[number]>>()
  const note = (to: typeof readers, id: number, one: (typeof all)[number]) => {
    const known = to.get(id)
    if (known === undefined) to.set(id, [one])
    else known.push(one)
  }
  for (const one of all) {
    for (const { id } of readsOf(one.instruction)) note(readers, id, one)
    for (const { id } of writesOf(one.instruction)) note(writers, id, one)
  }
  const ends = new Map<number, number>()
  for (const { id } of [...outputs.values(), ...updates.values()]) ends.set(id, (ends.get(id) ?? 0) + 1)
  return new Map(
    [...updates].flatMap(([name, fresh]) => {
      const old = variables.get(name)
      const [writer, ...others] = writers.get(fresh.id) ?? []
      if (old === undefined || writer === undefined || others.length > 0 || writer.instruction._tag !== "Nest")
        return []
      const { operands, results } = writer.instruction
      const result = results.find(({ kind, view }) => kind === "store" && view.buffer.id === fresh.id)
      const isLast = (readers.get(old.id) ?? []).every((reader) => reader === writer || reader.phase < writer.phase)
      const isOwn = operands.every(
        (view) =>
          view.buffer.id !== old.id ||
          (result !== undefined && sameView({ ...view, buffer: result.view.buffer }, result.view))
      )
      const isOnlyOne = ends.get(fresh.id) === 1 && !ends.has(old.id)
      return isLast && isOwn && isOnlyOne ? [[fresh.id, old.id] as const] : []
    })
  )
}

/** Divides a lowered program into phases. */
export const make = (lowered: Lowered): Schedule => {
  const { groups, outputs, updates } = lowered
  const { buffers, instructions } = recomputed(lowered)
  const steps = stepsOf(instructions)
  const numbers = phaseNumbers(steps, groups)
  const kept = new Set([...outputs.values(), ...updates.values()].map(({ id }) => id))
  const byPhase = Map.groupBy(steps.keys(), (step) => Arr.getUnsafe(numbers, step))
  // The phases that read each buffer.
  const readIn = new Map<number, Set<number>>()
  for (const [i, { instruction }] of steps.entries())
    for (const { id } of readsOf(instruction))
      readIn.set(id, (readIn.get(id) ?? new Set()).add(Arr.getUnsafe(numbers, i)))
  const fusedPhases = [...byPhase]
    .toSorted(([a], [b]) => a - b)
    .map(([phase, members]) => {
      const isNeeded = (id: number) => kept.has(id) || [...(readIn.get(id) ?? [])].some((other) => other !== phase)
      return {
        clears: members.flatMap((step) => Arr.getUnsafe(steps, step).clears),
        inPhase: fused(steps, members, isNeeded)
      }
    })
  const phases = fusedPhases.flatMap(({ clears, inPhase }): ReadonlyArray<Phase> => {
    if (inPhase.some(({ _tag }) => _tag === "Host"))
      return inPhase.flatMap((host) => (host._tag === "Host" ? [{ _tag: "Host", host }] : []))
    const work = inPhase.flatMap((instruction) => (instruction._tag === "Host" ? [] : [inWork(instruction, groups)]))
    // Plain work is cut into as many parts as its length allows.
    return [...Map.groupBy(work, ({ tiles }) => tiles)].map(([tiles, together]) => ({
      _tag: "Tiles",
      tiles,
      work: together,
      clears: clears.filter(({ buffer }) => together.some(({ writes }) => writes.some(({ id }) => id === buffer.id)))
    }))
  })
  const inPlace = inPlaceOf(
    lowered,
    fusedPhases.map(({ inPhase }) => inPhase)
  )
  return { phases, buffers, inPlace }
}
