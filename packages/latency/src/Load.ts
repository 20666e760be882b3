/** What else runs on this machine during a measurement, by the system's own accounting of CPU time. */
import { cpus } from "node:os"

/** CPU time used up to a moment, in milliseconds. */
export interface Snapshot {
  /** Of all cores together, by any process. */
  readonly busy: number
  /** By this process. */
  readonly own: number
  /** When it was taken. */
  readonly at: number
}

/** Takes a snapshot of the CPU time used so far. */
export const snapshot = (): Snapshot => {
  const busy = cpus().reduce((sum, { times: { irq, nice, sys, user } }) => sum + user + nice + sys + irq, 0)
  const { system, user } = process.cpuUsage()
  return { busy, own: (system + user) / 1000, at: performance.now() }
}

/**
 * How many cores other processes used between two snapshots, on average; 0 if the system does not report it (its counts do not change then).
 *
 * @example
 * ```ts
 * import { Load, Machine } from "@uninet/latency"
 *
 * // How busy other programs kept the processor meanwhile: below `Load.quiet` a measurement can be trusted.
 * const before = Load.snapshot()
 * let sum = 0
 * for (let i = 0; i < 1e6; i++) sum += Math.sqrt(i)
 * const cores = Load.others(before, Load.snapshot())
 * console.log(sum > 0, cores < Load.quiet ? "quiet" : `${cores.toFixed(2)} cores worked for others`)
 * console.log(Machine.here().system) // linux x64
 * ```
 */
export const others = (before: Snapshot, after: Snapshot): number =>
  Math.max(0, (after.busy - before.busy - (after.own - before.own)) / Math.max(1, after.at - before.at))

/** If other processes use more cores than this, the machine counts as under load. */
export const quiet = 0.2
