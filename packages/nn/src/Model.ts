/**
 * A network as the rest of the toolkit sees it: named inputs with their shapes, and one function that builds named outputs from them. It knows
 * nothing of stems, heads or classes, so a hand-written network of twenty lines is a model, and so is every point of a search space.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Model, Nn, Scope } from "@uninet/nn"
 *
 * const classifier = Model.make({
 *   inputs: { image: Model.input([1, 28, 28]) },
 *   forward: (scope, { image }) => {
 *     const features = Nn.gelu(scope)(Nn.convolution(Scope.at("stem")(scope), { out: 16, kernel: 3, stride: 2 })(image))
 *     return { logits: Nn.linear(Scope.at("classifier")(scope), { out: 10 })(Op.globalAveragePool(features)) }
 *   }
 * })
 * const program = Model.evaluation({ batch: 8 })(classifier) // input `image` [8, 1, 28, 28], output `logits` [8, 10]
 * ```
 */
import { type GraphError, Op, Program, type Shape, type Tensor } from "@uninet/graph"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Scope from "./Scope.ts"

/** An input or output for one example: its shape, without the batch axis, and its element type. */
export interface Port {
  readonly shape: Shape.Shape
  readonly dtype: Tensor.DType
}

/** Ports by name. */
export type Ports = Readonly<Record<string, Port>>

/** Tensors by name. */
export type Tensors = Readonly<Record<string, Tensor.Tensor>>

/** A network. Made by `make`. */
export interface Model {
  readonly inputs: Ports
  /**
   * Builds the outputs, each `[batch, …]`, from the inputs, each `[batch, ...shape]`. Parameters are the variables that layers make in this scope or in
   * its children; layers that are random in training draw from noise inputs (`Regularisation`). In evaluation, the result for one example must not
   * depend on the others in the batch.
   */
  readonly forward: (scope: Scope.Scope, inputs: Tensors) => Tensors
}

/**
 * Whether a value from outside the type checker is a model, judging by its shape.
 *
 * @example
 * ```ts
 * import { Model } from "@uninet/nn"
 *
 * // What a configuration file exports may be anything.
 * const exported: unknown = Model.make({ inputs: { x: Model.input([4]) }, forward: (_, { x }) => ({ y: x }) })
 * console.log(Model.isModel(exported), Model.isModel({ layers: 3 })) // true false
 * ```
 */
export const isModel = (u: unknown): u is Model =>
  Predicate.hasProperty(u, "inputs") &&
  Predicate.isObject(u.inputs) &&
  Predicate.hasProperty(u, "forward") &&
  Predicate.isFunction(u.forward)

/** An input of this shape, without the batch axis. Default element type: `float32`. */
export const input = (shape: Shape.Shape, dtype: Tensor.DType = "float32"): Port => ({ shape, dtype })

/** Makes a model. `forward` is given exactly the inputs that are named. */
export const make = <const Inputs extends Ports>(model: {
  readonly inputs: Inputs
  readonly forward: (scope: Scope.Scope, inputs: { readonly [Name in keyof Inputs]: Tensor.Tensor }) => Tensors
}): Model => ({
  inputs: model.inputs,
  // The caller passes a tensor for every input that the model names; `apply` is the only caller.
  forward: (scope, inputs) => model.forward(scope, inputs as { readonly [Name in keyof Inputs]: Tensor.Tensor })
})

/**
 * The outputs for a batch, with program inputs under the model's names. `scope` decides the mode, the rates and the prefix of the parameters' names.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Model, Nn, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
 * })
 * console.log(Model.apply(scope, { batch: 64 })(model).y?.shape) // [ 64, 1 ]
 * ```
 */
export const apply =
  (scope: Scope.Scope, { batch }: { readonly batch: number }) =>
  (model: Model): Tensors =>
    model.forward(
      scope,
      Object.fromEntries(
        Object.entries(model.inputs).map(([name, { dtype, shape }]) => [name, Op.input(name, [batch, ...shape], dtype)])
      )
    )

/**
 * The program that evaluates a batch (default: one example) with running statistics. Its inputs and outputs have the model's names. `path` prefixes the
 * names of its variables.
 */
export const evaluation =
  ({ batch = 1, path = "" }: { readonly batch?: number; readonly path?: string } = {}) =>
  (model: Model): Result.Result<Program.Program, GraphError> =>
    Program.make({ outputs: apply(Scope.make("evaluation", path), { batch })(model) })

/**
 * What the model outputs for one example, by name.
 *
 * @example
 * ```ts
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { row: Model.input([4]), word: Model.input([], "int32") },
 *   forward: (scope, { row, word }) => ({
 *     price: Nn.linear(Scope.at("price")(scope), { out: 1 })(row),
 *     topic: Nn.embedding(Scope.at("topic")(scope), { rows: 100, channels: 8 })(word)
 *   })
 * })
 * console.log(Model.print(model.inputs)) // row [4], word [] int32
 * console.log(Model.print(Result.getOrThrow(Model.outputs(model)))) // price [1], topic [8]
 * ```
 */
export const outputs = (model: Model): Result.Result<Ports, GraphError> =>
  Result.map(evaluation()(model), (program) =>
    Object.fromEntries(
      Object.entries(program.outputs).map(([name, { dtype, shape }]) => [name, { shape: shape.slice(1), dtype }])
    )
  )

/** Ports as text: `image [1×28×28], tokens [64] int32`. */
export const print = (ports: Ports): string =>
  Object.entries(ports)
    .map(([name, { dtype, shape }]) => `${name} [${shape.join("×")}]${dtype === "float32" ? "" : ` ${dtype}`}`)
    .join(", ") || "nothing"
