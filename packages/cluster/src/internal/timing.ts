/** How often machines show that they are active and look at the queue, and how long they wait for an answer. Only tests use shorter times. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"

export interface Timing {
  /** How often a driver checks on its trials, and an idle worker looks for one. */
  readonly poll: Duration.Duration
  /** How often each shows that it is active and checks who else is. */
  readonly interval: Duration.Duration
  /** The time limit of a statement without large values. */
  readonly attempt: Duration.Duration
  /** After this long without a heartbeat, a trial may be taken over. */
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
