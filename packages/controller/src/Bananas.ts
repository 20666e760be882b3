/**
 * Bayesian optimisation that takes its results for what they are, noisy: a Gaussian process that learns how much each choice matters, and how results go with the costs that the search bounds, says how well a network
 * is expected to do and how sure that is. The network with the largest expected improvement is tried next, among the neighbours and mutations of the networks that it believes best and of those that measured best, and
 * random ones. What it believes best is told beside what measured best (`Strategy.believed`).
 *
 * **Source.** C. White, W. Neiswanger and Y. Savani, "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search", AAAI 2021, has the candidates by mutation of the best. The Gaussian
 * process in the place of their ensemble of networks is our choice: it is fitted in milliseconds and needs no path encoding. So is expected improvement in the place of Thompson sampling, by measurement.
 */
import { Constraint, Elementary, type Prng, Site } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { layerOf } from "./internal/layer.ts"
import * as Normal from "./internal/normal.ts"
import * as Surrogate from "./internal/surrogate.ts"
import * as Kit from "./Kit.ts"
import type { Believed, Domain, SearchStrategy } from "./Strategy.ts"

const name = "bananas"

/** How the search begins and what it predicts by. */
export interface Options {
  /** Random networks to begin with. Default 10. */
  readonly initial?: number
  /** Networks whose neighbours are candidates: so many that are believed best, and so many that measured best. Default 5. */
  readonly elites?: number
  /** Mutations of mutations of each of them (in spaces with numbers, where neighbours are too many, mutations as well) among the candidates. Default 20. */
  readonly mutations?: number
  /** Random networks among the candidates. Default 200. */
  readonly randoms?: number
  /** Results the process remembers: the latest, and the best half of the others. Default 400. */
  readonly memory?: number
}

/** What holds where an option is not given. */
export const defaults = { initial: 10, elites: 5, mutations: 20, randoms: 200, memory: 400 } satisfies Options

/** Results after which the process is fitted for the first time, and the share of new ones after which it is again. */
const firstFit = 8
const growth = 1.2

/**
 * BANANAS' search with a Gaussian process over a space, under constraints or not.
 *
 * @example
 * ```ts
 * import { Bananas, Benchmark, LocalSearch, Random, Tpe } from "@uninet/controller"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Console, Effect, Result } from "effect"
 *
 * // A problem whose answers are all known: six digits, and the closer each is to the one wanted in its place, the better.
 * const space = Result.getOrThrow(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 9 }), 6)))
 * const worth = (tokens: Space.Tokens) => -[3, 1, 4, 1, 5, 9].reduce((off, digit, i) => off + Math.abs(digit - (tokens[i] ?? 0)), 0)
 * const problem: Benchmark.Problem<ReadonlyArray<number>> = { name: "digits", space, search: worth, report: worth, optimum: 0 }
 *
 * // What four strategies find in 40 evaluations, averaged over two seeds.
 * const strategies: Benchmark.Options<ReadonlyArray<number>, never>["strategies"] = {
 *   random: (domain, prng) => Random.make(domain, {}, prng),
 *   "local search": (domain, prng) => LocalSearch.make(domain, { initial: 5 }, prng),
 *   tpe: (domain, prng) => Tpe.make(domain, {}, prng),
 *   bananas: (domain, prng) => Bananas.make(domain, { initial: 20 }, prng)
 * }
 * Benchmark.play({ table: problem, strategies, budgets: [40], seeds: 2 }).pipe(
 *   Effect.flatMap((played) => Console.log(Benchmark.print(played))),
 *   Effect.runPromise
 * )
 * ```
 */
