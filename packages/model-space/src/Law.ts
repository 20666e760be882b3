/** What holds for every network of a space. */
import type { Model } from "@uninet/nn"

/** What breaks a law, and where: a parameter, an output, a block, or `network`. */
export interface Fault {
  readonly at: string
  readonly reason: string
}

/** A law: what it says, and the check of one point and its network. */
export interface Law<in A> {
  readonly name: string
  readonly statement: string
  readonly check: (point: A, model: Model.Model) => Fault | undefined
}
