/**
 * Tree-structured Parzen estimator: the best results and the rest each give every choice a distribution over its options, and the proposal is
 * the point, of some drawn from the first, whose likelihood is largest under the first relative to the second (Bergstra et al., "Algorithms for
 * Hyper-Parameter Optimization", NeurIPS 2011).
 */
import { type Prng, Site } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Engine from "./internal/engine.ts"
import { layerOf } from "./internal/layer.ts"
import * as Options_ from "./internal/options.ts"
import type { Point } from "./internal/points.ts"
import type { Domain, SearchStrategy } from "./Strategy.ts"

const name = "tpe"

export interface Options {
  /** Random networks to begin with. Default 10. */
  readonly initial?: number
  /** The share of the results that count as the best. Default 0.1. */
  readonly gamma?: number
  /** At most so many results count as the best. Default 25. */
  readonly mostGood?: number
  /** Points drawn for one proposal. Default 24. */
  readonly candidates?: number
  /** The weight of the uniform distribution, in results. Default 1. */
  readonly prior?: number
}

export const defaults = { initial: 10, gamma: 0.1, mostGood: 25, candidates: 24, prior: 1 } satisfies Options

/** TPE over a space, under constraints or not. */
export const make = Effect.fnUntraced(function* <A>(domain: Domain<A>, options: Options, prng: Prng.Prng) {
  const settings = { ...defaults, ...options }
  const { candidates, gamma, initial, mostGood, prior } = settings
  const wrong = Options_.check(name, settings, {
    initial: Options_.positiveInteger,
    gamma: Options_.share,
    mostGood: Options_.positiveInteger,
    candidates: Options_.positiveInteger,
    prior: Options_.positive
  })
  if (wrong !== undefined) return yield* wrong
  return yield* Engine.make(name, domain, prng, (bench) => {
    const { sites } = bench.points
    /** Where every site's options start in one array of all options. */
    const offsets: Array<number> = []
    let total = 0
    for (const { count } of sites) {
      offsets.push(total)
      total += count
    }
    const good = new Float64Array(total)
    const score = new Float64Array(total)
    /** How often every option occurs in all results. */
    const seen = new Float64Array(total)
    /** The results so far, best first. */
    let ranked: Array<Engine.Observation> = []

    const count = ({ point }: Engine.Observation, out: Float64Array) => {
      for (let i = 0; i < sites.length; i++) {
        const token = point.vector[i]!
        if (token !== Site.absent) out[offsets[i]! + token]! += 1
      }
    }
    /** Counts to probabilities. */
    const normalise = (out: Float64Array) => {
      for (const [i, site] of sites.entries()) {
        const [from, to] = [offsets[i]!, offsets[i]! + site.count]
        let sum = prior
        for (let o = from; o < to; o++) sum += out[o]!
        for (let o = from; o < to; o++) out[o] = (out[o]! + prior / site.count) / sum
      }
    }
    const fit = () => {
      const { history } = bench
      if (ranked.length === history.length) return
      for (const observation of history.slice(ranked.length)) {
        count(observation, seen)
        ranked.splice(placeOf(observation, ranked), 0, observation)
      }
      good.fill(0)
      const best = Math.min(mostGood, Math.ceil(gamma * ranked.length))
      for (let r = 0; r < best; r++) count(ranked[r]!, good)
      for (let o = 0; o < total; o++) score[o] = seen[o]! - good[o]!
      normalise(good)
      normalise(score)
      for (let o = 0; o < total; o++) score[o] = Math.log(good[o]! / score[o]!)
    }
    const draw = (): Point => {
      const random = bench.prng()
      const vector = new Int32Array(sites.length).fill(Site.absent)
      for (let i = 0; i < sites.length; i++) {
        const site = sites[i]!
        if (!Site.exists(site, vector)) continue
        let rest = random.nextFloat()
        let token = 0
        while (token < site.count - 1 && (rest -= good[offsets[i]! + token]!) >= 0) token++
        vector[i] = token
      }
      return bench.points.repaired(vector)
    }
    const ratio = ({ vector }: Point) => {
      let sum = 0
      for (let i = 0; i < sites.length; i++) if (vector[i] !== Site.absent) sum += score[offsets[i]! + vector[i]!]!
      return sum
    }
    const next = () => {
      if (bench.asked() < initial || bench.history.length === 0) return bench.random()
      fit()
      let best: Point | undefined
      let highest = -Infinity
      for (let found = 0, drawn = 0; found < candidates && drawn < 8 * candidates; drawn++) {
        const point = draw()
        if (!bench.isNew(point) || !bench.points.feasible(point)) continue
        found++
        const here = ratio(point)
        if (here > highest) {
          highest = here
          best = point
        }
      }
      return best !== undefined && bench.claim(best) ? best : bench.random()
    }
    return Effect.succeed(
      Engine.plain({
        next,
        reset: () => {
          ranked = []
          seen.fill(0)
        }
      })
    )
  })
})

/** Where a result belongs among results that stand best first, earlier trials before later ones. */
const placeOf = ({ reward, trial }: Engine.Observation, ranked: ReadonlyArray<Engine.Observation>): number => {
  let [low, high] = [0, ranked.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    const other = ranked[middle]!
    if (other.reward > reward || (other.reward === reward && other.trial < trial)) low = middle + 1
    else high = middle
  }
  return low
}

/** Provides `SearchStrategy`: `make` with these options, begun by the search on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
