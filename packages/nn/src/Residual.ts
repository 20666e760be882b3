/** Residual branches and their scaling. */
import { Op } from "@uninet/graph"
import * as Initialiser from "./Initialiser.ts"
import { alongFeatures } from "./internal/axes.ts"
import { identity, type Layer } from "./Layer.ts"
import { parameter } from "./Parameter.ts"
import type { Scope } from "./Scope.ts"

/** `shortcut(x) + branch(x)`, which must have the same shape; the shortcut is `x` itself by default. */
export const residual =
  (scope: Scope, { branch, shortcut = identity }: { readonly branch: Layer; readonly shortcut?: Layer }): Layer =>
  (x) =>
    Op.add(shortcut(x), branch(x), scope.path)

/** LayerScale: a factor per feature of the last axis, initially 1e-6. The parameter is called `name`. */
export const layerScale = (scope: Scope, name: string): Layer =>
  alongFeatures(
    scope,
    "layerScale",
    (features) => (x) => Op.mul(x, parameter(scope, name, [features], Initialiser.layerScale, false), scope.path)
  )
