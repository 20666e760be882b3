/**
 * A downsampling module (DSM): divides an image's height and width by a stride, rounded up, and changes its channels, in one unified form, after "UniNet: Unified Architecture Search with
 * Convolution, Transformer, and MLP" (Liu et al., ECCV 2022, arXiv 2207.05420). Like an operator, a module contains everything known about it.
 */
import type { Block } from "@uninet/operators"

/** The configuration of a downsampling module. */
export interface Config<out Own = Block.Settings> {
  /** Channels of the input. */
  readonly inChannels: number
  /** Output channels. */
  readonly channels: number
  /** What height and width are divided by, rounded up. */
  readonly stride: number
  /** Channels of one attention head. */
  readonly headDim: number
  /** The values of the module's own choices; empty if it has none. */
  readonly settings: Own
}

/** A module as PyTorch code. */
export type PyTorchBlock<Own = Block.Settings> = Block.PyTorchBlock<Config<Own>>

/** How a module's weights become those of a larger one (see `Inherit` of `@uninet/scaler`). Layers are named by their path in the module. */
export interface Growth {
  /** Layers whose output consists of several equal parts, one after the other, and how many: `{ kv: 2 }`. Default: none. */
  readonly parts?: Readonly<Record<string, number>>
  /** Whether mean and variance are taken over channels; these only stay the same if every channel has the same number of copies. Default: false. */
  readonly normsChannels?: boolean
}

/**
 * A downsampling module: one function, and what a search space, the checks before training, the scaler and exports need to know about it. Its layer maps `[batch, inChannels, h, w]` to
 * `[batch, channels, ⌈h / stride⌉, ⌈w / stride⌉]`.
 */
export interface Dsm extends Block.Block<Config> {
  /** Default: nothing is known; weights can be inherited, but the result is reported as approximate. */
  readonly growth?: Growth
}

/** The declaration of a module with its own choices; its settings are typed by them. */
export interface Declaration<C extends Block.Choices>
  extends Block.Block<Config<Block.SettingsOf<C>>>, Pick<Dsm, "growth"> {
  readonly choices?: C
}

/** Makes a custom module. The type of `config.settings` follows from its choices. */
export const make = <const C extends Block.Choices = {}>(declared: Declaration<C>): Dsm =>
  // A module is always built with the values that the space gives to its choices: settings of exactly this type.
  declared as Block.Block<never> as Dsm

/** The size after the stride. */
export const strided =
  (stride: number) =>
  ({ height, width }: Block.Size): Block.Size => ({
    height: Math.ceil(height / stride),
    width: Math.ceil(width / stride)
  })
