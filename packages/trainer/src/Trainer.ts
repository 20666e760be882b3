/**
 * Trains and evaluates networks: a model with its task, and a recipe, on the layer's data set and engine.
 *
 * `fit` is a stream: it reports the training step by step, and ends with the trained network. Interrupting the stream stops the training
 * after the current step, and saves its state if it keeps checkpoints.
 */
import { type DataError, Dataset, Joined, Resized } from "@uninet/data"
import { Program } from "@uninet/graph"
import { type ModelSpace, Progressive, Recipe, Schedule, type Task, Views } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import { Runtime, type RuntimeError } from "@uninet/engine"
import { Prng } from "@uninet/search-space"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type * as Checkpoint from "./Checkpoint.ts"
import { CheckpointMismatch, CheckpointMixed } from "./CheckpointError.ts"
import type { Checkpoints } from "./Checkpoints.ts"
import * as Fitting from "./Fitting.ts"
import * as Session from "./internal/session.ts"
import * as Selection from "./Selection.ts"
import * as Span from "./Span.ts"
import * as Surroundings from "./Surroundings.ts"
import { Diverged, NotFinite, RecipeRefused, TooFewExamples, type TrainError } from "./TrainError.ts"
import type { TrainEvent, Weights } from "./TrainEvent.ts"
import * as Teacher from "./Teacher.ts"
import * as TrainingProgram from "./TrainingProgram.ts"
import * as TrainMetrics from "./TrainMetrics.ts"

/** How a network is trained, from where, and what is reported and kept on the way. */
export interface FitOptions<E = never> {
  readonly recipe: Recipe.Recipe
  /** Seeds the initial weights, the order of the examples, augmentation, mixing and noise. */
  readonly seed: string | number
  /**
   * The examples to train on. `train+validation` (for a final training, once everything has been chosen) leaves nothing to validate on: the
   * last weights are the best. Default `train`.
   */
  readonly trainOn?: "train" | "train+validation"
  /** Validates after every epoch, not only after the last one. Default: if the recipe stops early or checkpoints are kept. */
  readonly validateEveryEpoch?: boolean
  /** Computes the gradients' norm even if the recipe does not clip by it. Default false. */
  readonly gradientNorm?: boolean
  /** Where the training stores its checkpoints: at the end of every epoch, and in between where asked for. Default: nowhere. */
  readonly checkpoints?: {
    readonly store: Checkpoints
    readonly everySteps?: number
    readonly everySeconds?: number
  }
  /**
   * Initial weights to use instead of drawing them: all parameters and running statistics of the network. Fails with `WeightsMismatch` if
   * they belong to another network.
   */
  readonly weights?: Weights
  /** The network that the recipe's `distillation` learns from. Default: none. Fails with `RecipeRefused` if only one of the two is given. */
  readonly teacher?: Teacher.Teacher
  /** Resumes from here, bit for bit as if there had been no break. Fails with `CheckpointMismatch` if it belongs to another training. */
  readonly resume?: Checkpoint.Checkpoint
  /**
   * Whether to resume under different surroundings from the checkpoint's (data, software, engine, machine). Later checkpoints then name
   * both. Default false: fails with `CheckpointMixed`.
   */
  readonly allowMixed?: boolean
  /** The command that repeats a run from its last checkpoint: shown if it diverges. */
  readonly replay?: string
  /**
   * Called for every event before the training continues, as a log has to be written before a checkpoint. If it fails, the training ends.
   * Default: nothing.
   */
  readonly onEvent?: (event: TrainEvent) => Effect.Effect<void, E>
}

/** What is compared between two trainings. */
const flat = ({
  dataset,
  network,
  recipe,
  seed,
  teacher = "nobody"
}: Checkpoint.Identity): ReadonlyMap<string, unknown> =>
  new Map<string, unknown>([
    ["network", `${network.digest} (${network.line})`],
    ["data set", `${dataset.name} with ${dataset.examples} training examples`],
    ["classes", (dataset.classes ?? []).join(", ")],
    ["seed", seed],
    ["teacher", teacher],
    ...Object.entries(recipe).map(([key, value]) => [`recipe's ${key}`, value] as const)
  ])

