/** The evaluator that trains: in this process, or in every worker of a pool. */
import { type Recipe, Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Evaluator } from "./Evaluator.ts"
import { type Evaluated, TrialFailed } from "./Trial.ts"

export interface Options {
  /** How every trial is trained. A trial's own epochs go before the recipe's. */
  readonly recipe: Recipe.Recipe
}

/**
 * Trains each architecture from fresh weights and gives its accuracy on the validation split.
 *
 * One at a time: an engine runs one training step with all its threads. `WorkerEvaluator` runs several beside one another.
 *
 * @example
 * ```ts
 * const evaluator = TrainingEvaluator.layer({ recipe: { ...Recipe.proxy, epochs: 1 } }).pipe(
 *   Layer.provide(Trainer.layer()),
 *   Layer.provide([Mnist.layer, OnnxRuntime.cpu({ threads: 1 })])
 * )
 * ```
 */
export const layer = ({ recipe }: Options): Layer.Layer<Evaluator, never, Trainer> =>
  Layer.effect(
    Evaluator,
    Effect.map(Trainer, (trainer) =>
      Evaluator.of({
        concurrency: 1,
        evaluate: ({ architecture, epochs = recipe.epochs, index, keepWeights, seed }, report) => {
          const failed = (reason: "Failed" | "Diverged", detail: string) =>
            new TrialFailed({ trial: index, architecture, reason, detail })
          return trainer.fit(architecture, { recipe: { ...recipe, epochs }, seed }).pipe(
            Stream.runFoldEffect(
              () => undefined,
              (last: Evaluated | undefined, event) =>
                event._tag === "Step"
                  ? Effect.as(
                      report({
                        done: (event.step + 1) / event.steps,
                        loss: event.loss,
                        imagesPerSecond: event.imagesPerSecond
                      }),
                      last
                    )
                  : Effect.succeed(
                      event._tag === "Finished"
                        ? {
                            accuracy: event.best.validation.top1,
                            metrics: { loss: event.best.validation.loss },
                            epochs,
                            ...(keepWeights === true ? { weights: event.best.weights } : {})
                          }
                        : last
                    )
            ),
            Effect.mapError((error) => failed(error._tag === "Diverged" ? "Diverged" : "Failed", error.message)),
            Effect.flatMap((last) =>
              last === undefined ? failed("Failed", "the training ended without a result") : Effect.succeed(last)
            )
          )
        }
      })
    )
  )
