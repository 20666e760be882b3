/**
 * Random search: every network not yet proposed is equally likely. The baseline that every other strategy has to beat.
 */
import type { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { layerOf } from "./internal/layer.ts"
import * as Kit from "./Kit.ts"
import type { Domain, SearchStrategy, Strategy } from "./Strategy.ts"
import type { StrategyError } from "./StrategyError.ts"

const name = "random"

/** Random search has no options. */
export interface Options {}

/** Random search over a space, with or without constraints. */
export const make = <A>(
  domain: Domain<A>,
  _options: Options,
  prng: Prng.Prng
): Effect.Effect<Strategy<A>, StrategyError> =>
  Kit.make(name, domain, prng, ({ random }) => ({ next: random, learns: false }))

/** Provides `SearchStrategy`: the search calls `make` with these options on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
