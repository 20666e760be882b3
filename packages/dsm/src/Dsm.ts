/**
 * A downsampling module (DSM): divides an image's height and width by a stride, rounded up, and changes its channels, in one unified form, after "UniNet: Unified Architecture Search with
 * Convolution, Transformer, and MLP" (Liu et al., ECCV 2022, arXiv 2207.05420). A module owns all that is known of it, as an operator does.
 */
import type { Block } from "@uninet/operators"

/** What any downsampling module is told. */
export interface Config<out Own = Block.Settings> {
  /** Channels of the input. */
  readonly inChannels: number
  /** Channels of the result. */
  readonly channels: number
  /** What height and width are divided by, rounded up. */
  readonly stride: number
  /** Channels of one attention head. */
  readonly headDim: number
  /** What the module's own choices came to; empty where it has none. */
  readonly settings: Own
}

/** A module as PyTorch code. */
export type PyTorchBlock<Own = Block.Settings> = Block.PyTorchBlock<Config<Own>>

/** How a module's weights become those of a larger one (see `Inherit` of `@uninet/scaler`). Layers are named by their path in the module. */
export interface Growth {
  /** Layers that give out several equal things one after the other, and how many: `{ kv: 2 }`. Default: none. */
  readonly parts?: Readonly<Record<string, number>>
  /** Whether mean and variance are taken over channels, which stay the same only where every channel has equally many copies. Default: false. */
  readonly normsChannels?: boolean
}

/**
 * A downsampling module: one function, and what a search space, the checks before training, the scaler and exports should know of it. Its layer takes `[batch, inChannels, h, w]` to
 * `[batch, channels, ⌈h / stride⌉, ⌈w / stride⌉]`.
 */
export interface Dsm extends Block.Block<Config> {
  /** Default: nothing is known; weights can be inherited, and the result is said to be approximate. */
  readonly growth?: Growth
}

/** What is said of a module with choices of its own, whose settings have their types. */
export interface Declaration<C extends Block.Choices>
  extends Block.Block<Config<Block.SettingsOf<C>>>, Pick<Dsm, "growth"> {
  readonly choices?: C
}

/** A module of one's own; the type of `config.settings` follows from its choices. */
export const make = <const C extends Block.Choices = {}>(declared: Declaration<C>): Dsm =>
  // Whoever builds a module gives it what the space says that its choices came to: settings of this very type.
  declared as Block.Block<never> as Dsm

/** The size after the stride. */
export const strided =
  (stride: number) =>
  ({ height, width }: Block.Size): Block.Size => ({
    height: Math.ceil(height / stride),
    width: Math.ceil(width / stride)
  })
