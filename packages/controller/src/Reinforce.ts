/**
 * REINFORCE (Williams, 1992; Zoph & Le, "Neural Architecture Search with Reinforcement Learning", ICLR 2017): the policy of `Ppo`, improved by one step along
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

/** As `Ppo.Options`; there is one step per batch, and nothing is clipped. */
export type Options = Omit<Ppo.Options, "clip" | "epochs">

/** What holds where an option is not given: PPO's, with a smaller batch and a larger learning rate. */
export const defaults = { ...Ppo.defaults, batch: 5, learningRate: 0.1 } satisfies Options

/** REINFORCE over a space, under constraints or not. The policy's programs live as long as the scope. */
export const make = <A>(
  domain: Domain<A>,
  options: Options,
  prng: Prng.Prng
): Effect.Effect<Strategy<A>, StrategyError, Runtime | Scope.Scope> =>
  Agent.make("reinforce", domain, { ...defaults, ...options, epochs: 1, clip: undefined }, prng)

/** Provides `SearchStrategy`: `make` with these options, begun by the search on its space. The policy's programs run on the `Runtime` given here. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy, never, Runtime> =>
  Layer.effect(
    SearchStrategy,
    Effect.map(Runtime, (runtime) => ({
      name: "reinforce",
      start: <A>(domain: Domain<A>, prng: Prng.Prng) =>
        Effect.provideService(make(domain, options, prng), Runtime, runtime)
    }))
  )
