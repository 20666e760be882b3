/** The service that evaluates points: by training in this process or in a pool of others, from a table, or with a function. */
import { ModelSpace } from "@uninet/model-space"
import { Space } from "@uninet/search-space"
import { Span } from "@uninet/trainer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { detailOf } from "./internal/detail.ts"
import { type Evaluated, type Progress, type Trial, TrialFailed, unsound } from "./Trial.ts"

/** Reports how far an evaluation has got, as often as the evaluator likes. */
export type Report = (progress: Progress) => Effect.Effect<void>

/**
 * The trial cannot be evaluated here, for reasons that have nothing to do with it: a full disk, data that cannot be read, machines out of
 * reach. This says nothing about the trial, so nothing is recorded. A pool tries it again in another process, a cluster on another machine.
 * Where that does not help, the search ends, and continues from the same place when it is resumed.
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
 * Evaluates points, which it receives as JSON, so that workers and other machines do not need the space's types.
 *
 * The result must depend on the trial alone, not on what else is running: that is what makes a search the same at any number of workers.
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

/** An author's function returns an effect. An author without a type checker may return anything, which would be awaited forever, or throw. */
const effectOf = <A, E, R>(run: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const given = run()
    return Effect.isEffect(given)
      ? given
      : Effect.die(new Error(`its evaluator returned ${Inspectable.toStringUnknown(given, 0)}, not an Effect`))
  })

/**
 * Runs an evaluation of any evaluator, including a faulty one: an evaluator that throws, or returns no effect, counts as a defect.
 *
 * @example
 * ```ts
 * import { Evaluator } from "@uninet/search"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Classification, ModelSpace } from "@uninet/model-space"
 * import { Console, Effect, Result } from "effect"
 *
 * const space = Result.getOrThrow(Space.make(Choice.struct({ width: Choice.ordered([8, 16]) })))
 * const networks = ModelSpace.table({ name: "two networks", space, task: Classification.make({ classes: 10 }) })
 * const evaluator = Evaluator.fromFunction(networks, ({ width }) =>
 *   Effect.succeed({ accuracy: width / 20, top5: 1, loss: 1, calibrationError: 0 })
 * )
 *
 * // How your own worker would be asked: in plain JSON, so that no types have to cross.
 * const trial = { index: 0, point: { width: 16 }, seed: "demo/trial/0" }
 * const program = Effect.gen(function* () {
 *   const own = yield* Evaluator.Evaluator
 *   const { measures } = yield* Evaluator.evaluate(trial, () => Effect.void)(own)
 *   yield* Console.log(measures.accuracy, (yield* Evaluator.pointOf(trial)(networks)).width) // 0.8 16
 * })
 * Effect.runPromise(Effect.provide(program, evaluator))
 * ```
 */
export const evaluate =
  (trial: Trial, report: Report) =>
  (evaluator: Evaluator["Service"]): Effect.Effect<Evaluated, TrialFailed | EvaluatorLost> =>
    effectOf(() => evaluator.evaluate(trial, report))

/** How many calls of the function may run at the same time. */
export interface FunctionOptions {
  /** How many calls may run at the same time. Default 1. */
  readonly concurrency?: number
}

/** Decodes the point of a trial. Fails with `TrialFailed` (`Failed`) if it is not a point of the space. */
export const pointOf =
  ({ index, point }: Trial) =>
  <A, C extends string, M extends string>(of: ModelSpace.ModelSpace<A, C, M>): Effect.Effect<A, TrialFailed> =>
    Effect.mapError(
      Effect.fromResult(ModelSpace.read(point)(of)),
      ({ message }) => new TrialFailed({ trial: index, reason: "Failed", detail: message })
    )

/** The error that a function failed with as a failed trial, unless the error itself says that it is not the trial's fault. */
const failure = (error: unknown, otherwise: (detail: string) => TrialFailed) =>
  error instanceof EvaluatorLost ? error : otherwise(detailOf(error))

/**
 * An evaluator from a function of the space's own points. Where the function fails or throws, or a measure is not a number, the trial
 * fails; `EvaluatorLost` says that it was not the trial's fault.
 *
 * @example
 * ```ts
 * import { Evaluator } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Effect, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * export const evaluator = Evaluator.make(cells, (cell, trial) =>
 *   Effect.succeed({
 *     measures: { accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 },
 *     epochs: trial.epochs ?? 1
 *   })
 * )
 * ```
 */
