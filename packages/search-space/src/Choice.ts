/**
 * The algebra of declarations. A `Choice<A>` says which values of type `A` can be chosen. It is built from single choices by
 * products, tuples, repetition, conditions and mappings; `Space.make` checks it and returns the space.
 * Nothing here fails or throws: `Space.make` reports all faults at once, with their paths.
 *
 * @example
 * ```ts
 * import { Choice, Prng, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const layer = Choice.struct({
 *   operator: Choice.categorical(["conv", "attention"]),
 *   width: Choice.ordered([16, 32, 64], { seed: 32 }),
 *   heads: Choice.when({ operator: ["attention"] }, Choice.ordered([1, 2, 4]))
 * })
 * const network = Choice.repeat(layer, { min: 1, max: 4 })
 *
 * const space = Result.getOrThrow(Space.make(network))
 * console.log(Space.size(space)) // 12 + 12² + 12³ + 12⁴ = 22620n
 * console.log(Space.sample(Prng.fromSeed(1))(space))
 * ```
 */
import * as Pipeable from "effect/Pipeable"
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Mapped from "./internal/mapping.ts"
import { emptyNode, report, type Context, type Node, type Place } from "./internal/node.ts"
import * as Product from "./internal/product.ts"
import * as Single from "./internal/single.ts"
import * as Struct from "./internal/struct.ts"
import type { Literal } from "./Site.ts"

/** A declaration of the values that can be chosen. Made by this module's constructors. */
export interface Choice<out A> extends Pipeable.Pipeable {
  /** @internal */
  readonly build: (context: Context, place: Place) => Node<A>
}

/** A field of a `struct` that exists only for certain values of other fields. Made by `when`. */
export interface When<out A> {
  readonly conditions: Readonly<Record<string, ReadonlyArray<Literal>>>
  readonly choice: Choice<A>
}

const made = <A>(build: Choice<A>["build"]): Choice<A> => ({ ...Pipeable.Prototype, build })

/** The fields of a `struct`. */
export type Fields = { readonly [key: string]: Choice<unknown> | When<unknown> }

type Simplify<A> = { [K in keyof A]: A[K] } & {}

/** The value of a `struct` with these fields; each `when` field is an optional key. */
export type StructValue<F extends Fields> = Simplify<
  {
    readonly [K in keyof F as F[K] extends Choice<unknown> ? K : never]: F[K] extends Choice<infer A> ? A : never
  } & {
    readonly [K in keyof F as F[K] extends When<unknown> ? K : never]?: F[K] extends When<infer A> ? A : never
  }
>

/** The value of `variants`: a union with one record type per case, discriminated by the tag. */
export type VariantsValue<Tag extends string, Cases extends { readonly [name: string]: Fields }> = {
  [Name in keyof Cases & string]: Simplify<{ readonly [T in Tag]: Name } & StructValue<Cases[Name]>>
}[keyof Cases & string]

/**
 * One of several names or values without an order: an operator, an activation.
 *
 * @param options at least one, without duplicates.
 * @param settings `seed`: the option of the seed point; default the first.
 */
export const categorical = <const L extends Literal>(
  options: ReadonlyArray<L>,
  settings?: { readonly seed?: NoInfer<L> }
): Choice<L> => made(Single.oneOf("categorical", options, settings))

/**
 * One of several values whose order in the list has a meaning: widths, expansion ratios. Distances count the steps between them.
 *
 * @param settings `seed`: the option of the seed point; default the first.
 */
export const ordered = <const L extends Literal>(
  options: ReadonlyArray<L>,
  settings?: { readonly seed?: NoInfer<L> }
): Choice<L> => made(Single.oneOf("ordered", options, settings))

/**
 * A whole number from `min` to `max`, both included, in steps of `step` (default 1).
 *
 * @param range `seed`: the number of the seed point; default `min`.
 */
export const integer = (range: {
  readonly min: number
  readonly max: number
  readonly step?: number
  readonly seed?: number
}): Choice<number> => made(Single.integer(range))

/**
 * A real number from `min` to `max`, both included, uniformly distributed: a dropout rate, the weight of a loss. A space with such a choice has
 * infinitely many points (`Space.size`) and cannot be enumerated.
 *
 * Numbers lie on a grid of 2³⁰ steps and have as few decimal digits as are needed to tell grid points apart: 0.1 stays 0.1, and JSON gives back the same number. A
 * number written by hand is rounded to the nearest grid point.
 *
 * @param range `seed`: the number of the seed point; default `min`. Faults: bounds that are not finite or are equal; a range too narrow for doubles to tell its
 *   numbers apart; a seed outside the range.
 *
 * @example
 * ```ts
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const space = Result.getOrThrow(Space.make(Choice.struct({ dropout: Choice.uniform({ min: 0, max: 0.5, seed: 0.1 }) })))
 * console.log(Space.seedPoint(space)) // { dropout: 0.1 }
 * console.log(Space.size(space)) // Infinity
 * ```
 */
export const uniform = (range: {
  readonly min: number
  readonly max: number
  readonly seed?: number
}): Choice<number> => made(Single.continuous("linear", range))

