/** The errors of strategies. Each message names the strategy, what is wrong, and what to do about it. */
import type { Constrained } from "@uninet/search-space"
import * as Schema from "effect/Schema"

/** An invalid value of an option, or a number of proposals that is not a positive integer. */
export class InvalidOption extends Schema.TaggedError<InvalidOption>()("InvalidOption", {
  strategy: Schema.String,
  option: Schema.String,
  given: Schema.String,
  /** What is allowed, in words. */
  expected: Schema.String
}) {
  override get message() {
    return `${this.strategy}: ${this.option} is ${this.given}. Use ${this.expected}.`
  }
}

/** Every network of the space (within the constraints) has already been proposed. */
export class Exhausted extends Schema.TaggedError<Exhausted>()("Exhausted", {
  strategy: Schema.String,
  /** Networks proposed so far. */
  proposed: Schema.Int,
  /** Whether this is certain, because the whole space was covered; if false, a great many random draws gave nothing new. */
  proven: Schema.Boolean
}) {
  override get message() {
    const sure = this.proven ? "" : ", as far as random draws can tell"
    return `${this.strategy}: every network of the space has been proposed${sure}: ${this.proposed} in total. Take the best of them, or search a larger space.`
  }
}

/** A reward or objective that is not a finite number, or a number of objectives that differs from that of earlier trials. */
export class InvalidReward extends Schema.TaggedError<InvalidReward>()("InvalidReward", {
  strategy: Schema.String,
  trial: Schema.Int,
  problem: Schema.String
}) {
  override get message() {
    return `${this.strategy}: the result of trial ${this.trial} was refused: ${this.problem}. If the trial has no valid result, tell it as failed (Told.failed).`
  }
}

/** A result for a trial that was never asked for. */
export class UnknownTrial extends Schema.TaggedError<UnknownTrial>()("UnknownTrial", {
  strategy: Schema.String,
  trial: Schema.Number,
  /** The number of trials asked for so far; they are 0 to `asked` − 1. */
  asked: Schema.Int
}) {
  override get message() {
    return `${this.strategy}: there is no trial ${this.trial} (${this.asked} asked for so far). Tell each result under the \`trial\` of its proposal.`
  }
}

/** A second result for a trial. */
export class AlreadyTold extends Schema.TaggedError<AlreadyTold>()("AlreadyTold", {
  strategy: Schema.String,
  trial: Schema.Int
}) {
  override get message() {
    return `${this.strategy}: trial ${this.trial} already has a result. Tell each trial only once.`
  }
}

/** A snapshot that is damaged, or of another strategy, space or version. */
export class InvalidSnapshot extends Schema.TaggedError<InvalidSnapshot>()("InvalidSnapshot", {
  strategy: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.strategy}: the snapshot cannot be restored: ${this.problem}. Restore a \`snapshot\` of the same strategy on the same space, or replay the results.`
  }
}

/** The engine that runs a policy's programs failed. */
export class PolicyFailed extends Schema.TaggedError<PolicyFailed>()("PolicyFailed", {
  strategy: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    const reason = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `${this.strategy}: the policy's programs failed: ${reason}. Use another Runtime layer, or a strategy without a policy.`
  }
}

/** A space that is too large to enumerate. */
export class NotEnumerable extends Schema.TaggedError<NotEnumerable>()("NotEnumerable", {
  strategy: Schema.String,
  /** Networks in the space, as a decimal string; or `infinitely many`. */
  distinct: Schema.String,
  most: Schema.Int
}) {
  override get message() {
    return `${this.strategy}: the space has ${this.distinct} networks, more than the limit of ${this.most} for grid search. Use random search${/^\d+$/.test(this.distinct) ? ", or raise the `most` option of Grid.layer" : ""}.`
  }
}

/** All errors that a strategy can fail with. */
export type StrategyError =
  | InvalidOption
  | Exhausted
  | InvalidReward
  | UnknownTrial
  | AlreadyTold
  | InvalidSnapshot
  | PolicyFailed
  | NotEnumerable
  | Constrained.Infeasible
  | Constrained.CostFailed
