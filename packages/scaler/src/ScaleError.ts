/** Why a network cannot be scaled as asked. Every error names the bound that stopped it. */
import type { GraphError } from "@uninet/graph"
import type { ArchitectureError } from "@uninet/network"
import { Architecture } from "@uninet/search-space"
import * as Schema from "effect/Schema"

const count = (n: number) => Math.round(n).toLocaleString("en")

/** A setting that makes no sense. */
export class InvalidScale extends Schema.TaggedError<InvalidScale>()("InvalidScale", {
  option: Schema.String,
  given: Schema.String,
  expected: Schema.String
}) {
  override get message() {
    return `${this.option} is ${this.given}; give ${this.expected}`
  }
}

/** Coefficients below 1, or whose α·β²·γ² is far from 2. */
export class UnbalancedCoefficients extends Schema.TaggedError<UnbalancedCoefficients>()("UnbalancedCoefficients", {
  depth: Schema.Number,
  width: Schema.Number,
  resolution: Schema.Number,
  product: Schema.Number
}) {
  override get message() {
    const { depth, product, resolution, width } = this
    return `the coefficients ${depth}, ${width}, ${resolution} (depth, width, resolution) give α·β²·γ² = ${product.toFixed(3)}; give three numbers of 1 or more with a product within 5% of 2, such as 1.2, 1.1, 1.15`
  }
}

/** A target of fewer multiply-accumulates than the baseline has. */
export class TargetBelowBaseline extends Schema.TaggedError<TargetBelowBaseline>()("TargetBelowBaseline", {
  target: Schema.Number,
  baseline: Schema.Number
}) {
  override get message() {
    return `the target of ${count(this.target)} MACs is below the baseline's ${count(this.baseline)}; scaling only makes a network larger: give at least that, or search a smaller baseline`
  }
}

/** What a quantity may be at most. */
export const Bound = Schema.Literals(["image", "channels", "repeats"])
export type Bound = typeof Bound.Type

const units = { image: "pixels", channels: "channels", repeats: "repeats" } as const

/** The coefficients lead to an image, a channel count or a depth beyond its limit before the network costs as much as asked. */
export class LimitReached extends Schema.TaggedError<LimitReached>()("LimitReached", {
  phi: Schema.Number,
  target: Schema.Number,
  bound: Bound,
  /** Which: `image`, `stage 3`, `head`. */
  at: Schema.String,
  limit: Schema.Number,
  /** Multiply-accumulates of the network at this limit. */
  reached: Schema.Number
}) {
  override get message() {
    const part = this.at === this.bound ? "the image" : `${this.at}`
    return `φ = ${Number(this.phi.toFixed(3))} (${count(this.target)} MACs) is out of reach: ${part} stops at its limit of ${this.limit} ${units[this.bound]}, where the network has ${count(this.reached)} MACs; give a smaller φ or target, or raise limits.${this.bound}`
  }
}

/** No rounding near the ideal sizes costs what it should: the network's own steps are too coarse. */
export class StepsTooCoarse extends Schema.TaggedError<StepsTooCoarse>()("StepsTooCoarse", {
  phi: Schema.Number,
  target: Schema.Number,
  tolerance: Schema.Number,
  nearest: Architecture.Architecture,
  nearestMacs: Schema.Number,
  /** The smallest step from there towards the target, such as `stage 2: 1 repeat`, and the share of the target by which it changes the cost: more than is lacking. */
  step: Schema.String,
  share: Schema.Number
}) {
  override get message() {
    const off = (100 * (this.nearestMacs / this.target - 1)).toFixed(1)
    return `no network near φ = ${Number(this.phi.toFixed(3))} has ${count(this.target)} MACs within ${100 * this.tolerance}%: the nearest has ${count(this.nearestMacs)} (${off}%), and the finest step from there (${this.step}) changes ${(100 * this.share).toFixed(1)}%; give another target, a smaller divisor or a larger tolerance`
  }
}

/** The published table has no such network. */
export class NotPublished extends Schema.TaggedError<NotPublished>()("NotPublished", {
  asked: Schema.String
}) {
  override get message() {
    return `the published family has no ${this.asked}: it is B0 to B6, φ = 0 … 6 from B0; give coefficients for anything else`
  }
}

export type ScaleError =
  | InvalidScale
  | TargetBelowBaseline
  | LimitReached
  | StepsTooCoarse
  | NotPublished
  | ArchitectureError
  | GraphError
