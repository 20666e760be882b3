/** The service that says which operators exist: the standard ones, a subset, or a user's own added. */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as OperatorSet from "./OperatorSet.ts"

/**
 * Which general operators a search, a network or a check may use.
 *
 * The functions that build networks take an `OperatorSet`; programs that should not care where it comes from take it from this service.
 *
 * @example
 * program.pipe(Effect.provide(Operators.only("Conv", "DWConv")))
 */
export class Operators extends Context.Service<Operators, OperatorSet.OperatorSet>()("@uninet/operators/Operators") {
  /** All of UniNet's operators: Conv, DWConv, SA, LSA, MLP. */
  static readonly standard: Layer.Layer<Operators> = Layer.succeed(this, OperatorSet.standard)
  /** Some of them. */
  static readonly only = (...names: Parameters<typeof OperatorSet.only>): Layer.Layer<Operators> =>
    Layer.succeed(this, OperatorSet.only(...names))
  /** All of them and one's own. */
  static readonly with = (own: OperatorSet.OperatorSet): Layer.Layer<Operators> =>
    Layer.succeed(this, OperatorSet.with(own))
  /** Exactly this set. */
  static readonly layer = (set: OperatorSet.OperatorSet): Layer.Layer<Operators> => Layer.succeed(this, set)
}
