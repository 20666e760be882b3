/** A training's figures as Effect metrics, which an OpenTelemetry exporter in the environment sends on. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { TrainEvent } from "./TrainEvent.ts"

/** Loss of the last step's batch. */
export const loss = Metric.gauge("uninet.train.loss", { description: "Loss of the last step's batch" })
/** Learning rate of the last step. */
export const learningRate = Metric.gauge("uninet.train.learning_rate", {
  description: "Learning rate of the last step"
})
/** Global norm of the last step's gradients, before clipping. */
export const gradientNorm = Metric.gauge("uninet.train.gradient_norm", {
  description: "Global norm of the last step's gradients, before clipping"
})
/** Examples per second in the last step. */
export const examplesPerSecond = Metric.gauge("uninet.train.examples_per_second", {
  description: "Examples per second in the last step"
})
/** The process's resident memory, in bytes. */
export const memory = Metric.gauge("uninet.train.memory_bytes", { description: "The process's resident memory" })
/** Steps taken. */
export const steps = Metric.counter("uninet.train.steps", { description: "Steps taken", incremental: true })

/** What the task reports for the last step's batch, by name. */
export const running = (measure: string) => Metric.gauge(`uninet.train.${measure}`)
/** A measure on the validation split, by name, of the raw weights or of their averages. */
export const validation = (measure: string, averaged: boolean) =>
  Metric.gauge(`uninet.validation.${averaged ? "averaged." : ""}${measure}`)

const each = (
  measures: Readonly<Record<string, number>>,
  gauge: (measure: string) => Metric.Metric<number, unknown>
): Effect.Effect<void> =>
  Effect.forEach(Object.entries(measures), ([name, value]) => Metric.update(gauge(name), value), { discard: true })

/**
 * Sets the metrics to an event's figures. Events without figures, such as `Saved`, change nothing.
 *
 * @example
 * ```ts
 * import { TrainMetrics } from "@uninet/trainer"
 * import { Console, Effect, Metric } from "effect"
 *
 * // As `Trainer.fit` does after every step and epoch; any exporter of Effect's metrics has them.
 * const program = Effect.gen(function* () {
 *   yield* Metric.update(TrainMetrics.running("accuracy"), 0.91)
 *   yield* Metric.update(TrainMetrics.validation("accuracy", true), 0.93)
 *   yield* TrainMetrics.record({ _tag: "Saved", step: 400, file: "step-00000400.safetensors" })
 *   yield* Console.log((yield* Metric.value(TrainMetrics.validation("accuracy", true))).value) // 0.93
 * })
 * Effect.runPromise(program)
 * ```
 */
export const record = (event: TrainEvent): Effect.Effect<void> => {
  switch (event._tag) {
    case "Step":
      return Effect.all(
        [
          Metric.update(loss, event.loss),
          each(event.measures, running),
          Metric.update(learningRate, event.learningRate),
          Metric.update(examplesPerSecond, event.examplesPerSecond),
          Metric.update(memory, event.memory),
          Metric.update(steps, 1),
          event.gradientNorm === null ? Effect.void : Metric.update(gradientNorm, event.gradientNorm)
        ],
        { discard: true }
      )
    case "Epoch":
      return Effect.andThen(
        each(event.validation.measures, (name) => validation(name, false)),
        event.averaged === null ? Effect.void : each(event.averaged.measures, (name) => validation(name, true))
      )
    default:
      return Effect.void
  }
}