const inWords = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value))

/** The first part in which two trainings differ. The recipe's parts come before the network, because they also decide its program. */
const difference = (checkpoint: Checkpoint.Identity, given: Checkpoint.Identity): CheckpointMismatch | undefined => {
  const [theirs, ours] = [flat(checkpoint), flat(given)]
  // A part that is left out is missing on one side.
  const parts = [...new Set([...ours.keys(), ...theirs.keys()])]
  for (const what of parts.sort((a, b) => Number(a === "network") - Number(b === "network"))) {
    const [other, value] = [theirs.get(what) ?? null, ours.get(what) ?? null]
    // Field by field, in any order.
    if (!Equal.equals(other, value))
      return new CheckpointMismatch({ what, checkpoint: inWords(other), given: inWords(value) })
  }
  return undefined
}

/** The description of the best weights in their file. */
const descriptionOf = (
  { dataset, network, recipe: { views }, seed }: Checkpoint.Identity,
  { averaged, epoch, validation }: Selection.Best,
  data: Dataset.DatasetShape,
  trainedOn: NonNullable<FitOptions["trainOn"]>
): Readonly<Record<string, string>> => ({
  network: JSON.stringify(network.about),
  dataset: dataset.name,
  // Anyone who evaluates it on these examples has to know.
  trainedOn,
  ...(dataset.classes === null ? {} : { classes: JSON.stringify(dataset.classes) }),
  ...(Dataset.isImages(data)
    ? {
        // A picture is (byte / 255 - mean) / deviation, channel by channel.
        mean: JSON.stringify(data.mean),
        deviation: JSON.stringify(data.deviation),
        cropRatio: String(data.cropRatio ?? 1)
      }
    : {}),
  seed,
  // The views with which its figures were measured.
  ...(views === undefined ? {} : { views: JSON.stringify(views) }),
  epoch: String(epoch),
  averaged: String(averaged),
  validation: JSON.stringify(validation.measures)
})

const fit =
  (runtime: Runtime["Service"], data: Dataset.DatasetShape, here: Here) =>
  <E = never>(network: ModelSpace.Trainable, options: FitOptions<E>): Stream.Stream<TrainEvent, TrainError | E> =>
    Stream.callback<TrainEvent, TrainError | E>((queue) =>
      train(
        options.trainOn === "train+validation" ? Joined.withValidation(data) : data,
        network,
        options,
        here,
        (event) =>
          TrainMetrics.record(event).pipe(
            Effect.andThen(options.onEvent?.(event) ?? Effect.void),
            Effect.andThen(Queue.offer(queue, event))
          )
      ).pipe(
        Effect.provideService(Runtime, runtime),
        Effect.scoped,
        Effect.matchEffect({
          onFailure: (error) => Queue.fail(queue, error),
          onSuccess: () => Queue.end(queue)
        })
      )
    )

/** A browser page has no process. */
const residentBytes = (): number => (typeof process === "object" ? process.memoryUsage.rss() : 0)

/** The surroundings, determined once. */
type Here = Effect.Effect<Surroundings.Surroundings, DataError.DataError | RuntimeError>

/** The surroundings of a training that keeps checkpoints, together with those of the checkpoint it resumes from, if that is allowed. */
const surroundingsOf = Effect.fnUntraced(function* (
  { allowMixed = false, checkpoints, resume }: FitOptions<unknown>,
  here: Here
) {
  if (checkpoints === undefined && resume === undefined) return {}
  const [before, now] = [resume?.identity.surroundings ?? [], yield* here]
  const found = Surroundings.difference(before, now)
  if (found !== undefined && !allowMixed)
    return yield* new CheckpointMixed({ what: found.what, checkpoint: found.before, now: found.now })
  return { surroundings: Surroundings.together(before, now) }
})

/** The teacher of a training; its logits are for the training split only. */
const teacherOf = ({ teacher, trainOn = "train" }: Pick<FitOptions, "teacher" | "trainOn">) => {
  if (teacher === undefined || trainOn === "train") return teacher
  const { network, weights } = teacher
  return { network, weights }
}

