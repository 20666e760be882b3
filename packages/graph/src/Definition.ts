/**
 * What an op means: the shape of its result, its cost, and its gradient, together in one place per op.
 */
import type { Cost } from "./Cost.ts"
import { ShapeError } from "./GraphError.ts"
import { isValid, print, type Shape } from "./Shape.ts"
import type { Attributes, DType, Inputs, Kind, Tensor } from "./Tensor.ts"

/**
 * The meaning of one op.
 *
 * `gradient` gives, for each input, the gradient of a scalar with respect to it, given the gradient `dy` with respect to the op's
 * result. `"zero"` marks an op that is constant almost everywhere, `"unsupported"` one (a gradient, an optimiser's step) that this
 * project never differentiates, and `null` a single input of that sort (a mask): trying to is a `GradientError`. The gradient's ops
 * belong to the layer of the op, whose `path` they are given.
 */
export interface Definition<K extends Kind> {
  readonly kind: K
  /** The result's shape, or what is wrong with the inputs as a sentence. */
  readonly shape: (attributes: Attributes[K], inputs: Inputs[K]) => Shape | string
  /** Element type of the inputs, or one for each; `same` where any will do as long as all have one. Default: `float32`. */
  readonly takes?: DType | "same" | ReadonlyArray<DType>
  /** Element type of the result; `same` where it is that of the inputs. Default: `float32`. */
  readonly dtype?: DType | "same"
  /** `of` says what another op costs: what an op of one's own is made of. */
  readonly cost: (node: Tensor<K>, of: (node: Tensor) => Cost) => Cost
  readonly gradient: Rule<K> | "zero" | "unsupported"
}

/** The gradients of an op; `backward` differentiates what an op of one's own is made of. */
export type Rule<K extends Kind> = (node: Tensor<K>, dy: Tensor, backward: Backward) => ReadonlyArray<Tensor | null>

/** The gradients of a scalar with respect to what a tensor was made from, given its gradient with respect to the tensor; `undefined` for what the tensor does not depend on. */
export type Backward = (
  of: Tensor,
  seed: Tensor,
  withRespectTo: ReadonlyArray<Tensor>
) => ReadonlyArray<Tensor | undefined>

/** Names the kind so that the rest of a definition is inferred from it. */
export const define = <K extends Kind>(kind: K, rest: Omit<Definition<K>, "kind">): Definition<K> => ({ kind, ...rest })

/** What is wrong with the inputs' element types, if anything is. */
const wrongType = (takes: DType | "same" | ReadonlyArray<DType>, inputs: ReadonlyArray<Tensor>): string | undefined => {
  for (const [i, { dtype }] of inputs.entries()) {
    const expected = takes === "same" ? inputs[0]?.dtype : typeof takes === "string" ? takes : takes[i]
    if (dtype !== expected) return `expected ${expected} elements, not ${dtype}`
  }
  return undefined
}

/** Applies an op: checks element types and shapes and makes the node. A mistake becomes the node's `fault`. */
export const apply = <K extends Kind>(
  definition: Definition<K>,
  attributes: Attributes[K],
  inputs: Inputs[K],
  path: string
): Tensor<K> => {
  const { kind, takes = "float32" } = definition
  const dtype = (definition.dtype === "same" ? inputs[0]?.dtype : definition.dtype) ?? "float32"
  for (const input of inputs) {
    if (input.fault !== undefined)
      return { kind, attributes, inputs, shape: input.shape, dtype, path, fault: input.fault }
  }
  const shape = wrongType(takes, inputs) ?? definition.shape(attributes, inputs)
  if (typeof shape !== "string" && isValid(shape))
    return { kind, attributes, inputs, shape, dtype, path, fault: undefined }
  const reason =
    typeof shape === "string" ? shape : `every axis must have a whole, positive length, not ${print(shape)}`
  const fault = new ShapeError({ path, op: kind, shapes: inputs.map((input) => [...input.shape]), reason })
  return { kind, attributes, inputs, shape: inputs[0]?.shape ?? [], dtype, path, fault }
}

/** Whether a number can be how much of something there is: finite and not negative. */
export const isAmount = (n: number): boolean => Number.isFinite(n) && n >= 0

/** The definitions of a family of ops. */
export type Definitions<A> = { readonly [K in keyof A & Kind]: Definition<K> }
