/** How far what one form of a network gives is from what another gives. */
import type { Model } from "@uninet/nn"
import * as Examples from "./Examples.ts"

/** How far outputs are from those that they should be. */
export interface Comparison {
  /** How many were compared. */
  readonly examples: number
  /** The largest, over the outputs, of max |Δ| over all examples divided by the largest |value| of the reference. */
  readonly worst: number
  /** Examples whose largest output is the reference's, where an output is a row of logits; else `null`. */
  readonly sameTop1: number | null
}

/** The index of a row's largest number. */
export const argMax = (row: ArrayLike<number>): number => {
  let [best, most] = [0, row[0] ?? Number.NaN]
  for (let i = 1; i < row.length; i++) {
    const value = row[i] ?? Number.NaN
    if (value > most) [best, most] = [i, value]
  }
  return best
}

/** max |Δ| over the largest of the reference. A NaN is infinitely far. */
const distance = (found: Float32Array, reference: Float32Array): number => {
  if (found.length !== reference.length) return Infinity
  let difference = 0
  let largest = 0
  for (let i = 0; i < reference.length; i++) {
    const value = reference[i] ?? Number.NaN
    const d = Math.abs((found[i] ?? Number.NaN) - value)
    difference = Number.isNaN(d) ? Infinity : Math.max(difference, d)
    largest = Math.max(largest, Math.abs(value))
  }
  return largest === 0 ? difference : difference / largest
}

/** Compares outputs with a reference's. `logits`: the output whose rows are logits. Another length, and what one of the two lacks, is infinitely far. */
export const of = (
  ports: Model.Ports,
  found: Examples.Outputs,
  reference: Examples.Outputs,
  { logits, size }: { readonly logits: string | null; readonly size: number }
): Comparison => {
  const names = Object.keys(ports)
  const distanceOf = (name: string) => {
    const [given, wanted] = [found[name], reference[name]]
    return given === undefined || wanted === undefined ? Infinity : distance(given, wanted)
  }
  const worst = names.reduce((most, name) => Math.max(most, distanceOf(name)), 0)
  const port = logits === null ? undefined : ports[logits]
  if (logits === null || port === undefined) return { examples: size, worst, sameTop1: null }
  const each = Examples.volume(port)
  const [given, wanted] = [found[logits], reference[logits]]
  let sameTop1 = 0
  if (given?.length === size * each && wanted?.length === size * each)
    for (let from = 0; from < size * each; from += each)
      if (argMax(given.subarray(from, from + each)) === argMax(wanted.subarray(from, from + each))) sameTop1++
  return { examples: size, worst, sameTop1 }
}
