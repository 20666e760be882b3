/**
 * Reward functions that combine an accuracy and costs into one number (Tan et al., "MnasNet", CVPR 2019, section 3).
 */
import { Elementary } from "@uninet/search-space"

/** A cost and its target, the most that it should be; both above 0, in the same unit. */
export interface Target {
  /** The network's cost, in the target's unit. */
  readonly cost: number
  /** The most that it should cost, in the same unit. */
  readonly target: number
}

/**
 * MnasNet's weighted product: accuracy · (cost / target)^w, with w = `alpha` if the target is met and `beta` if it is not.
 * Default α = β = −0.07, so doubling the cost is worth 5% of the accuracy.
 *
 * @example
 * ```ts
 * import { Reward } from "@uninet/controller"
 *
 * Reward.mnasnet(0.75, { cost: 200e6, target: 300e6 }) // 0.75 · 1.029
 * ```
 */
export const mnasnet = (
  accuracy: number,
  { cost, target }: Target,
  { alpha = -0.07, beta = -0.07 }: { readonly alpha?: number; readonly beta?: number } = {}
): number => accuracy * Elementary.pow(cost / target, cost <= target ? alpha : beta)

/** The soft penalty for several costs: accuracy · Π (cost / target)^w, w = −0.07 by default. */
export const soft = (accuracy: number, targets: ReadonlyArray<Target>, w = -0.07): number =>
  targets.reduce((reward, target) => mnasnet(reward, target, { alpha: w, beta: w }), accuracy)

/**
 * The hard bound (MnasNet's α = 0, β = −1): the accuracy itself if all targets are met, divided by cost / target for every target that is exceeded. To exclude
 * such networks altogether, give the strategy a constraint.
 *
 * @example
 * ```ts
 * import { Reward } from "@uninet/controller"
 *
 * // 75% accuracy with 200 M multiply-accumulates where 300 M are allowed, and 6 ms where 5 ms are wanted.
 * const targets = [
 *   { cost: 200e6, target: 300e6 },
 *   { cost: 6, target: 5 }
 * ]
 * console.log(Reward.soft(0.75, targets).toFixed(3)) // 0.762: what is saved here makes up for what is too much there
 * console.log(Reward.hard(0.75, targets).toFixed(3)) // 0.625: what is saved is worth nothing, what is too much counts in full
 * ```
 */
export const hard = (accuracy: number, targets: ReadonlyArray<Target>): number =>
  targets.reduce((reward, target) => mnasnet(reward, target, { alpha: 0, beta: -1 }), accuracy)
