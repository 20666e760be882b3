/** Ranges of numbers for recipes, and fields that may be omitted. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** A finite number that is 0 or more. */
export const Rate = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/** A learning rate. One above a million is a typo, and would soon exceed a 32-bit float. */
export const LearningRate = Rate.check(Schema.isLessThanOrEqualTo(1e6))

/** A finite number above 0. */
export const Positive = Schema.Finite.check(Schema.isGreaterThan(0))

/** From 0 up to but excluding 1. */
export const Share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1, exclusiveMaximum: true }))

/** A positive whole number. */
export const Count = Schema.Int.check(Schema.isGreaterThan(0))

/** A field that may be omitted from JSON and constructors, with this value as its default. */
export const or = <S extends Schema.Constraint & Schema.WithoutConstructorDefault>(
  schema: S,
  value: S["Encoded"] & S["~type.make.in"]
) => {
  const decoding: Schema.withDecodingDefaultKey<S> = Schema.withDecodingDefaultKey<S>(
    Effect.succeed<S["Encoded"]>(value)
  )(schema)
  return Schema.withConstructorDefault<typeof decoding>(Effect.succeed(value))(decoding)
}
