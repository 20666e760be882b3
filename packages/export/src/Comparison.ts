/** How far the outputs of one form of a network are from another's. */
import type { Model } from "@uninet/nn"
import * as Examples from "./Examples.ts"

/** How far outputs are from the reference. */
export interface Comparison {
  /** How many examples were compared. */
  readonly examples: number
  /** For each output, max |Δ| over all examples divided by the largest |value| of the reference; the largest of these. */
  readonly worst: number
  /** The number of examples whose largest logit is the same as the reference's, if an output is a row of logits; otherwise `null`. */
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

/** max |Δ| divided by the reference's largest |value|. A NaN counts as infinitely far. */
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

/**
 * Compares outputs with a reference. `logits`: the output whose rows are logits. An output with a different length, or one that either side
 * lacks, counts as infinitely far.
 */
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