/**
 * A real number from `min` to `max`, both included and above 0, uniformly distributed on a logarithmic scale: a learning rate, a weight decay. Distances, mutations and
 * models see its logarithm; everything else is as in `uniform`.
 *
 * @param range `seed`: the number of the seed point; default `min`. Faults: those of `uniform`, and a `min` of 0 or less.
 *
 * @example
 * ```ts
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const made = Space.make(Choice.struct({ learningRate: Choice.logUniform({ min: 1e-4, max: 0.1, seed: 0.01 }) }))
 * console.log(Space.print(Result.getOrThrow(made)))
 * // infinitely many choices
 * //   learningRate: 1e-4 … 0.1 (logarithmic)
 * ```
 */
export const logUniform = (range: {
  readonly min: number
  readonly max: number
  readonly seed?: number
}): Choice<number> => made(Single.continuous("logarithmic", range))

/** A single value with nothing to choose: a constant inside a product. */
export const constant = <const L extends Literal>(value: L): Choice<L> => made(Single.constant(value))

/**
 * A record whose fields are chosen independently. A field made by `when` exists only for certain values of other fields. Fields can be
 * listed in any order; a cycle of conditions is a fault.
 */
export const struct = <const F extends Fields>(fields: F): Choice<StructValue<F>> => made(Struct.struct(fields))

/**
 * A field that exists only if every named field of the same `struct` has one of the listed values. Those fields must be
 * single choices (`categorical`, `ordered` or `integer`) and may be conditional themselves; a continuous one is a fault.
 */
export const when = <A>(conditions: Readonly<Record<string, ReadonlyArray<Literal>>>, choice: Choice<A>): When<A> => ({
  conditions,
  choice
})

/**
 * A choice between several cases, each with its own fields; the value is a record whose `tag` key names the case.
 *
 * @example
 * ```ts
 * import { Choice } from "@uninet/search-space"
 *
 * // { op: "conv", kernel: 3 | 5 } | { op: "pool" }
 * const cell = Choice.variants("op", { conv: { kernel: Choice.ordered([3, 5]) }, pool: {} })
 * ```
 */
export const variants = <const Tag extends string, const Cases extends { readonly [name: string]: Fields }>(
  tag: Tag,
  cases: Cases,
  settings?: { readonly seed?: NoInfer<keyof Cases & string> }
): Choice<VariantsValue<Tag, Cases>> => made(Struct.variants(tag, cases, settings))

/** A fixed list of choices, each made independently. */
export const tuple = <const Items extends ReadonlyArray<Choice<unknown>>>(
  items: Items
): Choice<{ readonly [K in keyof Items]: Items[K] extends Choice<infer A> ? A : never }> => made(Product.tuple(items))

/**
 * The same choice several times, made independently each time: `repeat(cell, 5)`, or `repeat(cell, { min: 1, max: 5 })` if the
 * length is a choice too (`seed`: the length of the seed point; default `min`).
 */
export const repeat = <A>(
  item: Choice<A>,
  times: number | { readonly min: number; readonly max: number; readonly seed?: number }
): Choice<ReadonlyArray<A>> =>
  made(Product.repeat(item, typeof times === "number" ? { min: times, max: times } : times))

/** What the `from` of a `map` returns for a value that nothing maps to. */
export interface Unmappable {
  readonly path: ReadonlyArray<string | number>
  readonly value: unknown
  readonly expected: string
}

/** The argument of `map`. */
export interface Mapping<in out A, in out B> {
  /** The mapped type and its JSON form. */
  readonly schema: Schema.Codec<B, unknown>
  /**
   * `to` and `from` must be pure, total and inverse to each other, except that `from` may fail for a value that no choice maps to. For continuous choices,
   * numbers need only survive the round trip to nine digits.
   */
  readonly to: (a: A) => B
  readonly from: (b: B) => Result.Result<A, Unmappable>
  /** Maps a path in `A` to the corresponding path in `B`, for the names of sites and the paths of errors. Default: the same path. */
  readonly locate?: (path: ReadonlyArray<string | number>) => ReadonlyArray<string | number>
}

/**
 * The same choices as values of another type, one to one. If `to` can give the same value for two choices, use `quotient`.
 */
export const map =
  <A, B>(mapping: Mapping<A, B>) =>
  (choice: Choice<A>): Choice<B> =>
    made(Mapped.map(choice, mapping))

/**
 * The same choices as values of another type, where several choices may give the same value. They then form one point of the
 * space, with one canonical form (the choices nearest to the seed point), one hash, and one share in sampling. You write no inverse: all combinations of the choices
 * are tabulated, so there can be at most 2²⁰ of them, and none of the choices may be continuous.
 *
 * @param mapping `schema`: the mapped type and its JSON form; `to`: the value for given choices, pure and total; `canonical`: the form in
 *   which a value is stored if the type can express the same thing in several ways (default: the value itself). Two values are
 *   the same if their canonical forms have the same JSON.
 */
export const quotient =
  <A, B>(mapping: {
    readonly schema: Schema.Codec<B, unknown>
    readonly to: (a: A) => B
    readonly canonical?: (b: B) => B
  }) =>
  (choice: Choice<A>): Choice<B> =>
    made(Mapped.quotient(choice, mapping))

/** A declaration with a fault, for functions that make declarations from settings; `Space.make` reports it. */
export const invalid = (problem: string, remedy: string): Choice<never> =>
  made((context, place) => {
    report(context, place.path, problem, remedy)
    return emptyNode(context, Schema.Never)
  })
