/**
 * A strategy decides which networks a search looks at next. It is asked for proposals and told their results, in batches:
 *
 * - Nothing is proposed twice (networks are told apart by their canonical form), until the space is exhausted, which is said.
 * - The same seed and the same sequence of `ask` and `tell` give the same proposals. Within one `tell` the order does not matter: results are
 *   taken in the order of their trials.
 * - Asking is legal while earlier proposals have no result yet, so any number of workers may be busy.
 *
 * **What a strategy knows when it proposes** is what it was told before it was asked, and nothing of the proposals that are still out. A search that asks for `ahead` proposals
 * before the first result is told (`Search` does, 8 by default) has as many random ones at the start, and every later proposal is made without the results of the `ahead` before it: with
 * `ahead: 8` four trials of evolution are four random ones. Strategies that begin with random networks (`population`, `initial`) begin with the larger of the two numbers.
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

/** A network to be tried. */
export interface Proposal<out A> {
  /** 0, 1, 2, … in the order of proposals: what its result is told under. */
  readonly trial: number
  /** The network; worked out when first read. */
  readonly value: A
  /** Its canonical tokens. */
  readonly tokens: Space.Tokens
  /** Its canonical hash, `Space.hash`; worked out when first read. */
  readonly hash: string
}

/**
 * A policy's view of one choice: the site, what was chosen there, and how likely each option was after the choices before; of a site with `slots` (too many
 * options) how likely each slot was, whose options have equal chances.
 */
export interface Step {
  readonly site: Site.Site
  /** The number of the option, from 0. */
  readonly token: number
  readonly probabilities: ReadonlyArray<number>
}

/** What a model of the results holds of a network that was tried. */
export interface Believed {
  /** The trial's number, from 0. */
  readonly trial: number
  /** The reward that it is worth, noise apart, and the interval in which that lies with 90% confidence. */
  readonly reward: number
  /** The lower end of the interval, in rewards. */
  readonly low: number
  /** The upper end of the interval, in rewards. */
  readonly high: number
}

/** A strategy's whole state as JSON. `state` is its own business; `restore` checks it. */
export const Snapshot = Schema.Struct({
  /** `Strategy.name`. */
  strategy: Schema.String,
  /** `Space.fingerprint` of the space. */
  space: Schema.String,
  version: Schema.Literal(1),
  state: Schema.Json
})
export type Snapshot = typeof Snapshot.Type

/** A search algorithm over a space of `A`s, with its state. Made by `make` of `Random`, `RegularizedEvolution`, `Ppo`, … */
export interface Strategy<out A> {
  /** The algorithm's name as the command line writes it: `random`, `evolution`, `ppo`, … */
  readonly name: string
  /**
   * The next proposals: `count` of them, or fewer where the space has no more. Fails with `Exhausted` where it has none at all.
   */
  readonly ask: (count: number) => Effect.Effect<ReadonlyArray<Proposal<A>>, StrategyError>
  /**
   * Takes results of earlier proposals. Fails with `InvalidReward`, `UnknownTrial` or `AlreadyTold`, and then has taken none of them.
   */
  readonly tell: (results: ReadonlyArray<Told>) => Effect.Effect<void, StrategyError>
  /** The state, to go on from by `restore` in another process; the future is the same as if nothing had been interrupted. */
  readonly snapshot: Effect.Effect<Snapshot, StrategyError>
  /** Replaces the state. Fails with `InvalidSnapshot`, and then has changed nothing. The seed is the snapshot's from then on. */
  readonly restore: (snapshot: Snapshot) => Effect.Effect<void, StrategyError>
  /**
   * Takes points that somebody else wants tried as its next proposals: their results are told like those of its own. One that was proposed before, or is outside the constraints, has a trial
   * like any other. A strategy of one's own may lack it, and then cannot be started with given points.
   */
  readonly adopt?: (points: ReadonlyArray<Space.Tokens>) => Effect.Effect<ReadonlyArray<Proposal<A>>, StrategyError>
  /**
   * Hears of earlier searches, before it is asked for anything. It counts them as a prior, by the ranks of their results; its own results tell how far that holds here. Absent where a strategy has
   * no use for it (`random`, `grid`).
   */
  readonly learn?: (lessons: ReadonlyArray<Lesson>) => Effect.Effect<void, StrategyError>
  /**
   * For strategies with a model that knows that results are noisy: what it holds of every network with a result that it remembers, those that it believes best first. The best one measured is often the luckiest;
   * this is the model's word on which one is the best. Empty while there are too few results.
   */
  readonly believed?: Effect.Effect<ReadonlyArray<Believed>, StrategyError>
  /** For strategies with a policy: how likely every option is, at each step along some tokens, as things stand now. */
  readonly probabilities?: (tokens: Space.Tokens) => Effect.Effect<ReadonlyArray<Step>, StrategyError>
}

/** What a strategy searches: a space, or a space under constraints (`Constrained.make`). */
export type Domain<A> = Space.Space<A> | Constrained.Constrained<A>

/**
 * The strategy of a search, as a service: its name, and how it is begun on a space of any type. The search gives the space with its constraints and the
 * generator, once, by `start`; so neither seed nor constraints stand in a layer. An option that makes no sense is an error of `start`.
 *
 * Provided by the `layer` of `Random`, `RegularizedEvolution`, `Ppo`, … or by `Strategies.layer(name)`; a strategy of one's own is a `start` of one's own.
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
    /** As `Strategy.name`. */
    readonly name: string
    /** Begins the strategy anew on a domain. What it holds (a policy's programs) is released with the scope. */
    readonly start: <A>(domain: Domain<A>, prng: Prng.Prng) => Effect.Effect<Strategy<A>, StrategyError, Scope.Scope>
  }
>()("@uninet/controller/SearchStrategy") {}
