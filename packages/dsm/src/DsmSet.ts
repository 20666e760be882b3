/**
 * A set of downsampling modules by name, as a plain value. The service `Dsms` supplies one.
 *
 * @example
 * ```ts
 * import { DsmSet } from "@uninet/dsm"
 *
 * console.log(Object.keys(DsmSet.only("L", "LG")))
 * ```
 */
import type { Dsm } from "./Dsm.ts"
import { G } from "./dsms/G.ts"
import { L } from "./dsms/L.ts"
import { LG } from "./dsms/LG.ts"

/** Modules by name. */
export type DsmSet = Readonly<Record<string, Dsm>>

/** UniNet's downsampling modules. */
export const standard = { L, LG, G } satisfies DsmSet

/** The name of a standard downsampling module. */
export type Name = keyof typeof standard

/** Some of the standard modules, for ablations. */
export const only = (...names: readonly [Name, ...ReadonlyArray<Name>]): DsmSet =>
  Object.fromEntries(names.map((name) => [name, standard[name]]))

/** The standard modules plus custom ones; a custom module replaces a standard one of the same name. */
const and = (own: DsmSet): DsmSet => ({ ...standard, ...own })
export { and as with }

/**
 * The module with that name, if the set has it.
 *
 * @example
 * ```ts
 * import { DsmSet } from "@uninet/dsm"
 *
 * // A name from outside is safe to look up: what every JavaScript object has is no module.
 * console.log(DsmSet.get("LG")(DsmSet.standard) === DsmSet.standard.LG, DsmSet.get("toString")(DsmSet.standard)) // true undefined
 * ```
 */
export const get =
  (name: string) =>
  (set: DsmSet): Dsm | undefined =>
    Object.hasOwn(set, name) ? set[name] : undefined
