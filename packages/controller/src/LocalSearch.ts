/**
 * Local search: all neighbours of the best network, then of the next best whose neighbours are not all known, and so on (White et al., "Exploring the
 * Loss Landscape in Neural Architecture Search", UAI 2021; theirs starts again at random where this, our choice, goes on from the next best).
 */
import type { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Heap from "./internal/heap.ts"
import { layerOf } from "./internal/layer.ts"
import * as Kit from "./Kit.ts"
import type { Domain, SearchStrategy } from "./Strategy.ts"

const name = "local-search"

/** How the search begins. */
export interface Options {
  /** Random networks to begin with. Default 10. */
  readonly initial?: number
}

/** What holds where an option is not given. */
export const defaults = { initial: 10 } satisfies Options

/** Local search over a space, under constraints or not. */
export const make = Effect.fnUntraced(function* <A>(domain: Domain<A>, options: Options, prng: Prng.Prng) {
  const settings = { ...defaults, ...options }
  const wrong = Kit.check(name, settings, { initial: Kit.positiveInteger })
  if (wrong !== undefined) return yield* wrong
  return yield* Kit.make(name, domain, prng, (bench) => {
    const { history, points } = bench
    /** Results whose neighbours may not all be proposed, best first; of equal ones the one that was told first. */
    let heap = Heap.make(sooner)
    let taken = 0
    /** The neighbours of the best that may still be proposed. */
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
  /** How many were told before it. */
  readonly told: number
}

const sooner = (a: Result, b: Result) =>
  a.observation.reward === b.observation.reward ? a.told < b.told : a.observation.reward > b.observation.reward

/** Provides `SearchStrategy`: `make` with these options, begun by the search on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
