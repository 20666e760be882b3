/**
 * A general operator (GOP): a block over images `[batch, channels, height, width]` that keeps height and width, in one unified form for convolution, attention and MLP, after
 * "UniNet: Unified Architecture Search with Convolution, Transformer, and MLP" (Liu et al., ECCV 2022, arXiv 2207.05420). An operator contains everything known about it: its layer and its
 * count, its constraints on channels, its own further choices, how it grows, and its PyTorch code.
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

/** The configuration of an operator's block. */
export interface Config<out Own = Block.Settings> {
  /** Channels of the input. */
  readonly inChannels: number
  /** Output channels. They differ from `inChannels` only in the first block of a stage without a downsampling module. */
  readonly channels: number
  /** How many times wider the block is on the inside. */
  readonly expansion: number
  /** Channels of one attention head. */
  readonly headDim: number
  /** Probability that an example skips the block's branches in training. */
  readonly stochasticDepth: number
  /** The values of the operator's own choices; empty if it has none. */
  readonly settings: Own
}

/** A block as PyTorch code. */
export type PyTorchBlock<Own = Block.Settings> = Block.PyTorchBlock<Config<Own>>

/** How a block's weights become those of a larger block (see `Inherit` of `@uninet/scaler`). Layers and parameters are named by their paths in the block. */
export interface Growth {
  /** Layers whose output consists of several equal parts, one after the other, and how many: `{ "attn.qkv": 3 }`. Default: none. */
  readonly parts?: Readonly<Record<string, number>>
  /** Layers whose weights have an axis over the feature map's positions, and which axis that is. Default: none. */
  readonly positions?: Readonly<Record<string, number>>
  /** Parameters that start at 0 in a new block, besides those that always do, so that it begins as the identity. Default: none. */
  readonly silent?: ReadonlyArray<string>
  /** Whether mean and variance are taken over channels; these only stay the same if every channel has the same number of copies. Default: false. */
  readonly normsChannels?: boolean
}

/**
 * An operator: one function, and what a search space, the checks before training, the scaler and exports need to know about it. Its layer maps an image to an image with `config.channels` channels
 * and the same height and width.
 */
export interface Operator extends Block.Block<Config> {
  /** Whether the block can change the number of channels. Default: false. */
  readonly widens?: boolean
  /** Default: nothing is known; weights can be inherited, but the result is reported as approximate. */
  readonly growth?: Growth
}

/** The declaration of an operator with its own choices; its settings are typed by them. */
export interface Declaration<C extends Block.Choices>
  extends Block.Block<Config<Block.SettingsOf<C>>>, Pick<Operator, "growth" | "widens"> {
  readonly choices?: C
}

/** Makes a custom operator. The type of `config.settings` follows from its choices. */
export const make = <const C extends Block.Choices = {}>(declared: Declaration<C>): Operator =>
  // A block is always built with the values that the space gives to its choices: settings of exactly this type.
  declared as Block.Block<never> as Operator

/** Channels inside a block. Fractional expansions round to the nearest whole number. */
export const hidden = (config: Pick<Config, "inChannels" | "expansion">): number =>
  Math.round(config.expansion * config.inChannels)
