/**
 * Training and evaluation of architectures.
 *
 * `fit` is a stream: it tells how training goes, step by step, and ends with the trained network. Interrupting the stream stops the training
 * after the step that is running, and saves where it stands if it keeps checkpoints.
 */
import { Dataset, Joined, Resized } from "@uninet/data"
import type { Program } from "@uninet/graph"
import { Network } from "@uninet/network"
import { Runtime } from "@uninet/runtime"
import { Architecture, Prng } from "@uninet/search-space"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type * as Checkpoint from "./Checkpoint.ts"
import { CheckpointMismatch } from "./CheckpointError.ts"
import type { Checkpoints } from "./Checkpoints.ts"
import type { Evaluation, Score } from "./Evaluation.ts"
import * as Session from "./internal/session.ts"
import type { Recipe } from "./Recipe.ts"
import { rate } from "./Schedule.ts"
import * as Selection from "./Selection.ts"
import { DatasetMismatch, Diverged, TooFewImages, type TrainError } from "./TrainError.ts"
import type { TrainEvent, Weights } from "./TrainEvent.ts"
import * as TrainMetrics from "./TrainMetrics.ts"

export interface FitOptions<E = never> {
  readonly recipe: Recipe
  /** Decides first weights, order of the images, augmentation, mixing and noise. */
  readonly seed: string | number
  /**
   * The images to train on. `train+validation` (a last training, once everything has been chosen) leaves nothing to validate on: the last
   * weights are the best. Default `train`.
   */
  readonly trainOn?: "train" | "train+validation"
  /** Validate after every epoch, not only after the last one. Default: where the recipe stops early or checkpoints are kept. */
  readonly validateEveryEpoch?: boolean
  /** Compute the gradients' norm even where the recipe does not clip by it. Default false. */
  readonly gradientNorm?: boolean
  /** Where the training keeps itself: at the end of every epoch, and in between where asked for. Default: nowhere. */
  readonly checkpoints?: {
    readonly store: Checkpoints
    readonly everySteps?: number
    readonly everySeconds?: number
  }
  /** First weights in place of drawn ones: all parameters and running statistics of the network. Fails with `WeightsMismatch` where they are another's. */
  readonly weights?: Weights
  /** Go on from here, bit for bit as if there had been no break. Fails with `CheckpointMismatch` where it is another training's. */
  readonly resume?: Checkpoint.Checkpoint
  /** The command that does a run again from its last checkpoint: said where it diverges. */
  readonly replay?: string
  /** Told of every event before the training goes on, as a log has to be before a checkpoint is written. Where it fails the training ends. Default: nothing. */
  readonly onEvent?: (event: TrainEvent) => Effect.Effect<void, E>
}

/** The data set as the architecture takes it: smaller images are enlarged. Fails where its images or classes are others, or there are none. */
const fitting = Effect.fnUntraced(function* (architecture: Architecture.Architecture, given: Dataset.DatasetShape) {
  const data = yield* Dataset.images(given)
  const { channels, height, width } = data.image
  const expected = [architecture.image.channels, architecture.image.height, architecture.image.width]
  if (!Resized.enlarges(data.image, architecture.image))
    return yield* new DatasetMismatch({
      dataset: data.name,
      what: "images",
      architecture: expected.join("×"),
      data: [channels, height, width].join("×")
    })
  if (architecture.classes !== data.classes.length)
    return yield* new DatasetMismatch({
      dataset: data.name,
      what: "class counts",
      architecture: String(architecture.classes),
      data: String(data.classes.length)
    })
  return Resized.to(architecture.image, data)
})

/** What is compared of two trainings. */
const flat = ({ architecture, dataset, recipe, seed }: Checkpoint.Identity): ReadonlyMap<string, unknown> =>
  new Map<string, unknown>([
    ["architecture", `${Architecture.hash(architecture)} (${Architecture.line(architecture)})`],
    ["data set", `${dataset.name} of ${dataset.images} training images`],
    ["classes", dataset.classes.join(", ")],
    ["seed", seed],
    ...Object.entries(recipe).map(([key, value]) => [`recipe's ${key}`, value] as const)
  ])

const inWords = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value))

/** The first part in which two trainings differ. */
const difference = (checkpoint: Checkpoint.Identity, given: Checkpoint.Identity): CheckpointMismatch | undefined => {
  const [theirs, ours] = [flat(checkpoint), flat(given)]
  for (const [what, value] of ours) {
    const other = theirs.get(what) ?? null
    // Field by field, whatever their order.
    if (!Equal.equals(other, value))
      return new CheckpointMismatch({ what, checkpoint: inWords(other), given: inWords(value) })
  }
  return undefined
}

/** What is told of the best weights in their file. */
const descriptionOf = (
  { architecture, dataset, seed }: Checkpoint.Identity,
  { averaged, epoch, validation }: Selection.Best,
  { cropRatio = 1, deviation, mean }: Dataset.ImageDataset
): Readonly<Record<string, string>> => ({
  architecture: JSON.stringify(architecture),
  dataset: dataset.name,
  classes: JSON.stringify(dataset.classes),
  // An image is (byte / 255 - mean) / deviation, channel by channel.
  mean: JSON.stringify(mean),
  deviation: JSON.stringify(deviation),
  cropRatio: String(cropRatio),
  seed,
  epoch: String(epoch),
  averaged: String(averaged),
  validationAccuracy: String(validation.top1)
})

