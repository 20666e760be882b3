/**
 * Random search: every network not proposed yet with equal chances. The baseline that anything else has to beat.
 */
import type { Architecture, Prng, SearchSpace } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Engine from "./internal/engine.ts"
import { layerOf } from "./internal/layer.ts"
import type { Domain, LayerOptions, SearchStrategy, Strategy } from "./Strategy.ts"
import type { StrategyError } from "./StrategyError.ts"

/** There is nothing to choose. */
export interface Options {}

/** Random search over a space, under constraints or not. */
export const make = <A>(
  domain: Domain<A>,
  _options: Options,
  prng: Prng.Prng
): Effect.Effect<Strategy<A>, StrategyError> =>
  Engine.make("random", domain, prng, ({ random }) => Effect.succeed(Engine.plain({ next: random })))

/** Provides `SearchStrategy` with `make`. */
export const layer = (options: Options & LayerOptions = {}): Layer.Layer<SearchStrategy, StrategyError, SearchSpace> =>
  layerOf(options, (domain: Domain<Architecture.Architecture>, prng) => make(domain, options, prng))