interface Scores {
  readonly validation: Selection.Score
  readonly averaged: Selection.Score | null
}

const train = Effect.fnUntraced(function* <E>(
  given: Dataset.DatasetShape,
  trained: ModelSpace.Trainable,
  options: FitOptions<E>,
  here: Here,
  emit: (event: TrainEvent) => Effect.Effect<unknown, E>
) {
  const started = performance.now()
  const { checkpoints, resume, trainOn = "train" } = options
  const { task } = trained
  const recipe = yield* Effect.fromResult(TrainingProgram.checkRecipe(options.recipe))
  const { batch, earlyStopping, epochs } = recipe
  const seed = String(options.seed)
  const data = yield* Fitting.of(trained, given, recipe.imageSize)
  const stepsPerEpoch = Dataset.batchCount({ batch, dropLast: true })({
    size: Recipe.examplesOf(data.train.size)(recipe)
  })
  if (stepsPerEpoch === 0) return yield* new TooFewExamples({ dataset: data.name, examples: data.train.size, batch })
  if (earlyStopping !== null && data.validation.size === 0 && trainOn === "train")
    return yield* new RecipeRefused({
      task: task.name,
      part: "earlyStopping",
      reason: `${data.name} has no validation examples to stop by`,
      remedy: "set earlyStopping to null, or give the data set a validation split"
    })
  const steps = epochs * stepsPerEpoch
  if (recipe.progressive !== undefined && !Dataset.isImages(data))
    return yield* new RecipeRefused({
      task: task.name,
      part: "progressive",
      reason: "the examples are not pictures",
      remedy: "leave progressive out"
    })
  const programs = yield* Effect.fromResult(
    TrainingProgram.all(trained.model, task, recipe, { gradientNorm: options.gradientNorm ?? false })
  )
  const teaching = yield* Teacher.of(trained, recipe, teacherOf(options), data.train.size)
  const settings: Checkpoint.Identity = {
    network: { line: trained.line, about: trained.about, digest: Program.digest(programs.training) },
    recipe,
    ...(teaching === undefined ? {} : { teacher: teaching.digest }),
    seed,
    dataset: { name: data.name, classes: data.classes ?? null, examples: data.train.size }
  }
  const mismatch = resume === undefined ? undefined : difference(resume.identity, settings)
  if (mismatch !== undefined) return yield* mismatch
  const identity: Checkpoint.Identity = { ...settings, ...(yield* surroundingsOf(options, here)) }

  const session = yield* Session.make(trained, recipe, {
    programs,
    teaching,
    prng: Prng.fromSeed(seed),
    data,
    ...(options.weights === undefined ? {} : { weights: options.weights })
  })
  if (resume !== undefined) yield* session.restore(resume.variables)

  let state: Checkpoint.State = resume?.state ?? {
    step: 0,
    epoch: 0,
    loss: 0,
    measures: {},
    selection: Selection.initial,
    seconds: 0
  }
  const earlier = state.seconds
  const seconds = () => earlier + (performance.now() - started) / 1000
  let best: ReadonlyMap<string, Checkpoint.Value> = resume?.best ?? new Map()
  let lastFile = resume !== undefined && checkpoints !== undefined ? checkpoints.store.fileOf(resume.state.step) : null
  let savedStep = resume === undefined ? -1 : state.step
  let savedAt = performance.now()

  const rateAt = (step: number) => Schedule.rate(recipe.learningRate, { step, stepsPerEpoch, epochs })(recipe.schedule)
  const diverged = (what: string, value: number, step: number) =>
    new Diverged({
      step,
      learningRate: rateAt(step),
      what,
      value,
      checkpoint: lastFile,
      replay: options.replay ?? null
    })

  /** Saves the training's current state, once per step. */
  const save = Effect.gen(function* () {
    if (checkpoints === undefined || savedStep === state.step) return
    const variables = yield* session.snapshot
    // A step may spoil the weights and still report a finite loss, because the loss is computed before it.
    if (!Session.isSound(variables)) return yield* diverged("a weight", Number.NaN, Math.max(0, state.step - 1))
    const file = yield* checkpoints.store.save({ identity, state: { ...state, seconds: seconds() }, variables, best })
    lastFile = file
    savedStep = state.step
    savedAt = performance.now()
    yield* emit({ _tag: "Saved", step: state.step, file })
  })

  const isDue = () => {
    if (checkpoints === undefined) return false
    const { everySeconds, everySteps } = checkpoints
    return (
      (everySteps !== undefined && state.step % everySteps === 0) ||
      (everySeconds !== undefined && performance.now() - savedAt >= 1000 * everySeconds)
    )
  }

  let last = performance.now()
  const step = (examples: Dataset.Batch, size: number | undefined) =>
    Effect.gen(function* () {
      const at = state.step
      const learningRate = rateAt(at)
      const { gradientNorm, loss, measures } = yield* session.advance(examples, at, learningRate, size)
      if (!Number.isFinite(loss)) return yield* diverged("the loss", loss, at)
      if (gradientNorm !== null && !Number.isFinite(gradientNorm))
        return yield* diverged("the gradients' norm", gradientNorm, at)
      state = { ...state, step: at + 1, loss: state.loss + loss, measures: added(state.measures, measures) }
      const now = performance.now()
      const examplesPerSecond = (1000 * batch) / (now - last)
      last = now
      yield* emit({
        _tag: "Step",
        step: at,
        steps,
        epoch: state.epoch,
        loss,
        measures,
        learningRate,
        gradientNorm,
        examplesPerSecond,
        memory: residentBytes()
      })
      // The end of an epoch is saved together with its validation.
      if (state.step % stepsPerEpoch !== 0 && isDue()) yield* save
      // After an interruption, the weights and the step count agree.
    }).pipe(Effect.uninterruptible)

  const score = Effect.fnUntraced(function* (averaged: boolean) {
    const found = yield* session.score(data.validation, averaged)
    const wrong = nonFinite(task, found)
    return wrong === undefined
      ? found
      : yield* diverged(`the validation's ${wrong[0]}`, wrong[1], Math.max(0, state.step - 1))
  })
  /** The scores of the raw weights and of their averages. */
  const scores = Effect.gen(function* () {
    return { validation: yield* score(false), averaged: recipe.average === null ? null : yield* score(true) }
  })
  let scored: Scores | undefined

  /** Records an epoch's scores, and keeps the weights if they are the best so far. */
  const select = Effect.fnUntraced(function* ({ averaged, validation }: Scores) {
    const { epoch } = state
    const selection = Selection.next(
      task,
      epoch,
      [{ averaged: false, validation }, ...(averaged === null ? [] : [{ averaged: true, validation: averaged }])],
      earlyStopping?.improvement
    )(state.selection)
    const isBest = selection.best !== state.selection.best
    if (isBest && selection.best !== null) {
      best = session.weightsIn(yield* session.snapshot, selection.best.averaged)
      if (!Session.isSound(best)) return yield* diverged("a weight", Number.NaN, state.step - 1)
      if (checkpoints !== undefined)
        yield* checkpoints.store.saveBest(best, descriptionOf(identity, selection.best, data, trainOn))
    }
    yield* emit({
      _tag: "Epoch",
      epoch,
      epochs,
      loss: state.loss / stepsPerEpoch,
      measures: Object.fromEntries(Object.entries(state.measures).map(([name, sum]) => [name, sum / stepsPerEpoch])),
      validation,
      averaged,
      isBest,
      seconds: seconds()
    })
    state = { ...state, selection }
  })

  /** The training split with pictures of this height. */
  const trainAt = (size: number | undefined) => {
    const { image } = trained.model.inputs
    const [, height = 1, width = 1] = image?.shape ?? []
    return size === undefined || !Dataset.isImages(data)
      ? data.train
      : Resized.to({ height: size, width: Progressive.widthAt(size)({ height, width }) })(data).train
  }

  const everyEpoch = options.validateEveryEpoch ?? (earlyStopping !== null || checkpoints !== undefined)

  const epoch = Effect.gen(function* () {
    yield* Span.annotate(() => ({ "uninet.epoch": state.epoch }))
    last = performance.now()
    scored = undefined
    const done = state.step - state.epoch * stepsPerEpoch
    const size = Progressive.sizeAt(state.epoch)(recipe.progressive ?? [])
    yield* trainAt(size)
      .batches({
        batch,
        shuffle: { seed, epoch: state.epoch },
        augment: recipe.augmentation,
        dropLast: true,
        startAt: done,
        // Prepared while the engine is busy.
        prefetch: 2,
        reuse: true
      })
      .pipe(
        Stream.take(stepsPerEpoch - done),
        Stream.runForEach((batch) => step(batch, size))
      )
    if (everyEpoch || state.epoch === epochs - 1) scored = yield* scores
    yield* Span.annotate(() => ({ "uninet.loss": state.loss / stepsPerEpoch, ...figuresOf(scored?.validation) }))
    yield* Effect.uninterruptible(
      Effect.gen(function* () {
        if (scored !== undefined) yield* select(scored)
        state = { ...state, epoch: state.epoch + 1, loss: 0, measures: {} }
        yield* save
      })
    )
  }).pipe(Span.within("Trainer.epoch"))

  const finish = Effect.gen(function* () {
    const variables = yield* session.snapshot
    const { averaged, validation } = scored ?? (yield* scores)
    const weights = (averaged: boolean) => Session.numbers(session.weightsIn(variables, averaged))
    const chosen = state.selection.best ?? { epoch: state.epoch - 1, averaged: false, validation }
    yield* emit({
      _tag: "Finished",
      weights: weights(false),
      validation,
      averaged: averaged === null ? null : { weights: weights(true), validation: averaged },
      best: { ...chosen, weights: best.size > 0 ? Session.numbers(best) : weights(false) },
      steps: state.step,
      epochs: state.epoch,
      stoppedEarly: state.epoch < epochs,
      seconds: seconds()
    })
  })

  const run = Effect.gen(function* () {
    if (resume !== undefined) yield* emit({ _tag: "Resumed", step: state.step, steps, epoch: state.epoch })
    // Without a validation there is nothing to decide by.
    const rule = data.validation.size > 0 ? earlyStopping : null
    while (state.epoch < epochs && !Selection.stops(rule)(state.selection)) yield* epoch
    yield* finish
  })
  yield* Effect.onInterrupt(run, () => Effect.ignore(save))
}, Span.within("Trainer.fit"))

