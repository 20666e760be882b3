/** A network's weights: parameters and running statistics under the authors' names, as values and as safetensors. */
import type { Program } from "@uninet/graph"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Safetensors from "./Safetensors.ts"

/** The values of a network's parameters and buffers by name, each in row-major order. */
export type Weights = ReadonlyMap<string, Float32Array>

const Mismatched = Schema.Struct({
  name: Schema.String,
  expected: Schema.String,
  found: Schema.String
})

/** The first few of a list of names, and how many there are. */
const some = (what: string, names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.length === 0
    ? []
    : [`${what} ${names.slice(0, 3).join(", ")}${names.length > 3 ? ` and ${names.length - 3} more` : ""}`]

/** Weights that are not those of the network: everything that is missing, unknown, or has another shape or type. */
export class WeightsMismatch extends Schema.TaggedError<WeightsMismatch>()("WeightsMismatch", {
  missing: Schema.Array(Schema.String),
  unexpected: Schema.Array(Schema.String),
  /** Tensors whose shape or element type differs from the network's: `F32 [24×1×3×3]`. */
  mismatched: Schema.Array(Mismatched)
}) {
  override get message() {
    const parts = [
      ...some("missing:", this.missing),
      ...some("unexpected:", this.unexpected),
      ...some(
        "of another shape or type:",
        this.mismatched.map(({ expected, found, name }) => `${name} (${found}, not ${expected})`)
      )
    ]
    return `the weights are not this network's (${parts.join("; ")}); load weights for the same architecture, image size and classes`
  }
}

/** PyTorch's count of batches seen: part of its checkpoints, useless with a constant momentum. */
const isBatchCount = (name: string) => name.endsWith(".num_batches_tracked")

const print = (dtype: string, shape: ReadonlyArray<number>) => `${dtype} [${shape.join("×")}]`

/** The part of a program's state that makes up its weights: parameters and running statistics, but not an optimiser's moments. */
const variablesOf = (program: Program.Program) => program.variables.filter((v) => v.attributes.role !== "moment")

/**
 * The weights of `program` from a file's tensors. `num_batches_tracked` is accepted and ignored.
 *
 * @example
 * ```ts
 * import { Model, Nn, Safetensors, Scope, Weights } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([2]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
 * })
 * const program = Result.getOrThrow(Model.evaluation()(model))
 *
 * // Written to a file's bytes, and read from them.
 * const weights = new Map([
 *   ["y.weight", Float32Array.of(3, 4)],
 *   ["y.bias", Float32Array.of(1)]
 * ])
 * const bytes = Safetensors.encode(Result.getOrThrow(Weights.toSafetensors(program)(weights)))
 * const read = Result.flatMap(Safetensors.decode(bytes), Weights.fromSafetensors(program))
 * console.log(Result.getOrThrow(read).get("y.weight")) // Float32Array(2) [ 3, 4 ]
 *
 * // Another network's file is refused, and the error names everything that does not fit.
 * const wider = Model.make({
 *   inputs: { x: Model.input([3]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
 * })
 * const wrong = Result.flatMap(
 *   Safetensors.decode(bytes),
 *   Weights.fromSafetensors(Result.getOrThrow(Model.evaluation()(wider)))
 * )
 * if (Result.isFailure(wrong)) console.log(wrong.failure.message)
 * ```
 */
export const fromSafetensors =
  (program: Program.Program) =>
  ({ tensors }: Safetensors.Safetensors): Result.Result<Weights, WeightsMismatch> => {
    const weights = new Map<string, Float32Array>()
    const missing: Array<string> = []
    const mismatched: Array<typeof Mismatched.Type> = []
    const wanted = new Set<string>()
    for (const { attributes, shape } of variablesOf(program)) {
      const { name } = attributes
      wanted.add(name)
      const entry = tensors.get(name)
      if (entry === undefined) {
        missing.push(name)
        continue
      }
      const data = Safetensors.float32(entry)
      const [expected, found] = [print("F32", shape), print(entry.dtype, entry.shape)]
      if (data === undefined || expected !== found) mismatched.push({ name, expected, found })
      else weights.set(name, data)
    }
    const unexpected = [...tensors.keys()].filter((name) => !wanted.has(name) && !isBatchCount(name))
    return missing.length + unexpected.length + mismatched.length === 0
      ? Result.succeed(weights)
      : Result.fail(new WeightsMismatch({ missing, unexpected, mismatched }))
  }

/**
 * The weights of `program` as a file's content, with the names and shapes that `fromSafetensors` reads.
 *
 * Fails if a parameter or buffer of the program has no value, or a value of the wrong length.
 */
export const toSafetensors =
  (program: Program.Program, metadata: Readonly<Record<string, string>> = {}) =>
  (weights: Weights): Result.Result<Safetensors.Safetensors, WeightsMismatch> => {
    const tensors = new Map<string, Safetensors.Entry>()
    for (const { attributes, shape } of variablesOf(program)) {
      const data = weights.get(attributes.name)
      if (data !== undefined) tensors.set(attributes.name, Safetensors.fromFloat32(data, shape))
    }
    const file = { tensors, metadata }
    const short = [...tensors].filter(
      ([, { bytes, shape }]) => bytes.length !== 4 * shape.reduce((n, axis) => n * axis, 1)
    )
    const mismatched = short.map(([name, { bytes, shape }]) => ({
      name,
      expected: print("F32", shape),
      found: `${bytes.length / 4} numbers`
    }))
    const missing = variablesOf(program).flatMap(({ attributes: { name } }) => (tensors.has(name) ? [] : [name]))
    return missing.length + mismatched.length === 0
      ? Result.succeed(file)
      : Result.fail(new WeightsMismatch({ missing, unexpected: [], mismatched }))
  }
