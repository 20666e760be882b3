/**
 * A zero-cost proxy: a number of an untrained network that is meant to go with how good it will be. It is a program of `@uninet/graph` and what to make of its outputs, so several of them
 * are one program that shares what they have in common, on any engine.
 *
 * @example
 * ```ts
 * import { gradient, Op } from "@uninet/graph"
 * import { NotApplicable, Proxy } from "@uninet/predictor"
 * import { Result } from "effect"
 *
 * // The norm of the loss's gradient with respect to the network's outputs.
 * export const surprise = Proxy.make({
 *   name: "surprise",
 *   source: "our own",
 *   assumes: "a loss",
 *   lay: ({ whole }) => {
 *     const [logits] = whole.answers
 *     const [dy] = gradient(whole.loss, [logits])
 *     if (dy === undefined) return Result.fail(new NotApplicable({ proxy: "surprise", reason: "its loss is a constant" }))
 *     return Result.succeed({
 *       outputs: { square: Op.sum(Op.mul(dy, dy)) },
 *       score: ({ square }) => Math.sqrt(square?.[0] ?? Number.NaN)
 *     })
 *   }
 * })
 * ```
 */
import type { Shape } from "@uninet/graph"
import type { Model } from "@uninet/nn"
import type * as Result from "effect/Result"
import type { NotApplicable } from "./PredictorError.ts"
import type { Subject } from "./Subject.ts"

/** What a run gave, by the outputs' names. */
export type Values = Readonly<Record<string, ArrayLike<number> | undefined>>

/** A proxy of one network. */
export interface Laid {
  /** What has to be computed, by names of the proxy's own. None where the graph alone says it. */
  readonly outputs: Model.Tensors
  /** Inputs of random signs, ±1, by the names that they were made with, such as `signs/0`: drawn by the seed. */
  readonly signs?: Readonly<Record<string, Shape.Shape>>
  /** The score, larger for what is held to be better; NaN or an infinity where there is none. */
  readonly score: (values: Values) => number
}

/** A proxy: its name, where it is from, and how it is computed of a network. */
export interface Proxy {
  readonly name: string
  /** Where it was published. */
  readonly source: string
  /** What it takes for granted. */
  readonly assumes: string
  readonly lay: (subject: Subject) => Result.Result<Laid, NotApplicable>
}

/** A proxy of one's own. */
export const make = (proxy: Proxy): Proxy => proxy