/** The first measure that is not finite, or the deciding one if it is missing. Without examples there is nothing to say. */
const nonFinite = ({ decides }: Task.Task, { examples, measures }: Selection.Score) =>
  examples === 0
    ? undefined
    : Object.entries({ [decides]: Number.NaN, ...measures }).find(([, value]) => !Number.isFinite(value))

/** A validation's figures, in the form that a span takes. */
const figuresOf = (score: Selection.Score | undefined) =>
  Object.fromEntries(Object.entries(score?.measures ?? {}).map(([name, value]) => [`uninet.validation.${name}`, value]))

/** Sums by name. */
const added = (
  sums: Readonly<Record<string, number>>,
  more: Readonly<Record<string, number>>
): Readonly<Record<string, number>> => {
  const out = { ...sums }
  for (const [name, value] of Object.entries(more)) out[name] = (out[name] ?? 0) + value
  return out
}

/** The engine that trains, and how it computes here. */
export interface Engine {
  /** With its version, such as `onnxruntime 1.30.0 cpu`. */
  readonly engine: string
  /** What it computes with, such as `cpu` or `webgpu`. */
  readonly device: string
  /** How it computes on this processor, such as `blocks of 16`. Absent if there is only one way. */
  readonly formulation?: string
}

/** The first part of the engine's description of its numerics is its name. An engine that does not start reports that when it is used. */
const engineOf = ({ name, numerics = Effect.succeed(name) }: Runtime["Service"]): Effect.Effect<Engine> =>
  Effect.map(
    Effect.orElseSucceed(numerics, () => name),
    (line) => {
      const [engine = name, ...formulation] = line.split(", ")
      const device = name.split(" ").at(-1) ?? name
      return { engine, device, ...(formulation.length === 0 ? {} : { formulation: formulation.join(", ") }) }
    }
  )

