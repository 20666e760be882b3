/** A network's programs on an engine: training steps, evaluation, and saving and restoring the whole state. */
import { type DataError, Dataset, Mix } from "@uninet/data"
import { type Program, Shape, type Tensor } from "@uninet/graph"
import { Average, Lookahead, type ModelSpace, Optimiser, type Recipe, type Task, Views } from "@uninet/model-space"
import { Model, Regularisation, Weights as ModelWeights } from "@uninet/nn"
import { type Data, type Executable, Runtime } from "@uninet/engine"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Value } from "../Checkpoint.ts"
import { CheckpointMismatch } from "../CheckpointError.ts"
import * as Initialise from "../Initialise.ts"
import type { Score } from "../Selection.ts"
import * as Span from "../Span.ts"
import type * as Teacher from "../Teacher.ts"
import { RecipeRefused, type TrainError } from "../TrainError.ts"
import type { Weights } from "../TrainEvent.ts"
import * as TrainingProgram from "../TrainingProgram.ts"
import * as Whitening from "../Whitening.ts"

/** The default number of examples per run of an evaluation: results do not depend on it. */
export const evaluationBatch = 128

/** What a step reports. */
export interface Stepped {
  readonly loss: number
  readonly gradientNorm: number | null
  /** What the task reports for the batch. */
  readonly measures: Readonly<Record<string, number>>
}

export interface Session {
  /**
   * Runs one step on a batch; `step` counts from 0 and decides noise and mixing. `size`: the height of the batch's pictures, if they are
   * smaller than the network's.
   */
  readonly advance: (
    batch: Dataset.Batch,
    step: number,
    learningRate: number,
    size: number | undefined
  ) => Effect.Effect<Stepped, TrainError>
  /** The score on a split, of the raw weights or of their averages. */
  readonly score: (split: Dataset.Split, averaged: boolean) => Effect.Effect<Score, TrainError>
  /** All variables. */
  readonly snapshot: Effect.Effect<ReadonlyMap<string, Value>, TrainError>
  /** The weights in a snapshot, or their averages under the weights' names. */
  readonly weightsIn: (variables: ReadonlyMap<string, Value>, averaged: boolean) => ReadonlyMap<string, Value>
  /** Restores a snapshot; fails if it does not belong to this network. */
  readonly restore: (variables: ReadonlyMap<string, Value>) => Effect.Effect<void, TrainError>
}

export const numbers = (values: ReadonlyMap<string, Value>): Weights =>
  new Map([...values].map(([name, { data }]) => [name, data]))

/** The first number that is not finite, with its variable's name. */
export const unsound = (values: Weights): { readonly name: string; readonly value: number } | undefined => {
  for (const [name, data] of values) {
    const value = data.find((each) => !Number.isFinite(each))
    if (value !== undefined) return { name, value }
  }
  return undefined
}

/** Whether every number is finite. */
export const isSound = (values: ReadonlyMap<string, Value>): boolean => unsound(numbers(values)) === undefined

/** Pads the last batch of an evaluation to the program's size with zero examples, whose results are dropped. */
const padded = (values: Data, length: number): Data => {
  if (values.length === length) return values
  const out = values instanceof Int32Array ? new Int32Array(length) : new Float32Array(length)
  out.set(values)
  return out
}

/** The result on a split, and the number of examples. */
export interface Tallied extends Score {
  /** What else the task reports; `null` for nothing. */
  readonly details: ReturnType<NonNullable<Task.Tally["details"]>> | null
}

/** Runs a split through an evaluation with this batch size. Without examples there are no measures. */
export const evaluate = (
  executable: Executable<string>,
  name: string,
  split: Dataset.Split,
  { model, task }: Pick<ModelSpace.Trainable, "model" | "task">,
  batch: number,
  onExamples: (count: number) => Effect.Effect<void> = () => Effect.void
): Effect.Effect<Tallied, TrainError> => {
  if (split.size === 0) return Effect.succeed({ measures: {}, examples: 0, details: null })
  const lengths = Object.entries(model.inputs).map(([input, { shape }]) => [input, batch * Shape.size(shape)] as const)
  const tally = task.tally()
  return split.batches({ batch, prefetch: 2, reuse: true }).pipe(
    Stream.mapEffect(({ inputs, size, targets }) =>
      Effect.map(
        executable.run(
          name,
          Object.fromEntries(
            lengths.flatMap(([input, length]) => {
              const values = inputs[input]
              // If it is missing, the engine refuses the run and names the input.
              return values === undefined ? [] : [[input, padded(values, length)] as const]
            })
          )
        ),
        (outputs) => tally.add({ outputs, targets, size })
      ).pipe(Effect.andThen(onExamples(size)))
    ),
    Stream.runDrain,
    Effect.map(() => ({
      measures: tally.measures(),
      examples: split.size,
      details: tally.details?.() ?? null
    }))
  )
}

/** The function that mixes the examples of a batch, if a recipe asks for it: pictures with labels. */
const mixing = Effect.fnUntraced(function* (
  task: Task.Task,
  recipe: Recipe.Recipe,
  image: Dataset.ImageShape | undefined
) {
  const { mixed } = task
  if (!TrainingProgram.mixes(recipe) || mixed === null) return undefined
  if (image === undefined)
    return yield* new RecipeRefused({
      task: task.name,
      part: "mix",
      reason: "the examples are not pictures",
      remedy: "set mixup and cutmix to 0"
    })
  const options = { ...recipe.mix, labelSmoothing: recipe.labelSmoothing }
  return (prng: Prng.Prng, batch: Dataset.Batch): Dataset.Batch =>
    // The data set has been checked to consist of labelled images, so these are its batches.
    Mix.apply(prng, options, image, mixed.classes)(batch as Dataset.ImageBatch)
})

