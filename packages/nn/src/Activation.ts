/** Activation functions as layers. */
import { Op } from "@uninet/graph"
import type { Layer } from "./Layer.ts"
import type { Scope } from "./Scope.ts"

/** x·Φ(x), exact. */
export const gelu =
  (scope: Scope): Layer =>
  (x) =>
    Op.gelu(x, scope.path)
