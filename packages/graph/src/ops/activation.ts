/**
 * Activation functions. Their gradients are ops too, so that an engine can choose how to compute the pair.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const x = Op.input("x", [2, 3])
 * for (const f of [Op.sigmoid, Op.hardSigmoid, Op.tanh, Op.silu]) console.log(f(x).shape) // [ 2, 3 ]
 * console.log(Op.activation("gelu", x).kind)
 * ```
 */
import { flops } from "../Cost.ts"
import { apply, define, type Definitions } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"

/**
 * - `relu`: max(x, 0)
 * - `gelu`: x·Φ(x), exact, by the error function
 * - `sigmoid`: 1 / (1 + e⁻ˣ)
 * - `tanh`
 * - `hardSigmoid`: relu6(x + 3) / 6, the gate of UniNet's squeeze-and-excitation
 * - `silu`: x·sigmoid(x)
 */
export type ActivationFunction = "relu" | "gelu" | "sigmoid" | "tanh" | "hardSigmoid" | "silu"

export interface Attributes {
  readonly activation: { readonly fn: ActivationFunction }
  /** Inputs `[x, dy]`: dy · f′(x). */
  readonly activationGrad: { readonly fn: ActivationFunction }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly activation: readonly [x: Tensor]
  readonly activationGrad: readonly [x: Tensor, dy: Tensor]
}

/** Floating-point operations per element, roughly: the error function counts as ten. */
const flopsPerElement: Record<ActivationFunction, number> = {
  relu: 1,
  gelu: 14,
  sigmoid: 4,
  tanh: 5,
  hardSigmoid: 4,
  silu: 5
}

export const definitions: Definitions<Attributes> = {
  activation: define("activation", {
    shape: (_, [x]) => x.shape,
    cost: (y) => flops(flopsPerElement[y.attributes.fn] * Shape.size(y.shape)),
    gradient: (y, dy) => [apply(definitions.activationGrad, y.attributes, [y.inputs[0], dy], y.path)]
  }),
  activationGrad: define("activationGrad", {
    shape: (_, [x, dy]) =>
      Shape.equals(x.shape, dy.shape) ? x.shape : "the gradient must have the shape of the activation's input",
    cost: (y) => flops((flopsPerElement[y.attributes.fn] + 2) * Shape.size(y.shape)),
    gradient: "unsupported"
  })
}

/** Applies an activation function element by element. */
export const activation = (fn: ActivationFunction, x: Tensor, path = x.path): Tensor<"activation"> =>
  apply(definitions.activation, { fn }, [x], path)

/** max(x, 0), element by element. */
export const relu = (x: Tensor, path?: string) => activation("relu", x, path)
/** x · Φ(x), element by element, where Φ is the normal distribution function (Hendrycks & Gimpel). */
export const gelu = (x: Tensor, path?: string) => activation("gelu", x, path)
/** 1 / (1 + e⁻ˣ), element by element. */
export const sigmoid = (x: Tensor, path?: string) => activation("sigmoid", x, path)
/** The hyperbolic tangent, element by element. */
export const tanh = (x: Tensor, path?: string) => activation("tanh", x, path)
/** clip(x / 6 + ½, 0, 1), element by element. */
export const hardSigmoid = (x: Tensor, path?: string) => activation("hardSigmoid", x, path)
/** x · sigmoid(x), element by element. */
export const silu = (x: Tensor, path?: string) => activation("silu", x, path)
