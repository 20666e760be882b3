/**
 * The algebra: declarations of what may be chosen. A `Choice<A>` is a value that says which `A`s there are; it is built from
 * single choices by products, tuples, repetition, conditions and mappings, and `Space.make` checks it and gives the space.
 * Nothing here fails or throws: faults are kept and reported by `Space.make`, all at once, with their paths.
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

/** A declaration of the values that may be chosen. Made by this module's constructors. */
export interface Choice<out A> extends Pipeable.Pipeable {
  /** @internal */
  readonly build: (context: Context, place: Place) => Node<A>
}

/** A field of a `struct` that exists only under what other fields chose. Made by `when`. */
export interface When<out A> {
  readonly conditions: Readonly<Record<string, ReadonlyArray<Literal>>>
  readonly choice: Choice<A>
}

const made = <A>(build: Choice<A>["build"]): Choice<A> => ({ ...Pipeable.Prototype, build })

/** The fields of a `struct`. */
export type Fields = { readonly [key: string]: Choice<unknown> | When<unknown> }

type Simplify<A> = { [K in keyof A]: A[K] } & {}

/** The value of a `struct` with these fields: one of its `when` fields is an optional key. */
export type StructValue<F extends Fields> = Simplify<
  {
    readonly [K in keyof F as F[K] extends Choice<unknown> ? K : never]: F[K] extends Choice<infer A> ? A : never
  } & {
    readonly [K in keyof F as F[K] extends When<unknown> ? K : never]?: F[K] extends When<infer A> ? A : never
  }
>

/** The value of `variants`: one record for every case, told apart by the tag. */
export type VariantsValue<Tag extends string, Cases extends { readonly [name: string]: Fields }> = {
  [Name in keyof Cases & string]: Simplify<{ readonly [T in Tag]: Name } & StructValue<Cases[Name]>>
}[keyof Cases & string]

/**
 * One of some names or values without an order: an operator, an activation.
 *
 * @param options at least one, no two the same.
 * @param settings `seed`: the option of the seed point; default the first.
 */
export const categorical = <const L extends Literal>(
  options: ReadonlyArray<L>,
  settings?: { readonly seed?: NoInfer<L> }
): Choice<L> => made(Single.oneOf("categorical", options, settings))

/**
 * One of some values whose order in the list means something: widths, expansion ratios. Distances count the steps between.
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
 * A real number from `min` to `max`, both included, every number as likely as any other: a rate of dropout, a weight of a loss. A space with such a choice has
 * infinitely many points (`Space.size`), which cannot be gone through.
 *
 * Numbers are kept on a grid of 2³⁰ steps and given with as few decimal digits as tell them apart there: 0.1 stays 0.1, and JSON gives back the same number. One
 * written by hand is taken to the nearest of the grid.
 *
 * @param range `seed`: the number of the seed point; default `min`. Faults: bounds that are not finite, or not apart; a range so narrow that doubles hardly tell its
 *   numbers apart; a seed outside.
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
 * A real number from `min` to `max`, both included and above 0, every order of magnitude as likely as any other: a learning rate, a weight decay. Distances, mutations and
 * models see its logarithm; everything else is as with `uniform`.
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

/** The one value, without a choice: a constant inside a product. */
export const constant = <const L extends Literal>(value: L): Choice<L> => made(Single.constant(value))

/**
 * A record: every field is chosen on its own. A field made by `when` exists only under what other fields chose; fields may
 * stand in any order, and a cycle of conditions is a fault.
 */
export const struct = <const F extends Fields>(fields: F): Choice<StructValue<F>> => made(Struct.struct(fields))

/**
 * A field that exists only where every named field of the same `struct` chose one of the listed values. Those fields must be
 * single choices (`categorical`, `ordered` or `integer`), conditional ones included; a continuous one is a fault.
 */
export const when = <A>(conditions: Readonly<Record<string, ReadonlyArray<Literal>>>, choice: Choice<A>): When<A> => ({
  conditions,
  choice
})

/**
 * A choice between kinds of thing, each with its own fields; the value is a record whose `tag` key says which.
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

/** A fixed row of choices, each made on its own. */
export const tuple = <const Items extends ReadonlyArray<Choice<unknown>>>(
  items: Items
): Choice<{ readonly [K in keyof Items]: Items[K] extends Choice<infer A> ? A : never }> => made(Product.tuple(items))

/**
 * The same choice several times, each made on its own: `repeat(cell, 5)`, or `repeat(cell, { min: 1, max: 5 })` where the
 * length is a choice too (`seed`: the length of the seed point; default `min`).
 */
export const repeat = <A>(
  item: Choice<A>,
  times: number | { readonly min: number; readonly max: number; readonly seed?: number }
): Choice<ReadonlyArray<A>> =>
  made(Product.repeat(item, typeof times === "number" ? { min: times, max: times } : times))

/** What `from` of `map` says of a value that nothing maps to. */
export interface Unmappable {
  readonly path: ReadonlyArray<string | number>
  readonly value: unknown
  readonly expected: string
}

/** What `map` needs to know. */
export interface Mapping<in out A, in out B> {
  /** The type, and its JSON form. */
  readonly schema: Schema.Codec<B, unknown>
  /**
   * Inverse of one another, pure and total, but that `from` may fail on a value that no choice gives. Where the choices are continuous, numbers need only come back to nine
   * digits.
   */
  readonly to: (a: A) => B
  readonly from: (b: B) => Result.Result<A, Unmappable>
  /** Where a part of `A` is in `B`, for the names of sites and the paths of errors. Default: at the same path. */
  readonly locate?: (path: ReadonlyArray<string | number>) => ReadonlyArray<string | number>
}

/**
 * The same choices seen as values of another type, one to one. A `to` that gives one value for two choices needs `quotient`.
 */
export const map =
  <A, B>(mapping: Mapping<A, B>) =>
  (choice: Choice<A>): Choice<B> =>
    made(Mapped.map(choice, mapping))

/**
 * The same choices seen as values of another type, where several choices may give one value: they are then one point of the
 * space, with one canonical form (the choices nearest to the seed point), one hash, and one chance in sampling. There is no inverse to write: the choices
 * are tabulated, so there may be at most 2²⁰ of them, and none may be continuous.
 *
 * @param mapping `schema`: the type, and its JSON form; `to`: the value of some choices, pure and total; `canonical`: the form in
 *   which a value is kept where the type can say the same thing in several ways (default: as it is). Two values are
 *   the same if their canonical forms are the same JSON.
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
