/**
 * A tensor that is computed element by element and read again in a much later phase is computed again there, if the tensors that it is made from are read in that phase anyway: a few instructions take less
 * time than a round trip to memory.
 */
import * as Arr from "effect/Array"
import type { Instruction } from "./lower/context.ts"
import type { Lowered } from "./Lower.ts"
import type { Nest } from "./Nest.ts"
import { phaseNumbers, readsOf, type Step, stepsOf } from "./Steps.ts"
import type { Arg } from "./Work.ts"
import * as View from "./View.ts"

/** A nest that only stores elements of one buffer in lanes. */
const isStore = (step: Step): step is Step & { readonly instruction: Nest } =>
  step.instruction._tag === "Nest" &&
  step.instruction.lanes &&
  step.instruction.results.length === 1 &&
  Arr.getUnsafe(step.instruction.results, 0).kind === "store"

const moved = (view: View.View, from: number, to: View.Buffer): View.View =>
  view.buffer.id === from ? { ...view, buffer: { ...to, kind: view.buffer.kind } } : view

/** An instruction that reads another buffer instead. */
const reading = (instruction: Instruction, from: number, to: View.Buffer): Instruction => {
  switch (instruction._tag) {
    case "Nest":
      return { ...instruction, operands: instruction.operands.map((view) => moved(view, from, to)) }
    case "Work": {
      const buffer = (b: View.Buffer) => (b.id === from ? { ...to, kind: b.kind } : b)
      const args = (given: ReadonlyArray<Arg>) =>
        given.map((arg) => (typeof arg === "object" && "buffer" in arg ? { ...arg, buffer: buffer(arg.buffer) } : arg))
      return {
        ...instruction,
        reads: instruction.reads.map(buffer),
        args: args(instruction.args),
        repeats: instruction.repeats && {
          ...instruction.repeats,
          kernels: instruction.repeats.kernels.map((kernel) => ({ ...kernel, args: args(kernel.args) }))
        }
      }
    }
    default:
      return instruction
  }
}

/** With fewer bytes per group, it is not worth the trouble. */
const small = 16_384

/** Records a step under a buffer's number, once. */
const note = (to: Map<number, Array<number>>, id: number, step: number) => {
  const known = to.get(id)
  if (known === undefined) to.set(id, [step])
  else if (known.at(-1) !== step) known.push(step)
}

/** A program's instructions with such tensors computed again, and its buffers with those needed for that. */
export const recomputed = (
  lowered: Lowered
): { readonly instructions: ReadonlyArray<Instruction>; readonly buffers: ReadonlyArray<View.Buffer> } => {
  const { groups, outputs, updates } = lowered
  const buffers = [...lowered.buffers]
  const kept = new Set([...outputs.values(), ...updates.values()].map(({ id }) => id))
  const steps = [...stepsOf(lowered.instructions)]
  const phases = phaseNumbers(steps, groups)
  const writers = new Map<number, Array<number>>()
  const readers = new Map<number, Array<number>>()
  for (const [i, { instruction }] of steps.entries()) {
    const writes = instruction._tag === "Nest" ? instruction.results.map((r) => r.view.buffer) : instruction.writes
    for (const { id } of writes) note(writers, id, i)
    for (const { id } of readsOf(instruction)) note(readers, id, i)
  }
  // Copies to insert before a step.
  const before = new Map<number, Array<Instruction>>()
  const now = steps.map(({ instruction }): Instruction => instruction)
  // The buffers that phases read, copies included.
  const readIn = new Map<number, Set<number>>()
  for (const [i, { instruction }] of steps.entries())
    for (const { id } of readsOf(instruction)) {
      const phase = Arr.getUnsafe(phases, i)
      readIn.set(phase, (readIn.get(phase) ?? new Set()).add(id))
    }
  for (let id = lowered.buffers.length - 1; id >= 0; id--) {
    const own = writers.get(id) ?? []
    const stores = own.map((i) => Arr.getUnsafe(steps, i)).filter(isStore)
    const buffer = Arr.getUnsafe(buffers, id)
    if (own.length === 0 || stores.length < own.length || kept.has(id) || 4 * buffer.size < small) continue
    const [made, ...others] = stores.filter(({ instruction }) => instruction.operands.length > 0)
    if (made === undefined || others.length > 0) continue
    const phase = phases[own.at(-1) ?? 0]
    const later = Map.groupBy(
      (readers.get(id) ?? []).filter((i) => phases[i] !== phase),
      (i) => Arr.getUnsafe(phases, i)
    )
    const sources = made.instruction.operands.map((view) => view.buffer)
    for (const [other, theirs] of later) {
      const read = readIn.get(other)
      // Numbers per channel are in the cache anyway; maps must be read there for another reason too.
      const isThere = sources.every(
        (source) => source.kind !== "lanes" || source.size * 4 < small || read?.has(source.id) === true
      )
      if (!isThere) continue
      const copy: View.Buffer = { ...buffer, id: buffers.length }
      buffers.push(copy)
      const first = Math.min(...theirs)
      const again = stores.map(({ instruction }): Instruction => ({
        ...instruction,
        late: true,
        results: instruction.results.map((r) => ({ ...r, view: moved(r.view, id, copy) }))
      }))
      before.set(first, [...again, ...(before.get(first) ?? [])])
      for (const i of theirs) now[i] = reading(Arr.getUnsafe(now, i), id, copy)
      for (const source of sources) read?.add(source.id)
    }
  }
  // Sums are cleared at their step.
  return {
    buffers,
    instructions: steps.flatMap(({ clears }, i) => [...(before.get(i) ?? []), ...clears, Arr.getUnsafe(now, i)])
  }
}
