/**
 * REINFORCE (Williams, 1992; Zoph & Le, "Neural Architecture Search with Reinforcement Learning", ICLR 2017): the policy of `Ppo`, updated by one step along
 * the score-function gradient after every batch.
 */
import { Runtime } from "@uninet/engine"
import type { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Agent from "./internal/agent.ts"
import * as Ppo from "./Ppo.ts"
import { type Domain, SearchStrategy, type Strategy } from "./Strategy.ts"
import type { StrategyError } from "./StrategyError.ts"

/** The same as `Ppo.Options`, without `clip` and `epochs`: there is one step per batch, and nothing is clipped. */
export type Options = Omit<Ppo.Options, "clip" | "epochs">

/** The defaults of all options: PPO's, with a smaller batch and a larger learning rate. */
export const defaults = { ...Ppo.defaults, batch: 5, learningRate: 0.1 } satisfies Options

/** REINFORCE over a space, with or without constraints. The policy's programs live as long as the scope. */
export const make = <A>(
  domain: Domain<A>,
  options: Options,
  prng: Prng.Prng
): Effect.Effect<Strategy<A>, StrategyError, Runtime | Scope.Scope> =>
  Agent.make("reinforce", domain, { ...defaults, ...options, epochs: 1, clip: undefined }, prng)

/** Provides `SearchStrategy`: the search calls `make` with these options on its space. The policy's programs run on the `Runtime` given to this layer. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy, never, Runtime> =>
  Layer.effect(
    SearchStrategy,
    Effect.map(Runtime, (runtime) => ({
      name: "reinforce",
      start: <A>(domain: Domain<A>, prng: Prng.Prng) =>
        Effect.provideService(make(domain, options, prng), Runtime, runtime)
    }))
  )
