/** Grid search: every network in the order of its index, for spaces that are small enough to enumerate. */
import { type Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { layerOf } from "./internal/layer.ts"
import * as Points from "./internal/points.ts"
import * as Kit from "./Kit.ts"
import type { Domain, SearchStrategy } from "./Strategy.ts"
import { NotEnumerable } from "./StrategyError.ts"

const name = "grid"

/** The size limit of the space. */
export interface Options {
  /** Spaces with more distinct networks are refused. Default 2²⁰. */
  readonly most?: number
}

/** The defaults of all options. */
export const defaults = { most: 2 ** 20 } satisfies Options

/**
 * Proposes the networks of a space in the order of `Space.enumerate`. Fails with `NotEnumerable` if there are more than `most`.
 *
 * @example
 * ```ts
 * import { Grid } from "@uninet/controller"
 * import { Choice, Prng, Space } from "@uninet/search-space"
 * import { Console, Effect, Result } from "effect"
 *
 * const space = Result.getOrThrow(
 *   Space.make(Choice.struct({ depth: Choice.ordered([2, 4]), activation: Choice.categorical(["relu", "gelu"]) }))
 * )
 * const program = Effect.gen(function* () {
 *   const strategy = yield* Grid.make(space, { most: 100 }, Prng.fromSeed("any: nothing is drawn"))
 *   for (const { trial, value } of yield* strategy.ask(4)) yield* Console.log(trial, value)
 *   // There is no fifth.
 *   yield* strategy.ask(1).pipe(Effect.catchTag("Exhausted", ({ message }) => Console.log(message)))
 * })
 * Effect.runPromise(program)
 * ```
 */
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
      // a restored search starts from the beginning and skips what was already proposed
      reset: () => {
        position = 0
      },
      learns: false
    }
  })
})

/** Provides `SearchStrategy`: the search calls `make` with these options on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))
