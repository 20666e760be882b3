/**
 * What an op means: the shape of its result, its cost, and its gradient, together in one place per op.
 */
import type { Cost } from "./Cost.ts"
import { ShapeError } from "./GraphError.ts"
import type { Shape } from "./Shape.ts"
import type { Attributes, DType, Kind, Tensor } from "./Tensor.ts"

/**
 * The meaning of one op.
 *
 * `gradient` gives, for each input, the gradient of a scalar with respect to it, given the gradient `dy` with respect to the op's
 * result; `null` where there is none (indices, masks). `"zero"` marks an op that is constant almost everywhere, `"unsupported"` one
 * (a gradient, an optimiser's step) that this project never differentiates: trying to is a `GradientError`.
 */
export interface Definition<K extends Kind> {
  readonly kind: K
  /** The result's shape, or what is wrong with the inputs as a sentence. */
  readonly shape: (attributes: Attributes[K], inputs: ReadonlyArray<Tensor>) => Shape | string
  /** Element type of the result. Default: `float32`. */
  readonly dtype?: DType
  readonly cost: (node: Tensor<K>) => Cost
  readonly gradient: ((node: Tensor<K>, dy: Tensor) => ReadonlyArray<Tensor | null>) | "zero" | "unsupported"
}

/** Names the kind so that the rest of a definition is inferred from it. */
export const define = <K extends Kind>(kind: K, rest: Omit<Definition<K>, "kind">): Definition<K> => ({ kind, ...rest })

/** Applies an op: checks the shapes and makes the node. A mistake becomes the node's `fault`. */
export const apply = <K extends Kind>(
  definition: Definition<K>,
  attributes: Attributes[K],
  inputs: ReadonlyArray<Tensor>,
  path: string
): Tensor<K> => {
  const { kind, dtype = "float32" } = definition
  for (const input of inputs) {
    if (input.fault !== undefined)
      return { kind, attributes, inputs, shape: input.shape, dtype, path, fault: input.fault }
  }
  const shape = definition.shape(attributes, inputs)
  if (typeof shape !== "string") return { kind, attributes, inputs, shape, dtype, path, fault: undefined }
  const fault = new ShapeError({ path, op: kind, shapes: inputs.map((input) => [...input.shape]), reason: shape })
  return { kind, attributes, inputs, shape: inputs[0]?.shape ?? [], dtype, path, fault }
}

/** The definitions of a family of ops. */
export type Definitions<A> = { readonly [K in keyof A & Kind]: Definition<K> }
