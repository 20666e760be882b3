/** The service that says which operators exist: the standard ones, a subset, or the standard ones plus a user's own. */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as OperatorSet from "./OperatorSet.ts"

/**
 * Which general operators a search, a network or a check may use.
 *
 * The functions that build networks take an `OperatorSet`. Programs that should not care where the set comes from take it from this service.
 *
 * @example
 * ```ts
 * import { Operators } from "@uninet/operators"
 * import { Console, Effect } from "effect"
 *
 * // A program that does not care which operators there are; an ablation is another layer.
 * const program = Operators.use((operators) => Console.log(Object.keys(operators)))
 * Effect.runPromise(Effect.provide(program, Operators.standard)) // [ 'Conv', 'DWConv', 'SA', 'LSA', 'MLP' ]
 * Effect.runPromise(Effect.provide(program, Operators.only("Conv", "DWConv"))) // [ 'Conv', 'DWConv' ]
 * ```
 */
export class Operators extends Context.Service<Operators, OperatorSet.OperatorSet>()("@uninet/operators/Operators") {
  /** All of UniNet's operators: Conv, DWConv, SA, LSA, MLP. */
  static readonly standard: Layer.Layer<Operators> = Layer.succeed(this, OperatorSet.standard)
  /** Some of them. */
  static readonly only = (...names: Parameters<typeof OperatorSet.only>): Layer.Layer<Operators> =>
    Layer.succeed(this, OperatorSet.only(...names))
  /** All of them plus custom ones. */
  static readonly with = (own: OperatorSet.OperatorSet): Layer.Layer<Operators> =>
    Layer.succeed(this, OperatorSet.with(own))
  /** Exactly this set. */
  static readonly layer = (set: OperatorSet.OperatorSet): Layer.Layer<Operators> => Layer.succeed(this, set)
}
