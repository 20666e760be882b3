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
 *         Nn.batchNorm(Scope.at(scope, "norm")),
 *         Nn.depthwise(Scope.at(scope, "depthwise"), { kernel: settings.kernel }),
 *         Nn.gelu(scope),
 *         Nn.pointwise(Scope.at(scope, "project"), { out: channels }),
 *         Nn.stochasticDepth(scope, stochasticDepth)
 *       )
 *     })
 * })
 * const operators = OperatorSet.with({ Large })
 * ```
 */
import type { Layer, Scope } from "@uninet/nn"
import type { Choice, Site } from "@uninet/search-space"

/** What an operator's own choices came to, by name. */
export type Settings = Readonly<Record<string, Site.Literal>>

/** What a block of any operator is told. */
export interface Config<out Own = Settings> {
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

/** Height and width of a feature map. */
export interface Size {
  readonly height: number
  readonly width: number
}

/** What one block holds and computes for one image, by formula. */
export interface Count {
  /** Trained parameters. */
  readonly parameters: number
  /** Multiply-accumulates. */
  readonly macs: number
}

/** A block as PyTorch code. */
export interface PyTorchBlock<in Own = Settings> {
  /** Classes and functions, each after what it needs. `torch`, `nn` and `F` (`torch.nn.functional`) are imported. */
  readonly definitions: ReadonlyArray<string>
  /** The expression that makes the block as a `nn.Module`, its parameters named as the operator's: `SA(64, hidden=256, head_dim=32)`. */
  readonly expression: (config: Config<Own>, size: Size) => string
}

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

/** An operator: one function, and what a search space, the checks before training, the scaler and exports should know of it. */
export interface Operator {
  /**
   * The block at `scope.path`: an image to an image with `config.channels` channels and the same height and width.
   *
   * Its parameters are the variables it makes by the layers of `@uninet/nn` in this scope or in children of it.
   */
  readonly layer: (scope: Scope.Scope, config: Config) => Layer.Layer
  /** Choices of its own, single ones by name, which a space offers where the operator is chosen. Default: none. */
  readonly choices?: Choices
  /** Whether `config.headDim` must divide `config.channels`. Default: false. */
  readonly heads?: boolean
  /** Whether the block can change the number of channels. Default: false. */
  readonly widens?: boolean
  /** The block's parameters and multiply-accumulates in closed form, where the author declares them; held against the graph by the laws of `@uninet/model-space`. */
  readonly count?: (config: Config, size: Size) => Count
  /** Parameters that may be without effect by design: biases that a norm takes away, in the block or right behind it. Default: none. */
  readonly idle?: ReadonlyArray<string>
  /** Default: nothing is known; weights can be inherited, and the result is said to be approximate. */
  readonly growth?: Growth
  /** Default: a network with this operator is exported to PyTorch op by op. */
  readonly pytorch?: PyTorchBlock
}

/** Single choices by name. */
export type Choices = Readonly<Record<string, Choice.Choice<Site.Literal>>>

/** What choices come to. */
export type SettingsOf<C extends Choices> = { readonly [K in keyof C]: C[K] extends Choice.Choice<infer A> ? A : never }

/** What is said of an operator with choices of its own, whose settings have their types. */
export interface Declaration<C extends Choices> extends Omit<Operator, "choices" | "count" | "layer" | "pytorch"> {
  readonly choices?: C
  readonly layer: (scope: Scope.Scope, config: Config<SettingsOf<C>>) => Layer.Layer
  readonly count?: (config: Config<SettingsOf<C>>, size: Size) => Count
  readonly pytorch?: PyTorchBlock<SettingsOf<C>>
}

/** An operator of one's own; the type of `config.settings` follows from its choices. */
export const make = <const C extends Choices = {}>({
  choices,
  count,
  layer,
  pytorch,
  ...rest
}: Declaration<C>): Operator => {
  // Whoever builds a block gives it what the space says that its choices came to: settings of this very type.
  const own = (config: Config): Config<SettingsOf<C>> => ({ ...config, settings: config.settings as SettingsOf<C> })
  return {
    ...rest,
    ...(choices === undefined ? {} : { choices }),
    layer: (scope, config) => layer(scope, own(config)),
    ...(count === undefined ? {} : { count: (config: Config, size: Size) => count(own(config), size) }),
    ...(pytorch === undefined
      ? {}
      : {
          pytorch: {
            definitions: pytorch.definitions,
            expression: (config: Config, size: Size) => pytorch.expression(own(config), size)
          }
        })
  }
}

/** Channels inside a block. Fractional expansions round to the nearest whole number. */
export const hidden = (config: Pick<Config, "inChannels" | "expansion">): number =>
  Math.round(config.expansion * config.inChannels)
