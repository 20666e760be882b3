/** Activation functions as layers. */
import { Op } from "@uninet/graph"
import type { Layer } from "./Layer.ts"
import type { Scope } from "./Scope.ts"

/**
 * x·Φ(x), exact.
 *
 * @example
 * Nn.gelu(scope)
 */
export const gelu =
  (scope: Scope): Layer =>
  (x) =>
    Op.gelu(x, scope.path)

/**
 * max(x, 0).
 *
 * @example
 * Nn.relu(scope)
 */
export const relu =
  (scope: Scope): Layer =>
  (x) =>
    Op.relu(x, scope.path)

/**
 * x·sigmoid(x), also called Swish.
 *
 * @example
 * Nn.silu(scope)
 */
export const silu =
  (scope: Scope): Layer =>
  (x) =>
    Op.silu(x, scope.path)

/**
 * x·relu6(x + 3) / 6, MobileNetV3's cheap Swish.
 *
 * @example
 * Nn.hardSwish(scope)
 */
export const hardSwish =
  (scope: Scope): Layer =>
  (x) =>
    Op.mul(x, Op.hardSigmoid(x, scope.path), scope.path)
