/**
 * What a search maximises, as data that can be journalled.
 *
 * @example
 * ```ts
 * Reward.of(Reward.mnas({ target: 550e6 }), { accuracy: 0.8, macs: 1100e6 }) // 0.8 · 2^-0.07 = 0.762…
 * ```
 */
import { Reward as Form } from "@uninet/controller"
import * as Schema from "effect/Schema"

const Macs = Schema.Finite.check(Schema.isGreaterThan(0))

export const Reward = Schema.TaggedUnion({
  /** The accuracy alone. */
  Accuracy: {},
  /** ACC · (MACs / target)^exponent: MnasNet's soft penalty. */
  Mnas: { target: Macs, exponent: Schema.Finite },
  /** The accuracy up to the target, and beyond it as much less as the target is exceeded: MnasNet's hard bound. */
  Bounded: { target: Macs }
})
export type Reward = typeof Reward.Type

/** The accuracy alone. */
export const accuracy: Reward = Reward.cases.Accuracy.make({})

/**
 * ACC · (MACs / target)^exponent, which MnasNet searched with; −0.07 is its exponent: twice the MACs are worth 5% more accuracy. [ours] for UniNet,
 * whose paper does not print its reward.
 */
export const mnas = ({ target, exponent = -0.07 }: { readonly target: number; readonly exponent?: number }): Reward =>
  Reward.cases.Mnas.make({ target, exponent })

/** The accuracy up to the target, and beyond it as much less as the target is exceeded. */
export const bounded = (target: number): Reward => Reward.cases.Bounded.make({ target })

/** The reward of an evaluated network. Higher is better; 0 is the least. */
export const of = (reward: Reward, found: { readonly accuracy: number; readonly macs: number }): number =>
  Reward.match(reward, {
    Accuracy: () => found.accuracy,
    Mnas: ({ exponent, target }) => Form.soft(found.accuracy, [{ cost: Math.max(1, found.macs), target }], exponent),
    Bounded: ({ target }) => Form.hard(found.accuracy, [{ cost: Math.max(1, found.macs), target }])
  })
