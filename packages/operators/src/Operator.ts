/**
 * A general operator (GOP) of UniNet: a block over images `[batch, channels, height, width]` that keeps height and width, in one
 * unified form for convolution, attention and MLP [UNINET.md section 2].
 */
import type { Layer, Scope } from "@uninet/nn"

/** What a block of any operator is told. */
export interface Config {
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

/** An operator: one function, and what a search space and the checks before training should know of it. */
export interface Operator {
  /**
   * The block at `scope.path`: an image to an image with `config.channels` channels and the same height and width.
   *
   * Its parameters are the variables it makes by the layers of `@uninet/nn` in this scope or in children of it.
   */
  readonly layer: (scope: Scope.Scope, config: Config) => Layer.Layer
  /** Whether `config.headDim` must divide `config.channels`. Default: false. */
  readonly heads?: boolean
  /** Whether the block can change the number of channels. Default: false. */
  readonly widens?: boolean
  /** The block's parameters and multiply-accumulates in closed form, where the author declares them; held against the graph by the laws of `@uninet/network/verify`. */
  readonly count?: (config: Config, size: Size) => Count
}

/** Channels inside a block. Fractional expansions round to the nearest whole number. */
export const hidden = (config: Pick<Config, "inChannels" | "expansion">): number =>
  Math.round(config.expansion * config.inChannels)