const print = (shape: Shape.Shape | undefined) => (shape === undefined ? "missing" : Shape.print(shape))

/** Noise for one input: uniform in [0, 1). */
const noiseOf = (input: Tensor.Tensor<"input">, prng: Prng.Prng): Float32Array => {
  const data = new Float32Array(Shape.size(input.shape))
  for (let i = 0; i < data.length; i++) data[i] = prng.nextUint32() / 4294967296
  return data
}

/** Everything random in a step, besides its examples: decided by seed and step. */
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

const stepOf = (size: number) => `training ${size}`

/** The pictures that a program takes. */
const pictureOf = ({ inputs }: Program.Program): Dataset.ImageShape | undefined => {
  const [, channels, height, width] = inputs.find(({ attributes }) => attributes.name === "image")?.shape ?? []
  return channels === undefined || height === undefined || width === undefined ? undefined : { channels, height, width }
}

/** Compiles what a recipe needs, with initial weights that are given or drawn from `prng`. */
export const make = Effect.fnUntraced(function* (
  { model, task }: ModelSpace.Trainable,
  recipe: Recipe.Recipe,
  options: {
    readonly programs: TrainingProgram.Programs
    readonly prng: Prng.Prng
    readonly data: Dataset.DatasetShape
    readonly teaching: Teacher.Teaching | undefined
    readonly weights?: Weights
  }
): Effect.fn.Return<Session, DataError.DataError | TrainError, Runtime | Scope.Scope> {
  const { data, prng, teaching } = options
  const { smaller, training } = options.programs
  const runtime = yield* Runtime
  const judged = Views.of(recipe.views)(model)
  const evaluation = yield* Effect.fromResult(Model.evaluation({ batch: evaluationBatch })(judged))
  const programs: Record<string, Program.Program> = { training, evaluation }
  for (const [size, program] of smaller) programs[stepOf(size)] = program
  if (recipe.average !== null) {
    programs["average"] = yield* Effect.fromResult(Average.program(evaluation.variables))
    programs["averaged"] = yield* Effect.fromResult(Average.evaluation({ batch: evaluationBatch })(judged))
  }
  const { lookahead } = recipe
  if (lookahead !== undefined) programs["lookahead"] = yield* Effect.fromResult(Lookahead.program(evaluation.variables))
  const executable = yield* runtime.compile(programs)
  const shapes = new Map(
    Object.values(programs).flatMap((p) => p.variables.map((v) => [v.attributes.name, v.shape] as const))
  )
  yield* Initialise.write(executable, training.variables, prng.split("weights"))
  const { average, whitening } = recipe
  const first = whitening === undefined ? undefined : Whitening.weightOf(Object.values(training.outputs))
  if (whitening !== undefined && first !== undefined) {
    if (!Dataset.isImages(data))
      return yield* new RecipeRefused({
        task: task.name,
        part: "whitening",
        reason: "the examples are not pictures",
        remedy: "leave whitening out"
      })
    const drawn = Initialise.value(prng.split("weights"))(first)
    yield* executable.write(new Map([[first.attributes.name, yield* Whitening.of(data, first, drawn, whitening)]]))
  }
  if (options.weights !== undefined) {
    yield* Effect.fromResult(ModelWeights.toSafetensors(evaluation)(options.weights))
    const wanted = new Set(evaluation.variables.map((v) => v.attributes.name))
    yield* executable.write(new Map([...options.weights].filter(([name]) => wanted.has(name))))
  }
  // Averages start at the initial weights: without a history, the current weights are the average.
  if (average !== null) yield* executable.run("average", { [Average.decayName]: Float32Array.of(0) })

  /** Slow weights also start at the initial weights. */
  const lookBack = (stay: number) => executable.run("lookahead", { [Lookahead.stayName]: Float32Array.of(stay) })
  if (lookahead !== undefined) yield* lookBack(0)

  const { names } = TrainingProgram
  const stepWith = Effect.fnUntraced(function* (name: string, program: Program.Program) {
    return {
      name,
      noise: program.inputs.filter(Regularisation.isNoise),
      mixed: yield* mixing(task, recipe, Dataset.isImages(data) ? pictureOf(program) : undefined)
    }
  })
  const own = yield* stepWith("training", training)
  const steps = new Map<number | undefined, typeof own>()
  for (const [size, program] of smaller) steps.set(size, yield* stepWith(stepOf(size), program))

  const session: Session = {
    advance: (batch, step, learningRate, size) =>
      Effect.gen(function* () {
        const { mixed, name, noise } = steps.get(size) ?? own
        const given = mixed === undefined ? batch : mixed(prng.split(`mix/${step}`), batch)
        const outputs = yield* executable.run(name, {
          ...given.inputs,
          [names.targets]: given.targets,
          ...(teaching === undefined ? {} : { [names.teacher]: yield* teaching.logits(given) }),
          ...Optimiser.inputs(recipe.groups, learningRate, step, recipe.biasRate),
          ...drawn(prng, step, noise)
        })
        if (lookahead !== undefined && Lookahead.isDue(step)(lookahead)) yield* lookBack(lookahead.stay)
        if (average !== null)
          yield* executable.run("average", { [Average.decayName]: Float32Array.of(Average.decayAt(step + 1)(average)) })
        return {
          loss: outputs[names.loss]?.[0] ?? NaN,
          gradientNorm: outputs[names.gradientNorm]?.[0] ?? null,
          measures: task.running?.of({ outputs, targets: batch.targets, size: batch.size }) ?? {}
        }
      }),
    score: (split, averaged) =>
      Effect.map(
        evaluate(executable, averaged ? "averaged" : "evaluation", split, { model, task }, evaluationBatch),
        ({ examples, measures }) => ({ measures, examples })
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
}, Span.within("Trainer.compile"))
