/** Random declarations of small spaces, built from every combinator. */
import { Choice } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"

export type AnyChoice = Choice.Choice<unknown>

const options = fc.uniqueArray(
  fc.oneof(fc.constantFrom("a", "b", "c"), fc.integer({ min: 0, max: 9 }), fc.boolean(), fc.constant(null)),
  {
    minLength: 1,
    maxLength: 3
  }
)

const listed: fc.Arbitrary<AnyChoice> = fc.oneof(
  fc.tuple(options, fc.nat(2)).map(([list, at]) => Choice.categorical(list, { seed: list[at % list.length]! })),
  fc.tuple(options, fc.nat(2)).map(([list, at]) => Choice.ordered(list, { seed: list[at % list.length]! })),
  fc
    .record({
      min: fc.integer({ min: -3, max: 3 }),
      more: fc.nat(2),
      step: fc.integer({ min: 1, max: 3 }),
      seed: fc.nat(2)
    })
    .map(({ min, more, seed, step }) =>
      Choice.integer({ min, max: min + more * step, step, seed: min + Math.min(seed, more) * step })
    ),
  fc.constantFrom("k", 1, null).map((value) => Choice.constant(value))
)

/** A struct with two fields that others can be conditional on. */
const withConditions = (item: fc.Arbitrary<AnyChoice>, conditional: fc.Arbitrary<AnyChoice>): fc.Arbitrary<AnyChoice> =>
  fc
    .record({
      a: item,
      b: conditional,
      needs: fc.subarray(["x", "y", "z"], { minLength: 1 }),
      low: fc.integer({ min: 0, max: 2 }),
      chained: fc.boolean()
    })
    .map(({ a, b, chained, low, needs }) =>
      Choice.struct({
        // declared before the fields it depends on
        b: Choice.when({ mode: needs, level: [low, 2] }, b),
        mode: Choice.categorical(["x", "y", "z"], { seed: "y" }),
        level: chained
          ? Choice.when({ mode: ["x", "y"] }, Choice.integer({ min: 0, max: 2 }))
          : Choice.integer({ min: 0, max: 2 }),
        a
      })
    )

/** Declarations whose single choices are drawn from `leaf`, and whose quotients are drawn from `mapped` if given. */
const declarations = (leaf: fc.Arbitrary<AnyChoice>, mapped?: fc.Arbitrary<AnyChoice>) =>
  fc.letrec<{ choice: AnyChoice }>((tie) => ({
    choice: fc.oneof(
      { depthSize: "small", maxDepth: 3, withCrossShrink: true },
      { weight: 3, arbitrary: leaf },
      { weight: 1, arbitrary: fc.array(tie("choice"), { maxLength: 2 }).map((items) => Choice.tuple(items)) },
      {
        weight: 1,
        arbitrary: fc.record({ p: tie("choice"), q: tie("choice") }).map((fields) => Choice.struct(fields))
      },
      { weight: 1, arbitrary: withConditions(leaf, tie("choice")) },
      {
        weight: 1,
        arbitrary: fc
          .record({ item: tie("choice"), min: fc.nat(1), more: fc.nat(1) })
          .map(({ item, min, more }) => Choice.repeat(item, { min, max: min + more }))
      },
      {
        weight: 1,
        arbitrary: fc
          .record({ one: tie("choice"), two: leaf })
          .map(({ one, two }) => Choice.variants("kind", { one: { it: one, also: two }, two: { it: two }, none: {} }))
      },
      {
        weight: 1,
        arbitrary: tie("choice").map((inner) =>
          inner.pipe(
            Choice.map({
              schema: Schema.Struct({ wrapped: Schema.Unknown }),
              to: (wrapped) => ({ wrapped }),
              from: ({ wrapped }) => Result.succeed(wrapped)
            })
          )
        )
      },
      {
        weight: 1,
        arbitrary: (mapped ?? tie("choice")).map((inner) =>
          inner.pipe(
            Choice.quotient({
              schema: Schema.Struct({ length: Schema.Int }),
              to: (value) => ({ length: (JSON.stringify(value) ?? "").length % 4 })
            })
          )
        )
      }
    )
  })).choice

/** Declarations of small spaces, in which everything can be counted. */
export const declaration = declarations(listed)

const positive = (x: number) => 10 ** (x / 20)
const bound = fc.double({ min: -100, max: 100, noNaN: true })

/** Ranges of real numbers, on both scales. */
export const numeric = fc
  .record({ a: bound, b: bound, logarithmic: fc.boolean(), seed: fc.double({ min: 0, max: 1, noNaN: true }) })
  .filter(({ a, b }) => Math.abs(a - b) > 1e-3)
  .map(({ a, b, logarithmic, seed }) => {
    const [low, high] = [Math.min(a, b), Math.max(a, b)]
    const [min, max] = logarithmic ? [positive(low), positive(high)] : [low, high]
    return { min, max, seed: Math.min(max, min + seed * (max - min)), logarithmic }
  })

/** A choice of a real number, or of an integer from a large range. */
const number: fc.Arbitrary<AnyChoice> = fc.oneof(
  numeric.map(({ logarithmic, ...range }) => (logarithmic ? Choice.logUniform(range) : Choice.uniform(range))),
  fc.integer({ min: 1, max: 2 ** 31 - 2 }).map((max) => Choice.integer({ min: -5, max: max - 5 }))
)

/** Declarations with real numbers in them; most of their spaces are infinite. */
export const numericDeclaration = declarations(fc.oneof(listed, number), declaration)
