/**
 * How a network is made deeper, wider and larger: what compound scaling needs to know about a point. A network that can be scaled is a chain of parts that share nothing but a
 * width: a stem, stages of equal blocks, a head.
 */
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** What grows: the number of blocks in a stage, the channels, or the edge of the input. */
export const Dimension = Schema.Literals(["depth", "width", "resolution"])
export type Dimension = typeof Dimension.Type

/** A whole number that grows in steps: the baseline's own value, and above it the multiples of `step`. */
export interface Size {
  /** `image`, `stem`, `stage 2`, `head`, as errors call it. */
  readonly part: string
  /** The baseline's own value. */
  readonly base: number
  /** 0 if it is fixed. */
  readonly step: number
}

/** A stage of equal blocks. */
export interface Stage {
  readonly width: Size
  readonly depth: Size
  /**
   * - `free`: the stage may have any width, whatever its input's width.
   * - `tied`: it stays as wide as its input.
   * - `apart`: its width stays different from its input's.
   */
  readonly entry: "free" | "tied" | "apart"
}

/** A value for every size of a chain. */
export interface Sizes {
  /** Edge of the image, in pixels. */
  readonly resolution: number
  /** Channels of the stem. */
  readonly stem: number
  readonly widths: ReadonlyArray<number>
  readonly depths: ReadonlyArray<number>
  /** Channels of the head. */
  readonly head: number
}

/** A point as a chain that can grow. */
export interface Chain<in out A> {
  readonly resolution: Size
  readonly stem: Size
  readonly stages: ReadonlyArray<Stage>
  readonly head: Size
  /** Multiply-accumulates of the parts at the sizes being tried, for one example; Infinity for anything that cannot be built. */
  readonly macs: {
    readonly stem: (resolution: number, width: number) => number
    /** Of stage `index` with one block, and of every further block; `entry` is the width of its input. */
    readonly stage: (
      resolution: number,
      index: number,
      entry: number,
      width: number
    ) => { readonly first: number; readonly further: number }
    readonly head: (resolution: number, entry: number, width: number) => number
  }
  /** The point of these sizes, and the sizes of a point of the same family. */
  readonly apply: (sizes: Sizes) => A
  readonly sizesOf: (point: A) => Sizes
  /** The edges of the input at a resolution, such as height and width. */
  readonly edges: (resolution: number) => ReadonlyArray<number>
}

/** Where a tensor of a larger network comes from. */
export interface Growth {
  /** The tensor of the smaller network that it continues; `null` in a new block. */
  readonly from: string | null
  /** In a new block: whether it starts at 0, so that the block begins as the identity. */
  readonly silent: boolean
  /** How many equal parts the layer's output consists of, one after the other, each widened by itself: 3 for query, key and value. */
  readonly parts: number
  /** An axis over the positions of a map: how large it was, and how large it is now. */
  readonly positions: {
    readonly axis: number
    readonly from: { readonly height: number; readonly width: number }
    readonly to: { readonly height: number; readonly width: number }
  } | null
}

/** A part that no longer computes what it did before. */
export interface Approximation {
  /** `image`, `stage 3`, `blocks.7`. */
  readonly at: string
  readonly why: string
}

/** The larger network is not the smaller one scaled up. */
export class NotLarger extends Schema.TaggedError<NotLarger>()("NotLarger", {
  /** `image`, `stage 2`, `head`, or a tensor's name. */
  at: Schema.String,
  what: Schema.String,
  smaller: Schema.String,
  larger: Schema.String
}) {
  override get message() {
    return `weights cannot be inherited: ${this.at} has ${this.what} ${this.smaller} in the smaller network and ${this.larger} in the larger one; scale the larger one from the smaller one`
  }
}

/** How a larger network starts from a smaller one's weights. */
export interface Inheritance {
  readonly growth: (parameter: string) => Growth
  /** Empty if the two networks compute the same function, up to rounding. */
  readonly approximate: ReadonlyArray<Approximation>
}

/** How a point's network grows. */
export interface Scaling<in out A> {
  /** The point as a chain. `divisor` is what widths are multiples of where nothing else decides it; `null` for the space's own. */
  readonly chain: (point: A, divisor: number | null) => Result.Result<Chain<A>, { readonly message: string }>
  readonly inherit: (smaller: A, larger: A) => Result.Result<Inheritance, NotLarger>
  /** A published family with this baseline, the baseline first; `null` if there is none. */
  readonly published: (baseline: A) => ReadonlyArray<A> | null
}
