/**
 * A network's inputs and outputs for some examples: numbers by the names of its inputs and outputs.
 *
 * @example
 * ```ts
 * import { Comparison, Examples } from "@uninet/export"
 * import { Result } from "effect"
 *
 * // What your own runner does: three examples in batches of two, and the answers put together again.
 * const inputs = { x: { shape: [2], dtype: "float32" } } as const
 * const outputs = { logits: { shape: [2], dtype: "float32" } } as const
 * const examples = { size: 3, inputs: { x: Float32Array.of(1, 2, 3, 4, 5, 6) } }
 * Result.getOrThrow(Examples.check(inputs)(examples))
 * const found = Examples.nothing(outputs, examples.size)
 * for (let from = 0; from < examples.size; from += 2) {
 *   const { x = [] } = Examples.rows(inputs, examples, from, 2) // padded with zeros behind the last
 *   Examples.put(outputs, found, from, Math.min(2, examples.size - from), { logits: x })
 * }
 * console.log(Examples.volume(inputs.x), found.logits) // 2, and the numbers that went in
 * console.log(Comparison.of(outputs, found, { logits: examples.inputs.x }, { logits: "logits", size: 3 }).worst) // 0
 * ```
 */
import type { Model } from "@uninet/nn"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** The numbers of an input or an output, in row-major order, one example after another. */
export type Values = Float32Array | Int32Array

/** Examples for a network, by the names of its inputs. */
export interface Examples {
  /** The number of examples. */
  readonly size: number
  /** By input name: `[size, ...shape]`. */
  readonly inputs: Readonly<Record<string, Values>>
}

/** By output name: `[size, ...shape]`. */
export type Outputs = Readonly<Record<string, Float32Array>>

/** The number of values in one example. */
export const volume = ({ shape }: Model.Port): number => shape.reduce((n, length) => n * length, 1)

/** A network cannot take these examples. */
export class ExamplesMismatch extends Schema.TaggedError<ExamplesMismatch>()("ExamplesMismatch", {
  input: Schema.String,
  takes: Schema.String,
  given: Schema.String
}) {
  override get message() {
    return `the network takes ${this.takes} for its input ${this.input}, but the examples have ${this.given}; give examples in that form`
  }
}

const kindOf = (values: Values): Model.Port["dtype"] => (values instanceof Int32Array ? "int32" : "float32")

/** Whether there are numbers of the right type for every input, as many as the examples need. */
export const check =
  (ports: Model.Ports) =>
  ({ inputs, size }: Examples): Result.Result<void, ExamplesMismatch> => {
    for (const [name, port] of Object.entries(ports)) {
      const values = Object.hasOwn(inputs, name) ? inputs[name] : undefined
      const length = size * volume(port)
      if (values?.length === length && kindOf(values) === port.dtype) continue
      return Result.fail(
        new ExamplesMismatch({
          input: name,
          takes: `${length} ${port.dtype} numbers ([${[size, ...port.shape].join("×")}])`,
          given: values === undefined ? "nothing" : `${values.length} ${kindOf(values)} numbers`
        })
      )
    }
    return Result.succeed(undefined)
  }

const empty = ({ dtype }: Model.Port, length: number): Values =>
  dtype === "int32" ? new Int32Array(length) : new Float32Array(length)

/** `count` examples from `from` on, by name, padded with zeros after the last. */
export const rows = (
  ports: Model.Ports,
  { inputs, size }: Examples,
  from: number,
  count: number
): Readonly<Record<string, Values>> =>
  Object.fromEntries(
    Object.entries(ports).map(([name, port]) => {
      const each = volume(port)
      const values = inputs[name]?.subarray(from * each, Math.min(size, from + count) * each) ?? []
      const out = empty(port, count * each)
      out.set(values)
      return [name, out]
    })
  )

/** Space for a network's outputs for this many examples. */
export const nothing = (ports: Model.Ports, size: number): Outputs =>
  Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, new Float32Array(size * volume(port))]))

/** Stores the outputs for `count` examples at `from`. */
export const put = (
  ports: Model.Ports,
  outputs: Outputs,
  from: number,
  count: number,
  found: Readonly<Record<string, ArrayLike<number> | undefined>>
): void => {
  for (const [name, port] of Object.entries(ports)) {
    const each = volume(port)
    const values = found[name]
    const into = outputs[name]
    if (values === undefined || into === undefined) continue
    for (let i = 0; i < count * each; i++) into[from * each + i] = values[i] ?? Number.NaN
  }
}
