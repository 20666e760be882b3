/**
 * Tree-structured Parzen estimator: the best results and the rest each give every choice a distribution over its options, and the proposal is
 * the point, of some drawn from the first, whose likelihood is largest under the first relative to the second (Bergstra et al., "Algorithms for
 * Hyper-Parameter Optimization", NeurIPS 2011).
 */
import { Elementary, type Prng, Site } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { layerOf } from "./internal/layer.ts"
import * as Parzen from "./internal/parzen.ts"
import * as Kit from "./Kit.ts"
import type { Domain, SearchStrategy } from "./Strategy.ts"

const name = "tpe"

/** How the search begins, which results count as good, and how many candidates there are for a proposal. */
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

/** What holds where an option is not given. */
export const defaults = { initial: 10, gamma: 0.1, mostGood: 25, candidates: 24, prior: 1 } satisfies Options

/** TPE over a space, under constraints or not. */
export const make = Effect.fnUntraced(function* <A>(domain: Domain<A>, options: Options, prng: Prng.Prng) {
  const settings = { ...defaults, ...options }
  const { candidates, gamma, initial, mostGood, prior } = settings
  const wrong = Kit.check(name, settings, {
    initial: Kit.positiveInteger,
    gamma: Kit.share,
    mostGood: Kit.positiveInteger,
    candidates: Kit.positiveInteger,
    prior: Kit.positive
  })
  if (wrong !== undefined) return yield* wrong
  return yield* Kit.make(name, domain, prng, (bench) => {
    const { sites } = bench.points
    const numbers = sites.filter(Site.isNumeric)
    const listed = sites.filter((site) => !Site.isNumeric(site))
    /** Where every listed site's options start in one array of all options. */
    const offsets = new Map<number, number>()
    let total = 0
    for (const { count, index } of listed) {
      offsets.set(index, total)
      total += count
    }
    const offset = Int32Array.from(sites, ({ index }) => offsets.get(index) ?? -1)
    const good = new Float64Array(total)
    const score = new Float64Array(total)
    /** How often every option occurs in all results. */
    const seen = new Float64Array(total)
    /** The same of the numbers, in cells of the unit interval. */
    const cells = sites.map((site) => (Site.isNumeric(site) ? new Float64Array(cellCount) : undefined))
    let best: ReadonlyArray<Parzen.Density | undefined> = sites.map(() => undefined)
    let rest = best
    /** The best results so far, best first: as many as may count as the best. */
    let ranked: Array<Kit.Observation> = []
    let taken = 0

    const count = ({ point }: Kit.Observation, out: Float64Array) => {
      for (const { index } of listed) {
        const token = point.vector[index]!
        if (token !== Site.absent) out[offset[index]! + token]! += 1
      }
    }
    /** Counts to probabilities. */
    const normalise = (out: Float64Array) => {
      for (const site of listed) {
        const from = offset[site.index]!
        const to = from + site.count
        let sum = prior
        for (let o = from; o < to; o++) sum += out[o]!
        for (let o = from; o < to; o++) out[o] = (out[o]! + prior / site.count) / sum
      }
    }
    const fit = () => {
      const { history } = bench
      if (taken === history.length) return
      for (; taken < history.length; taken++) {
        const observation = history[taken]!
        count(observation, seen)
        for (const site of numbers) {
          for (const u of positionsOf(site, [observation])) cells[site.index]![cellOf(u)]! += 1
        }
        ranked.splice(placeOf(observation, ranked), 0, observation)
        if (ranked.length > mostGood) ranked.pop()
      }
      good.fill(0)
      const top = ranked.slice(0, Math.min(mostGood, Math.ceil(gamma * taken)))
      for (const observation of top) count(observation, good)
      for (let o = 0; o < total; o++) score[o] = seen[o]! - good[o]!
      normalise(good)
      normalise(score)
      for (let o = 0; o < total; o++) score[o] = Elementary.log(good[o]! / score[o]!)
      if (numbers.length === 0) return
      const positions = sites.map((site) => (Site.isNumeric(site) ? positionsOf(site, top) : undefined))
      best = positions.map((us) => us && Parzen.make(massesOf(us), prior))
      rest = positions.map((us, i) => {
        const counts = cells[i]?.slice()
        for (const u of us ?? []) counts![cellOf(u)]! -= 1
        return counts && Parzen.make(massesOfCells(counts), prior)
      })
    }
    const draw = (): Kit.Point => {
      const random = bench.prng()
      const vector = new Int32Array(sites.length).fill(Site.absent)
      for (let i = 0; i < sites.length; i++) {
        const site = sites[i]!
        if (!Site.exists(site, vector)) continue
        const density = best[i]
        if (density !== undefined) {
          vector[i] = Site.at(site, density.draw(random))
          continue
        }
        let left = random.nextFloat()
        let token = 0
        while (token < site.count - 1 && (left -= good[offset[i]! + token]!) >= 0) token++
        vector[i] = token
      }
      return bench.points.repaired(vector)
    }
    const ratio = ({ vector }: Kit.Point) => {
      let sum = 0
      for (let i = 0; i < sites.length; i++) {
        const token = vector[i]!
        if (token === Site.absent) continue
        const density = best[i]
        if (density === undefined) sum += score[offset[i]! + token]!
        else {
          const u = Site.position(sites[i]!, token)
          sum += Elementary.log(density.at(u) / rest[i]!.at(u))
        }
      }
      return sum
    }
    const next = () => {
      if (bench.asked() < initial || bench.history.length === 0) return bench.random()
      fit()
      let likeliest: Kit.Point | undefined
      let highest = -Infinity
      for (let found = 0, drawn = 0; found < candidates && drawn < 8 * candidates; drawn++) {
        const point = draw()
        if (!bench.isNew(point) || !bench.points.feasible(point)) continue
        found++
        const here = ratio(point)
        if (here > highest) {
          highest = here
          likeliest = point
        }
      }
      return likeliest !== undefined && bench.claim(likeliest) ? likeliest : bench.random()
    }
    return {
      next,
      reset: () => {
        ranked = []
        taken = 0
        seen.fill(0)
        for (const counts of cells) counts?.fill(0)
      }
    }
  })
})

/** Cells of the unit interval in which the many results that are not the best are counted: finer than any kernel. */
const cellCount = 256

const cellOf = (u: number) => Math.min(cellCount - 1, Math.floor(u * cellCount))

/** Where some results have a number, on the unit interval. */
const positionsOf = (site: Site.Site, observations: ReadonlyArray<Kit.Observation>) =>
  observations.flatMap(({ point }) => {
    const token = point.vector[site.index]!
    return token === Site.absent ? [] : [Site.position(site, token)]
  })

const massesOf = (positions: ReadonlyArray<number>): ReadonlyArray<Parzen.Mass> =>
  positions.toSorted((a, b) => a - b).map((u) => ({ u, weight: 1 }))

const massesOfCells = (counts: Float64Array): ReadonlyArray<Parzen.Mass> => {
  const out: Array<Parzen.Mass> = []
  for (const [cell, weight] of counts.entries()) if (weight > 0) out.push({ u: (cell + 0.5) / cellCount, weight })
  return out
}

/** Where a result belongs among results that stand best first, earlier trials before later ones. */
const placeOf = ({ reward, trial }: Kit.Observation, ranked: ReadonlyArray<Kit.Observation>): number => {
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
