/** Ranges of numbers that recipes are made of, and fields that may be left out. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** A finite number of 0 or more. */
export const Rate = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/** A learning rate: one above a million is a slip of the pen, and soon no number of 32 bits. */
export const LearningRate = Rate.check(Schema.isLessThanOrEqualTo(1e6))

/** A finite number above 0. */
export const Positive = Schema.Finite.check(Schema.isGreaterThan(0))

/** From 0 to just below 1. */
export const Share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1, exclusiveMaximum: true }))

/** A whole number of 1 or more. */
export const Count = Schema.Int.check(Schema.isGreaterThan(0))

/** A field that may be left out of JSON and of constructors, and then has this value. */
export const or = <S extends Schema.Constraint & Schema.WithoutConstructorDefault>(
  schema: S,
  value: S["Encoded"] & S["~type.make.in"]
) => {
  const decoding: Schema.withDecodingDefaultKey<S> = Schema.withDecodingDefaultKey<S>(
    Effect.succeed<S["Encoded"]>(value)
  )(schema)
  return Schema.withConstructorDefault<typeof decoding>(Effect.succeed(value))(decoding)
}
