/**
 * A tensor is a node of an immutable expression graph: the op that makes it, that op's inputs, and the shape and element type
 * of the result, both static. Making one computes nothing.
 *
 * @example
 * ```ts
 * import { Op, Tensor } from "@uninet/graph"
 *
 * const y = Op.relu(Op.input("x", [2, 3]))
 * console.log(Tensor.is("activation")(y), Tensor.opName(y), Tensor.bytes(y)) // true activation 24
 * ```
 */
import type * as Activation from "./ops/activation.ts"
import type * as Attention from "./ops/attention.ts"
import type * as Composite from "./ops/composite.ts"
import type * as Convolution from "./ops/convolution.ts"
import type * as Elementwise from "./ops/elementwise.ts"
import type * as Gather from "./ops/gather.ts"
import type * as Layout from "./ops/layout.ts"
import type * as Leaf from "./ops/leaf.ts"
import type * as MatMul from "./ops/matmul.ts"
import type * as Normalisation from "./ops/normalisation.ts"
import type * as Optimiser from "./ops/optimiser.ts"
import type * as Pool from "./ops/pool.ts"
import type * as Reduction from "./ops/reduction.ts"
import type * as Resize from "./ops/resize.ts"
import type { Shape } from "./Shape.ts"
import type { GraphError } from "./GraphError.ts"

/** Element types: 32-bit floats, and 32-bit signed integers for indices. */
export type DType = "float32" | "int32"

/** The vocabulary of the IR: every kind of op with its attributes. Engines are tables over these keys. */
export interface Attributes
  extends
    Leaf.Attributes,
    Elementwise.Attributes,
    Activation.Attributes,
    Reduction.Attributes,
    Layout.Attributes,
    Gather.Attributes,
    MatMul.Attributes,
    Convolution.Attributes,
    Pool.Attributes,
    Resize.Attributes,
    Normalisation.Attributes,
    Attention.Attributes,
    Optimiser.Attributes,
    Composite.Attributes {}

/** The inputs of each kind of op, in order; optional inputs come last. */
export interface Inputs
  extends
    Leaf.Inputs,
    Elementwise.Inputs,
    Activation.Inputs,
    Reduction.Inputs,
    Layout.Inputs,
    Gather.Inputs,
    MatMul.Inputs,
    Convolution.Inputs,
    Pool.Inputs,
    Resize.Inputs,
    Normalisation.Inputs,
    Attention.Inputs,
    Optimiser.Inputs,
    Composite.Inputs {}

/** The name of an op. */
export type Kind = keyof Attributes

/** Every op that can occur in a program. Composites cannot: making a program expands them. */
export type Primitive = Exclude<Kind, "composite">

/** A node of the graph. `Tensor<"conv2d">` is one made by that op. */
export interface Tensor<out K extends Kind = Kind> {
  readonly kind: K
  readonly attributes: Attributes[K]
  readonly inputs: Inputs[K]
  readonly shape: Shape
  readonly dtype: DType
  /** The layer this op belongs to, such as `stages.3.blocks.0`. */
  readonly path: string
  /** The first mistake on the way to this tensor, if any. */
  readonly fault: GraphError | undefined
}

/** Narrows a tensor to one kind. */
export const is =
  <K extends Kind>(kind: K) =>
  (tensor: Tensor): tensor is Tensor<K> =>
    tensor.kind === kind

/**
 * Maps a function over tensors, in order. The result has as many elements as the input: for a tuple of op inputs, a tuple of equal length.
 *
 * @example
 * ```ts
 * import { Op, Tensor } from "@uninet/graph"
 *
 * const sum = Op.add(Op.input("x", [2, 3]), Op.input("y", [2, 3]))
 * const [ofX, ofY] = Tensor.each(Tensor.bytes)([sum, sum] as const)
 * console.log(ofX + ofY) // 48
 * ```
 */
export const each =
  <A>(of: (tensor: Tensor) => A) =>
  <const Tensors extends ReadonlyArray<Tensor>>(tensors: Tensors): { readonly [I in keyof Tensors]: A } =>
    // One result per tensor, which the type of `map` does not say.
    tensors.map((tensor) => of(tensor)) as ReadonlyArray<A> as { readonly [I in keyof Tensors]: A }

/** What an op is called: its kind or, for a custom op, the name it was given. */
export const opName = (tensor: Tensor): string => (is("composite")(tensor) ? tensor.attributes.name : tensor.kind)

/** Bytes of the tensor's data: four per element. */
export const bytes = (tensor: Tensor): number => {
  let n = 4
  for (const length of tensor.shape) n *= length
  return n
}
