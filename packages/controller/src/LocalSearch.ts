/**
 * Local search: tries all neighbours of the best network, then those of the next best network that has untried neighbours, and so on (White et al., "Exploring the
 * Loss Landscape in Neural Architecture Search", UAI 2021). Theirs restarts at random; ours continues from the next best (our choice).
 */
import type { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Heap from "./internal/heap.ts"
import { layerOf } from "./internal/layer.ts"
import * as Kit from "./Kit.ts"
import type { Domain, SearchStrategy } from "./Strategy.ts"

const name = "local-search"

/** How the search starts. */
export interface Options {
  /** Random networks to begin with. Default 10. */
  readonly initial?: number
}

/** The defaults of all options. */
export const defaults = { initial: 10 } satisfies Options

/** Local search over a space, with or without constraints. */
export const make = Effect.fnUntraced(function* <A>(domain: Domain<A>, options: Options, prng: Prng.Prng) {
  const settings = { ...defaults, ...options }
  const wrong = Kit.check(name, settings, { initial: Kit.positiveInteger })
  if (wrong !== undefined) return yield* wrong
  return yield* Kit.make(name, domain, prng, (bench) => {
    const { history, points } = bench
    /** Results that may still have unproposed neighbours, best first; ties go to the one told first. */
    let heap = Heap.make(sooner)
    let taken = 0
    /** The neighbours of the best result that can still be proposed. */
    let around: { readonly of: string; readonly points: ReadonlyArray<Kit.Point> } | undefined
    const next = () => {
      if (bench.asked() < settings.initial) return bench.random()
      for (const observation of history.slice(taken)) heap.push({ observation, told: taken++ })
      for (;;) {
        const best = heap.first()?.observation
        if (best === undefined || best.reward === -Infinity) return bench.random()
        const { key } = best.point
        const known = around?.of === key ? around.points : points.neighbours(best.point).filter(points.feasible)
        around = { of: key, points: known.filter(bench.isNew) }
        const { length } = around.points
        const point = length === 0 ? undefined : around.points[bench.prng().nextInt(length)]
        if (point !== undefined && bench.claim(point)) return point
        heap.drop()
      }
    }
    return {
      next,
      reset: () => {
        heap = Heap.make(sooner)
        taken = 0
        around = undefined
      }
    }
  })
})

interface Result {
  readonly observation: Kit.Observation
  /** How many results were told before it. */
  readonly told: number
}

const sooner = (a: Result, b: Result) =>
  a.observation.reward === b.observation.reward ? a.told < b.told : a.observation.reward > b.observation.reward

/** Provides `SearchStrategy`: the search calls `make` with these options on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
