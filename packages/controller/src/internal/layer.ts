/** Wraps a strategy's `make` in a layer of the service. */
import type { Prng } from "@uninet/search-space"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Domain, SearchStrategy, type Strategy } from "../Strategy.ts"
import type { StrategyError } from "../StrategyError.ts"

export const layerOf = (
  name: string,
  make: <A>(domain: Domain<A>, prng: Prng.Prng) => Effect.Effect<Strategy<A>, StrategyError>
): Layer.Layer<SearchStrategy> => Layer.succeed(SearchStrategy, { name, start: make })
