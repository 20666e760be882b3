/** Grid search: every network in the order of its index, for spaces small enough to go through. */
import { type Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { layerOf } from "./internal/layer.ts"
import * as Points from "./internal/points.ts"
import * as Kit from "./Kit.ts"
import type { Domain, SearchStrategy } from "./Strategy.ts"
import { NotEnumerable } from "./StrategyError.ts"

const name = "grid"

/** How large a space may be. */
export interface Options {
  /** Spaces with more distinct networks are refused. Default 2²⁰. */
  readonly most?: number
}

/** What holds where an option is not given. */
export const defaults = { most: 2 ** 20 } satisfies Options

/** Goes through a space in the order of `Space.enumerate`. Fails with `NotEnumerable` where it is larger than `most`. */
export const make = Effect.fnUntraced(function* <A>(domain: Domain<A>, options: Options, prng: Prng.Prng) {
  const { most } = { ...defaults, ...options }
  const wrong = Kit.check(name, { most }, { most: Kit.positiveInteger })
  if (wrong !== undefined) return yield* wrong
  const { distinct, space } = Points.make(domain)
  if (distinct > most) {
    return yield* new NotEnumerable({ strategy: name, distinct: Space.showCount(Space.distinct(space)), most })
  }
  return yield* Kit.make(name, domain, prng, ({ claim, points, random }) => {
    let position = 0
    return {
      next: () => {
        while (position < distinct) {
          const point = points.at(position++)
          if (claim(point)) return point
        }
        return random()
      },
      // a restored search starts at the beginning and skips what it has
      reset: () => {
        position = 0
      },
      learns: false
    }
  })
})

/** Provides `SearchStrategy`: `make` with these options, begun by the search on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
