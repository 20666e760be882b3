/** How often machines show that they are there and look at the queue, and for how long they wait for an answer. Tests hurry; nobody else has to. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"

export interface Timing {
  /** How often a driver looks how its trials stand, and an idle worker whether there is one. */
  readonly poll: Duration.Duration
  /** How often each shows that it is there and looks who else is. */
  readonly interval: Duration.Duration
  /** The longest that a statement without large values may take. */
  readonly attempt: Duration.Duration
  /** After so long without a beat a trial is another's to take. */
  readonly silence: Duration.Duration
}

export const Timing: Context.Reference<Timing> = Context.Reference("@uninet/cluster/Timing", {
  defaultValue: () => ({
    poll: Duration.millis(250),
    interval: Duration.seconds(1),
    attempt: Duration.seconds(5),
    silence: Duration.seconds(8)
  })
})
