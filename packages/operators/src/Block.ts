/** What operators and downsampling modules have in common: they are blocks over images and may have their own choices. */
import type { Layer, Scope } from "@uninet/nn"
import type { Choice, Site } from "@uninet/search-space"

/** The values of a block's own choices, by name. */
export interface Settings {
  readonly [name: string]: Site.Literal
}

/** Single choices by name. */
export type Choices = Readonly<Record<string, Choice.Choice<Site.Literal>>>

/** The values of choices. */
export type SettingsOf<C extends Choices> = { readonly [K in keyof C]: C[K] extends Choice.Choice<infer A> ? A : never }

/** Height and width of a feature map. */
export interface Size {
  /** Pixels. */
  readonly height: number
  /** Pixels. */
  readonly width: number
}

/** A block's size and cost for one image, by formula. */
export interface Count {
  /** Trained parameters. */
  readonly parameters: number
  /** Multiply-accumulates. */
  readonly macs: number
}

/** A block as PyTorch code. */
export interface PyTorchBlock<in Config> {
  /** Classes and functions, in order of dependence. `torch`, `nn` and `F` (`torch.nn.functional`) are imported. */
  readonly definitions: ReadonlyArray<string>
  /** The expression that makes the block as an `nn.Module`, with the same parameter names as here: `SA(64, hidden=256, head_dim=32)`. */
  readonly expression: (config: Config, size: Size) => string
}

/** A block that is built from a `Config`. */
export interface Block<in Config> {
  /** The block at `scope.path`. Its parameters are the variables that the layers of `@uninet/nn` make in this scope or in its children. */
  readonly layer: (scope: Scope.Scope, config: Config) => Layer.Layer
  /** The block's own choices: single choices, by name, that a space offers where the block is chosen. Default: none. */
  readonly choices?: Choices
  /** Whether `config.headDim` must divide `config.channels`. Default: false. */
  readonly heads?: boolean
  /** Parameters and multiply-accumulates for an input of this size in closed form, if the author declares them. The laws of `@uninet/model-space` check them against the graph. */
  readonly count?: (config: Config, size: Size) => Count
  /** Parameters that may have no effect by design: biases that a norm cancels, in the block or right after it. Default: none. */
  readonly idle?: ReadonlyArray<string>
  /** PyTorch code for the block. Default: a network with this block is exported to PyTorch op by op. */
  readonly pytorch?: PyTorchBlock<Config>
}