export const make = Effect.fnUntraced(function* <A>(domain: Domain<A>, options: Options, prng: Prng.Prng) {
  const settings = { ...defaults, ...options }
  const { elites, initial, memory, mutations, randoms } = settings
  const wrong = Kit.check(name, settings, {
    initial: Kit.positiveInteger,
    elites: Kit.positiveInteger,
    mutations: Kit.naturalNumber,
    randoms: Kit.naturalNumber,
    memory: Kit.positiveInteger
  })
  if (wrong !== undefined) return yield* wrong
  return yield* Kit.make(name, domain, prng, (bench) => {
    const { history, points } = bench
    const { constraints } = points.constrained
    const numeric = points.sites.some(Site.isNumeric)
    /** What is fitted when there are so many results, and not when it is asked: so that a replay comes to the same. */
    let fit = Surrogate.begin(points.sites, constraints.length)
    let refitAt = firstFit

    const rows = new Map<string, Surrogate.Row>()
    const rowOf = (point: Kit.Point): Surrogate.Row => {
      const known = rows.get(point.key)
      if (known !== undefined) return known
      const value = constraints.length === 0 ? undefined : points.value(point)
      return {
        vector: point.vector,
        extra:
          value === undefined ? [] : constraints.map((constraint) => logarithm(Constraint.amount(value)(constraint)))
      }
    }
    const remembered = () => {
      if (history.length <= memory) return history
      const latest = history.slice(-Math.ceil(memory / 2))
      const best = history
        .slice(0, history.length - latest.length)
        .sort(better)
        .slice(0, memory - latest.length)
      return [...best, ...latest]
    }
    const knownOf = () => {
      const results = remembered()
      return {
        results,
        rows: results.map(({ point }) => rowOf(point)),
        targets: Normal.scores(results.map(({ reward }) => reward))
      }
    }

    const observe = ({ point }: Kit.Observation) => {
      rows.set(point.key, rowOf(point))
      if (history.length < refitAt) return
      refitAt = Math.ceil(growth * history.length)
      const known = knownOf()
      fit = Surrogate.fit(points.sites, known.rows, known.targets, fit)
    }

    const next = () => {
      if (bench.asked() < initial || history.length < Math.min(2, initial)) return bench.random()
      const random = bench.prng()
      const known = knownOf()
      let model = Surrogate.make(points.sites, known.rows, known.targets, fit)
      const first = (worths: Iterable<number>) =>
        Arr.zip(known.results, worths)
          .sort(([, a], [, b]) => b - a)
          .slice(0, elites)
          .map(([result]) => result)
      const chosen = new Set([...first(model.expect(known.rows)), ...first(known.targets)])
      // What is being tried counts with what is expected of it.
      const pending = bench.pending().map(rowOf)
      if (pending.length > 0) {
        const targets = [...known.targets, ...model.expect(pending)]
        model = Surrogate.make(points.sites, [...known.rows, ...pending], targets, fit)
      }
      const candidates = new Map<string, Kit.Point>()
      const consider = (point: Kit.Point) => {
        if (bench.isNew(point) && points.feasible(point)) candidates.set(point.key, point)
      }
      for (const { point: elite } of chosen) {
        if (!numeric) for (const point of points.neighbours(elite)) consider(point)
        for (let k = 0; k < mutations; k++) {
          const once = points.mutated(elite, random)
          if (numeric) consider(once)
          consider(points.mutated(once, random))
        }
      }
      for (let i = 0; i < randoms; i++) {
        const drawn = points.draw(random)
        if (drawn._tag === "Success") consider(drawn.success)
      }
      const all = [...candidates.values()]
      const best = known.targets.reduce((most, target) => Math.max(most, target), -Infinity)
      const improvement = (mean: number, deviation: number) => Normal.improvement(mean, deviation, best)
      const choice = all[model.most(all.map(rowOf), improvement)]
      return choice !== undefined && bench.claim(choice) ? choice : bench.random()
    }

    const believed = (): ReadonlyArray<Believed> => {
      const known = knownOf()
      const rewards = known.results
        .flatMap(({ reward }) => (reward === -Infinity ? [] : [reward]))
        .sort((a, b) => a - b)
      if (rewards.length < firstFit) return []
      const reward = rewardOf(rewards, known.results.length - rewards.length)
      const beliefs = Surrogate.make(points.sites, known.rows, known.targets, fit).believe(known.rows)
      return Arr.zipWith(known.results, beliefs, ({ trial }, belief) => ({ trial, ...belief }))
        .sort((a, b) => b.mean - a.mean || a.trial - b.trial)
        .map(({ deviation, mean, trial }) => ({
          trial,
          reward: reward(mean),
          low: reward(mean - ninety * deviation),
          high: reward(mean + ninety * deviation)
        }))
    }

    return {
      next,
      observe,
      believed,
      reset: () => {
        fit = Surrogate.begin(points.sites, constraints.length)
        refitAt = firstFit
        rows.clear()
      }
    }
  })
})

/** Standard deviations to either side of a mean within which nine of ten normal numbers lie. */
const ninety = 1.6449

const logarithm = (x: number) => (Number.isFinite(x) ? Math.sign(x) * Elementary.log1p(Math.abs(x)) : 0)

const better = (a: Kit.Observation, b: Kit.Observation) =>
  a.reward === b.reward ? a.trial - b.trial : a.reward > b.reward ? -1 : 1

/** The reward that a normal score stands for: between those of the results, as many failed ones being below. */
const rewardOf =
  (rewards: ReadonlyArray<number>, failed: number) =>
  (score: number): number => {
    const place = Normal.cdf(score) * (rewards.length + failed) - 0.5 - failed
    const below = Math.min(rewards.length - 1, Math.max(0, Math.floor(place)))
    const share = Math.min(1, Math.max(0, place - below))
    const low = Arr.getUnsafe(rewards, below)
    return low + share * ((rewards[below + 1] ?? low) - low)
  }

/** Provides `SearchStrategy`: `make` with these options, begun by the search on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
