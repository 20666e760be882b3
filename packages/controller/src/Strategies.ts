/**
 * All strategies of this package, under their names on the command line.
 *
 * @example
 * ```ts
 * import {
 *   GaussianProcess, Grid, LocalSearch, Nsga2, Ppo, Random, RegularizedEvolution, Reinforce, Strategies, Tpe
 * } from "@uninet/controller"
 *
 * // What a search may be given.
 * const models = [GaussianProcess.layer(), Tpe.layer({ initial: 5 })]
 * const policies = [Ppo.layer(), Reinforce.layer()]
 * const others = [Random.layer(), Grid.layer(), LocalSearch.layer(), RegularizedEvolution.layer(), Nsga2.layer()]
 * console.log(Strategies.isName("tpe"), models.length + policies.length + others.length) // true 9
 * ```
 */
import type { Prng } from "@uninet/search-space"
import { Runtime } from "@uninet/engine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Bananas from "./Bananas.ts"
import * as GaussianProcess from "./GaussianProcess.ts"
import * as Grid from "./Grid.ts"
import * as LocalSearch from "./LocalSearch.ts"
import * as Nsga2 from "./Nsga2.ts"
import * as Ppo from "./Ppo.ts"
import * as Random from "./Random.ts"
import * as RegularizedEvolution from "./RegularizedEvolution.ts"
import * as Reinforce from "./Reinforce.ts"
import { type Domain, SearchStrategy, type Strategy } from "./Strategy.ts"
import type { StrategyError } from "./StrategyError.ts"
import * as Tpe from "./Tpe.ts"

/** Makes a strategy with its default options. */
export type Make = <A>(
  domain: Domain<A>,
  prng: Prng.Prng
) => Effect.Effect<Strategy<A>, StrategyError, Runtime | Scope.Scope>

/** Every strategy with its default options. */
export const all = {
  random: (domain, prng) => Random.make(domain, {}, prng),
  grid: (domain, prng) => Grid.make(domain, {}, prng),
  evolution: (domain, prng) => RegularizedEvolution.make(domain, {}, prng),
  "local-search": (domain, prng) => LocalSearch.make(domain, {}, prng),
  tpe: (domain, prng) => Tpe.make(domain, {}, prng),
  gp: (domain, prng) => GaussianProcess.make(domain, {}, prng),
  bananas: (domain, prng) => Bananas.make(domain, {}, prng),
  nsga2: (domain, prng) => Nsga2.make(domain, {}, prng),
  reinforce: (domain, prng) => Reinforce.make(domain, {}, prng),
  ppo: (domain, prng) => Ppo.make(domain, {}, prng)
} satisfies Readonly<Record<string, Make>>

/** The name of a strategy of this package. */
export type Name = keyof typeof all

/** All names, in the order of the documentation. */
export const names: ReadonlyArray<Name> = [
  "random",
  "grid",
  "evolution",
  "local-search",
  "tpe",
  "gp",
  "bananas",
  "nsga2",
  "reinforce",
  "ppo"
]

/** Whether a text names a strategy. */
export const isName = (text: string): text is Name => Object.hasOwn(all, text)

/**
 * Provides `SearchStrategy` with the named strategy and its default options, for programs that take the name from a command line. Only the policies use the
 * `Runtime`; the other strategies' own `layer`s do not need it.
 *
 * @example
 * ```ts
 * import { Strategies } from "@uninet/controller"
 * import { OnnxRuntime } from "@uninet/runtime"
 * import { Layer } from "effect"
 *
 * const strategy = Layer.provide(Strategies.layer("ppo"), OnnxRuntime.cpu())
 * ```
 */
export const layer = (name: Name): Layer.Layer<SearchStrategy, never, Runtime> =>
  Layer.effect(
    SearchStrategy,
    Effect.map(Runtime, (runtime) => ({
      name,
      start: <A>(domain: Domain<A>, prng: Prng.Prng) => {
        const make: Make = all[name]
        return Effect.provideService(make(domain, prng), Runtime, runtime)
      }
    }))
  )
