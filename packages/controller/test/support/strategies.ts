import { Ppo, Strategies, Strategy, StrategyError } from "@uninet/controller"
import { OnnxRuntime, type Runtime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** All strategies, and PPO with its other policy. */
export const every: ReadonlyArray<readonly [name: string, make: Strategies.Make]> = [
  ...Strategies.names.map((name) => [name, Strategies.all[name]] as const),
  ["ppo with independent choices", (domain, prng) => Ppo.make(domain, { policy: "independent" }, prng)]
]

export const seeded = <A>(make: Strategies.Make, domain: Strategy.Domain<A>, seed: string | number = "test") =>
  make(domain, Prng.fromSeed(seed))

/** Runs an effect with everything that any strategy may need. */
export const provided = <A, E>(effect: Effect.Effect<A, E, Runtime | Scope.Scope>) =>
  Effect.scoped(effect).pipe(Effect.provide(OnnxRuntime.cpu()))

/** Asks until the space is exhausted. */
export const drain = Effect.fnUntraced(function* <A>(
  strategy: Strategy.Strategy<A>,
  count: number
): Effect.fn.Return<
  { readonly found: ReadonlyArray<Strategy.Proposal<A>>; readonly end: StrategyError.Exhausted },
  StrategyError.StrategyError
> {
  const found: Array<Strategy.Proposal<A>> = []
  for (;;) {
    const asked = yield* Effect.result(strategy.ask(count))
    if (asked._tag === "Success") found.push(...asked.success)
    else if (asked.failure instanceof StrategyError.Exhausted) return { found, end: asked.failure }
    else return yield* asked.failure
  }
})
