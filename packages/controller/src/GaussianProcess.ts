/**
 * Bayesian optimisation with a Gaussian process over the choices. The kernel counts how many choices two networks share, and the targets are the normal scores of the
 * results' ranks. Among neighbours of the best networks and random networks, the one with the largest expected improvement is proposed.
 *
 * The kernel is exp(−d / ℓ), where d is the share of the choices in which two networks differ (for ordered choices by how far, our choice). Each number (a continuous choice,
 * or an integer with very many values) has a Matérn kernel of the distance on the unit interval, with its own scale. ℓ, the scales and the noise are chosen from a small grid
 * by maximum likelihood of the results (type II), and chosen again each time the number of results has grown by half.
 * Pending networks count with the result that the process expects of them (the "kriging believer" of Ginsbourger et al., 2010), so that
 * parallel workers try different regions.
 */
import { Cholesky, Elementary, type Prng, Site } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { dot } from "./internal/dot.ts"
import * as Kernel from "./internal/kernel.ts"
import { layerOf } from "./internal/layer.ts"
import * as Normal from "./internal/normal.ts"
import * as Transfer from "./internal/transfer.ts"
import * as Kit from "./Kit.ts"
import type { Lesson } from "./Lesson.ts"
import type { Domain, SearchStrategy } from "./Strategy.ts"

const name = "gp"

/** How the search starts, which candidates it considers and how many results it remembers. */
export interface Options {
  /** Random networks to begin with. Default 10. */
  readonly initial?: number
  /** The number of best networks whose neighbours (in spaces with numbers: mutations) are candidates. Default 5. */
  readonly elites?: number
  /** Random networks among the candidates. Default 100. */
  readonly randoms?: number
  /** The most candidates; if there are more neighbours, a random subset is used. Default 240. */
  readonly candidates?: number
  /** The number of candidates, those with the highest expected result, whose uncertainty is computed. Default 32. */
  readonly screened?: number
  /** Results that the process remembers; if there are more, it keeps the latest (a quarter of this number) and the best of the others (half of it). Default 1000. */
  readonly memory?: number
}

/** The defaults of all options. */
export const defaults = {
  initial: 10,
  elites: 5,
  randoms: 100,
  candidates: 240,
  screened: 32,
  memory: 1000
} satisfies Options

/** Candidate length scales (as a share of all choices) and noise variances (of targets with variance 1). */
const lengths = [0.1, 0.2, 0.35, 0.6, 1, 2]
const noises = [0.003, 0.03, 0.1, 0.3]
/** Noise so low that only smooth functions of numbers have it. */
const finerNoises = [1e-6, 1e-4]
/** Candidate scales of numbers, as a share of their range. */
const scales = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
/** The process is first fitted after this many results. */
const firstFit = 8
/** The most random networks to begin with if there are lessons, since those already say something about the space. */
const taughtInitial = 2
/** The number of results that are used to choose the length scale, the scales and the noise. */
const fitted = 160

