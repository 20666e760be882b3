/**
 * Regularized (aging) evolution: a tournament among the last results chooses a parent, one changed choice makes the child, and the oldest result
 * leaves the population (Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019).
 */
import type { Prng } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { layerOf } from "./internal/layer.ts"
import * as Kit from "./Kit.ts"
import type { Domain, SearchStrategy } from "./Strategy.ts"

const name = "evolution"

/** How many may be parents, and of how many the best one is. */
export interface Options {
  /** The last results that may become parents; as many random networks come first. Default 30. */
  readonly population?: number
  /** Results drawn for a tournament, whose best is the parent. Default 10. */
  readonly sample?: number
}

/** What holds where an option is not given. */
export const defaults = { population: 30, sample: 10 } satisfies Options

/** Regularized evolution over a space, under constraints or not. */
export const make = Effect.fnUntraced(function* <A>(domain: Domain<A>, options: Options, prng: Prng.Prng) {
  const settings = { ...defaults, ...options }
  const { population, sample } = settings
  const rules = { population: Kit.positiveInteger, sample: Kit.positiveInteger }
  const wrong = Kit.check(name, settings, rules)
  if (wrong !== undefined) return yield* wrong
  return yield* Kit.make(name, domain, prng, (bench) => {
    const next = () => {
      const { history } = bench
      if (bench.asked() < population || history.length === 0) return bench.random()
      const random = bench.prng()
      const alive = Math.min(population, history.length)
      const drawn = () => Arr.getUnsafe(history, history.length - 1 - random.nextInt(alive))
      let parent = drawn()
      for (let i = 1; i < sample; i++) {
        const rival = drawn()
        if (rival.reward > parent.reward) parent = rival
      }
      return bench.child(parent.point)
    }
    return { next }
  })
})

/** Provides `SearchStrategy`: `make` with these options, begun by the search on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
