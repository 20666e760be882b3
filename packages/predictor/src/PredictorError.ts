/** What can go wrong with predictions before training. None of it stops a search: a network without a score ranks last. */
import * as Schema from "effect/Schema"

/** A proxy that says nothing about a network, or about any network of its kind. */
export class NotApplicable extends Schema.TaggedError<NotApplicable>()("NotApplicable", {
  proxy: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.proxy} cannot score this network: ${this.reason}; rank it by another proxy`
  }
}

/** A score that is not a finite number: the network's gradient, Jacobian or codes vanish or overflow. */
export class ScoreUndefined extends Schema.TaggedError<ScoreUndefined>()("ScoreUndefined", {
  proxy: Schema.String,
  /** The value: `NaN`, `Infinity` or `-Infinity`. */
  value: Schema.String
}) {
  override get message() {
    return `${this.proxy} of this network is ${this.value}: the values it is computed from vanish or overflow, so the network is ranked last`
  }
}

/** A network that cannot be prepared for any proxy. */
export class Unscorable extends Schema.TaggedError<Unscorable>()("Unscorable", {
  reason: Schema.String
}) {
  override get message() {
    return `the network cannot be scored: ${this.reason}`
  }
}

/** Too few results for a correlation to mean anything. */
export class TooFewResults extends Schema.TaggedError<TooFewResults>()("TooFewResults", {
  results: Schema.Int,
  needed: Schema.Int
}) {
  override get message() {
    return `${this.results} results are too few to certify anything; train at least ${this.needed} networks first`
  }
}

/** Numbers that are all equal, which define no order. */
export class ConstantScores extends Schema.TaggedError<ConstantScores>()("ConstantScores", {
  /** Which numbers: a proxy's name, or `results`. */
  of: Schema.String
}) {
  override get message() {
    return `${this.of === "results" ? "results" : `the scores of ${this.of}`} are the same for every network, so they cannot rank networks; use another proxy, or other networks`
  }
}
