/** What a space needs to know about the examples that its networks are for. A data set provides it. */
import type { Model } from "@uninet/nn"
import * as Schema from "effect/Schema"

const Port = Schema.Struct({
  shape: Schema.Array(Schema.Int.check(Schema.isGreaterThan(0))),
  dtype: Schema.Literals(["float32", "int32"])
})

/**
 * - `inputs`: the parts of an example, under the names of a model's inputs.
 * - `targets`: the target of an example.
 * - `classes`: how many classes integer targets distinguish; `null` if they are not classes.
 */
export const Facts = Schema.Struct({
  inputs: Schema.Record(Schema.String, Port),
  targets: Port,
  classes: Schema.NullOr(Schema.Int)
})
export type Facts = typeof Facts.Type

/**
 * The facts of a data set. `classes` is the number of classes; without it, targets are not classes.
 *
 * @example
 * ```ts
 * import { Facts } from "@uninet/model-space"
 *
 * // Of a data set, or of anything that describes itself as one does.
 * const facts = Facts.of({
 *   inputs: { image: { shape: [1, 28, 28], dtype: "float32" } },
 *   targets: { shape: [], dtype: "int32" },
 *   classes: ["shirt", "shoe", "bag"]
 * })
 * console.log(facts.classes, facts.inputs.image?.shape) // 3 [ 1, 28, 28 ]
 * ```
 */
export const of = (data: {
  readonly inputs: Model.Ports
  readonly targets: Model.Port
  readonly classes?: ReadonlyArray<string>
}): Facts => ({
  inputs: Object.fromEntries(Object.entries(data.inputs).map(([name, { dtype, shape }]) => [name, { shape, dtype }])),
  targets: { shape: data.targets.shape, dtype: data.targets.dtype },
  classes: data.classes?.length ?? null
})
