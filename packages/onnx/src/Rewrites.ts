/** The rewrites, in the order in which they are applied. */
import type { Rewrite } from "./Rewrite.ts"
import * as Affines from "./rewrites/affines.ts"
import * as BatchNorms from "./rewrites/batchNorms.ts"
import * as Factors from "./rewrites/factors.ts"
import * as Gates from "./rewrites/gates.ts"
import * as Gelu from "./rewrites/gelu.ts"
import * as LayerNorms from "./rewrites/layerNorms.ts"
import * as Scales from "./rewrites/scales.ts"
import * as Sums from "./rewrites/sums.ts"

/** For a CPU with blocked kernels; without these, nothing applies. */
export const all: ReadonlyArray<Rewrite> = [
  Gelu.rewrite,
  Gates.rewrite,
  LayerNorms.rewrite,
  BatchNorms.rewrite,
  Factors.rewrite,
  Affines.rewrite,
  Sums.rewrite,
  Scales.rewrite
]
