/** The service that makes a family of a network: by given coefficients, by coefficients that are searched for, or by the published table. */
import { Dsms } from "@uninet/dsm"
import { Network, NetworkCosts, UniNet } from "@uninet/network"
import { Operators } from "@uninet/operators"
import type { Evaluator, Journal } from "@uninet/search"
import { Architecture } from "@uninet/search-space"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as CoefficientSearch from "./CoefficientSearch.ts"
import * as Coefficients from "./Coefficients.ts"
import * as Compound from "./Compound.ts"
import { NotPublished, type ScaleError, type UnbalancedCoefficients } from "./ScaleError.ts"

/** What is said besides the coefficients. */
export type Options = Omit<Compound.Options, "coefficients" | "sets">

/**
 * Scales a baseline.
 *
 * @example
 * ```ts
 * const family = Scaler.use((scaler) => scaler.family(UniNet.B0, [1, 2, 3]))
 * family.pipe(Effect.provide(Scaler.published)) // UniNet's B1, B2 and B3
 * family.pipe(Effect.provide(Scaler.given(Coefficients.efficientNet)), Effect.provide([Operators.standard, Dsms.standard]))
 * ```
 */
export class Scaler extends Context.Service<
  Scaler,
  {
    /** `null` for the published table. */
    readonly coefficients: Coefficients.Coefficients | null
    /** The members at these φ, by φ. */
    readonly family: (
      baseline: Architecture.Architecture,
      phis: ReadonlyArray<number>
    ) => Effect.Effect<ReadonlyArray<Compound.Member>, ScaleError>
    /** The member with so many multiply-accumulates for one image. */
    readonly toMacs: (baseline: Architecture.Architecture, macs: number) => Effect.Effect<Compound.Member, ScaleError>
  }
>()("@uninet/scaler/Scaler") {
  /** By given coefficients. Fails where they are below 1 or α·β²·γ² is not within 5% of 2. */
  static readonly given = (
    coefficients: Coefficients.Coefficients,
    options: Options = {}
  ): Layer.Layer<Scaler, UnbalancedCoefficients, Operators | Dsms> =>
    Layer.effect(
      Scaler,
      Effect.flatMap(Effect.fromResult(Coefficients.check(coefficients)), (checked) => compound(checked, options))
    )

  /** By the coefficients that a grid search on a baseline finds while the layer is built. */
  static readonly searched = (
    options: CoefficientSearch.Options
  ): Layer.Layer<
    Scaler,
    CoefficientSearch.CoefficientSearchError,
    Operators | Dsms | Evaluator.Evaluator | Journal.Journal
  > =>
    Layer.effect(
      Scaler,
      Effect.flatMap(CoefficientSearch.run(options), ({ coefficients }) => compound(coefficients, options))
    )

  /** UniNet's own family, B0 to B6 at φ = 0 … 6 of B0 (for images of any channels and any number of classes) [UNINET.md section 6]. */
  static readonly published: Layer.Layer<Scaler> = Layer.succeed(this, {
    coefficients: null,
    family: (baseline, phis) => Effect.fromResult(published(baseline, phis)),
    toMacs: () => Effect.fail(new NotPublished({ asked: "network of any number of MACs" }))
  })
}

const compound = (coefficients: Coefficients.Coefficients, options: Options) =>
  Effect.gen(function* () {
    const given = {
      ...options,
      coefficients,
      sets: { operators: yield* Operators, dsms: yield* Dsms }
    }
    return Scaler.of({
      coefficients,
      family: (baseline, phis) => Effect.suspend(() => Effect.fromResult(Compound.family(baseline, phis, given))),
      toMacs: (baseline, macs) => Effect.suspend(() => Effect.fromResult(Compound.toMacs(baseline, macs, given)))
    })
  })

const table = Object.values(UniNet.family)

const published = (
  baseline: Architecture.Architecture,
  phis: ReadonlyArray<number>
): Result.Result<ReadonlyArray<Compound.Member>, ScaleError> =>
  Result.gen(function* () {
    const fitted = (architecture: Architecture.Architecture) =>
      UniNet.withImage(architecture, { channels: baseline.image.channels }, baseline.classes)
    if (Architecture.hash(baseline) !== Architecture.hash(fitted(UniNet.B0)))
      return yield* Result.fail(new NotPublished({ asked: `member made from ${Architecture.line(baseline)}` }))
    const members: Array<Compound.Member> = []
    for (const phi of [...new Set(phis)].sort((a, b) => a - b)) {
      const found = table[phi]
      if (found === undefined) return yield* Result.fail(new NotPublished({ asked: `member at φ = ${phi}` }))
      const architecture = fitted(found)
      const costs = yield* Result.flatMap(Network.make(architecture), NetworkCosts.of)
      members.push({
        phi,
        architecture,
        costs,
        target: costs.macs,
        effective: null,
        factors: Compound.factorsOf(architecture, baseline)
      })
    }
    return members
  })
