/**
 * What a search maximises: data that can be journalled, or your own function.
 *
 * @example
 * ```ts
 * import { Reward } from "@uninet/search"
 *
 * export const mnas = Reward.mnas({ target: 550e6 }) // the measure that decides, times (macs / 550 M)^-0.07
 * export const bounded = Reward.bounded({ cost: "parameters", target: 5e6 }) // up to 5 M parameters for nothing
 * export const own = ({ accuracy, macs }: { accuracy: number; macs: number }) => accuracy - macs * 1e-9
 * ```
 *
 * @example
 * ```ts
 * import { Reward } from "@uninet/search"
 *
 * console.log(Reward.identity(Reward.mnas({ target: 1e6 })))
 * ```
 */
import { Reward as Form } from "@uninet/controller"
import { Task } from "@uninet/model-space"
import { Digest } from "@uninet/search-space"
import * as Schema from "effect/Schema"

const Amount = Schema.Finite.check(Schema.isGreaterThan(0))

/** The measure it uses; absent for the deciding measure. */
const ofMeasure = { measure: Schema.optionalKey(Schema.String) }

/** A reward as data. */
export const Reward = Schema.TaggedUnion({
  /** The measure alone. */
  Measure: { ...ofMeasure },
  /** measure · (cost / target)^exponent: MnasNet's soft penalty. */
  Mnas: { cost: Schema.String, target: Amount, exponent: Schema.Finite, ...ofMeasure },
  /** The measure, up to the target; beyond it, reduced in proportion to how far the target is exceeded: MnasNet's hard bound. */
  Bounded: { cost: Schema.String, target: Amount, ...ofMeasure }
})

/** A reward as data that needs costs with these names. */
export type Reward<C extends string = string> =
  | Extract<typeof Reward.Type, { readonly _tag: "Measure" }>
  | (Extract<typeof Reward.Type, { readonly _tag: "Mnas" | "Bounded" }> & { readonly cost: C })

/** A custom reward: a function of all costs and measures by name, and of the point. Larger is better. */
export type Own<A, X extends string> = (values: { readonly [K in X]: number }, point: A) => number

/** The deciding measure alone. */
export const measure: Reward<never> = Reward.cases.Measure.make({})

/**
 * Replaces the deciding measure with another one, in any reward.
 *
 * @example
 * ```ts
 * import { Reward } from "@uninet/search"
 *
 * console.log(Reward.by("int8Accuracy")(Reward.mnas({ cost: "int8Latency", target: 2 })))
 * ```
 */
export const by =
  (measure: string) =>
  <C extends string>(reward: Reward<C>): Reward<C> => ({ ...reward, measure })

/**
 * The deciding measure times (cost / target)^exponent, which MnasNet searched with. −0.07 is MnasNet's exponent: twice the MACs are worth
 * 5% more accuracy. Using it for UniNet is our choice, as its paper does not print its reward. Where lower values of the measure are
 * better, the cost increases it by the same factor.
 */
export const mnas = <const C extends string = "macs">({
  cost,
  exponent = -0.07,
  target
}: {
  /** Default `macs`. */
  readonly cost?: C
  readonly target: number
  readonly exponent?: number
}): Reward<C> =>
  // Without a name, it is the default of the type parameter.
  ({ ...Reward.cases.Mnas.make({ cost: cost ?? "macs", target, exponent }), cost: (cost ?? "macs") as C })

/** The deciding measure, up to the target of a cost (default `macs`); beyond it, reduced in proportion to how far the target is exceeded. */
export const bounded = <const C extends string = "macs">({
  cost,
  target
}: {
  readonly cost?: C
  readonly target: number
}): Reward<C> => ({ ...Reward.cases.Bounded.make({ cost: cost ?? "macs", target }), cost: (cost ?? "macs") as C }) // as above

/** What is known of an evaluated point. */
export interface Found {
  readonly measures: Readonly<Record<string, number>>
  readonly costs: Readonly<Record<string, number>>
}

/**
 * The reward of an evaluated point. Larger is better. NaN if a measure or cost of that name is missing.
 *
 * @example
 * ```ts
 * import { Classification } from "@uninet/model-space"
 * import { Reward } from "@uninet/search"
 *
 * const digits = Classification.make({ classes: 10 })
 * const found = { measures: { accuracy: 0.94 }, costs: { macs: 2e6 } }
 * const worth = (reward: Reward.Reward) => Reward.of(digits, found)(reward).toFixed(4)
 * console.log(worth(Reward.measure), worth(Reward.mnas({ target: 1e6 })), worth(Reward.bounded({ target: 1e6 }))) // 0.9400 0.8955 0.4700
 * ```
 */
export const of =
  <M extends string>(task: Pick<Task.Task<M>, "also" | "decides" | "measures">, found: Found) =>
  (reward: Reward): number => {
    const { measure = task.decides } = reward
    const value = found.measures[measure] ?? NaN
    const direction = Task.directions(task)[measure] ?? "higher"
    if (reward._tag === "Measure") return Task.worth(direction)(value)
    const target = { cost: Math.max(1e-9 * reward.target, found.costs[reward.cost] ?? NaN), target: reward.target }
    if (direction === "higher")
      return reward._tag === "Mnas" ? Form.soft(value, [target], reward.exponent) : Form.hard(value, [target])
    // A measure where lower is better grows with the cost.
    return -(reward._tag === "Mnas"
      ? Form.soft(value, [target], -reward.exponent)
      : Form.mnasnet(value, target, { alpha: 0, beta: 1 }))
  }

/** How the journal identifies a reward: data as they are, a function by its text. */
export const identity = (reward: Reward | ((values: never, point: never) => number)): Schema.Json =>
  typeof reward === "function" ? { _tag: "Own", text: Digest.of(String(reward)) } : { ...reward }
