/**
 * Joins the loops of a phase: those over the same shape that read the same tensors, or of which one reads what the other has just computed. Results that nothing else reads are then not written at all.
 */
import * as Arr from "effect/Array"
import * as Expression from "./Expression.ts"
import { loopsOf, type Nest, type Result, sameView } from "./Nest.ts"
import type { Step } from "./Steps.ts"
import * as View from "./View.ts"

/** A loop's addresses are in registers, of which a CPU has few. */
const mostPlaces = 14

interface Cluster {
  nest: Nest
  /** Its position among the phase's instructions. */
  readonly at: number
}

/** Whether a sum that is written once would be left and returned to. */
const comesBack = (nest: Nest): boolean => {
  const loops = loopsOf(nest)
  if (loops === undefined) return true
  return nest.results.some(({ carry, kind }, i) => {
    if (carry || kind === "store") return false
    const at = nest.operands.length + i
    const still = loops.findIndex((loop) => loop.strides[at] === 0)
    return still >= 0 && loops.slice(still).some((loop) => loop.strides[at] !== 0)
  })
}

/** Both nests as one, in which the second reads what the first computes; `undefined` if they do not fit together. */
const joined = (first: Nest, second: Nest): Nest | undefined => {
  if (first.lanes !== second.lanes || first.inOrder === true || second.inOrder === true) return undefined
  if (first.shape.length !== second.shape.length || first.shape.some((n, i) => n !== second.shape[i])) return undefined
  const written = new Set(first.results.map((r) => r.view.buffer.id))
  const operands = [...first.operands]
  let shared = false
  let fits = true
  const expressions = second.operands.map((view): Expression.Expression => {
    const result = first.results.find((r) => r.kind === "store" && sameView(r.view, view))
    if (result !== undefined) {
      shared = true
      return result.expression
    }
    // Another view of what the first nest writes is not available yet.
    if (written.has(view.buffer.id)) fits = false
    const known = operands.findIndex((other) => sameView(other, view))
    if (known >= 0) {
      shared ||= second.lanes ? View.isVector(view.buffer) : !view.axes.every(View.isStill)
      return Expression.operand(known)
    }
    operands.push(view)
    return Expression.operand(operands.length - 1)
  })
  // What the second nest overwrites may still be read or written by the first.
  const touched = [...first.operands.map((view) => view.buffer.id), ...written]
  if (second.results.some((r) => touched.includes(r.view.buffer.id))) fits = false
  if (!shared || !fits) return undefined
  const results = second.results.map((r): Result => ({
    ...r,
    expression: Expression.substitute(r.expression, (index) => Arr.getUnsafe(expressions, index))
  }))
  const nest = { ...first, operands, results: [...first.results, ...results] }
  if (nest.operands.length + nest.results.length > mostPlaces) return undefined
  const [a, b, both] = [first, second, nest].map((n) => loopsOf(n)?.length)
  if (a === undefined || b === undefined || both === undefined || both > Math.max(a, b) || comesBack(nest))
    return undefined
  return nest
}

/** The nest without results that nothing reads, and without operands that no result needs any more. */
const trimmed = (nest: Nest, isRead: (id: number) => boolean): Nest => {
  const results = nest.results.filter((r) => isRead(r.view.buffer.id))
  if (results.length === nest.results.length || results.length === 0) return nest
  const used = new Set(
    Expression.parts(results.map((r) => r.expression)).flatMap((e) => (e.op === "operand" ? [e.index] : []))
  )
  const kept = nest.operands.flatMap((_, i) => (used.has(i) ? [i] : []))
  return {
    ...nest,
    operands: kept.map((i) => Arr.getUnsafe(nest.operands, i)),
    results: results.map((r) => ({
      ...r,
      expression: Expression.substitute(r.expression, (index) => Expression.operand(kept.indexOf(index)))
    }))
  }
}

/** Joins the instructions of a phase. `isNeeded` says which buffers other phases read. */
export const fused = (
  steps: ReadonlyArray<Step>,
  members: ReadonlyArray<number>,
  isNeeded: (id: number) => boolean
): ReadonlyArray<Step["instruction"]> => {
  /** Where each step has moved to, by its position in the result. */
  const places = new Map<number, number>()
  const result: Array<Step["instruction"] | Cluster> = []
  const byShape = new Map<string, Array<Cluster>>()
  for (const step of members) {
    const { after, instruction } = Arr.getUnsafe(steps, step)
    const place = () => {
      places.set(step, result.length)
      return result.length
    }
    if (instruction._tag !== "Nest") {
      place()
      result.push(instruction)
      continue
    }
    const earliest = Math.max(-1, ...after.map((other) => places.get(other.step) ?? -1))
    const key = `${instruction.lanes} ${instruction.shape.join()}`
    const candidates = byShape.get(key) ?? []
    const cluster = candidates.findLast(({ at, nest }) => at >= earliest && joined(nest, instruction) !== undefined)
    const both = cluster && joined(cluster.nest, instruction)
    if (cluster !== undefined && both !== undefined) {
      cluster.nest = both
      places.set(step, cluster.at)
      continue
    }
    const own: Cluster = { nest: instruction, at: place() }
    result.push(own)
    byShape.set(key, [...candidates, own])
  }
  const all = result.map((item) => ("nest" in item ? item.nest : item))
  // How many instructions in the phase read each buffer; within a nest, its own readers use the computed value directly.
  const readers = new Map<number, number>()
  for (const item of all) {
    const reads = item._tag === "Nest" ? item.operands.map((view) => view.buffer.id) : item.reads.map(({ id }) => id)
    const carried = item._tag === "Nest" ? item.results.flatMap((r) => (r.carry ? [r.view.buffer.id] : [])) : []
    for (const id of [...reads, ...carried]) readers.set(id, (readers.get(id) ?? 0) + 1)
  }
  return all.map((item) =>
    item._tag === "Nest" ? trimmed(item, (id) => isNeeded(id) || (readers.get(id) ?? 0) > 0) : item
  )
}
