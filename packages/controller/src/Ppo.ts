/**
 * Proximal policy optimisation (Schulman et al., 2017) over the tokens of a network: a recurrent policy emits one choice after the other. It is
 * updated after every batch of results, with the clipped objective and an entropy bonus.
 *
 * A network is one episode, rewarded only at its end. The advantage is the normal score of the reward's rank among the latest results (our choice): it
 * needs neither a scale nor a learned baseline, and outliers do not affect it. If a policy has become so certain that it draws too few new networks,
 * mutations of its draws are proposed (our choice), with the probabilities that the policy gives them.
 *
 * For a real number, or an integer with very many values, the policy chooses one of 16 slots (`Site.slots`), and a value of the slot is then drawn uniformly: the policy learns where
 * the number should lie to a sixteenth of its range.
 */
import { Runtime } from "@uninet/engine"
import type { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Agent from "./internal/agent.ts"
import { type Domain, SearchStrategy, type Strategy } from "./Strategy.ts"
import type { StrategyError } from "./StrategyError.ts"

/** The policy's architecture and how it learns. */
export interface Options {
  /** `recurrent` (the default), or `independent`: one distribution per site, regardless of earlier choices. */
  readonly policy?: "recurrent" | "independent"
  /** Width of the recurrent state. Default 32. */
  readonly hidden?: number
  /** Results per update. Default 10. */
  readonly batch?: number
  /** The number of best earlier results that also take part in every update (our choice), as if just drawn (Oh et al., "Self-Imitation Learning", 2018). Default 10. */
  readonly replay?: number
  /** AdamW steps on every batch. Default 4. */
  readonly epochs?: number
  /** Default 0.04. */
  readonly learningRate?: number
  /** The share of the recurrent state that is kept after each token, 0 to 1. Default 0.7. */
  readonly memory?: number
  /** The scale of what the recurrent state adds to the logits. It sets how fast the policy learns what depends on the context, relative to what holds in every context. Default 0.2. */
  readonly context?: number
  /**
   * Decoupled weight decay of the parameters that make the logits (our choice). It keeps them bounded, so that a policy never becomes so certain that it stops
   * exploring, and lets the policy forget what no longer pays. Default 0.3.
   */
  readonly decay?: number
  /** How far a sequence's probability may move in one update: its ratio is clipped to 1 ± this. Default 0.2. */
  readonly clip?: number
  /** Weight of the policy's entropy (in nats, over all sites) at the start, … Default 0.03. */
  readonly entropy?: number
  /** … which falls linearly to this share of it … Default 0. */
  readonly entropyEnd?: number
  /** … over this many results. Default 200. */
  readonly entropyOver?: number
  /** The number of latest results among which a reward is ranked. Default 20. */
  readonly window?: number
}

/** The defaults of all options. */
export const defaults = {
  policy: "recurrent",
  hidden: 32,
  batch: 10,
  replay: 10,
  epochs: 4,
  learningRate: 0.04,
  memory: 0.7,
  context: 0.2,
  decay: 0.3,
  clip: 0.2,
  entropy: 0.03,
  entropyEnd: 0,
  entropyOver: 200,
  window: 20
} satisfies Options

/** The defaults, with the `independent` policy. */
export const independent = { ...defaults, policy: "independent" } satisfies Options

/**
 * PPO over a space, with or without constraints. The policy's programs live as long as the scope.
 *
 * @example
 * ```ts
 * import { Ppo, Reinforce, type Strategy, Told } from "@uninet/controller"
 * import { Loops } from "@uninet/loops"
 * import { Choice, Prng, Space } from "@uninet/search-space"
 * import { Console, Effect, Result } from "effect"
 *
 * const space = Result.getOrThrow(Space.make(Choice.repeat(Choice.categorical(["conv", "attention", "mlp"]), 5)))
 * const best = (strategy: Strategy.Strategy<ReadonlyArray<string>>) =>
 *   Effect.gen(function* () {
 *     let most = 0
 *     for (let i = 0; i < 8; i++) {
 *       const results = (yield* strategy.ask(10)).map(({ trial, value }) => {
 *         const reward = value.filter((operator) => operator === "attention").length
 *         most = Math.max(most, reward)
 *         return Told.scored(trial, reward)
 *       })
 *       yield* strategy.tell(results)
 *     }
 *     return most
 *   })
 *
 * // Both policies run on whatever engine is given; they live as long as the scope.
 * const program = Effect.gen(function* () {
 *   const ppo = yield* Ppo.make(space, { batch: 10 }, Prng.fromSeed("demo"))
 *   const reinforce = yield* Reinforce.make(space, {}, Prng.fromSeed("demo"))
 *   yield* Console.log(`PPO ${yield* best(ppo)}, REINFORCE ${yield* best(reinforce)} of 5`)
 * })
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Loops.portable())))
 * ```
 */
export const make = <A>(
  domain: Domain<A>,
  options: Options,
  prng: Prng.Prng
): Effect.Effect<Strategy<A>, StrategyError, Runtime | Scope.Scope> =>
  Agent.make("ppo", domain, { ...defaults, ...options }, prng)

/** Provides `SearchStrategy`: the search calls `make` with these options on its space. The policy's programs run on the `Runtime` given to this layer. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy, never, Runtime> =>
  Layer.effect(
    SearchStrategy,
    Effect.map(Runtime, (runtime) => ({
      name: "ppo",
      start: <A>(domain: Domain<A>, prng: Prng.Prng) =>
        Effect.provideService(make(domain, options, prng), Runtime, runtime)
    }))
  )
