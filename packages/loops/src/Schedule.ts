/**
 * The order of a program's work, in phases. The tiles of a phase do not need each other: each goes through all of the phase's work before the next one starts, while what it works on is in the
 * processor's cache, and threads share them. Between two phases everything waits. An instruction goes into the earliest phase that has what it reads.
 */
import type { Lowered } from "./Lower.ts"
import { fused } from "./Fuse.ts"
import { toWork } from "./Nest.ts"
import { recomputed } from "./Recompute.ts"
import { phaseNumbers, readsOf, type Step, stepsOf } from "./Steps.ts"
import type { Buffer } from "./View.ts"
import type { Clear, Host, Work } from "./Work.ts"

/** What runs between two waits for all threads. */
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
  // Lowering copies what loops cannot lead through.
  if (work === undefined) throw new Error(`no loops lead through ${instruction.node.kind} at ${instruction.node.path}`)
  return work
}

/** A program's phases, and all the buffers that they work on. */
export interface Schedule {
  readonly phases: ReadonlyArray<Phase>
  readonly buffers: ReadonlyArray<Buffer>
}

/** A lowered program in phases. */
export const make = (lowered: Lowered): Schedule => {
  const { groups, outputs, updates } = lowered
  const { buffers, instructions } = recomputed(lowered)
  const steps = stepsOf(instructions)
  const numbers = phaseNumbers(steps, groups)
  const kept = new Set([...outputs.values(), ...updates.values()].map(({ id }) => id))
  const byPhase = Map.groupBy(steps.keys(), (step) => numbers[step])
  // Who reads a buffer in another phase.
  const readIn = new Map<number, Set<number>>()
  for (const [i, { instruction }] of steps.entries())
    for (const { id } of readsOf(instruction)) readIn.set(id, (readIn.get(id) ?? new Set()).add(numbers[i]))
  const phases = [...byPhase]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([phase, members]): ReadonlyArray<Phase> => {
      const isNeeded = (id: number) => kept.has(id) || [...(readIn.get(id) ?? [])].some((other) => other !== phase)
      const inPhase = fused(steps, members, isNeeded)
      const clears = members.flatMap((step) => steps[step].clears)
      if (inPhase.some(({ _tag }) => _tag === "Host"))
        return inPhase.flatMap((host) => (host._tag === "Host" ? [{ _tag: "Host", host }] : []))
      const work = inPhase.flatMap((instruction) => (instruction._tag === "Host" ? [] : [inWork(instruction, groups)]))
      // Parts are cut into as many as they are long enough for.
      return [...Map.groupBy(work, ({ tiles }) => tiles)].map(([tiles, together]) => ({
        _tag: "Tiles",
        tiles,
        work: together,
        clears: clears.filter(({ buffer }) => together.some(({ writes }) => writes.some(({ id }) => id === buffer.id)))
      }))
    })
  return { phases, buffers }
}
