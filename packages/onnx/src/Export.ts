/** Exports programs with their weights as ONNX files for any runtime: standard operators only, with a free batch size. */
import type { GraphError, Program } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { lower } from "./Lowering.ts"
import { fold } from "./internal/fold.ts"
import { type Constant, encode, type Model, type ValueInfo } from "./Model.ts"

/** Something in the program depends on the batch size in a way that a file with a free batch size cannot express. */
export class NotBatchFree extends Schema.TaggedError<NotBatchFree>()("NotBatchFree", {
  /** The operator or the value at fault. */
  at: Schema.String
}) {
  override get message() {
    return `the program depends on its batch size at ${this.at}, so it cannot be exported with a free batch size; export it for a fixed one`
  }
}

/** The program, and what its file contains. */
export interface Options {
  /** The program for a batch size. */
  readonly program: (batch: number) => Result.Result<Program.Program, GraphError>
  /** The values of all its variables, by name. */
  readonly weights: ReadonlyMap<string, Float32Array>
  readonly name?: string
  /** Key–value pairs stored in the file: class names, normalisation, provenance. */
  readonly metadata?: Readonly<Record<string, string>>
}

/**
 * The bytes of an ONNX file.
 *
 * Anything that can be computed from the weights alone is computed now: batch norms are folded into their convolutions wherever that is exact.
 *
 * To free the batch size, the program is lowered for two batch sizes: wherever the two models differ, and only there, the batch size matters.
 *
 * @example
 * ```ts
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Export, Model as Onnx, Quantise } from "@uninet/onnx"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 2 })(x) })
 * })
 * const weights = new Map([
 *   ["y.weight", new Float32Array(8).fill(0.1)],
 *   ["y.bias", new Float32Array(2)]
 * ])
 * const options = { program: (batch: number) => Model.evaluation({ batch })(model), weights, metadata: { made: "by hand" } }
 * const file = Result.getOrThrow(Export.toOnnx(options))
 * console.log(file.length > 0, Onnx.metadataOf(file)) // true { made: 'by hand' }
 *
 * // As data, before it is written; and in eight bits, with the ranges that were seen of its values.
 * const exported = Result.getOrThrow(Export.toModel(options))
 * const ranges = new Map(Quantise.observed(exported).map((name) => [name, { min: -1, max: 1 }]))
 * const { left, taken } = Quantise.quantise(ranges)(exported)
 * console.log(exported.nodes.map(({ opType }) => opType), taken, left)
 * console.log(Onnx.encode(exported).length === file.length) // true
 * ```
 */
export const toOnnx = (options: Options): Result.Result<Uint8Array, GraphError | NotBatchFree> =>
  Result.map(toModel(options), encode)

/** The same as data. */
export const toModel = (options: Options): Result.Result<Model, GraphError | NotBatchFree> =>
  Result.gen(function* () {
    const { weights, name = "network", metadata = {} } = options
    const at = (batch: number) =>
      Result.map(
        options.program(batch),
        (program) => lower({ name, metadata, weights, images: "plain", exact: true })(program).model
      )
    // Primes that are unlikely to be any other length in a network.
    const model = yield* freeBatch(yield* at(7919), yield* at(7927))
    return fold(model)
  })

/** The name of the free axis. */
const batchAxis = "batch"

const freeBatch = (one: Model, other: Model): Result.Result<Model, NotBatchFree> => {
  const fault = differentNode(one, other)
  if (fault !== undefined) return Result.fail(new NotBatchFree({ at: fault }))
  const others = new Map(other.constants.map((c) => [c.name, c]))
  const shapes = new Set(one.nodes.filter((node) => node.opType === "Reshape").map((node) => node.inputs[1]))
  const constants: Array<Constant> = []
  for (const constant of one.constants) {
    const twin = others.get(constant.name)
    const free = twin === undefined ? undefined : freeConstant(constant, twin, shapes.has(constant.name))
    if (free === undefined) return Result.fail(new NotBatchFree({ at: constant.name }))
    constants.push(free)
  }
  return Result.succeed({
    ...one,
    constants,
    inputs: freeAxes(one.inputs, other.inputs),
    outputs: freeAxes(one.outputs, other.outputs)
  })
}

/** Inputs or outputs with a free batch axis. */
const freeAxes = (mine: ReadonlyArray<ValueInfo>, theirs: ReadonlyArray<ValueInfo>) =>
  mine.map((value, i) => ({
    ...value,
    shape: value.shape?.map((n, axis) => (n === Arr.getUnsafe(theirs, i).shape?.[axis] ? n : batchAxis)) ?? null
  }))

/** The first operator in which two models differ. */
const differentNode = (one: Model, other: Model): string | undefined => {
  if (one.nodes.length !== other.nodes.length) return "the number of operators"
  return one.nodes.find((node, i) => JSON.stringify(node) !== JSON.stringify(other.nodes[i]))?.opType
}

/** A constant for any batch size: the one length of a shape that differs becomes "whatever is left". */
const freeConstant = (one: Constant, other: Constant, isShape: boolean): Constant | undefined => {
  if (one.data.length !== other.data.length) return undefined
  const differs: Array<number> = []
  for (let i = 0; i < one.data.length; i++) if (one.data[i] !== other.data[i]) differs.push(i)
  if (differs.length === 0) return one
  if (!isShape || differs.length > 1 || !(one.data instanceof BigInt64Array)) return undefined
  const data = one.data.slice()
  data[Arr.getUnsafe(differs, 0)] = -1n
  return { ...one, data }
}
