/** What a space has to know of the examples that its networks are for: a data set says so much of itself. */
import type { Model } from "@uninet/nn"
import * as Schema from "effect/Schema"

const Port = Schema.Struct({
  shape: Schema.Array(Schema.Int.check(Schema.isGreaterThan(0))),
  dtype: Schema.Literals(["float32", "int32"])
})

/**
 * - `inputs`: what an example is, by the names of a model's inputs.
 * - `targets`: what belongs to it.
 * - `classes`: how many classes whole-number targets tell apart; `null` where they are no classes.
 */
export const Facts = Schema.Struct({
  inputs: Schema.Record(Schema.String, Port),
  targets: Port,
  classes: Schema.NullOr(Schema.Int)
})
export type Facts = typeof Facts.Type

/**
 * The facts of a data set. `classes` gives their number; without it targets tell no classes apart.
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
