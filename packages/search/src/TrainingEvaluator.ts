/** The evaluator that trains networks: in this process, or in every worker of a pool. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { ModelSpace, type Recipe } from "@uninet/model-space"
import {
  Checkpoints,
  Selection,
  type Score,
  Span,
  type Teacher,
  type TrainError,
  type TrainEvent,
  Trainer
} from "@uninet/trainer"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import { join } from "node:path"
import { Evaluator, EvaluatorLost, pointOf, type Report } from "./Evaluator.ts"
import { here, recorder, type Recorder, type Training } from "./Training.ts"
import { type Evaluated, type Trial, TrialFailed, type Weights } from "./Trial.ts"

/** A trained network to be measured. */
export interface Trained {
  readonly network: ModelSpace.Trainable
  /** The weights with the best validation. */
  readonly weights: Weights
  /** The recipe it was trained by. */
  readonly recipe: Recipe.Recipe
}

/** Measures of a trained network besides those of its task (`Task.also`), by name. */
export type Also = (
  trained: Trained
) => Effect.Effect<Readonly<Record<string, number>>, { readonly _tag: string; readonly message: string }>

/** How trials are trained, and where their checkpoints are. */
export interface Options {
  /** How every trial is trained. The point's own settings override it, and a trial's own epochs override both. */
  readonly recipe: Recipe.Recipe
  /**
   * A folder for the checkpoints of trials that are to be continued (`Trial.keep`). Without it, they are trained from the start each time,
   * with the same result.
   */
  readonly checkpoints?: string
  /**
   * Additional measures for every network after its training, except for one that is trained on the validation examples as well. With rungs
   * this needs `checkpoints`. Default: nothing is measured.
   */
  readonly also?: Also
  /** The network that the recipe's `distillation` learns from. Default: none. */
  readonly teacher?: Teacher.Teacher
}

/** Errors that say nothing about the network: from the data, and from this machine's disk. */
const blameless: ReadonlyArray<TrainError["_tag"]> = [
  "CheckpointNotWritten",
  "ClassMismatch",
  "CorruptFile",
  "DatasetNotFound",
  "FileUnavailable",
  "InvalidNumber",
  "InvalidSamples",
  "LabelOutOfRange",
  "UnreadableImages"
]
const isBlameless = (tag: string) => blameless.some((each) => each === tag)

const lost = (index: number, problem: string) =>
  new EvaluatorLost({
    problem: `Trial ${index} could not be trained, which is not the network's fault (${problem.replace(/\.$/, "")})`,
    remedy: "Nothing is lost: fix that, then resume the search"
  })

const files = Layer.merge(NodeFileSystem.layer, NodePath.layer)

/** How far a training has got: its best validation so far, after this many epochs. */
interface Reached {
  readonly epochs: number
  readonly best: Score
}

const evaluatedOf = ({ best, epochs }: Reached): Evaluated => ({ measures: best.measures, epochs })

/** Whether an event is the last one needed: the end of the epoch, or its checkpoint if one is kept. */
const endsAt = (until: number, kept: boolean) => {
  let reached = false
  return (event: TrainEvent.TrainEvent) => {
    if (event._tag === "Epoch" && event.epoch + 1 === until) reached = true
    return reached && (!kept || event._tag === "Saved")
  }
}

const progressOf = (event: TrainEvent.Step, until: number, epochs: number) => ({
  done: Math.min(1, ((event.step + 1) / event.steps) * (epochs / until)),
  loss: event.loss,
  examplesPerSecond: event.examplesPerSecond
})

