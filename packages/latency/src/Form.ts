/** The exported form of an untrained network: as fast and as large as if it had been trained. */
import type { GraphError, Tensor } from "@uninet/graph"
import { Model } from "@uninet/nn"
import { Export, Model as Onnx, Quantise } from "@uninet/onnx"
import * as Result from "effect/Result"

/** Numbers between −1 and 1 without a pattern. */
const noise = Float32Array.from({ length: 65_521 }, (_, i) => (((i * 2654435761) >>> 0) / 2 ** 32) * 2 - 1)

/** Weights that are never 0, and norms with their initial statistics: results stay in the range that floats handle at full speed. */
const weight = ({ attributes: { initialiser }, shape }: Tensor.Tensor<"variable">): Float32Array => {
  const values = new Float32Array(shape.reduce((n, m) => n * m, 1))
  if (initialiser.kind === "constant") return values.fill(initialiser.value)
  const scale = initialiser.kind === "uniform" ? initialiser.bound : initialiser.deviation
  for (let i = 0; i < values.length; i++) values[i] = scale * (noise[i % noise.length] ?? 0)
  return values
}

/** The exported model, for any batch size. */
const modelOf = (model: Model.Model): Result.Result<Onnx.Model, GraphError | Export.NotBatchFree> =>
  Result.gen(function* () {
    const { variables } = yield* Model.evaluation({ batch: 1 })(model)
    return yield* Export.toModel({
      program: (batch) => Model.evaluation({ batch })(model),
      weights: new Map(variables.map((v) => [v.attributes.name, weight(v)]))
    })
  })

/**
 * The ONNX file that a network would be exported as, with meaningless weights.
 *
 * @example
 * ```ts
 * import { Form } from "@uninet/latency"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
 * })
 * console.log(Result.map(Form.of(model), (file) => `${file.length} bytes`))
 * ```
 */
const of = (model: Model.Model): Result.Result<Uint8Array, GraphError | Export.NotBatchFree> =>
  Result.map(modelOf(model), Onnx.encode)

/** The assumed range of values: how long a network takes does not depend on it. */
const range = { min: -4, max: 4 }

/** The same in int8, as `uninet export --int8` writes it, without any calibration. */
const int8 = (model: Model.Model): Result.Result<Uint8Array, GraphError | Export.NotBatchFree> =>
  Result.map(modelOf(model), (whole) =>
    Onnx.encode(Quantise.quantise(new Map(Quantise.observed(whole).map((name) => [name, range])))(whole).model)
  )

export { int8, of }
