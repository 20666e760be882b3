/** What operators and downsampling modules say of themselves in the same words: blocks over images, with choices of their own. */
import type { Layer, Scope } from "@uninet/nn"
import type { Choice, Site } from "@uninet/search-space"

/** What a block's own choices came to, by name. */
export interface Settings {
  readonly [name: string]: Site.Literal
}

/** Single choices by name. */
export type Choices = Readonly<Record<string, Choice.Choice<Site.Literal>>>

/** What choices come to. */
export type SettingsOf<C extends Choices> = { readonly [K in keyof C]: C[K] extends Choice.Choice<infer A> ? A : never }

/** Height and width of a feature map. */
export interface Size {
  /** Pixels. */
  readonly height: number
  /** Pixels. */
  readonly width: number
}

/** What a block holds and computes for one image, by formula. */
export interface Count {
  /** Trained parameters. */
  readonly parameters: number
  /** Multiply-accumulates. */
  readonly macs: number
}

/** A block as PyTorch code. */
export interface PyTorchBlock<in Config> {
  /** Classes and functions, each after what it needs. `torch`, `nn` and `F` (`torch.nn.functional`) are imported. */
  readonly definitions: ReadonlyArray<string>
  /** The expression that makes the block as a `nn.Module`, its parameters named as here: `SA(64, hidden=256, head_dim=32)`. */
  readonly expression: (config: Config, size: Size) => string
}

/** A block that is told a `Config` where it is built. */
export interface Block<in Config> {
  /** The block at `scope.path`. Its parameters are the variables it makes by the layers of `@uninet/nn` in this scope or in children of it. */
  readonly layer: (scope: Scope.Scope, config: Config) => Layer.Layer
  /** Choices of its own, single ones by name, which a space offers where the block is chosen. Default: none. */
  readonly choices?: Choices
  /** Whether `config.headDim` must divide `config.channels`. Default: false. */
  readonly heads?: boolean
  /** Parameters and multiply-accumulates for an input of this size in closed form, where the author declares them; held against the graph by the laws of `@uninet/model-space`. */
  readonly count?: (config: Config, size: Size) => Count
  /** Parameters that may be without effect by design: biases that a norm takes away, in the block or right behind it. Default: none. */
  readonly idle?: ReadonlyArray<string>
  /** Default: a network with this block is exported to PyTorch op by op. */
  readonly pytorch?: PyTorchBlock<Config>
}
