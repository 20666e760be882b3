/**
 * A search's figures as Effect metrics: trials by outcome, failures by reason, what is waiting and what is running, and where the time
 * goes. They are recorded only where they are wanted (`Wanted`), which `Telemetry.layer` switches on in an environment that says where to
 * send metrics.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Reason } from "./Trial.ts"

/**
 * Whether searches record metrics. Default false.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Evaluator, Journal, Search, SearchMetrics } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Metric, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const program = Effect.gen(function* () {
 *   yield* Search.run(cells, { trials: 4, seed: "demo" })
 *   yield* Console.log((yield* Metric.value(SearchMetrics.trials("scored"))).count)
 *   yield* Console.log((yield* Metric.value(SearchMetrics.failures("Diverged"))).count)
 *   yield* Console.log((yield* Metric.value(SearchMetrics.queue("running"))).value) // 0: none is left
 *   yield* Console.log((yield* Metric.value(SearchMetrics.seconds("strategy"))).count > 0)
 * })
 * Effect.runPromise(
 *   program.pipe(
 *     Effect.scoped,
 *     Effect.provide([Random.layer(), evaluator, Journal.memory]),
 *     Effect.provideService(SearchMetrics.Wanted, true)
 *   )
 * )
 * ```
 */
export const Wanted: Context.Reference<boolean> = Context.Reference<boolean>("@uninet/search/SearchMetrics/Wanted", {
  defaultValue: () => false
})

const counts = Metric.counter("uninet.search.trials", { description: "Trials by outcome", incremental: true })

/** A counter of trials with the attribute `outcome`. In a search with rungs, a trial counts once on each. */
export const trials = (outcome: "scored" | "failed" | "refused" | "repeated") =>
  Metric.withAttributes(counts, { outcome })

const failed = Metric.counter("uninet.search.failures", { description: "Failed trials by reason", incremental: true })

/** A counter of failed trials with the attribute `reason`. */
export const failures = (reason: Reason) => Metric.withAttributes(failed, { reason })

const pending = Metric.gauge("uninet.search.queue", {
  description: "Trials that are waiting for the evaluator or running"
})

/** A gauge of trials that were proposed and have no outcome yet, with the attribute `state`. */
export const queue = (state: "waiting" | "running") => Metric.withAttributes(pending, { state })

const time = Metric.counter("uninet.search.time", {
  description: "Seconds in the strategy, the journal and evaluations, which run concurrently",
  incremental: true
})

/** A counter of seconds with the attribute `phase`. Concurrent evaluations add up. */
export const seconds = (phase: "strategy" | "journal" | "training") =>
  Metric.withAttributes(time, { phase, time_unit: "seconds" })

/** The best trial's reward, among those with the most epochs. */
export const best = Metric.gauge("uninet.search.best_reward", { description: "Reward of the best trial so far" })
