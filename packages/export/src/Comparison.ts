/** How far the logits of one form of a network are from those of another. */

export interface Comparison {
  readonly images: number
  /** max |Δ| over all images and classes, divided by the largest |logit| of the reference. */
  readonly worst: number
  /** Images whose most likely class is the reference's. */
  readonly sameTop1: number
}

/** The index of a row's largest number. */
export const argMax = (row: ArrayLike<number>): number => {
  let best = 0
  for (let i = 1; i < row.length; i++) if (row[i] > row[best]) best = i
  return best
}

/** Compares logits `[images, classes]` with a reference's, row by row. Another length, or a NaN, is infinitely far. */
export const of = (found: Float32Array, reference: Float32Array, classes: number): Comparison => {
  const images = reference.length / classes
  if (found.length !== reference.length) return { images, worst: Infinity, sameTop1: 0 }
  let difference = 0
  let largest = 0
  for (let i = 0; i < found.length; i++) {
    const d = Math.abs(found[i] - reference[i])
    difference = Number.isNaN(d) ? Infinity : Math.max(difference, d)
    largest = Math.max(largest, Math.abs(reference[i]))
  }
  let sameTop1 = 0
  for (let from = 0; from < found.length; from += classes)
    if (argMax(found.subarray(from, from + classes)) === argMax(reference.subarray(from, from + classes))) sameTop1++
  return { images, worst: largest === 0 ? difference : difference / largest, sameTop1 }
}