/** How an evaluation runs. */
export interface EvaluateOptions {
  /** Examples per run; it does not affect the figures. Default 128. */
  readonly batch?: number
  /** Called after every few examples. Default: nothing. */
  readonly onExamples?: (count: number) => Effect.Effect<void>
  /** From the recipe by which the network was trained. Default: pictures are not made smaller. */
  readonly imageSize?: number | null
  /** From the recipe. Default: only the pictures as they are. */
  readonly views?: Views.Views | undefined
}

/** The result of evaluating a trained network on a split. */
export type Evaluation = Session.Tallied

const evaluate =
  (runtime: Runtime["Service"], given: Dataset.DatasetShape) =>
  (
    network: Pick<ModelSpace.Trainable, "model" | "task">,
    weights: Weights,
    split: Dataset.SplitName,
    { batch: asked = Session.evaluationBatch, imageSize = null, onExamples, views }: EvaluateOptions = {}
  ): Effect.Effect<Evaluation, TrainError> =>
    Effect.gen(function* () {
      const data = yield* Fitting.of(network, given, imageSize)
      const unsound = Session.unsound(weights)
      if (unsound !== undefined)
        return yield* new NotFinite({ what: `the weight ${unsound.name}`, value: unsound.value })
      // A batch larger than the number of examples would only take memory.
      const batch = Math.min(asked, Math.max(Session.evaluationBatch, data[split].size))
      const evaluation = yield* Effect.fromResult(Model.evaluation({ batch })(Views.of(views)(network.model)))
      const programs: Record<string, Program.Program> = { evaluation }
      const executable = yield* runtime.compile(programs)
      yield* executable.write(weights)
      const found = yield* Session.evaluate(executable, "evaluation", data[split], network, batch, onExamples)
      const wrong = nonFinite(network.task, found)
      if (wrong !== undefined)
        return yield* new NotFinite({ what: `the ${wrong[0]} on the ${split} split`, value: wrong[1] })
      return found
    }).pipe(
      Effect.scoped,
      Span.within("Trainer.evaluate", () => ({ "uninet.split": split }))
    )

