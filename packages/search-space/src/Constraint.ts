/**
 * Bounds on the costs of a point: parameters, MACs, activation memory, or any other function of it.
 *
 * @example
 * ```ts
 * import { Constraint } from "@uninet/search-space"
 *
 * const narrow = Constraint.bound("width", ({ width }: { width: number }) => width, { max: 16 })
 * console.log(Constraint.print(narrow), Constraint.amount({ width: 24 })(narrow), Constraint.excess(24)(narrow))
 * console.log(Constraint.violations({ width: 24 })([narrow]))
 * ```
 */
import * as Schema from "effect/Schema"
import type { Chain, Cost } from "./Cost.ts"
import type { Tokens } from "./Space.ts"

/** A named quantity of a point and the window it must lie in, both bounds included. */
export interface Constraint<in A> {
  readonly name: string
  /** −Infinity if there is no lower bound. */
  readonly min: number
  /** In the cost's unit, inclusive; Infinity if there is no upper bound. */
  readonly max: number
  readonly of: (value: A) => number
  /** How the quantity adds up, if it does; see `Cost.Chain`. */
  readonly chain?: { readonly of: Chain<A, string>; readonly key: string }
  /**
   * Optimistic limits, `[least, most]`, on the cost of any completion of a token prefix. They let masks rule out choices for a quantity
   * without a chain. Limits that are not optimistic cut off feasible points.
   */
  readonly range?: (prefix: Tokens) => readonly [least: number, most: number]
}

/** The window of a constraint: a lower bound, an upper bound, or both. */
export interface Window {
  /** In the cost's unit, inclusive. Default: no bound. */
  readonly min?: number
  /** In the cost's unit, inclusive. Default: no bound. */
  readonly max?: number
}

/** A bound on any function of a point. */
export const bound = <A>(
  name: string,
  of: (value: A) => number,
  window: Window & { readonly range?: (prefix: Tokens) => readonly [least: number, most: number] }
): Constraint<A> => ({
  name,
  of,
  min: window.min ?? -Infinity,
  max: window.max ?? Infinity,
  ...(window.range === undefined ? {} : { range: window.range })
})

/** Bounds on some of a cost's quantities: `bounds({ macs: { max: 5e8 }, parameters: { min: 1e6, max: 1e7 } })(cost)`. */
export const bounds =
  <const K extends string>(windows: { readonly [key in K]?: Window }) =>
  <A>(cost: Cost<A, K>): ReadonlyArray<Constraint<A>> => {
    const out: Array<Constraint<A>> = []
    for (const key in windows) {
      const window = windows[key]
      if (window === undefined) continue
      out.push({
        ...bound<A>(key, (value) => cost.of(value)[key], window),
        ...(cost.chain === undefined ? {} : { chain: { of: cost.chain, key } })
      })
    }
    return out
  }

/** The quantity of a point; NaN if its function throws. */
export const amount =
  <A>(value: A) =>
  (constraint: Pick<Constraint<A>, "of">): number => {
    try {
      return constraint.of(value)
    } catch {
      return Number.NaN
    }
  }

/** A constraint and a point's quantity for it. */
export const Violation = Schema.Struct({
  name: Schema.String,
  /** NaN if the quantity cannot be computed. */
  value: Schema.Number,
  /** The bounds; `null` for none. */
  min: Schema.NullOr(Schema.Finite),
  max: Schema.NullOr(Schema.Finite)
})
export type Violation = typeof Violation.Type

/** The constraints that a point does not meet, with its quantities; empty if it meets them all. A quantity that cannot be computed violates its constraint. */
export const violations =
  <A>(value: A) =>
  (constraints: ReadonlyArray<Constraint<A>>): ReadonlyArray<Violation> =>
    constraints.flatMap((constraint) => {
      const has = amount(value)(constraint)
      return has >= constraint.min && has <= constraint.max ? [] : [describe(has)(constraint)]
    })

/** @internal */
export const describe =
  (value: number) =>
  (constraint: Pick<Constraint<never>, "name" | "min" | "max">): Violation => ({
    name: constraint.name,
    value,
    min: Number.isFinite(constraint.min) ? constraint.min : null,
    max: Number.isFinite(constraint.max) ? constraint.max : null
  })

/** A window in words: `macs from 1 to 2`, `macs at most 2`. */
export const print = ({
  max,
  min,
  name
}: {
  readonly name: string
  readonly min: number | null
  readonly max: number | null
}): string => {
  const low = min === null || min === -Infinity ? undefined : min
  const high = max === null || max === Infinity ? undefined : max
  if (low !== undefined && high !== undefined) return `${name} from ${low} to ${high}`
  if (low !== undefined) return `${name} at least ${low}`
  return high === undefined ? `any ${name}` : `${name} at most ${high}`
}

/** How far a value is outside a window, relative to the bound that it misses; 0 inside, Infinity for NaN. */
export const excess =
  (value: number) =>
  ({ max, min }: Pick<Constraint<never>, "min" | "max">): number => {
    if (value >= min && value <= max) return 0
    if (value > max) return (value - max) / scale(max)
    return value < min ? (min - value) / scale(min) : Infinity
  }

const scale = (bound: number) => Math.max(Math.abs(bound), 1e-12)
