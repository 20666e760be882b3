/** Residual branches and what scales them. */
import { Op } from "@uninet/graph"
import * as Initialiser from "./Initialiser.ts"
import type { Layer } from "./Layer.ts"
import { parameter } from "./Parameter.ts"
import type { Scope } from "./Scope.ts"

/** `x + branch(x)`. */
export const residual =
  (scope: Scope, branch: Layer): Layer =>
  (x) =>
    Op.add(x, branch(x), scope.path)

/** LayerScale: a factor per feature of the last axis, first 1e-6. The parameter is called `name`. */
export const layerScale =
  (scope: Scope, name: string): Layer =>
  (x) =>
    Op.mul(x, parameter(scope, name, [x.shape[x.shape.length - 1]], Initialiser.layerScale, false), scope.path)
