/** Embeddings: a learned row for every index. */
import { Op } from "@uninet/graph"
import * as Initialiser from "./Initialiser.ts"
import type { Layer } from "./Layer.ts"
import { parameter } from "./Parameter.ts"
import type { Scope } from "./Scope.ts"

/**
 * The row of a learned table for every index: int32 of any shape `[...]` → `[..., channels]`. An index out of range, such as −1, gives zeros.
 *
 * Parameter `weight` `[rows, channels]`, truncated normal, σ = 0.02 as in linear layers (our choice; PyTorch's is 1).
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const words = Op.input("words", [32, 16], "int32")
 * console.log(Nn.embedding(Scope.at("words")(scope), { rows: 1000, channels: 64 })(words).shape) // [ 32, 16, 64 ]
 * ```
 */
export const embedding =
  (scope: Scope, { channels, rows }: { readonly rows: number; readonly channels: number }): Layer =>
  (indices) =>
    Op.gather(parameter(scope, "weight", [rows, channels], Initialiser.linear, true), indices, scope.path)
