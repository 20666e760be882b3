/**
 * A strategy decides which networks a search tries next. You ask it for proposals and tell it their results, in batches:
 *
 * - Nothing is proposed twice; networks are compared by their canonical form. When the space is exhausted, `ask` fails with `Exhausted`.
 * - The same seed and the same sequence of `ask` and `tell` give the same proposals. Within one `tell` the order does not matter: results are
 *   taken in the order of their trials.
 * - You may ask while earlier proposals have no result yet, so any number of workers can be busy.
 *
 * **What a strategy knows when it proposes.** It knows the results that it was told before it was asked, and nothing about the results of pending proposals. A search that asks for
 * `ahead` proposals before it tells the first result (`Search` does, 8 by default) starts with that many random ones, and every later proposal is made without the results of the
 * `ahead` proposals before it: with `ahead: 8`, four trials of evolution are four random ones. Strategies that begin with random networks (`population`, `initial`) begin with the
 * larger of the two numbers.
 *
 * @example
 * ```ts
 * import { RegularizedEvolution, Told } from "@uninet/controller"
 * import { Choice, Prng, Space } from "@uninet/search-space"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const space = yield* Effect.fromResult(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 9 }), 6)))
 *   const strategy = yield* RegularizedEvolution.make(space, {}, Prng.fromSeed("demo"))
 *   for (let i = 0; i < 20; i++) {
 *     const proposals = yield* strategy.ask(10)
 *     yield* strategy.tell(proposals.map(({ trial, value }) => Told.scored(trial, value.reduce((a, b) => a + b))))
 *   }
 * })
 * ```
 */
import type { Constrained, Prng, Site, Space } from "@uninet/search-space"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Lesson } from "./Lesson.ts"
import type { StrategyError } from "./StrategyError.ts"
import type { Told } from "./Told.ts"

/** A network to try. */
export interface Proposal<out A> {
  /** 0, 1, 2, … in the order of proposals. Tell the result under this number. */
  readonly trial: number
  /** The network; computed when first read. */
  readonly value: A
  /** Its canonical tokens. */
  readonly tokens: Space.Tokens
  /** Its canonical hash, `Space.hash`; computed when first read. */
  readonly hash: string
}

/**
 * A policy's view of one choice: the site, what was chosen there, and the probability of each option given the choices before it. For a site with `slots` (too
 * many options), the probabilities are those of the slots; all options of a slot are equally likely.
 */
export interface Step {
  readonly site: Site.Site
  /** The number of the option, from 0. */
  readonly token: number
  readonly probabilities: ReadonlyArray<number>
}

/** What a model of the results estimates for a network that was tried. */
export interface Believed {
  /** The trial's number, from 0. */
  readonly trial: number
  /** The estimated reward without noise; `low` and `high` are its 90% confidence interval. */
  readonly reward: number
  /** The lower end of the interval, in units of the reward. */
  readonly low: number
  /** The upper end of the interval, in units of the reward. */
  readonly high: number
}

/** A strategy's whole state as JSON. The format of `state` is private to the strategy; `restore` checks it. */
export const Snapshot = Schema.Struct({
  /** `Strategy.name`. */
  strategy: Schema.String,
  /** `Space.fingerprint` of the space. */
  space: Schema.String,
  version: Schema.Literal(1),
  state: Schema.Json
})
export type Snapshot = typeof Snapshot.Type

/** A search algorithm over a space of `A`s, with its state. Made by the `make` of `Random`, `RegularizedEvolution`, `Ppo`, … */
export interface Strategy<out A> {
  /** The algorithm's name on the command line: `random`, `evolution`, `ppo`, … */
  readonly name: string
  /**
   * The next proposals: `count` of them, or fewer if the space has no more. Fails with `Exhausted` if it has none left.
   */
  readonly ask: (count: number) => Effect.Effect<ReadonlyArray<Proposal<A>>, StrategyError>
  /**
   * Takes the results of earlier proposals. If it fails, with `InvalidReward`, `UnknownTrial` or `AlreadyTold`, it has taken none of them.
   */
  readonly tell: (results: ReadonlyArray<Told>) => Effect.Effect<void, StrategyError>
  /** The state. Another process can continue from it with `restore`, and proposes the same as if there had been no interruption. */
  readonly snapshot: Effect.Effect<Snapshot, StrategyError>
  /** Replaces the state, including the seed, by the snapshot's. If it fails, with `InvalidSnapshot`, it has changed nothing. */
  readonly restore: (snapshot: Snapshot) => Effect.Effect<void, StrategyError>
  /**
   * Takes given points as its next proposals: their results are told like those of its own. A point that was proposed before, or that is outside the constraints, gets a trial
   * like any other. A custom strategy may leave this out, and then cannot be started with given points.
   */
  readonly adopt?: (points: ReadonlyArray<Space.Tokens>) => Effect.Effect<ReadonlyArray<Proposal<A>>, StrategyError>
  /**
   * Takes the results of earlier searches, before the first `ask`. It uses them as a prior, by the ranks of their results; its own results tell how far that prior holds here. Absent
   * if a strategy has no use for it (`random`, `grid`).
   */
  readonly learn?: (lessons: ReadonlyArray<Lesson>) => Effect.Effect<void, StrategyError>
  /**
   * For strategies whose model accounts for noisy results: the model's estimate for every result that it remembers, best first. The network that measured best is often
   * just the luckiest; the first one here is the one that the model believes is best. Empty while there are too few results.
   */
  readonly believed?: Effect.Effect<ReadonlyArray<Believed>, StrategyError>
  /** For strategies with a policy: the current policy's probability of every option, at each step along the given tokens. */
  readonly probabilities?: (tokens: Space.Tokens) => Effect.Effect<ReadonlyArray<Step>, StrategyError>
}

/** What a strategy searches: a space, or a space under constraints (`Constrained.make`). */
export type Domain<A> = Space.Space<A> | Constrained.Constrained<A>

/**
 * The strategy of a search, as a service: its name, and a function that starts it on a space of any type. The search calls `start` once, with the space, its
 * constraints and the generator, so a layer contains neither seed nor constraints. `start` fails if an option is invalid.
 *
 * Provided by the `layer` of `Random`, `RegularizedEvolution`, `Ppo`, … or by `Strategies.layer(name)`. For a custom strategy, provide your own `start`.
 *
 * @example
 * ```ts
 * import { RegularizedEvolution, SearchStrategy, Told } from "@uninet/controller"
 * import { Choice, Prng, Space } from "@uninet/search-space"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const space = yield* Effect.fromResult(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 9 }), 6)))
 *   const { start } = yield* SearchStrategy
 *   const strategy = yield* start(space, Prng.fromSeed("demo"))
 *   const proposals = yield* strategy.ask(10)
 *   yield* strategy.tell(proposals.map(({ trial, value }) => Told.scored(trial, value.reduce((a, b) => a + b))))
 * })
 * program.pipe(Effect.scoped, Effect.provide(RegularizedEvolution.layer({ population: 20 })), Effect.runSync)
 * ```
 */
export class SearchStrategy extends Context.Service<
  SearchStrategy,
  {
    /** The same as `Strategy.name`. */
    readonly name: string
    /** Starts the strategy from scratch on a domain. Its resources (a policy's programs) are released with the scope. */
    readonly start: <A>(domain: Domain<A>, prng: Prng.Prng) => Effect.Effect<Strategy<A>, StrategyError, Scope.Scope>
  }
>()("@uninet/controller/SearchStrategy") {}
