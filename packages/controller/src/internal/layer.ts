/** A strategy's `make` as a layer over the search's space. */
import { type Architecture, Constrained, Prng, SearchSpace } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type Domain, type LayerOptions, SearchStrategy, type Strategy } from "../Strategy.ts"
import type { StrategyError } from "../StrategyError.ts"

export const layerOf = <R = never>(
  options: LayerOptions,
  make: (
    domain: Domain<Architecture.Architecture>,
    prng: Prng.Prng
  ) => Effect.Effect<Strategy<Architecture.Architecture>, StrategyError, R>
): Layer.Layer<SearchStrategy, StrategyError, SearchSpace | Exclude<R, Scope.Scope>> =>
  Layer.effect(
    SearchStrategy,
    Effect.gen(function* () {
      const space = yield* SearchSpace
      const domain = yield* Effect.fromResult(Constrained.make(space, options.constraints ?? []))
      return yield* make(domain, Prng.fromSeed(options.seed ?? 0).split("strategy"))
    })
  )
