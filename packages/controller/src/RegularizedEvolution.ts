/**
 * Regularized (aging) evolution: a tournament among the latest results selects a parent, changing one choice gives the child, and the oldest result
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

/** The sizes of the population and of a tournament. */
export interface Options {
  /** How many of the latest results can become parents; the search starts with this many random networks. Default 30. */
  readonly population?: number
  /** Results drawn for a tournament; the best of them is the parent. Default 10. */
  readonly sample?: number
}

/** The defaults of all options. */
export const defaults = { population: 30, sample: 10 } satisfies Options

/** Regularized evolution over a space, with or without constraints. */
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

/** Provides `SearchStrategy`: the search calls `make` with these options on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
