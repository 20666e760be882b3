/**
 * A downsampling module (DSM) of UniNet: divides an image's height and width by a stride, rounded up, and changes its channels, in one
 * unified form [UNINET.md section 3].
 */
import type { Layer, Scope } from "@uninet/nn"

/** What any downsampling module is told. */
export interface Config {
  /** Channels of the input. */
  readonly inChannels: number
  /** Channels of the result. */
  readonly channels: number
  /** What height and width are divided by, rounded up. */
  readonly stride: number
  /** Channels of one attention head. */
  readonly headDim: number
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

/** A downsampling module: one function, and what a search space and the checks before training should know of it. */
export interface Dsm {
  /** The module at `scope.path`: `[batch, inChannels, h, w]` → `[batch, channels, ⌈h / stride⌉, ⌈w / stride⌉]`. */
  readonly layer: (scope: Scope.Scope, config: Config) => Layer.Layer
  /** Whether `config.headDim` must divide `config.channels`. Default: false. */
  readonly heads?: boolean
  /** Parameters and multiply-accumulates for an input of this size in closed form, where the author declares them. */
  readonly count?: (config: Config, size: Size) => Count
}

/** The size after the stride. */
export const strided = ({ height, width }: Size, stride: number): Size => ({
  height: Math.ceil(height / stride),
  width: Math.ceil(width / stride)
})