/** Bayesian optimisation with a Gaussian process over a space, with or without constraints. */
export const make = Effect.fnUntraced(function* <A>(domain: Domain<A>, options: Options, prng: Prng.Prng) {
  const settings = { ...defaults, ...options }
  const { candidates, elites, initial, memory, randoms, screened } = settings
  const wrong = Kit.check(name, settings, {
    initial: Kit.positiveInteger,
    elites: Kit.positiveInteger,
    randoms: Kit.naturalNumber,
    candidates: Kit.positiveInteger,
    screened: Kit.positiveInteger,
    memory: Kit.positiveInteger
  })
  if (wrong !== undefined) return yield* wrong
  return yield* Kit.make(name, domain, prng, (bench) => {
    const { points } = bench
    const begin = usual(points.sites)

    const numeric = points.sites.some(Site.isNumeric)

    let known: Array<Kit.Observation> = []
    let taken = 0
    let shape = begin
    let refitAt = firstFit
    let reconsiderAt = 1
    let factor = Cholesky.make()
    /** The points of the factor's rows. */
    const stack = Kernel.make(points.sites)
    /** Points near an elite: its neighbours or, if there are numbers, mutations, so that the many steps of a number do not crowd out all other choices. */
    const near = (elite: Kit.Point, random: Prng.Prng) =>
      numeric
        ? Array.from({ length: Math.ceil(candidates / elites) }, (_, i) => {
            const once = points.mutated(elite, random)
            return i % 3 === 0 ? points.mutated(once, random) : once
          })
        : points.neighbours(elite)
    /** The rows of the lessons, which precede those of the results, and the belief about them; `undefined` if there are no lessons. */
    let taught: Taught | undefined
    const isTaught = () => {
      const lessons = bench.lessons()
      if (taught?.by !== lessons) taught = lessons.length === 0 ? undefined : learned(lessons, points.sites)
      return taught !== undefined
    }
    /** The kernel of a point with all rows; `own` is the part for the rows of results. */
    const rowOf = (point: Kit.Point, own: Float64Array) => {
      if (taught === undefined) return own
      const { belief, rows } = taught
      const lessons = rows.row(point.vector, shape, belief)
      const row = new Float64Array(lessons.length + own.length)
      row.set(lessons)
      for (const [i, each] of own.entries()) row[lessons.length + i] = each + Transfer.level
      return row
    }
    /** The prior variance of a result of this task. */
    const variance = () => (taught === undefined ? 1 : 1 + Transfer.level)
    const extend = (point: Kit.Point) => {
      factor.append(rowOf(point, stack.row(point, shape)), variance() + shape.noise)
      stack.push(point)
    }
    /** Drops the rows of all results from `count` on. */
    const shrink = (count: number) => {
      factor.shrink((taught?.rows.size ?? 0) + count)
      stack.shrink(count)
    }
    const forget = () => {
      factor = Cholesky.make()
      stack.shrink(0)
      if (taught === undefined) return
      const { belief, rows } = taught
      for (let i = 0; i < rows.size; i++) factor.append(rows.own(i, shape, belief), 1 + shape.noise)
    }
    /** Updates the belief about the lessons by the results so far. */
    const reconsider = () => {
      if (taught === undefined || known.length === 0) return
      const [{ belief, rows }, latest] = [taught, known.slice(-fitted)]
      const vectors = latest.map(({ point }) => point.vector)
      const scores = Normal.scores(latest.map(({ reward }) => reward))
      const share = 1 / (points.sites.length * shape.length)
      const kernel = (a: Int32Array, b: Int32Array) =>
        points.sites.reduce((product, site) => {
          const scale = shape.scales[site.index] ?? Number.NaN
          return product * Kernel.ofSite(site, share, scale, Kernel.tokenOf(site, a), Kernel.tokenOf(site, b))
        }, 1)
      taught = { ...taught, belief: Transfer.believed(rows, { vectors, scores }, kernel, shape, belief) }
      forget()
    }
    /** The scores of the results; if there are lessons, the lessons' scores first, then those of the results in the lessons' units. */
    const targetsOf = (scores: ArrayLike<number>) => {
      if (taught === undefined) return Float64Array.from(scores)
      const { belief, rows } = taught
      return Float64Array.from([...rows.targets, ...Array.from(scores, (score) => belief.spread * score)])
    }
    const reset = () => {
      known = []
      taken = 0
      shape = begin
      refitAt = firstFit
      reconsiderAt = 1
      taught = undefined
      forget()
    }

    /** Updates the factor with all results told so far. */
    const learn = () => {
      const { history } = bench
      const before = taken
      shrink(known.length)
      for (const observation of history.slice(taken)) {
        taken++
        known.push(observation)
        if (known.length > memory) {
          const half = Math.ceil(memory / 2)
          const latest = known.slice(-Math.max(1, Math.floor(memory / 4)))
          const rest = known.slice(0, known.length - latest.length)
          known = [...rest.sort((a, b) => b.reward - a.reward || a.trial - b.trial).slice(0, half), ...latest]
          forget()
        }
        // at fixed numbers of results, not when a proposal is asked for, so that a replay gives the same fit
        if (taken !== refitAt) continue
        const best = likeliest(known.slice(-fitted), points.sites)
        refitAt = taken < fitted ? Math.ceil(1.5 * taken) : Infinity
        if (sameFit(best, shape)) continue
        shape = best
        forget()
      }
      if (taken > before && taken >= reconsiderAt) {
        reconsiderAt = Math.max(taken + 1, Math.ceil(1.1 * taken))
        reconsider()
      }
      for (const { point } of known.slice(stack.size())) extend(point)
    }

    const next = () => {
      const { history } = bench
      const begins = bench.lessons().length === 0 ? initial : Math.min(initial, taughtInitial)
      if (bench.asked() < begins || history.length < Math.min(2, begins)) return bench.random()
      if (isTaught() && factor.size() === 0) forget()
      learn()
      const scores = Normal.scores(known.map(({ reward }) => reward))
      let targets = targetsOf(scores)
      let weights = factor.solve(targets)
      const mean = (k: Float64Array) => dot(k, weights)
      // pending points count with their expected result
      const pending = bench.pending()
      if (pending.length > 0) {
        const believed = pending.map((point) => mean(rowOf(point, stack.row(point, shape))))
        for (const point of pending) extend(point)
        targets = Float64Array.from([...targets, ...believed])
        weights = factor.solve(targets)
      }
      let best = -Infinity
      for (const target of targets.subarray(taught?.rows.size ?? 0)) best = Math.max(best, target)

      /** Candidates; the row of each is computed on demand. */
      const around = new Map<string, Candidate>()
      const random = bench.prng()
      for (const { point: elite } of top(known, elites)) {
        let row: Float64Array | undefined
        for (const point of near(elite, random)) {
          if (!bench.isNew(point) || around.has(point.key)) continue
          around.set(point.key, {
            point,
            row: () => stack.rowNear(point, shape, elite, (row ??= stack.row(elite, shape)))
          })
        }
      }
      const pool = [...around.values()]
      const order = random.permutation(pool.length)
      const chosen = new Map<string, Candidate>()
      for (const i of order.subarray(0, Math.max(0, candidates - randoms))) {
        const candidate = Arr.getUnsafe(pool, i)
        chosen.set(candidate.point.key, candidate)
      }
      for (let i = 0; i < randoms; i++) {
        const drawn = points.draw(random)
        if (drawn._tag === "Failure" || !bench.isNew(drawn.success)) continue
        const point = drawn.success
        if (!chosen.has(point.key)) chosen.set(point.key, { point, row: () => stack.row(point, shape) })
      }
      const scored = [...chosen.values()]
        .filter(({ point }) => points.feasible(point))
        .map(({ point, row }) => {
          const k = rowOf(point, row())
          return { point, k, mean: mean(k) }
        })
        .sort((a, b) => b.mean - a.mean || (a.point.key < b.point.key ? -1 : 1))
        .slice(0, screened)
      factor.forward(scored.map(({ k }) => k))
      let choice: Kit.Point | undefined
      let highest = -Infinity
      for (const { k, mean: mu, point } of scored) {
        let left = variance()
        for (const v of k) left -= v * v
        const gain = Normal.improvement(mu, Math.sqrt(Math.max(left, 1e-12)), best)
        if (gain > highest) {
          highest = gain
          choice = point
        }
      }
      return choice !== undefined && bench.claim(choice) ? choice : bench.random()
    }
    return { next, reset }
  })
})

