/**
 * A set of operators by name, as a plain value. The service `Operators` supplies one.
 *
 * @example
 * ```ts
 * import { OperatorSet } from "@uninet/operators"
 *
 * console.log(Object.keys(OperatorSet.only("Conv", "SA")))
 * ```
 */
import { Conv } from "./operators/Conv.ts"
import { DWConv } from "./operators/DWConv.ts"
import { MLP } from "./operators/MLP.ts"
import { LSA, SA } from "./operators/SA.ts"
import type { Operator } from "./Operator.ts"

/** Operators by name. */
export type OperatorSet = Readonly<Record<string, Operator>>

/** UniNet's general operators. */
export const standard = { Conv, DWConv, SA, LSA, MLP } satisfies OperatorSet

/** The name of a standard operator. */
export type Name = keyof typeof standard

/** Some of the standard operators, for ablations. */
export const only = (...names: readonly [Name, ...ReadonlyArray<Name>]): OperatorSet =>
  Object.fromEntries(names.map((name) => [name, standard[name]]))

/** The standard operators plus custom ones; a custom operator replaces a standard one of the same name. */
const and = (own: OperatorSet): OperatorSet => ({ ...standard, ...own })
export { and as with }

/**
 * The operator with that name, if the set has it.
 *
 * @example
 * ```ts
 * import { OperatorSet } from "@uninet/operators"
 *
 * // A name from outside is safe to look up: what every JavaScript object has is no operator.
 * console.log(OperatorSet.get("SA")(OperatorSet.standard) !== undefined, OperatorSet.get("toString")(OperatorSet.standard)) // true undefined
 * ```
 */
export const get =
  (name: string) =>
  (set: OperatorSet): Operator | undefined =>
    Object.hasOwn(set, name) ? set[name] : undefined
