/** A network's programs on an engine: steps of training, evaluation, and the whole state in and out. */
import { Mix, type Dataset } from "@uninet/data"
import { type Program, Shape, type Tensor } from "@uninet/graph"
import { Network } from "@uninet/network"
import { Regularisation, Weights as ModelWeights } from "@uninet/nn"
import { type Data, type Executable, Runtime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Average from "../Average.ts"
import type { Value } from "../Checkpoint.ts"
import { CheckpointMismatch } from "../CheckpointError.ts"
import * as Evaluation from "../Evaluation.ts"
import * as Initialise from "../Initialise.ts"
import * as Optimiser from "../Optimiser.ts"
import type { Recipe } from "../Recipe.ts"
import type { TrainError } from "../TrainError.ts"
import type { Weights } from "../TrainEvent.ts"
import * as TrainingProgram from "../TrainingProgram.ts"

/** Images per run of an evaluation where nothing else is said: results do not depend on it. */
export const evaluationBatch = 128

/** What a step says of itself. */
export interface Stepped {
  readonly loss: number
  readonly gradientNorm: number | null
  /** Images of the batch that were right, at once and among five. */
  readonly top1: number
  readonly top5: number
}

export interface Session {
  /** One step on a batch; `step` counts from 0 and decides noise and mixing. */
  readonly advance: (
    batch: Dataset.ImageBatch,
    step: number,
    learningRate: number
  ) => Effect.Effect<Stepped, TrainError>
  /** The score on a split, of the weights or of their averages. */
  readonly score: (
    split: Dataset.Split<Dataset.ImageBatch>,
    averaged: boolean
  ) => Effect.Effect<Evaluation.Score, TrainError>
  /** All variables. */
  readonly snapshot: Effect.Effect<ReadonlyMap<string, Value>, TrainError>
  /** The weights among a snapshot's variables, or their averages under the weights' names. */
  readonly weightsIn: (variables: ReadonlyMap<string, Value>, averaged: boolean) => ReadonlyMap<string, Value>
  /** Takes a snapshot over; fails where it is not this network's. */
  readonly restore: (variables: ReadonlyMap<string, Value>) => Effect.Effect<void, TrainError>
}

export const numbers = (values: ReadonlyMap<string, Value>): Weights =>
  new Map([...values].map(([name, { data }]) => [name, data]))

/** Whether every number is finite. */
export const isSound = (values: ReadonlyMap<string, Value>): boolean => {
  for (const { data } of values.values())
    for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return false
  return true
}

/** Fills the last batch of an evaluation up to the program's size with images of zeros, whose results are dropped. */
const padded = (images: Float32Array, length: number): Float32Array => {
  if (images.length === length) return images
  const out = new Float32Array(length)
  out.set(images)
  return out
}

/** Runs a split through an evaluation of so many images, into a tally. */
export const evaluate = (
  executable: Executable<string>,
  name: string,
  split: Dataset.Split<Dataset.ImageBatch>,
  network: Network.Network,
  batch: number
): Effect.Effect<Evaluation.Tally, TrainError> => {
  const { classes, image } = network.architecture
  const length = batch * image.channels * image.height * image.width
  const tally = Evaluation.tally(classes)
  if (split.size === 0) return Effect.succeed(tally)
  return split.batches({ batch, prefetch: 2, reuse: true }).pipe(
    Stream.mapEffect(({ inputs, targets }) =>
      Effect.map(executable.run(name, { [TrainingProgram.names.image]: padded(inputs.image, length) }), (outputs) =>
        tally.add(outputs[TrainingProgram.names.logits], targets)
      )
    ),
    Stream.runDrain,
    Effect.as(tally)
  )
}

const print = (shape: Shape.Shape | undefined) => (shape === undefined ? "missing" : Shape.print(shape))

/** Noise of one input: uniform in [0, 1). */
const noiseOf = (input: Tensor.Tensor<"input">, prng: Prng.Prng): Float32Array => {
  const data = new Float32Array(Shape.size(input.shape))
  for (let i = 0; i < data.length; i++) data[i] = prng.nextUint32() / 4294967296
  return data
}

/** Everything that is random in a step, besides its images: by seed and step. */
const drawn = (
  prng: Prng.Prng,
  step: number,
  inputs: ReadonlyArray<Tensor.Tensor<"input">>
): Readonly<Record<string, Data>> =>
  Object.fromEntries(
    inputs.map((input) => {
      const { name } = input.attributes
      return [name, noiseOf(input, prng.split(`${name}/${step}`))]
    })
  )

/** Compiles what a recipe needs, with first weights given or drawn by `prng`. */
export const make = Effect.fn("Trainer.compile")(function* (
  network: Network.Network,
  recipe: Recipe,
  options: { readonly gradientNorm: boolean; readonly prng: Prng.Prng; readonly weights?: Weights }
) {
  const { prng } = options
  const { architecture } = network
  const runtime = yield* Runtime
  const training = yield* Effect.fromResult(TrainingProgram.make(network, recipe, options))
  const evaluation = yield* Effect.fromResult(Network.evaluation(network, { batch: evaluationBatch }))
  const programs: Record<string, Program.Program> = { training, evaluation }
  if (recipe.average !== null) {
    programs["average"] = yield* Effect.fromResult(Average.program(evaluation.variables))
    programs["averaged"] = yield* Effect.fromResult(Average.evaluation(network, { batch: evaluationBatch }))
  }
  const executable = yield* runtime.compile(programs)
  const shapes = new Map(
    Object.values(programs).flatMap((p) => p.variables.map((v) => [v.attributes.name, v.shape] as const))
  )
  yield* Initialise.write(executable, training.variables, prng.split("weights"))
  const { average } = recipe
  if (options.weights !== undefined) {
    yield* Effect.fromResult(ModelWeights.toSafetensors(evaluation, options.weights))
    const wanted = new Set(evaluation.variables.map((v) => v.attributes.name))
    yield* executable.write(new Map([...options.weights].filter(([name]) => wanted.has(name))))
  }
  // Averages begin at the first weights: without a past, all of them is what is.
  if (average !== null) yield* executable.run("average", { [Average.decayName]: Float32Array.of(0) })

  const noise = training.inputs.filter(Regularisation.isNoise)
  const mixes = TrainingProgram.mixes(recipe)
  const mixing = { ...recipe.mix, labelSmoothing: recipe.labelSmoothing }
  const { names } = TrainingProgram

  const session: Session = {
    advance: (batch, step, learningRate) =>
      Effect.gen(function* () {
        const mixed = mixes
          ? Mix.apply(prng.split(`mix/${step}`), mixing, architecture.image, architecture.classes)(batch)
          : undefined
        const outputs = yield* executable.run("training", {
          [names.image]: (mixed ?? batch).inputs.image,
          ...(mixed === undefined ? { [names.labels]: batch.targets } : { [names.targets]: mixed.targets }),
          ...Optimiser.inputs(recipe.groups, learningRate, step),
          ...drawn(prng, step, noise)
        })
        if (average !== null)
          yield* executable.run("average", { [Average.decayName]: Float32Array.of(Average.decayAt(average, step + 1)) })
        return {
          loss: outputs[names.loss][0],
          gradientNorm: outputs[names.gradientNorm]?.[0] ?? null,
          ...Evaluation.correct(outputs[names.logits], batch.targets, architecture.classes)
        }
      }),
    score: (split, averaged) =>
      Effect.map(evaluate(executable, averaged ? "averaged" : "evaluation", split, network, evaluationBatch), (tally) =>
        tally.score()
      ),
    snapshot: Effect.map(executable.read, (values) => {
      const variables = new Map<string, Value>()
      for (const [name, data] of values)
        if (data instanceof Float32Array) variables.set(name, { data, shape: shapes.get(name) ?? [data.length] })
      return variables
    }),
    weightsIn: (variables, averaged) => {
      const weights = new Map<string, Value>()
      for (const { attributes } of evaluation.variables) {
        const { name } = attributes
        const value = variables.get(averaged ? Average.nameOf(name) : name)
        if (value !== undefined) weights.set(name, value)
      }
      return weights
    },
    restore: (variables) =>
      Effect.suspend((): Effect.Effect<void, TrainError> => {
        for (const name of new Set([...shapes.keys(), ...variables.keys()])) {
          const [checkpoint, given] = [print(variables.get(name)?.shape), print(shapes.get(name))]
          if (checkpoint !== given) return Effect.fail(new CheckpointMismatch({ what: name, checkpoint, given }))
        }
        return executable.write(numbers(variables))
      })
  }
  return session
})
