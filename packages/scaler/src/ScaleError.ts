/** Why a network cannot be scaled as asked. Every error names the bound that stopped it. */
import { type ModelSpace, Scaling } from "@uninet/model-space"
import * as Schema from "effect/Schema"

const count = (n: number) => Math.round(n).toLocaleString("en")

/** A space that does not declare how its networks grow, or one of its networks that cannot be scaled. */
export class Unscalable extends Schema.TaggedError<Unscalable>()("Unscalable", {
  space: Schema.String,
  /** The network on one line; `null` if it is not in the space. */
  network: Schema.NullOr(Schema.String),
  reason: Schema.String
}) {
  /** The error for a space without a scaling. */
  static readonly unsaid = (space: string): Unscalable =>
    new Unscalable({
      space,
      network: null,
      reason: "their space does not declare how they grow; give its ModelSpace a scaling"
    })

  override get message() {
    return this.network === null
      ? `networks of ${this.space} cannot be scaled: ${this.reason}`
      : `the network ${this.network} of ${this.space} cannot be scaled: ${this.reason}`
  }
}

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

/** Coefficients below 1, or with α·β²·γ² far from 2. */
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

/** A target with fewer multiply-accumulates than the baseline. */
export class TargetBelowBaseline extends Schema.TaggedError<TargetBelowBaseline>()("TargetBelowBaseline", {
  target: Schema.Number,
  baseline: Schema.Number
}) {
  override get message() {
    return `the target of ${count(this.target)} MACs is below the baseline's ${count(this.baseline)}; scaling only makes a network larger: give at least that, or search for a smaller baseline`
  }
}

const units = { resolution: "pixels", width: "channels", depth: "repeats" } as const

/** The coefficients lead to an image, a width or a depth beyond its limit before the network reaches the requested cost. */
export class LimitReached extends Schema.TaggedError<LimitReached>()("LimitReached", {
  phi: Schema.Number,
  target: Schema.Number,
  dimension: Scaling.Dimension,
  /** What reached its limit: `image`, `stage 3`, `head`. */
  at: Schema.String,
  limit: Schema.Number,
  /** Multiply-accumulates of the network at this limit. */
  reached: Schema.Number
}) {
  override get message() {
    const part = this.dimension === "resolution" ? `the ${this.at}` : this.at
    return `φ = ${Number(this.phi.toFixed(3))} (${count(this.target)} MACs) is out of reach: ${part} stops at its limit of ${this.limit} ${units[this.dimension]}, where the network has ${count(this.reached)} MACs; give a smaller φ or target, or raise limits.${this.dimension}`
  }
}

/** No rounding near the ideal sizes has the required cost: the network's own steps are too coarse. */
export class StepsTooCoarse extends Schema.TaggedError<StepsTooCoarse>()("StepsTooCoarse", {
  phi: Schema.Number,
  target: Schema.Number,
  tolerance: Schema.Number,
  /** The nearest network, as JSON. */
  nearest: Schema.Json,
  nearestMacs: Schema.Number,
  /** The smallest step from there towards the target, such as `stage 2: 1 repeat`, and how much it changes the cost, relative to the target: by more than what is missing. */
  step: Schema.String,
  share: Schema.Number
}) {
  override get message() {
    const off = (100 * (this.nearestMacs / this.target - 1)).toFixed(1)
    return `no network near φ = ${Number(this.phi.toFixed(3))} has ${count(this.target)} MACs within ${100 * this.tolerance}%: the nearest has ${count(this.nearestMacs)} (${off}%), and the finest step from there (${this.step}) changes ${(100 * this.share).toFixed(1)}%; give another target, a smaller divisor or a larger tolerance`
  }
}

/** No such network was published. */
export class NotPublished extends Schema.TaggedError<NotPublished>()("NotPublished", {
  asked: Schema.String
}) {
  override get message() {
    return `there is no published ${this.asked}; give coefficients`
  }
}

/** Every error that scaling can fail with. */
export type ScaleError =
  | InvalidScale
  | TargetBelowBaseline
  | LimitReached
  | StepsTooCoarse
  | NotPublished
  | Unscalable
  | ModelSpace.CostFailed
