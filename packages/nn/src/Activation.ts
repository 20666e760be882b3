/** Activation functions as layers. */
import { Op } from "@uninet/graph"
import type { Layer } from "./Layer.ts"
import type { Scope } from "./Scope.ts"

/**
 * x·Φ(x), exact.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Nn.gelu(scope)(x).shape)
 * ```
 */
export const gelu =
  (scope: Scope): Layer =>
  (x) =>
    Op.gelu(x, scope.path)

/**
 * max(x, 0).
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Nn.relu(scope)(x).shape)
 * ```
 */
export const relu =
  (scope: Scope): Layer =>
  (x) =>
    Op.relu(x, scope.path)

/**
 * x·sigmoid(x), also called Swish.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Nn.silu(scope)(x).shape)
 * ```
 */
export const silu =
  (scope: Scope): Layer =>
  (x) =>
    Op.silu(x, scope.path)

/**
 * x·relu6(x + 3) / 6, MobileNetV3's cheap Swish.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Nn.hardSwish(scope)(x).shape)
 * ```
 */
export const hardSwish =
  (scope: Scope): Layer =>
  (x) =>
    Op.mul(x, Op.hardSigmoid(x, scope.path), scope.path)
