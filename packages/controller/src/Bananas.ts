/**
 * Bayesian optimisation that treats its results as noisy. A Gaussian process learns how much each choice matters and how results depend on the costs that the search bounds; it predicts how well a
 * network will do and how certain that is. The candidates are neighbours and mutations of the networks that it believes best and of those that measured best, plus random networks; the one with the largest expected
 * improvement is tried next. The networks that it believes best are reported alongside those that measured best (`Strategy.believed`).
 *
 * **Source.** C. White, W. Neiswanger and Y. Savani, "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search", AAAI 2021, generates the candidates by mutating the best. Replacing their
 * ensemble of networks by a Gaussian process is our choice: it is fitted in milliseconds and needs no path encoding. Replacing Thompson sampling by expected improvement is also our choice, based on measurements.
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

/** How the search starts, which candidates it considers and how many results it remembers. */
export interface Options {
  /** Random networks to begin with. Default 10. */
  readonly initial?: number
  /** Networks whose neighbours are candidates: this many that the model believes best, and this many that measured best. Default 5. */
  readonly elites?: number
  /** Mutations of mutations of each of these networks among the candidates (and single mutations in spaces with numbers, where there are too many neighbours). Default 20. */
  readonly mutations?: number
  /** Random networks among the candidates. Default 200. */
  readonly randoms?: number
  /** Results that the process remembers: half of them the latest, half the best of the others. Default 400. */
  readonly memory?: number
}

/** The defaults of all options. */
export const defaults = { initial: 10, elites: 5, mutations: 20, randoms: 200, memory: 400 } satisfies Options

/** The process is first fitted after `firstFit` results, and again whenever their number has grown by the factor `growth`. */
const firstFit = 8
const growth = 1.2

/**
 * BANANAS with a Gaussian process over a space, with or without constraints.
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
    /** Fitted at fixed numbers of results, not when a proposal is asked for, so that a replay gives the same fit. */
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
      // Pending points count with their expected result.
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

/** The 90% interval of a normal distribution reaches this many standard deviations to either side of the mean. */
const ninety = 1.6449

const logarithm = (x: number) => (Number.isFinite(x) ? Math.sign(x) * Elementary.log1p(Math.abs(x)) : 0)

const better = (a: Kit.Observation, b: Kit.Observation) =>
  a.reward === b.reward ? a.trial - b.trial : a.reward > b.reward ? -1 : 1

/** The reward that corresponds to a normal score, interpolated between the results' sorted rewards, with `failed` results ranked below them. */
const rewardOf =
  (rewards: ReadonlyArray<number>, failed: number) =>
  (score: number): number => {
    const place = Normal.cdf(score) * (rewards.length + failed) - 0.5 - failed
    const below = Math.min(rewards.length - 1, Math.max(0, Math.floor(place)))
    const share = Math.min(1, Math.max(0, place - below))
    const low = Arr.getUnsafe(rewards, below)
    return low + share * ((rewards[below + 1] ?? low) - low)
  }

/** Provides `SearchStrategy`: the search calls `make` with these options on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
