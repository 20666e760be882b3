/**
 * Tree-structured Parzen estimator (TPE): two distributions over the options of every choice, one fitted to the best results and one to the rest.
 * Some points are drawn from the first, and the one with the largest likelihood ratio of the first to the second is proposed (Bergstra et al.,
 * "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011).
 */
import { Elementary, type Prng, Site } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { layerOf } from "./internal/layer.ts"
import * as Parzen from "./internal/parzen.ts"
import * as Kit from "./Kit.ts"
import type { Domain, SearchStrategy } from "./Strategy.ts"

const name = "tpe"

/** How the search starts, which results count as good, and how many candidates are drawn for a proposal. */
export interface Options {
  /** Random networks to begin with. Default 10. */
  readonly initial?: number
  /** The share of the results that count as the best. Default 0.1. */
  readonly gamma?: number
  /** The most results that count as the best. Default 25. */
  readonly mostGood?: number
  /** Points drawn for one proposal. Default 24. */
  readonly candidates?: number
  /** The weight of the uniform distribution, as a number of results. Default 1. */
  readonly prior?: number
}

/** The defaults of all options. */
export const defaults = { initial: 10, gamma: 0.1, mostGood: 25, candidates: 24, prior: 1 } satisfies Options

/** TPE over a space, with or without constraints. */
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
    let total = 0
    const columns = sites.map((site): Column => {
      if (Site.isNumeric(site)) return { site, from: -1, cells: new Float64Array(cellCount), densities: undefined }
      const from = total
      total += site.count
      return { site, from, cells: undefined, densities: undefined }
    })
    /** The probability of every option of the listed sites among the best results (`good`), and its log-ratio to the probability among the rest (`score`). */
    const good = new Float64Array(total)
    const score = new Float64Array(total)
    /** How often each option occurs in all results. */
    const seen = new Float64Array(total)
    /** The best results so far, best first, at most `mostGood` of them. */
    let ranked: Array<Kit.Observation> = []
    let taken = 0

    const count = ({ point }: Kit.Observation, out: Float64Array) => {
      for (const { cells, from, site } of columns) {
        const token = point.vector[site.index] ?? Site.absent
        if (token !== Site.absent && cells === undefined) add(out, from + token, 1)
      }
    }
    /** Counts to probabilities. */
    const normalise = (out: Float64Array) => {
      for (const { cells, from, site } of columns) {
        if (cells !== undefined) continue
        const to = from + site.count
        let sum = prior
        for (let o = from; o < to; o++) sum += out[o] ?? Number.NaN
        for (let o = from; o < to; o++) out[o] = ((out[o] ?? Number.NaN) + prior / site.count) / sum
      }
    }
    const fit = () => {
      const { history } = bench
      if (taken === history.length) return
      for (const observation of history.slice(taken)) {
        count(observation, seen)
        for (const { cells, site } of columns) {
          if (cells !== undefined) for (const u of positionsOf(site, [observation])) add(cells, cellOf(u), 1)
        }
        ranked.splice(placeOf(observation, ranked), 0, observation)
        if (ranked.length > mostGood) ranked.pop()
      }
      taken = history.length
      good.fill(0)
      const top = ranked.slice(0, Math.min(mostGood, Math.ceil(gamma * taken)))
      for (const observation of top) count(observation, good)
      for (let o = 0; o < total; o++) score[o] = (seen[o] ?? Number.NaN) - (good[o] ?? Number.NaN)
      normalise(good)
      normalise(score)
      for (let o = 0; o < total; o++) score[o] = Elementary.log((good[o] ?? Number.NaN) / (score[o] ?? Number.NaN))
      for (const column of columns) {
        if (column.cells === undefined) continue
        const positions = positionsOf(column.site, top)
        const others = column.cells.slice()
        for (const u of positions) add(others, cellOf(u), -1)
        column.densities = {
          best: Parzen.make(massesOf(positions), prior),
          rest: Parzen.make(massesOfCells(others), prior)
        }
      }
    }
    const draw = (): Kit.Point => {
      const random = bench.prng()
      const vector = new Int32Array(sites.length).fill(Site.absent)
      for (const { densities, from, site } of columns) {
        if (!Site.exists(site, vector)) continue
        if (densities !== undefined) {
          vector[site.index] = Site.at(site, densities.best.draw(random))
          continue
        }
        let left = random.nextFloat()
        let token = 0
        while (token < site.count - 1 && (left -= good[from + token] ?? Number.NaN) >= 0) token++
        vector[site.index] = token
      }
      return bench.points.repaired(vector)
    }
    const ratio = ({ vector }: Kit.Point) => {
      let sum = 0
      for (const { densities, from, site } of columns) {
        const token = vector[site.index] ?? Site.absent
        if (token === Site.absent) continue
        if (densities === undefined) sum += score[from + token] ?? Number.NaN
        else {
          const u = Site.position(site, token)
          sum += Elementary.log(densities.best.at(u) / densities.rest.at(u))
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
        for (const { cells } of columns) cells?.fill(0)
      }
    }
  })
})

/** What was learned about a site. */
interface Column {
  readonly site: Site.Site
  /** For a listed site: where its options start among those of all listed sites. */
  readonly from: number
  /** For a number: how many results lie in each cell of the unit interval (`cells`), and the densities of the best results and of the rest (`densities`). */
  readonly cells: Float64Array | undefined
  densities: { readonly best: Parzen.Density; readonly rest: Parzen.Density } | undefined
}

const add = (counts: Float64Array, place: number, count: number) => {
  counts[place] = (counts[place] ?? 0) + count
}

/** The number of cells of the unit interval in which the many results that are not among the best are counted: finer than any kernel. */
const cellCount = 256

const cellOf = (u: number) => Math.min(cellCount - 1, Math.floor(u * cellCount))

/** The positions of a number in some results, on the unit interval. */
const positionsOf = (site: Site.Site, observations: ReadonlyArray<Kit.Observation>) =>
  observations.flatMap(({ point }) => {
    const token = point.vector[site.index] ?? Site.absent
    return token === Site.absent ? [] : [Site.position(site, token)]
  })

const massesOf = (positions: ReadonlyArray<number>): ReadonlyArray<Parzen.Mass> =>
  positions.toSorted((a, b) => a - b).map((u) => ({ u, weight: 1 }))

const massesOfCells = (counts: Float64Array): ReadonlyArray<Parzen.Mass> => {
  const out: Array<Parzen.Mass> = []
  for (const [cell, weight] of counts.entries()) if (weight > 0) out.push({ u: (cell + 0.5) / cellCount, weight })
  return out
}

/** Where to insert a result among results that are sorted best first, with earlier trials first among ties. */
const placeOf = ({ reward, trial }: Kit.Observation, ranked: ReadonlyArray<Kit.Observation>): number => {
  let [low, high] = [0, ranked.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    const other = Arr.getUnsafe(ranked, middle)
    if (other.reward > reward || (other.reward === reward && other.trial < trial)) low = middle + 1
    else high = middle
  }
  return low
}

/** Provides `SearchStrategy`: the search calls `make` with these options on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
