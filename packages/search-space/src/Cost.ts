/**
 * What a point of a space costs, as functions handed in: this package knows no operators.
 *
 * A cost that adds up along the parts of the space (a network's MACs: stem + stages + head) may say so with a `Chain`. Constraints
 * on it are then solved exactly, by dynamic programming over the parts, however few points meet them.
 */
/** Named costs of one point, such as `{ parameters, macs, activationBytes }`. */
export type Costs<K extends string> = { readonly [key in K]: number }

/** What a part's cost depends on of the parts before it: for a network, the channels that come in. */
export type Entry = string | number

/**
 * A cost as a sum over the parts of a product: the items of a `tuple` or fixed `repeat`, the fields of a `struct` without
 * conditions, in order (also behind `Choice.map`). Part i is told the entry that part i − 1 gave out, and sees nothing else
 * of the other parts: `value` is a point of the space of which only part i is to be looked at.
 */
export interface Chain<in A, K extends string> {
  /** What is there before the first part; looks only at what all points have in common. */
  readonly start: (value: A) => { readonly costs: Costs<K>; readonly exit: Entry }
  readonly part: (value: A, index: number, entry: Entry) => { readonly costs: Costs<K>; readonly exit: Entry }
  /** What comes after the last part; looks only at what all points have in common. */
  readonly end: (value: A, entry: Entry) => Costs<K>
}

/** A cost function, with its chain where it has one. `of` must be the sum that the chain says. */
export interface Cost<in A, K extends string> {
  readonly of: (value: A) => Costs<K>
  readonly chain?: Chain<A, K>
}

/** A cost without known structure. */
export const make = <A, K extends string>(of: (value: A) => Costs<K>): Cost<A, K> => ({ of })

/** The sum of two costs, name by name. */
export const plus = <K extends string>(a: Costs<K>, b: Costs<K>): Costs<K> => {
  const out: Record<string, number> = {}
  for (const key in a) out[key] = a[key] + b[key]
  return out as Costs<K> // has the keys of `a`, which are all of K
}
