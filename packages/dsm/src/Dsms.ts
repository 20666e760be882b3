/** The service that says which downsampling modules exist: the standard ones, a subset, or the standard ones plus a user's own. */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as DsmSet from "./DsmSet.ts"

/**
 * Which downsampling modules a search, a network or a check may use.
 *
 * @example
 * ```ts
 * import { Dsms } from "@uninet/dsm"
 * import { Console, Effect } from "effect"
 *
 * // A program that does not care which modules there are; an ablation is another layer.
 * const program = Dsms.use((modules) => Console.log(Object.keys(modules)))
 * Effect.runPromise(Effect.provide(program, Dsms.standard)) // [ 'L', 'LG', 'G' ]
 * Effect.runPromise(Effect.provide(program, Dsms.only("L", "LG"))) // [ 'L', 'LG' ]
 * ```
 */
export class Dsms extends Context.Service<Dsms, DsmSet.DsmSet>()("@uninet/dsm/Dsms") {
  /** All of UniNet's modules: L, LG, G. */
  static readonly standard: Layer.Layer<Dsms> = Layer.succeed(this, DsmSet.standard)
  /** Some of them. */
  static readonly only = (...names: Parameters<typeof DsmSet.only>): Layer.Layer<Dsms> =>
    Layer.succeed(this, DsmSet.only(...names))
  /** All of them plus custom ones. */
  static readonly with = (own: DsmSet.DsmSet): Layer.Layer<Dsms> => Layer.succeed(this, DsmSet.with(own))
  /** Exactly this set. */
  static readonly layer = (set: DsmSet.DsmSet): Layer.Layer<Dsms> => Layer.succeed(this, set)
}
