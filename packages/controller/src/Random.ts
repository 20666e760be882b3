/**
 * Random search: every network not proposed yet with equal chances. The baseline that anything else has to beat.
 */
import type { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { layerOf } from "./internal/layer.ts"
import * as Kit from "./Kit.ts"
import type { Domain, SearchStrategy, Strategy } from "./Strategy.ts"
import type { StrategyError } from "./StrategyError.ts"

const name = "random"

/** There is nothing to choose. */
export interface Options {}

/** Random search over a space, under constraints or not. */
export const make = <A>(
  domain: Domain<A>,
  _options: Options,
  prng: Prng.Prng
): Effect.Effect<Strategy<A>, StrategyError> =>
  Kit.make(name, domain, prng, ({ random }) => ({ next: random, learns: false }))

/** Provides `SearchStrategy`: `make` with these options, begun by the search on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
