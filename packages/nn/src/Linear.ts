/** Fully connected layers. */
import { Op } from "@uninet/graph"
import * as Initialiser from "./Initialiser.ts"
import type { Layer } from "./Layer.ts"
import { alongFeatures } from "./internal/axes.ts"
import { parameter } from "./Parameter.ts"
import type { Scope } from "./Scope.ts"

/**
 * `x·weightᵀ + bias` over the last axis: `[..., in]` → `[..., out]`.
 *
 * Parameters `weight` `[out, in]` (truncated normal, σ = 0.02) and `bias` `[out]` (zero), as in the released PyTorch code of UniNet. `bias` is on by default.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Nn.linear(Scope.at("head")(scope), { out: 10 })(Op.globalAveragePool(x)).shape) // [ 8, 10 ]
 * ```
 */
export const linear = (scope: Scope, options: { readonly out: number; readonly bias?: boolean }): Layer =>
  alongFeatures(scope, "linear", (features) => (x) => {
    const { out, bias = true } = options
    const weight = parameter(scope, "weight", [out, features], Initialiser.linear, true)
    const offset = bias ? parameter(scope, "bias", [out], Initialiser.zero, false) : undefined
    return Op.linear(x, weight, offset, scope.path)
  })
