/** A training's figures as Effect's metrics, which an OpenTelemetry exporter in the environment sends on. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { TrainEvent } from "./TrainEvent.ts"

export const loss = Metric.gauge("uninet.train.loss", { description: "Loss of the last step's batch" })
export const top1 = Metric.gauge("uninet.train.top1", {
  description: "Share of the last step's images that were right"
})
export const learningRate = Metric.gauge("uninet.train.learning_rate", {
  description: "Learning rate of the last step"
})
export const gradientNorm = Metric.gauge("uninet.train.gradient_norm", {
  description: "Global norm of the last step's gradients, before clipping"
})
export const imagesPerSecond = Metric.gauge("uninet.train.images_per_second", { description: "Of the last step" })
export const memory = Metric.gauge("uninet.train.memory_bytes", { description: "The process's resident memory" })
export const steps = Metric.counter("uninet.train.steps", { description: "Steps taken", incremental: true })
export const validationTop1 = Metric.gauge("uninet.validation.top1", {
  description: "Share of the validation images that were right, raw weights"
})
export const averagedTop1 = Metric.gauge("uninet.validation.averaged_top1", {
  description: "Share of the validation images that were right, averaged weights"
})

/** Takes an event's figures over. */
export const record = (event: TrainEvent): Effect.Effect<void> => {
  switch (event._tag) {
    case "Step":
      return Effect.all(
        [
          Metric.update(loss, event.loss),
          Metric.update(top1, event.top1),
          Metric.update(learningRate, event.learningRate),
          Metric.update(imagesPerSecond, event.imagesPerSecond),
          Metric.update(memory, event.memory),
          Metric.update(steps, 1),
          event.gradientNorm === null ? Effect.void : Metric.update(gradientNorm, event.gradientNorm)
        ],
        { discard: true }
      )
    case "Epoch":
      return Effect.andThen(
        Metric.update(validationTop1, event.validation.top1),
        event.averaged === null ? Effect.void : Metric.update(averagedTop1, event.averaged.top1)
      )
    default:
      return Effect.void
  }
}