/** Trains a trial, from its checkpoint if it has one. */
const train = Effect.fnUntraced(function* (
  trainer: Trainer["Service"],
  network: ModelSpace.Trainable,
  recipe: Recipe.Recipe,
  { also, checkpoints, teacher }: Omit<Options, "recipe">,
  trial: Trial,
  report: Report,
  recorded: Recorder
) {
  const { epochs = recipe.epochs, keep, keepWeights = false, seed, trainOn = "train" } = trial
  const until = Math.min(trial.until ?? epochs, epochs)
  const store =
    checkpoints === undefined || keep === undefined
      ? undefined
      : yield* Checkpoints.make(join(checkpoints, keep), { keep: 1 })
  const found =
    store === undefined
      ? undefined
      : Option.getOrUndefined(Option.map(yield* Effect.option(store.latest), ({ checkpoint }) => checkpoint))
  // A checkpoint from beyond the requested epochs no longer has the state from back then.
  const kept = found !== undefined && found.state.epoch <= until ? found : undefined
  const bestBefore = kept?.state.selection.best?.validation
  /** Whether the training is already there: then the only check is that it is the same training. */
  const isDone = kept?.state.epoch === until && bestBefore !== undefined && until < epochs && !keepWeights

  let trained: Weights | undefined
  const fit = (resume: typeof kept) =>
    trainer
      .fit(network, {
        recipe: { ...recipe, epochs },
        seed,
        trainOn,
        ...(teacher === undefined ? {} : { teacher }),
        ...(store === undefined ? {} : { checkpoints: { store, everySeconds: 30 } }),
        // The result is the same whether or not a checkpoint is kept.
        ...(keep === undefined && trial.until === undefined ? {} : { validateEveryEpoch: true }),
        ...(resume === undefined ? {} : { resume })
      })
      .pipe(
        Stream.takeUntil(
          resume !== undefined && isDone
            ? ({ _tag }) => _tag === "Resumed"
            : until < epochs
              ? endsAt(until, store !== undefined)
              : () => false
        ),
        Stream.runFoldEffect(
          (): Evaluated | undefined =>
            resume === undefined || bestBefore === undefined
              ? undefined
              : evaluatedOf({ epochs: resume.state.epoch, best: bestBefore }),
          (last, event) => {
            if (event._tag === "Step") {
              recorded.step(event.epoch, event.loss)
              return Effect.as(report(progressOf(event, until, epochs)), last)
            }
            if (event._tag === "Epoch") {
              const { averaged, validation } = event
              const isAveraged = averaged !== null && Selection.isBetter(network.task)(averaged, validation)
              const best = isAveraged ? averaged : validation
              recorded.epoch(event.epoch, event.loss, best.measures)
              return Effect.succeed(
                event.isBest || last === undefined
                  ? evaluatedOf({ epochs: event.epoch + 1, best })
                  : { ...last, epochs: event.epoch + 1 }
              )
            }
            if (event._tag !== "Finished") return Effect.succeed(last)
            const { validation, weights } = event.best
            trained = weights
            return Effect.succeed({
              // A trial that stopped early has used up what it was given: this is a result for this rung and for no later one.
              ...evaluatedOf({ epochs: until, best: validation }),
              ...(event.stoppedEarly ? { stoppedAfter: event.epochs } : {}),
              ...(keepWeights ? { weights } : {})
            })
          }
        )
      )
  // A checkpoint of another recipe or data set, or from another machine: this training starts afresh.
  const last = yield* Effect.catchTag(fit(kept), ["CheckpointMismatch", "CheckpointMixed"], () => fit(undefined))
  if (also === undefined || last === undefined || trainOn !== "train") return last
  const saved = trained === undefined && store !== undefined ? yield* Effect.option(store.latest) : Option.none()
  const weights =
    trained ??
    Option.getOrUndefined(
      Option.map(saved, ({ checkpoint }) => new Map([...checkpoint.best].map(([name, { data }]) => [name, data])))
    )
  if (weights === undefined)
    return yield* new TrialFailed({
      trial: trial.index,
      reason: "Failed",
      detail: "its weights are not kept on a rung, so it cannot be measured there; give a folder for checkpoints"
    })
  return { ...last, measures: { ...last.measures, ...(yield* also({ network, weights, recipe })) } }
})

/**
 * Trains the network of each point from fresh weights and returns the task's measures on the validation split.
 *
 * One at a time: an engine runs one training step with all its threads. `WorkerEvaluator` runs several in parallel.
 *
 * @example
 * ```ts
 * import { Mnist } from "@uninet/data"
 * import { OnnxRuntime } from "@uninet/runtime"
 * import { TrainingEvaluator } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Recipe, Trainer } from "@uninet/trainer"
 * import { Layer, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 1, height: 28, width: 28, classes: 10 }))
 * export const evaluator = TrainingEvaluator.layer(cells, { recipe: { ...Recipe.proxy, epochs: 1 } }).pipe(
 *   Layer.provide(Trainer.layer),
 *   Layer.provide([Mnist.layer, OnnxRuntime.cpu({ threads: 1 })])
 * )
 * ```
 */
export const layer = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  { recipe, ...options }: Options
): Layer.Layer<Evaluator, never, Trainer> =>
  Layer.effect(
    Evaluator,
    Effect.gen(function* () {
      const trainer = yield* Trainer
      // The parent span is that of the training, not the one in which this layer was built.
      const services = Span.without(yield* Effect.context<FileSystem.FileSystem | Path.Path>())
      // The engine's name is not part of a result, so it is no failure if it is not known.
      const engine = yield* Effect.catchDefect(
        Effect.suspend(() => trainer.engine ?? Effect.succeed({})),
        () => Effect.succeed({})
      )
      return Evaluator.of({
        concurrency: 1,
        evaluate: (trial, report) => {
          const [begun, recorded] = [Date.now(), recorder()]
          const training = (): Training => ({
            place: here(engine),
            begun,
            ended: Date.now(),
            curve: recorded.curve()
          })
          const failed = (reason: "Failed" | "Diverged", detail: string) =>
            new TrialFailed({ trial: trial.index, reason, detail, training: training() })
          return Effect.gen(function* () {
            const point = yield* pointOf(trial)(of)
            const network = yield* Effect.fromResult(ModelSpace.trainable(point)(of))
            const own = { ...recipe, ...(yield* Effect.fromResult(ModelSpace.recipeOf(point)(of))) }
            return yield* train(trainer, network, own, options, trial, report, recorded)
          }).pipe(
            Effect.provideContext(services),
            Effect.mapError((error) =>
              error instanceof TrialFailed
                ? error
                : isBlameless(error._tag)
                  ? lost(trial.index, error.message)
                  : failed(error._tag === "Diverged" ? "Diverged" : "Failed", error.message)
            ),
            Effect.flatMap((last) =>
              last === undefined
                ? failed("Failed", "the training ended without a result")
                : Effect.succeed({ ...last, training: training() })
            )
          )
        }
      })
    })
  ).pipe(Layer.provide(files))
