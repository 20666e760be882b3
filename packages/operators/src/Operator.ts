/**
 * A general operator (GOP): a block over images `[batch, channels, height, width]` that keeps height and width, in one unified form for convolution, attention and MLP, after
 * "UniNet: Unified Architecture Search with Convolution, Transformer, and MLP" (Liu et al., ECCV 2022, arXiv 2207.05420). An operator owns all that is known of it: its layer and its
 * count, what it needs of channels, its own further choices, how it grows, and its PyTorch text.
 *
 * @example
 * ```ts
 * import { Nn, Scope } from "@uninet/nn"
 * import { Operator, OperatorSet } from "@uninet/operators"
 * import { Choice } from "@uninet/search-space"
 * import { flow } from "effect/Function"
 *
 * // A depthwise convolution with a kernel that is searched where this operator is chosen.
 * const Large = Operator.make({
 *   choices: { kernel: Choice.ordered([5, 7, 9]) },
 *   layer: (scope, { channels, settings, stochasticDepth }) =>
 *     Nn.residual(scope, {
 *       branch: flow(
 *         Nn.batchNorm(Scope.at("norm")(scope)),
 *         Nn.depthwise(Scope.at("depthwise")(scope), { kernel: settings.kernel }),
 *         Nn.gelu(scope),
 *         Nn.pointwise(Scope.at("project")(scope), { out: channels }),
 *         Nn.stochasticDepth(scope, stochasticDepth)
 *       )
 *     })
 * })
 * const operators = OperatorSet.with({ Large })
 * ```
 */
import type * as Block from "./Block.ts"

export type { Choices, Count, Settings, SettingsOf, Size } from "./Block.ts"

/** What a block of any operator is told. */
export interface Config<out Own = Block.Settings> {
  /** Channels of the input. */
  readonly inChannels: number
  /** Channels of the result. Differs from `inChannels` only in the first block of a stage without a downsampling module. */
  readonly channels: number
  /** How many times wider the block is inside. */
  readonly expansion: number
  /** Channels of one attention head. */
  readonly headDim: number
  /** Probability that an example skips the block's branches in training. */
  readonly stochasticDepth: number
  /** What the operator's own choices came to; empty where it has none. */
  readonly settings: Own
}

/** A block as PyTorch code. */
export type PyTorchBlock<Own = Block.Settings> = Block.PyTorchBlock<Config<Own>>

/** How a block's weights become those of a larger block (see `Inherit` of `@uninet/scaler`). Layers are named by their path in the block, parameters by theirs. */
export interface Growth {
  /** Layers that give out several equal things one after the other, and how many: `{ "attn.qkv": 3 }`. Default: none. */
  readonly parts?: Readonly<Record<string, number>>
  /** Layers with an axis that counts the map's positions, and which axis of their weights that is. Default: none. */
  readonly positions?: Readonly<Record<string, number>>
  /** Parameters that start at 0 in a block that is new, besides those that always do, so that it begins as the identity. Default: none. */
  readonly silent?: ReadonlyArray<string>
  /** Whether mean and variance are taken over channels, which stay the same only where every channel has equally many copies. Default: false. */
  readonly normsChannels?: boolean
}

/**
 * An operator: one function, and what a search space, the checks before training, the scaler and exports should know of it. Its layer takes an image to an image with `config.channels` channels
 * and the same height and width.
 */
export interface Operator extends Block.Block<Config> {
  /** Whether the block can change the number of channels. Default: false. */
  readonly widens?: boolean
  /** Default: nothing is known; weights can be inherited, and the result is said to be approximate. */
  readonly growth?: Growth
}

/** What is said of an operator with choices of its own, whose settings have their types. */
export interface Declaration<C extends Block.Choices>
  extends Block.Block<Config<Block.SettingsOf<C>>>, Pick<Operator, "growth" | "widens"> {
  readonly choices?: C
}

/** An operator of one's own; the type of `config.settings` follows from its choices. */
export const make = <const C extends Block.Choices = {}>(declared: Declaration<C>): Operator =>
  // Whoever builds a block gives it what the space says that its choices came to: settings of this very type.
  declared as Block.Block<never> as Operator

/** Channels inside a block. Fractional expansions round to the nearest whole number. */
export const hidden = (config: Pick<Config, "inChannels" | "expansion">): number =>
  Math.round(config.expansion * config.inChannels)
