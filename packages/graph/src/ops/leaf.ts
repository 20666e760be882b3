/** Where values enter a graph: inputs of a run, variables that persist between runs, and constants. */
import { free } from "../Cost.ts"
import { apply, define, type Definitions, isAmount } from "../Definition.ts"
import { isValid, print, size, type Shape } from "../Shape.ts"
import type { DType, Tensor } from "../Tensor.ts"

/** How a variable's initial value is drawn. */
export type Initialiser =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "uniform"; readonly bound: number }
  /** Normal with this standard deviation, redrawn outside ±2 standard deviations (PyTorch's `trunc_normal_` cuts at the values ±2, far outside for small deviations). */
  | { readonly kind: "truncatedNormal"; readonly deviation: number }

/** What is wrong with an initialiser, if anything. */
const wrongInitialiser = (initialiser: Initialiser): string | undefined => {
  switch (initialiser.kind) {
    case "constant":
      return Number.isFinite(initialiser.value) ? undefined : "the initial value must be finite"
    case "uniform":
      return isAmount(initialiser.bound) ? undefined : "the bound of the initial values must be finite and not negative"
    case "truncatedNormal":
      return isAmount(initialiser.deviation)
        ? undefined
        : "the standard deviation of the initial values must be finite and not negative"
  }
}

/** What a variable is for. Gradients are taken with respect to parameters; buffers are running statistics; moments belong to an optimiser. */
export type Role = "parameter" | "buffer" | "moment"

export interface Attributes {
  /** A value passed in for every run. An input with `random` is drawn anew for every run and is never merged with another, even one of the same name. */
  readonly input: { readonly name: string; readonly random?: "uniform" }
  /** A value that persists between runs and may be replaced by an update at the end of one. */
  readonly variable: {
    readonly name: string
    readonly role: Role
    readonly initialiser: Initialiser
    /** Whether weight decay applies: in UniNet's recipe to weights, but not to biases, norm parameters and LayerScale. */
    readonly decay: boolean
  }
  /** Data known when the graph is built. */
  readonly constant: { readonly data: Float32Array | Int32Array }
  /** The same number in every element. */
  readonly fill: { readonly value: number }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly input: readonly []
  readonly variable: readonly []
  readonly constant: readonly []
  readonly fill: readonly []
}

/** Nothing flows into a leaf, so there are no inputs to give gradients to. */
const noInputs = () => []

// A leaf's shape is given, not derived: the constructors below set it.
export const definitions: Definitions<Attributes> = {
  input: define("input", { shape: () => [], cost: () => free, gradient: noInputs }),
  variable: define("variable", { shape: () => [], cost: () => free, gradient: noInputs }),
  constant: define("constant", { shape: () => [], cost: () => free, gradient: noInputs }),
  fill: define("fill", { shape: () => [], cost: () => free, gradient: noInputs })
}

/** A value of this shape, passed in by name for every run. */
export const input = (name: string, shape: Shape, dtype: DType = "float32"): Tensor<"input"> =>
  apply({ ...definitions.input, dtype, shape: () => shape }, { name }, [], name)

/**
 * Random numbers, uniform in [0, 1), drawn anew for every run: a named input of the program. Two draws are never the same, so each call makes a new input: in a
 * program the second with a name is called `<name>#2`, and so on.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const x = Op.input("x", [8, 32, 16, 16])
 * const kept = Op.greaterOrEqual(Op.noise("noise/classifier", x.shape), Op.fill(0.2)) // 1 with probability 0.8
 * console.log(kept.shape)
 * ```
 */
export const noise = (name: string, shape: Shape): Tensor<"input"> =>
  apply({ ...definitions.input, shape: () => shape }, { name, random: "uniform" }, [], name)

/** A value of this shape that persists between runs. Its path is its name. */
export const variable = (attributes: Attributes["variable"], shape: Shape): Tensor<"variable"> =>
  apply(
    // A wrong shape is reported first: a wrong initialiser often follows from it.
    {
      ...definitions.variable,
      shape: () => (isValid(shape) ? (wrongInitialiser(attributes.initialiser) ?? shape) : shape)
    },
    attributes,
    [],
    attributes.name
  )

/** Data known when the graph is built, in row-major order, of this shape. */
export const constant = (data: Float32Array | Int32Array, shape: Shape, path = ""): Tensor<"constant"> =>
  apply(
    {
      ...definitions.constant,
      dtype: data instanceof Int32Array ? "int32" : "float32",
      shape: () => (data.length === size(shape) ? shape : `${data.length} values were given for ${print(shape)}`)
    },
    { data },
    [],
    path
  )

/** `value` in every element of `shape`; a scalar if no shape is given. */
export const fill = (value: number, shape: Shape = [], path = ""): Tensor<"fill"> =>
  apply({ ...definitions.fill, shape: () => shape }, { value }, [], path)