const fit =
  (sets: Network.Sets, runtime: Runtime["Service"], data: Dataset.DatasetShape) =>
  <E = never>(
    architecture: Architecture.Architecture,
    options: FitOptions<E>
  ): Stream.Stream<TrainEvent, TrainError | E> =>
    Stream.callback<TrainEvent, TrainError | E>((queue) =>
      train(
        sets,
        options.trainOn === "train+validation" ? Joined.withValidation(data) : data,
        architecture,
        options,
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

interface Scores {
  readonly validation: Score
  readonly averaged: Score | null
}

const train = Effect.fn("Trainer.fit")(function* <E>(
  sets: Network.Sets,
  given: Dataset.DatasetShape,
  architecture: Architecture.Architecture,
  options: FitOptions<E>,
  emit: (event: TrainEvent) => Effect.Effect<unknown, E>
) {
  const started = performance.now()
  const { checkpoints, recipe, resume } = options
  const { batch, earlyStopping, epochs } = recipe
  const seed = String(options.seed)
  const data = yield* fitting(architecture, given)
  const stepsPerEpoch = Dataset.batchCount(data.train, { batch, dropLast: true })
  if (stepsPerEpoch === 0) return yield* new TooFewImages({ dataset: data.name, images: data.train.size, batch })
  const steps = epochs * stepsPerEpoch
  const identity: Checkpoint.Identity = {
    architecture,
    recipe,
    seed,
    dataset: { name: data.name, classes: data.classes, images: data.train.size }
  }
  const mismatch = resume === undefined ? undefined : difference(resume.identity, identity)
  if (mismatch !== undefined) return yield* mismatch

  const network = yield* Effect.fromResult(Network.make(architecture, sets))
  const session = yield* Session.make(network, recipe, {
    gradientNorm: options.gradientNorm ?? false,
    prng: Prng.fromSeed(seed),
    ...(options.weights === undefined ? {} : { weights: options.weights })
  })
  if (resume !== undefined) yield* session.restore(resume.variables)

  let state: Checkpoint.State = resume?.state ?? {
    step: 0,
    epoch: 0,
    loss: 0,
    correct: 0,
    selection: Selection.initial,
    seconds: 0
  }
  const earlier = state.seconds
  const seconds = () => earlier + (performance.now() - started) / 1000
  let best: ReadonlyMap<string, Checkpoint.Value> = resume?.best ?? new Map()
  let lastFile = resume !== undefined && checkpoints !== undefined ? checkpoints.store.fileOf(resume.state.step) : null
  let savedStep = resume === undefined ? -1 : state.step
  let savedAt = performance.now()

  const rateAt = (step: number) => rate(recipe.schedule, recipe.learningRate, { step, stepsPerEpoch, epochs })
  const diverged = (what: string, value: number, step: number) =>
    new Diverged({
      step,
      learningRate: rateAt(step),
      what,
      value,
      checkpoint: lastFile,
      replay: options.replay ?? null
    })

  /** Keeps the training as it stands, once for each step. */
  const save = Effect.gen(function* () {
    if (checkpoints === undefined || savedStep === state.step) return
    const variables = yield* session.snapshot
    // A step may spoil the weights and still report a finite loss, computed before it.
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
  const step = (images: Dataset.ImageBatch) =>
    Effect.gen(function* () {
      const at = state.step
      const learningRate = rateAt(at)
      const { gradientNorm, loss, top1, top5 } = yield* session.advance(images, at, learningRate)
      if (!Number.isFinite(loss)) return yield* diverged("the loss", loss, at)
      if (gradientNorm !== null && !Number.isFinite(gradientNorm))
        return yield* diverged("the gradients' norm", gradientNorm, at)
      state = { ...state, step: at + 1, loss: state.loss + loss, correct: state.correct + top1 }
      const now = performance.now()
      const imagesPerSecond = (1000 * batch) / (now - last)
      last = now
      yield* emit({
        _tag: "Step",
        step: at,
        steps,
        epoch: state.epoch,
        loss,
        top1: top1 / batch,
        top5: top5 / batch,
        learningRate,
        gradientNorm,
        imagesPerSecond,
        memory: process.memoryUsage.rss()
      })
      // The end of an epoch is kept with its validation.
      if (state.step % stepsPerEpoch !== 0 && isDue()) yield* save
      // An interruption finds the weights and the count of steps in agreement.
    }).pipe(Effect.uninterruptible)

  const score = Effect.fnUntraced(function* (averaged: boolean) {
    const found = yield* session.score(data.validation, averaged)
    return Number.isFinite(found.loss)
      ? found
      : yield* diverged("the validation's loss", found.loss, Math.max(0, state.step - 1))
  })
  /** The scores of the weights as they are, and of their averages. */
  const scores = Effect.gen(function* () {
    return { validation: yield* score(false), averaged: recipe.average === null ? null : yield* score(true) }
  })
  let scored: Scores | undefined

  /** Takes an epoch's scores over, and keeps the weights if they are the best so far. */
  const select = Effect.fnUntraced(function* ({ averaged, validation }: Scores) {
    const { epoch } = state
    const selection = Selection.next(
      state.selection,
      epoch,
      [{ averaged: false, validation }, ...(averaged === null ? [] : [{ averaged: true, validation: averaged }])],
      earlyStopping?.improvement
    )
    const isBest = selection.best !== state.selection.best
    if (isBest && selection.best !== null) {
      best = session.weightsIn(yield* session.snapshot, selection.best.averaged)
      if (!Session.isSound(best)) return yield* diverged("a weight", Number.NaN, state.step - 1)
      if (checkpoints !== undefined)
        yield* checkpoints.store.saveBest(best, descriptionOf(identity, selection.best, data))
    }
    yield* emit({
      _tag: "Epoch",
      epoch,
      epochs,
      loss: state.loss / stepsPerEpoch,
      top1: state.correct / stepsPerEpoch / batch,
      validation,
      averaged,
      isBest,
      seconds: seconds()
    })
    state = { ...state, selection }
  })

  const everyEpoch = options.validateEveryEpoch ?? (earlyStopping !== null || checkpoints !== undefined)

  const epoch = Effect.fn("Trainer.epoch")(function* () {
    last = performance.now()
    scored = undefined
    yield* data.train
      .batches({
        batch,
        shuffle: { seed, epoch: state.epoch },
        augment: recipe.augmentation,
        dropLast: true,
        startAt: state.step - state.epoch * stepsPerEpoch,
        // Made while the engine is at work.
        prefetch: 2,
        reuse: true
      })
      .pipe(Stream.runForEach(step))
    if (everyEpoch || state.epoch === epochs - 1) scored = yield* scores
    yield* Effect.uninterruptible(
      Effect.gen(function* () {
        if (scored !== undefined) yield* select(scored)
        state = { ...state, epoch: state.epoch + 1, loss: 0, correct: 0 }
        yield* save
      })
    )
  })

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
      stoppedEarly: state.epoch < epochs,
      seconds: seconds()
    })
  })

  const run = Effect.gen(function* () {
    if (resume !== undefined) yield* emit({ _tag: "Resumed", step: state.step, steps, epoch: state.epoch })
    while (state.epoch < epochs && !Selection.stops(state.selection, earlyStopping)) yield* epoch()
    yield* finish
  })
  yield* Effect.onInterrupt(run, () => Effect.ignore(save))
})

