/**
 * What an op means: the shape of its result, its cost and its gradient, defined together in one place.
 */
import type { Cost } from "./Cost.ts"
import { ShapeError } from "./GraphError.ts"
import { isValid, print, type Shape } from "./Shape.ts"
import type { Attributes, DType, Inputs, Kind, Tensor } from "./Tensor.ts"

/**
 * The meaning of one op.
 *
 * `gradient` takes the gradient `dy` of a scalar with respect to the op's result and gives the gradient with respect to each input.
 * `"zero"` marks an op that is constant almost everywhere. `"unsupported"` marks an op that this project never differentiates (a gradient,
 * an optimiser's step), and `null` a single input of that kind (a mask): differentiating either is a `GradientError`. The ops of the
 * gradient belong to the layer of the op, whose `path` they are given.
 */
export interface Definition<K extends Kind> {
  readonly kind: K
  /** The result's shape, or a sentence that says what is wrong with the inputs. */
  readonly shape: (attributes: Attributes[K], inputs: Inputs[K]) => Shape | string
  /** Element type of the inputs, or one for each; `same` if any type will do as long as all inputs share it. Default: `float32`. */
  readonly takes?: DType | "same" | ReadonlyArray<DType>
  /** Element type of the result; `same` for that of the inputs. Default: `float32`. */
  readonly dtype?: DType | "same"
  /** The op's cost. `of` gives the cost of another op: a custom op costs what the ops in its body cost. */
  readonly cost: (node: Tensor<K>, of: (node: Tensor) => Cost) => Cost
  readonly gradient: Rule<K> | "zero" | "unsupported"
}

/** The gradients of an op. `backward` differentiates the body of a custom op. */
export type Rule<K extends Kind> = (node: Tensor<K>, dy: Tensor, backward: Backward) => ReadonlyArray<Tensor | null>

/** Given a scalar's gradient with respect to a tensor, gives its gradients with respect to the tensors that this one was made from; `undefined` for those it does not depend on. */
export type Backward = (
  of: Tensor,
  seed: Tensor,
  withRespectTo: ReadonlyArray<Tensor>
) => ReadonlyArray<Tensor | undefined>

/** Names the kind so that the rest of the definition is inferred from it. */
export const define = <K extends Kind>(kind: K, rest: Omit<Definition<K>, "kind">): Definition<K> => ({ kind, ...rest })

/** What is wrong with the inputs' element types, if anything. */
const wrongType = (takes: DType | "same" | ReadonlyArray<DType>, inputs: ReadonlyArray<Tensor>): string | undefined => {
  for (const [i, { dtype }] of inputs.entries()) {
    const expected = takes === "same" ? inputs[0]?.dtype : typeof takes === "string" ? takes : takes[i]
    if (dtype !== expected) return `expected ${expected} elements, not ${dtype}`
  }
  return undefined
}

/** Applies an op: checks element types and shapes, then makes the node. A mistake becomes the node's `fault`. */
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
    typeof shape === "string"
      ? shape
      : `every axis must have a positive whole number as its length, not ${print(shape)}`
  const fault = new ShapeError({ path, op: kind, shapes: inputs.map((input) => [...input.shape]), reason })
  return { kind, attributes, inputs, shape: inputs[0]?.shape ?? [], dtype, path, fault }
}

/** Whether a number can be an amount: finite and not negative. */
export const isAmount = (n: number): boolean => Number.isFinite(n) && n >= 0

/** The definitions of a family of ops. */
export type Definitions<A> = { readonly [K in keyof A & Kind]: Definition<K> }
