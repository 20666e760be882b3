/** The service that makes a family from a network: with given coefficients, with coefficients found by a search, or as published. */
import type { ModelSpace } from "@uninet/model-space"
import type { Evaluator, Journal } from "@uninet/search"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CoefficientSearch from "./CoefficientSearch.ts"
import * as Coefficients from "./Coefficients.ts"
import * as Compound from "./Compound.ts"
import { NotPublished, type ScaleError, type UnbalancedCoefficients } from "./ScaleError.ts"

/** Options other than the coefficients. */
export type Options = Omit<Compound.Options, "coefficients">

/**
 * Scales a baseline from any space that declares how its networks grow.
 *
 * @example
 * ```ts
 * import { Coefficients, Scaler } from "@uninet/scaler"
 * import { UniNet, UniNetSpace } from "@uninet/uninet"
 * import { Effect, Result } from "effect"
 *
 * const space = Result.getOrThrow(UniNetSpace.models())
 * const family = Scaler.use((scaler) => scaler.family(space, UniNet.B0, [1, 2]))
 * export const published = family.pipe(Effect.provide(Scaler.published)) // UniNet's B1 and B2
 * export const ours = family.pipe(Effect.provide(Scaler.given(Coefficients.efficientNet)))
 * ```
 */
export class Scaler extends Context.Service<
  Scaler,
  {
    /** `null` for the published family. */
    readonly coefficients: Coefficients.Coefficients | null
    /** The members at these φ, in order of φ. */
    readonly family: <A, C extends string, M extends string>(
      of: ModelSpace.ModelSpace<A, C, M>,
      baseline: A,
      phis: ReadonlyArray<number>
    ) => Effect.Effect<ReadonlyArray<Compound.Member<A, C>>, ScaleError>
    /** The member with this many multiply-accumulates for one example. */
    readonly toMacs: <A, C extends string, M extends string>(
      of: ModelSpace.ModelSpace<A, C, M>,
      baseline: A,
      macs: number
    ) => Effect.Effect<Compound.Member<A, C>, ScaleError>
  }
>()("@uninet/scaler/Scaler") {
  /** With given coefficients. Fails if any is below 1 or α·β²·γ² is not within 5% of 2. */
  static readonly given = (
    coefficients: Coefficients.Coefficients,
    options: Options = {}
  ): Layer.Layer<Scaler, UnbalancedCoefficients> =>
    Layer.effect(
      Scaler,
      Effect.map(Effect.fromResult(Coefficients.check(coefficients)), (checked) => compound(checked, options))
    )

  /** With the coefficients that a grid search on a baseline finds while the layer is built. */
  static readonly searched = <A, C extends string, M extends string>(
    of: ModelSpace.ModelSpace<A, C, M>,
    options: CoefficientSearch.Options<A, C, M>
  ): Layer.Layer<Scaler, CoefficientSearch.CoefficientSearchError, Evaluator.Evaluator | Journal.Journal> =>
    Layer.effect(
      Scaler,
      Effect.map(CoefficientSearch.run(of, options), ({ coefficients }) => compound(coefficients, options))
    )

  /** As published: for UniNet, B0 to B6 at φ = 0 … 6 of B0 (for images with any channels and any number of classes). */
  static readonly published: Layer.Layer<Scaler> = Layer.succeed(this, {
    coefficients: null,
    family: (of, baseline, phis) => Effect.suspend(() => Effect.fromResult(Compound.published(of, baseline, phis))),
    toMacs: () => Effect.fail(new NotPublished({ asked: "network for a given number of MACs" }))
  })
}

const compound = (coefficients: Coefficients.Coefficients, options: Options): Scaler["Service"] => {
  const given = { ...options, coefficients }
  return Scaler.of({
    coefficients,
    family: (of, baseline, phis) => Effect.suspend(() => Effect.fromResult(Compound.family(of, baseline, phis, given))),
    toMacs: (of, baseline, macs) => Effect.suspend(() => Effect.fromResult(Compound.toMacs(of, baseline, macs, given)))
  })
}
