/**
 * The cost of a point, as functions that you provide: this package does not know about operators.
 *
 * A cost that adds up along the parts of the space (a network's MACs: stem + stages + head) can say so with a `Chain`. Constraints
 * on it are then solved exactly, by dynamic programming over the parts, however few points meet them.
 */
/** Named costs of one point, such as `{ parameters, macs, activationBytes }`. */
export type Costs<K extends string> = { readonly [key in K]: number }

/** All that a part's cost depends on from the parts before it: for a network, the number of input channels. */
export type Entry = string | number

/**
 * A cost as a sum over the parts of a product: the items of a `tuple` or fixed `repeat`, the fields of a `struct` without
 * conditions, in order (also behind `Choice.map`). Part i receives the exit of part i − 1 as its entry, and must not depend
 * on anything else about the other parts: `value` is a whole point, but read only part i of it. A cost may be `Infinity` (a part
 * that cannot be built), but not −Infinity or NaN.
 */
export interface Chain<in A, K extends string> {
  /**
   * Where the product is in the space, as the keys that lead to it: `["network"]` for a cost of the field `network` only. Everything else costs nothing and may be anything,
   * including continuous or conditional choices. Default: the space itself. Set by `onField`.
   */
  readonly focus?: ReadonlyArray<string | number>
  /** The costs before the first part, and its entry; must depend only on what all points have in common. */
  readonly start: (value: A) => { readonly costs: Costs<K>; readonly exit: Entry }
  readonly part: (value: A, index: number, entry: Entry) => { readonly costs: Costs<K>; readonly exit: Entry }
  /** The costs after the last part; must depend only on the entry and on what all points have in common. */
  readonly end: (value: A, entry: Entry) => Costs<K>
}

/**
 * A cost function, with its chain if it has one. `of` must be the sum that the chain describes: `Constrained.make` checks this, and relies on `of` alone if they differ.
 */
export interface Cost<in A, K extends string> {
  readonly of: (value: A) => Costs<K>
  readonly chain?: Chain<A, K>
}

/** A cost without known structure. */
export const make = <A, K extends string>(of: (value: A) => Costs<K>): Cost<A, K> => ({ of })

/**
 * Applies a cost to one field (or item) of a larger point; everything else costs nothing. For example, a network's MACs when a learning rate is searched
 * along with it. A chain is kept, so bounds are still met by dynamic programming over the field's parts, whatever the other fields are. The field must be chosen independently of the
 * others: it must not be conditional, and no condition may refer to it.
 *
 * @example
 * ```ts
 * import { Choice, Constrained, Constraint, Cost, Prng, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const widths = Choice.repeat(Choice.ordered([16, 32, 64]), 6)
 * // a chain of linear layers on 8 inputs
 * const weights: Cost.Cost<ReadonlyArray<number>, "weights"> = {
 *   of: (row) => ({ weights: row.reduce((sum, width, i) => sum + width * (row[i - 1] ?? 8), 0) }),
 *   chain: {
 *     start: () => ({ costs: { weights: 0 }, exit: 8 }),
 *     part: (row, i, entry) => {
 *       const width = row[i] ?? 0
 *       return { costs: { weights: width * Number(entry) }, exit: width }
 *     },
 *     end: () => ({ weights: 0 })
 *   }
 * }
 * const space = Result.getOrThrow(
 *   Space.make(Choice.struct({ widths, rate: Choice.logUniform({ min: 1e-4, max: 0.1 }) }))
 * )
 * const light = Constraint.bounds({ weights: { max: 3000 } })(Cost.onField("widths")(weights))
 * const drawn = Result.flatMap(Constrained.make(space, light), Constrained.sampleWithin(Prng.fromSeed(1)))
 * ```
 */
export const onField =
  <const F extends string | number>(field: F) =>
  <A, K extends string>({ chain, of }: Cost<A, K>): Cost<{ readonly [P in F]: A }, K> => ({
    of: (value) => of(value[field]),
    ...(chain === undefined
      ? {}
      : {
          chain: {
            focus: [field, ...(chain.focus ?? [])],
            start: (value) => chain.start(value[field]),
            part: (value, index, entry) => chain.part(value[field], index, entry),
            end: (value, entry) => chain.end(value[field], entry)
          }
        })
  })

/** Makes a pure function remember its last result: several costs of a point are read one after the other, and are often computed together. */
export const lastKnown = <A, B>(of: (value: A) => B): ((value: A) => B) => {
  let last: { readonly value: A; readonly found: B } | undefined
  return (value) => (last !== undefined && last.value === value ? last : (last = { value, found: of(value) })).found
}

/** The sum of two costs, name by name. */
export const plus = <K extends string>(a: Costs<K>, b: Costs<K>): Costs<K> => {
  const out: Record<string, number> = {}
  for (const key in a) out[key] = a[key] + b[key]
  return out as Costs<K> // has the keys of `a`, which are all of K
}
