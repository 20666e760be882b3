/** What else runs on this machine while something is measured, by the system's own counts of its cores' time. */
import { cpus } from "node:os"

/** Processor time used up to a moment, in milliseconds. */
export interface Snapshot {
  /** Of all cores together, whatever they worked for. */
  readonly busy: number
  /** Of this process. */
  readonly own: number
  /** When it was taken. */
  readonly at: number
}

/** Takes a snapshot of the processor time used so far. */
export const snapshot = (): Snapshot => {
  const busy = cpus().reduce((sum, { times: { irq, nice, sys, user } }) => sum + user + nice + sys + irq, 0)
  const { system, user } = process.cpuUsage()
  return { busy, own: (system + user) / 1000, at: performance.now() }
}

/**
 * How many cores worked for others between two snapshots, on average; 0 where the system does not say (its counts then stand still).
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

/** From so many cores on, a machine is said to be under load. */
export const quiet = 0.2
