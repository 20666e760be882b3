/**
 * A layer's variables: trained parameters, and the running statistics of batch norm.
 *
 * @example
 * ```ts
 * import { Initialiser, Parameter, Scope } from "@uninet/nn"
 *
 * const scope = Scope.at("norm")(Scope.make("training"))
 * console.log(Parameter.parameter(scope, "weight", [8], Initialiser.one, false).shape, Scope.join(scope.path, "bias"))
 * console.log(Parameter.buffer(scope.path, "running_mean", [8], Initialiser.zero).shape)
 * ```
 */
import { Op, type Shape, type Tensor } from "@uninet/graph"
import { join, type Scope } from "./Scope.ts"

/** A trained parameter of this shape for the layer at `scope`. `decay` says whether weight decay applies: to weights, not to biases, norms and LayerScale. */
export const parameter = (
  scope: Scope,
  name: string,
  shape: Shape.Shape,
  initialiser: Op.Initialiser,
  decay: boolean
): Tensor.Tensor<"variable"> =>
  Op.variable({ name: join(scope.path, name), role: "parameter", initialiser, decay }, shape)

/** A buffer of this shape for the layer at `path`: not trained, but part of the network's state. */
export const buffer = (path: string, name: string, shape: Shape.Shape, initialiser: Op.Initialiser) =>
  Op.variable({ name: join(path, name), role: "buffer", initialiser, decay: false }, shape)
