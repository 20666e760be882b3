/** The service that says how good an architecture is: training in this process or in a pool of others, a table, a function. */
import { Architecture } from "@uninet/search-space"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type Evaluated, type Progress, type Trial, TrialFailed } from "./Trial.ts"

/** Told how far an evaluation is, as often as the evaluator likes. */
export type Report = (progress: Progress) => Effect.Effect<void>

/**
 * Nothing can be evaluated any more, whatever the trial: the machines are out of reach. It says nothing of a trial, so nothing is recorded; the search
 * ends, and goes on where it was when it is resumed.
 */
export class EvaluatorLost extends Schema.TaggedError<EvaluatorLost>()("EvaluatorLost", {
  problem: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return `${this.problem}. ${this.remedy}.`
  }
}

/**
 * Evaluates architectures.
 *
 * The result must depend on the trial alone, not on what else runs: that is what makes a search the same at any number of workers.
 * Interrupting `evaluate` stops the evaluation.
 */
export class Evaluator extends Context.Service<
  Evaluator,
  {
    readonly evaluate: (trial: Trial, report: Report) => Effect.Effect<Evaluated, TrialFailed | EvaluatorLost>
    /** How many evaluations are worth running at the same time. */
    readonly concurrency: number
  }
>()("@uninet/search/Evaluator") {}

export interface FunctionOptions {
  /** How many calls may run at the same time. Default 1. */
  readonly concurrency?: number
}

/**
 * An evaluator from a function that gives an architecture's accuracy (0 … 1), or an accuracy with further measures. What it fails with becomes
 * a failed trial.
 *
 * @example
 * ```ts
 * const narrow = Evaluator.fromFunction((architecture) =>
 *   Effect.succeed(1 / architecture.stages.reduce((sum, stage) => sum + stage.channels, 0))
 * )
 * ```
 */
export const fromFunction = <E>(
  evaluate: (
    architecture: Architecture.Architecture,
    trial: Trial
  ) => Effect.Effect<number | (Partial<Evaluated> & Pick<Evaluated, "accuracy">), E>,
  { concurrency = 1 }: FunctionOptions = {}
): Layer.Layer<Evaluator> =>
  Layer.succeed(Evaluator, {
    concurrency,
    evaluate: (trial) =>
      evaluate(trial.architecture, trial).pipe(
        Effect.map((result) => ({
          metrics: {},
          epochs: null,
          ...(typeof result === "number" ? { accuracy: result } : result)
        })),
        Effect.mapError(
          (error) =>
            new TrialFailed({
              trial: trial.index,
              architecture: trial.architecture,
              reason: "Failed",
              detail: error instanceof Error ? error.message : String(error)
            })
        )
      )
  })

/**
 * An evaluator that looks results up by the architecture's hash (`Architecture.hash`). An architecture that is not in the table is a
 * failed trial.
 */
export const fromTable = (
  table: ReadonlyMap<string, number | (Partial<Evaluated> & Pick<Evaluated, "accuracy">)>
): Layer.Layer<Evaluator> =>
  fromFunction((architecture) => {
    const hash = Architecture.hash(architecture)
    const found = table.get(hash)
    return found === undefined
      ? Effect.fail(new Error(`the table has no row for ${hash}; search the space that the table was made for`))
      : Effect.succeed(found)
  })
