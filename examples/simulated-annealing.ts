/**
 * Simulated annealing (Kirkpatrick, Gelatt & Vecchi, "Optimization by Simulated Annealing", Science 1983) as a custom strategy: it tries a change of the current network
 * and accepts it if it is better, or else with a probability that falls as the loss grows and the temperature sinks.
 */
import { Kit, SearchStrategy, type Strategy, type StrategyError } from "@uninet/controller"
import type { Prng } from "@uninet/search-space"
import { Effect, Layer, Schema } from "effect"

export interface Options {
  /** The temperature at the start, in rewards: a change for the worse by so much is taken with a chance of 37%. Default 1. */
  readonly temperature?: number
  /** What is left of the temperature after one more result. Default 0.98. */
  readonly cooling?: number
}

const name = "annealing"

export const make = <A>(
  domain: Strategy.Domain<A>,
  { cooling = 0.98, temperature = 1 }: Options,
  prng: Prng.Prng
): Effect.Effect<Strategy.Strategy<A>, StrategyError.StrategyError> => {
  const wrong = Kit.check(name, { cooling, temperature }, { cooling: Kit.chance, temperature: Kit.positive })
  if (wrong !== undefined) return Effect.fail(wrong)
  return Kit.make(name, domain, prng, ({ child, history, prng, random }) => {
    /** How many results were looked at, and which of them is the present one. */
    let [seen, present] = [0, -1]
    const next = () => {
      for (; seen < history.length; seen++) {
        const worse = (history[present]?.reward ?? -Infinity) - (history[seen]?.reward ?? -Infinity)
        const chance = Math.exp(-worse / (temperature * cooling ** seen))
        if (!(worse > 0) || prng().nextFloat() < chance) present = seen
      }
      const from = history[present]
      return from === undefined ? random() : child(from.point)
    }
    return {
      next,
      state: Kit.state(Schema.Struct({ seen: Schema.Int, present: Schema.Int }), {
        save: () => ({ seen, present }),
        load: (state) => {
          ;({ seen, present } = state)
        }
      })
    }
  })
}

/** For `Search.run`. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  Layer.succeed(SearchStrategy, { name, start: (domain, prng) => make(domain, options, prng) })