/** Lessons, and the belief about them. */
interface Taught {
  readonly by: ReadonlyArray<Lesson>
  readonly rows: Transfer.Rows
  readonly belief: Transfer.Belief
}

const learned = (by: ReadonlyArray<Lesson>, sites: ReadonlyArray<Site.Site>): Taught => {
  const rows = Transfer.make(sites, by)
  return { by, rows, belief: Transfer.credulous(sites, by.length) }
}

interface Candidate {
  readonly point: Kit.Point
  readonly row: () => Float64Array
}

const top = (results: ReadonlyArray<Kit.Observation>, count: number) =>
  [...results].sort((a, b) => b.reward - a.reward || a.trial - b.trial).slice(0, count)

/** The process's hyperparameters. */
interface Fit extends Kernel.Shape {
  readonly noise: number
}

/** The hyperparameters before there are results. */
const usual = (sites: ReadonlyArray<Site.Site>): Fit => ({ length: 0.35, noise: 0.03, scales: sites.map(() => 0.4) })

const sameFit = (a: Fit, b: Fit) =>
  a.length === b.length && a.noise === b.noise && a.scales.every((scale, i) => scale === b.scales[i])

/** The length scale, the noise and the numbers' scales that maximise the likelihood of the results. */
const likeliest = (results: ReadonlyArray<Kit.Observation>, sites: ReadonlyArray<Site.Site>): Fit => {
  const targets = Normal.scores(results.map(({ reward }) => reward))
  const vectors = results.map(({ point }) => point.vector)
  const rows = vectors.map((here, i) =>
    vectors.slice(0, i).map((there) => ({ here, there, distance: Kernel.distance(sites, here, there) }))
  )
  const numbers = sites.filter(Site.isNumeric)
  const likelihood = ({ length, noise, scales }: Fit) => {
    const factor = Cholesky.make()
    for (const row of rows) {
      factor.append(
        row.map(({ distance, here, there }) => {
          let k = Elementary.exp(-distance / length)
          for (const site of numbers) {
            const scale = scales[site.index] ?? Number.NaN
            k *= Kernel.ofNumber(site, scale, Kernel.tokenOf(site, here), Kernel.tokenOf(site, there))
          }
          return k
        }),
        1 + noise
      )
    }
    return -0.5 * dot(targets, factor.solve(targets)) - factor.halfLogDeterminant()
  }
  let best = usual(sites)
  let highest = -Infinity
  const consider = (fit: Fit) => {
    const here = likelihood(fit)
    if (here <= highest) return
    highest = here
    best = fit
  }
  if (numbers.length === 0) {
    for (const length of lengths) for (const noise of noises) consider({ ...best, length, noise })
    return best
  }
  // first with a common scale for all numbers, then one number at a time
  const finer = [...finerNoises, ...noises]
  for (const scale of scales) for (const noise of finer) consider({ ...best, noise, scales: sites.map(() => scale) })
  if (numbers.length < sites.length) for (const length of lengths) consider({ ...best, length })
  for (const { index } of numbers)
    for (const scale of scales) consider({ ...best, scales: best.scales.with(index, scale) })
  for (const noise of finer) consider({ ...best, noise })
  return best
}

/** Provides `SearchStrategy`: the search calls `make` with these options on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
