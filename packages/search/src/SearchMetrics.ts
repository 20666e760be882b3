/**
 * A search's figures as Effect's metrics: trials by what came of them, failures by their reason, what waits and what runs, and where the time goes. They are counted where somebody asks for them
 * (`Wanted`), as `Telemetry.layer` does in an environment that says where metrics go.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Reason } from "./Trial.ts"

/**
 * Whether searches count. Default false.
 *
 * @example
 * const counted = Search.run(mine, options).pipe(Effect.provideService(SearchMetrics.Wanted, true))
 */
export const Wanted: Context.Reference<boolean> = Context.Reference<boolean>("@uninet/search/SearchMetrics/Wanted", {
  defaultValue: () => false
})

const counts = Metric.counter("uninet.search.trials", { description: "Trials by what came of them", incremental: true })

/** Trials by `outcome`; on rungs a trial counts on each. */
export const trials = (outcome: "scored" | "failed" | "refused" | "repeated") =>
  Metric.withAttributes(counts, { outcome })

const failed = Metric.counter("uninet.search.failures", { description: "Failed trials by reason", incremental: true })

/** Failed trials by `reason`. */
export const failures = (reason: Reason) => Metric.withAttributes(failed, { reason })

const pending = Metric.gauge("uninet.search.queue", { description: "Trials that wait for the evaluator, or run" })

/** Trials that have been proposed and have no outcome, by `state`. */
export const queue = (state: "waiting" | "running") => Metric.withAttributes(pending, { state })

const time = Metric.counter("uninet.search.time", {
  description: "Seconds in the strategy, the journal and evaluations, which run beside one another",
  incremental: true
})

/** Seconds by `phase`. Those of evaluations that run at the same time add up. */
export const seconds = (phase: "strategy" | "journal" | "training") =>
  Metric.withAttributes(time, { phase, time_unit: "seconds" })

/** The best trial's reward, among those of the most epochs. */
export const best = Metric.gauge("uninet.search.best_reward", { description: "Reward of the best trial so far" })
