/** How far numbers are from a reference. */

/** Largest deviation and the reference's largest magnitude. */
export interface Deviation {
  readonly absolute: number
  /** max |Δ| / max |reference|. */
  readonly relative: number
}

export const deviation = (found: ArrayLike<number>, reference: ArrayLike<number>): Deviation => {
  if (found.length !== reference.length) return { absolute: Infinity, relative: Infinity }
  let delta = 0
  let largest = 0
  for (let i = 0; i < found.length; i++) {
    const d = Math.abs(found[i] - reference[i])
    delta = d <= delta ? delta : d // a NaN is never lost
    largest = Math.max(largest, Math.abs(reference[i]))
  }
  return { absolute: delta, relative: largest === 0 ? delta : delta / largest }
}

/** Gradients below this are mathematically zero (a bias before a batch norm): they are compared absolutely. */
export const isZero = (reference: ArrayLike<number>): boolean => {
  for (let i = 0; i < reference.length; i++) if (Math.abs(reference[i]) > 1e-6) return false
  return true
}
