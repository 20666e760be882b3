/** Two linear layers with a GELU in between. */
import { Op } from "@uninet/graph"
import { flow } from "effect/Function"
import type { Layer } from "./Layer.ts"
import { alongFeatures } from "./internal/axes.ts"
import { linear } from "./Linear.ts"
import * as Scope from "./Scope.ts"

/** `fc2`(gelu(`fc1`(x))) over the last axis, `hidden` wide inside and as wide as `x` outside. */
export const feedForward = (scope: Scope.Scope, { hidden }: { readonly hidden: number }): Layer =>
  alongFeatures(scope, "linear", (features) =>
    flow(
      linear(Scope.at("fc1")(scope), { out: hidden }),
      (y) => Op.gelu(y, scope.path),
      linear(Scope.at("fc2")(scope), { out: features })
    )
  )
