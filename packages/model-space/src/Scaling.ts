/**
 * How a network becomes deeper, wider and larger: what compound scaling has to know of a point. A network that can be scaled is a chain of parts that hand on nothing but a
 * width: a stem, stages of equal blocks, a head.
 */
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** What grows: the number of a stage's blocks, channels, the edge of what comes in. */
export const Dimension = Schema.Literals(["depth", "width", "resolution"])
export type Dimension = typeof Dimension.Type

/** A whole number that grows in steps: the baseline's own value, and above it the multiples of `step`. */
export interface Size {
  /** `image`, `stem`, `stage 2`, `head`, as errors name it. */
  readonly part: string
  /** The baseline's own value. */
  readonly base: number
  /** 0 where it is not to change. */
  readonly step: number
}

/** A stage of equal blocks. */
export interface Stage {
  readonly width: Size
  readonly depth: Size
  /**
   * - `free`: the stage may have any width, whatever comes in.
   * - `tied`: it stays as wide as what comes in.
   * - `apart`: it stays of another width than what comes in.
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
  /** Multiply-accumulates of the parts in sizes that are being tried, for one example; Infinity for what cannot be built. */
  readonly macs: {
    readonly stem: (resolution: number, width: number) => number
    /** Of stage `index` with one block, and of every further block, `entry` being the width that comes in. */
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
  /** The edges of what comes in at a resolution, such as height and width. */
  readonly edges: (resolution: number) => ReadonlyArray<number>
}

/** Where a tensor of a larger network comes from. */
export interface Growth {
  /** The tensor of the smaller network that it continues; `null` in a new block. */
  readonly from: string | null
  /** In a new block: whether it starts at 0, so that the block begins as the identity. */
  readonly silent: boolean
  /** How many equal things the layer gives out one after the other, each widened by itself: 3 for query, key and value. */
  readonly parts: number
  /** An axis that counts the positions of a map: how large that was, and is. */
  readonly positions: {
    readonly axis: number
    readonly from: { readonly height: number; readonly width: number }
    readonly to: { readonly height: number; readonly width: number }
  } | null
}

/** A part that does not compute what it did before. */
export interface Approximation {
  /** `image`, `stage 3`, `blocks.7`. */
  readonly at: string
  readonly why: string
}

/** The network is not the other one made larger. */
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
  /** Empty where the two networks compute the same function, up to rounding. */
  readonly approximate: ReadonlyArray<Approximation>
}

/** How a point's network grows. */
export interface Scaling<in out A> {
  /** The point as a chain. `divisor`: what widths are multiples of where nothing else decides it; `null` for the space's own. */
  readonly chain: (point: A, divisor: number | null) => Result.Result<Chain<A>, { readonly message: string }>
  readonly inherit: (smaller: A, larger: A) => Result.Result<Inheritance, NotLarger>
  /** A family that was published of a baseline, itself first; `null` where there is none of this one. */
  readonly published: (baseline: A) => ReadonlyArray<A> | null
}
