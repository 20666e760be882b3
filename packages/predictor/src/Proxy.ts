/**
 * A zero-cost proxy: a number computed from an untrained network that should correlate with how good the network will be. It consists of a program of `@uninet/graph` and a function of
 * its outputs, so several proxies can run as one program that shares what they have in common, on any engine.
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

/** The results of a run, by output name. */
export type Values = Readonly<Record<string, ArrayLike<number> | undefined>>

/** A proxy prepared for one network. */
export interface Laid {
  /** What has to be computed, under the proxy's own names. Empty if the graph alone determines the score. */
  readonly outputs: Model.Tensors
  /** Inputs of random signs, ±1, under the names that they were made with, such as `signs/0`; drawn from the seed. */
  readonly signs?: Readonly<Record<string, Shape.Shape>>
  /** The score, larger for networks expected to be better; NaN or an infinity if there is none. */
  readonly score: (values: Values) => number
}

/** A proxy: its name, its source, and how it is computed for a network. */
export interface Proxy {
  readonly name: string
  /** Where it was published. */
  readonly source: string
  /** Its assumptions. */
  readonly assumes: string
  readonly lay: (subject: Subject) => Result.Result<Laid, NotApplicable>
}

/** Makes a custom proxy. */
export const make = (proxy: Proxy): Proxy => proxy
