/**
 * A downsampling module (DSM): divides an image's height and width by a stride, rounded up, and changes its channels, in one unified form, after "UniNet: Unified Architecture Search with
 * Convolution, Transformer, and MLP" (Liu et al., ECCV 2022, arXiv 2207.05420). A module owns all that is known of it, as an operator does.
 */
import type { Layer, Scope } from "@uninet/nn"
import type { Choice, Site } from "@uninet/search-space"

/** What a module's own choices came to, by name. */
export type Settings = Readonly<Record<string, Site.Literal>>

/** What any downsampling module is told. */
export interface Config<out Own = Settings> {
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

/** Height and width of a feature map. */
export interface Size {
  readonly height: number
  readonly width: number
}

/** What a module holds and computes for one image, by formula. */
export interface Count {
  /** Trained parameters. */
  readonly parameters: number
  /** Multiply-accumulates. */
  readonly macs: number
}

/** A module as PyTorch code. */
export interface PyTorchBlock<in Own = Settings> {
  /** Classes and functions, each after what it needs. `torch`, `nn` and `F` (`torch.nn.functional`) are imported. */
  readonly definitions: ReadonlyArray<string>
  /** The expression that makes the module as a `nn.Module`, its parameters named as here: `L(32, 64, stride=2)`. */
  readonly expression: (config: Config<Own>, size: Size) => string
}

/** How a module's weights become those of a larger one (see `Inherit` of `@uninet/scaler`). Layers are named by their path in the module. */
export interface Growth {
  /** Layers that give out several equal things one after the other, and how many: `{ kv: 2 }`. Default: none. */
  readonly parts?: Readonly<Record<string, number>>
  /** Whether mean and variance are taken over channels, which stay the same only where every channel has equally many copies. Default: false. */
  readonly normsChannels?: boolean
}

/** A downsampling module: one function, and what a search space, the checks before training, the scaler and exports should know of it. */
export interface Dsm {
  /** The module at `scope.path`: `[batch, inChannels, h, w]` → `[batch, channels, ⌈h / stride⌉, ⌈w / stride⌉]`. */
  readonly layer: (scope: Scope.Scope, config: Config) => Layer.Layer
  /** Choices of its own, single ones by name, which a space offers where the module is chosen. Default: none. */
  readonly choices?: Choices
  /** Whether `config.headDim` must divide `config.channels`. Default: false. */
  readonly heads?: boolean
  /** Parameters and multiply-accumulates for an input of this size in closed form, where the author declares them. */
  readonly count?: (config: Config, size: Size) => Count
  /** Parameters that may be without effect by design: biases that a norm takes away, in the module or right behind it. Default: none. */
  readonly idle?: ReadonlyArray<string>
  /** Default: nothing is known; weights can be inherited, and the result is said to be approximate. */
  readonly growth?: Growth
  /** Default: a network with this module is exported to PyTorch op by op. */
  readonly pytorch?: PyTorchBlock
}

/** Single choices by name. */
export type Choices = Readonly<Record<string, Choice.Choice<Site.Literal>>>

/** What choices come to. */
export type SettingsOf<C extends Choices> = { readonly [K in keyof C]: C[K] extends Choice.Choice<infer A> ? A : never }

/** What is said of a module with choices of its own, whose settings have their types. */
export interface Declaration<C extends Choices> extends Omit<Dsm, "choices" | "count" | "layer" | "pytorch"> {
  readonly choices?: C
  readonly layer: (scope: Scope.Scope, config: Config<SettingsOf<C>>) => Layer.Layer
  readonly count?: (config: Config<SettingsOf<C>>, size: Size) => Count
  readonly pytorch?: PyTorchBlock<SettingsOf<C>>
}

/** A module of one's own; the type of `config.settings` follows from its choices. */
export const make = <const C extends Choices = {}>({
  choices,
  count,
  layer,
  pytorch,
  ...rest
}: Declaration<C>): Dsm => {
  // Whoever builds a module gives it what the space says that its choices came to: settings of this very type.
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

/** The size after the stride. */
export const strided = ({ height, width }: Size, stride: number): Size => ({
  height: Math.ceil(height / stride),
  width: Math.ceil(width / stride)
})