export interface EvaluateOptions {
  /** Images per run; the figures do not depend on it. Default 128. */
  readonly batch?: number
}

const evaluate =
  (sets: Network.Sets, runtime: Runtime["Service"], given: Dataset.DatasetShape) =>
  (
    architecture: Architecture.Architecture,
    weights: Weights,
    split: Dataset.SplitName,
    { batch = Session.evaluationBatch }: EvaluateOptions = {}
  ): Effect.Effect<Evaluation, TrainError> =>
    Effect.gen(function* () {
      const data = yield* fitting(architecture, given)
      const network = yield* Effect.fromResult(Network.make(architecture, sets))
      const evaluation = yield* Effect.fromResult(Network.evaluation(network, { batch }))
      const programs: Record<string, Program.Program> = { evaluation }
      const executable = yield* runtime.compile(programs)
      yield* executable.write(weights)
      const tally = yield* Session.evaluate(executable, "evaluation", data[split], network, batch)
      return tally.evaluation()
    }).pipe(Effect.scoped, Effect.withSpan("Trainer.evaluate", { attributes: { split } }))

/** Trains and evaluates networks on the data set and the engine that its layer was given. */
export class Trainer extends Context.Service<
  Trainer,
  {
    /** Trains from first weights drawn by the seed, or from given ones. Images smaller than the architecture's are enlarged. The same options give the same network, bit for bit, on the same machine and engine. */
    readonly fit: <E = never>(
      architecture: Architecture.Architecture,
      options: FitOptions<E>
    ) => Stream.Stream<TrainEvent, TrainError | E>
    /** Evaluates a trained network on a split, with running statistics. */
    readonly evaluate: (
      architecture: Architecture.Architecture,
      weights: Weights,
      split: Dataset.SplitName,
      options?: EvaluateOptions
    ) => Effect.Effect<Evaluation, TrainError>
  }
>()("@uninet/trainer/Trainer") {
  /** With UniNet's own operators and modules, or a set of one's own. */
  static readonly layer = (
    sets: Network.Sets = Network.standard
  ): Layer.Layer<Trainer, never, Runtime | Dataset.Dataset> =>
    Layer.effect(
      Trainer,
      Effect.gen(function* () {
        const runtime = yield* Runtime
        const dataset = yield* Dataset.Dataset
        return Trainer.of({ fit: fit(sets, runtime, dataset), evaluate: evaluate(sets, runtime, dataset) })
      })
    )
}