/** Trains and evaluates networks on the data set and the engine of its layer. */
export class Trainer extends Context.Service<
  Trainer,
  {
    /**
     * Trains from initial weights that the seed decides, or from given ones. Pictures smaller than the network's input are enlarged. The
     * same options give the same network, bit for bit, on the same machine and engine.
     */
    readonly fit: <E = never>(
      network: ModelSpace.Trainable,
      options: FitOptions<E>
    ) => Stream.Stream<TrainEvent, TrainError | E>
    /**
     * Evaluates a trained network on a split, using running statistics: returns the measures of its task. Without examples there are none.
     * Fails with `NotFinite` if weights or measures are not finite.
     */
    readonly evaluate: (
      network: Pick<ModelSpace.Trainable, "model" | "task">,
      weights: Weights,
      split: Dataset.SplitName,
      options?: EvaluateOptions
    ) => Effect.Effect<Evaluation, TrainError>
    /** The engine it trains with. Default: not known. */
    readonly engine?: Effect.Effect<Engine>
  }
>()("@uninet/trainer/Trainer") {
  /** Uses the data set and the engine in its context. Built afresh wherever it is provided, so that two data sets in one program get two trainers. */
  static readonly layer: Layer.Layer<Trainer, never, Runtime | Dataset.Dataset> = Layer.fresh(
    Layer.effect(
      Trainer,
      Effect.gen(function* () {
        const runtime = yield* Runtime
        const dataset = yield* Dataset.Dataset
        // Only needed by a training that keeps checkpoints or is resumed.
        const here = yield* Effect.cached(
          Surroundings.here.pipe(
            Effect.provideService(Runtime, runtime),
            Effect.provideService(Dataset.Dataset, dataset)
          )
        )
        const engine = yield* Effect.cached(engineOf(runtime))
        return Trainer.of({ fit: fit(runtime, dataset, here), evaluate: evaluate(runtime, dataset), engine })
      })
    )
  )
}
