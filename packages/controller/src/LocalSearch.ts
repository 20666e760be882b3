/**
 * Local search: all neighbours of the best network, then of the next best whose neighbours are not all known, and so on (White et al., "Exploring the
 * Loss Landscape in Neural Architecture Search", UAI 2021; [ours]: it goes on from the next best where theirs starts again at random).
 */
import type { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { layerOf } from "./internal/layer.ts"
import * as Kit from "./Kit.ts"
import type { Domain, SearchStrategy } from "./Strategy.ts"

const name = "local-search"

export interface Options {
  /** Random networks to begin with. Default 10. */
  readonly initial?: number
}

export const defaults = { initial: 10 } satisfies Options

/** Local search over a space, under constraints or not. */
export const make = Effect.fnUntraced(function* <A>(domain: Domain<A>, options: Options, prng: Prng.Prng) {
  const settings = { ...defaults, ...options }
  const wrong = Kit.check(name, settings, { initial: Kit.positiveInteger })
  if (wrong !== undefined) return yield* wrong
  return yield* Kit.make(name, domain, prng, (bench) => {
    /** Points whose neighbours were all proposed. */
    let spent = new Set<string>()
    const next = () => {
      if (bench.asked() < settings.initial) return bench.random()
      for (;;) {
        let best: Kit.Observation | undefined
        for (const observation of bench.history) {
          if (spent.has(observation.point.key)) continue
          if (best === undefined || observation.reward > best.reward) best = observation
        }
        if (best === undefined || best.reward === -Infinity) return bench.random()
        const around = bench.points
          .neighbours(best.point)
          .filter((point) => bench.isNew(point) && bench.points.feasible(point))
        const point = around.length === 0 ? undefined : around[bench.prng().nextInt(around.length)]
        if (point !== undefined && bench.claim(point)) return point
        spent.add(best.point.key)
      }
    }
    return {
      next,
      reset: () => {
        spent = new Set()
      }
    }
  })
})

/** Provides `SearchStrategy`: `make` with these options, begun by the search on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