export const make = <A, C extends string, M extends string, E, R = never>(
  of: ModelSpace.ModelSpace<A, C, M>,
  evaluate: (
    point: A,
    trial: Trial,
    report: Report
  ) => Effect.Effect<Omit<Evaluated, "measures"> & { readonly measures: { readonly [K in M]: number } }, E, R>,
  { concurrency = 1 }: FunctionOptions = {}
): Layer.Layer<Evaluator, never, R> =>
  Layer.effect(
    Evaluator,
    Effect.map(Effect.context<R>(), (services) =>
      Evaluator.of({
        concurrency,
        evaluate: (trial, report) => {
          const failed = (reason: "Crashed" | "Failed", detail: string) =>
            new TrialFailed({ trial: trial.index, reason, detail })
          return pointOf(trial)(of).pipe(
            Effect.flatMap((point) =>
              effectOf(() => evaluate(point, trial, report)).pipe(
                // The parent span is that of the evaluation, not the one in which the layer was built.
                Effect.provideContext(Span.without(services)),
                Effect.mapError((error) => failure(error, (detail) => failed("Failed", detail))),
                Effect.catchDefect((defect) => Effect.fail(failed("Crashed", detailOf(defect))))
              )
            ),
            Effect.flatMap((found) => {
              const wrong = unsound(found)
              return wrong === undefined ? Effect.succeed<Evaluated>(found) : Effect.fail(failed("Failed", wrong))
            })
          )
        }
      })
    )
  )

/**
 * An evaluator from a function that returns a point's measures for the task.
 *
 * @example
 * ```ts
 * import { Evaluator } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Effect, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * export const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * ```
 */
export const fromFunction = <A, C extends string, M extends string, E, R = never>(
  of: ModelSpace.ModelSpace<A, C, M>,
  evaluate: (point: A, trial: Trial) => Effect.Effect<{ readonly [K in M]: number }, E, R>,
  options: FunctionOptions = {}
): Layer.Layer<Evaluator, never, R> =>
  make(
    of,
    (point, trial) =>
      Effect.map(
        effectOf(() => evaluate(point, trial)),
        (measures) => ({ measures, epochs: null })
      ),
    options
  )

/**
 * An evaluator that looks measures up in a table, by a point's `Space.hash`. A point that is not in the table is a failed trial.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Classification, ModelSpace } from "@uninet/model-space"
 * import { Evaluator, Journal, Search } from "@uninet/search"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Console, Effect, Result } from "effect"
 *
 * const space = Result.getOrThrow(Space.make(Choice.struct({ depth: Choice.ordered([2, 4]), width: Choice.ordered([8, 16]) })))
 * const networks = ModelSpace.table({ name: "four networks", space, task: Classification.make({ classes: 10 }) })
 * // What somebody measured of three of them; the fourth is a failed trial.
 * const table = new Map(
 *   ([[2, 8, 0.91], [2, 16, 0.93], [4, 16, 0.95]] as const).map(([depth, width, accuracy]) => [
 *     Space.hash({ depth, width } as const)(space),
 *     { accuracy, top5: 1, loss: 0.3, calibrationError: 0 }
 *   ])
 * )
 * const program = Search.run(networks, { trials: 4, seed: "demo" }).pipe(
 *   Effect.flatMap(({ best }) => Console.log(best.line, best.outcome.reward)), // depth = 4, width = 16 0.95
 *   Effect.provide([Random.layer(), Evaluator.fromTable(networks, table), Journal.memory])
 * )
 * Effect.runPromise(program)
 * ```
 */
export const fromTable = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  table: ReadonlyMap<string, { readonly [K in M]: number }>,
  options: FunctionOptions = {}
): Layer.Layer<Evaluator> =>
  fromFunction(
    of,
    (point) => {
      const hash = Space.hash(point)(of.space)
      const found = table.get(hash)
      return found === undefined
        ? Effect.fail(new Error(`the table has no row for ${hash}; search the space that the table was made for`))
        : Effect.succeed(found)
    },
    options
  )
