/** A law: something that holds for every network of a space. */
import type { Model } from "@uninet/nn"

/** What breaks a law, and where: in a parameter, an output, a block, or the whole `network`. */
export interface Fault {
  readonly at: string
  readonly reason: string
}

/** A law: its statement, and the check of a point and its network. */
export interface Law<in A> {
  readonly name: string
  readonly statement: string
  readonly check: (point: A, model: Model.Model) => Fault | undefined
}
