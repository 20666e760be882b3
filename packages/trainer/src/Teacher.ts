/**
 * A trained network that another one learns from: its logits for every batch, and a digest that identifies it.
 *
 * @example
 * ```ts
 * import { Dataset, Mnist } from "@uninet/data"
 * import { Classification } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { OnnxRuntime } from "@uninet/runtime"
 * import { Prng } from "@uninet/search-space"
 * import { Initialise, Recipe, Teacher } from "@uninet/trainer"
 * import { Console, Effect } from "effect"
 *
 * const model = Model.make({
 *   inputs: { image: Model.input([1, 28, 28]) },
 *   forward: (scope, { image }) => {
 *     const features = Nn.convolution(Scope.at("stem")(scope), { out: 4, kernel: 3, stride: 4 })(image)
 *     return { logits: Nn.linear(Scope.at("logits")(scope), { out: 10 })(Nn.globalAveragePool(scope)(features)) }
 *   }
 * })
 * const network = { model, task: Classification.make({ classes: 10 }) }
 * const recipe = { ...Recipe.proxy, distillation: { weight: 0.5, temperature: 4 } }
 * const program = Effect.gen(function* () {
 *   // In earnest trained ones.
 *   const { variables } = yield* Effect.fromResult(Model.evaluation()(model))
 *   const teacher = { network, weights: Initialise.values(Prng.fromSeed("demo"))(variables) }
 *   // Fails with a sentence where it cannot teach the network.
 *   yield* Effect.fromResult(Teacher.check(network, recipe, teacher))
 *   // What many trainings may share, as `{ ...teacher, logits }`, where no example is moved about or mixed.
 *   const logits = yield* Teacher.logitsOf(yield* Dataset.Dataset, recipe.imageSize)(teacher)
 *   yield* Console.log(logits.length, Teacher.knows(recipe), Teacher.knows(Recipe.quick)) // … true false
 * })
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide([Mnist.layer, OnnxRuntime.cpu()])))
 * ```
 */
import type { Dataset } from "@uninet/data"
import { type GraphError, Program } from "@uninet/graph"
import { Distillation, type ModelSpace, type Recipe, type Task } from "@uninet/model-space"
import { Model, Weights } from "@uninet/nn"
import { type Data, Runtime } from "@uninet/engine"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import * as Fitting from "./Fitting.ts"
import * as Session from "./internal/session.ts"
import { RecipeRefused, type TrainError } from "./TrainError.ts"
import * as TrainingProgram from "./TrainingProgram.ts"

/** A network with its trained weights. */
export interface Teacher {
  readonly network: Pick<ModelSpace.Trainable, "model" | "task">
  readonly weights: Weights.Weights
  /**
   * Its logits `[examples, classes]` for the training split, in order (`logitsOf`). A recipe that shows every example unchanged (`knows`)
   * takes them from here, and the network itself is not run. Absent: the network is run on every batch.
   */
  readonly logits?: Float32Array
}

/** A teacher in use. */
export interface Teaching {
  /** Identifies its network and weights. */
  readonly digest: string
  /** Its logits `[batch, classes]` for a batch's examples. */
  readonly logits: (batch: Pick<Dataset.Batch, "indexes" | "inputs">) => Effect.Effect<Data, TrainError>
}

/** Whether a recipe shows every example unchanged each time, so that a teacher's logits for it are always the same. */
export const knows = (recipe: Pick<Recipe.Recipe, "augmentation" | "mix">): boolean =>
  recipe.augmentation.length === 0 && !TrainingProgram.mixes(recipe)

/** The part of a teacher that is run, and what identifies it. */
interface Checked {
  readonly digest: string
  readonly program: Program.Program
  /** The name of its logits among the program's outputs. */
  readonly output: string
  readonly classes: number
}

const programOf = ({ network, weights }: Teacher, batch: number) =>
  Result.gen(function* () {
    const program = yield* Model.evaluation({ batch })(network.model)
    yield* Weights.toSafetensors(program)(weights)
    const hash = createHash("sha256").update(Program.digest(program))
    for (const { attributes } of program.variables) {
      const { buffer, byteLength, byteOffset } = weights.get(attributes.name) ?? new Float32Array()
      hash.update(new Uint8Array(buffer, byteOffset, byteLength))
    }
    return { program, digest: hash.digest("hex").slice(0, 16) }
  })

/**
 * Checks whether a network can learn from a teacher with a recipe; `undefined` if there is no teacher and the recipe asks for none.
 *
 * Fails with `RecipeRefused` if only one of them is there, a teacher or a recipe that uses one, or if the teacher is for other examples or
 * classes. Fails with `WeightsMismatch` if its weights belong to another network.
 */
export const check = (
  { model, task }: Pick<ModelSpace.Trainable, "model" | "task">,
  { batch, distillation, progressive }: Recipe.Recipe,
  teacher: Teacher | undefined
): Result.Result<Checked | undefined, GraphError | RecipeRefused | Weights.WeightsMismatch> => {
  const no = (reason: string, remedy: string) =>
    Result.fail(new RecipeRefused({ task: task.name, part: "distillation", reason, remedy }))
  if (teacher === undefined)
    return distillation === undefined
      ? Result.succeed(undefined)
      : no("there is no teacher", "give one (uninet train --teacher), or leave distillation out")
  if (distillation === undefined)
    return no("there is a teacher, but the recipe does not say how to learn from it", "set it, for example to {}")
  if (progressive !== undefined)
    return no("the teacher does not take smaller pictures", "leave progressive or distillation out")
  const { network } = teacher
  const [theirs, ours] = [Model.print(network.model.inputs), Model.print(model.inputs)]
  if (theirs !== ours)
    return no(`the teacher takes ${theirs}, but the network takes ${ours}`, "give a teacher for the same examples")
  const output = Distillation.outputOf(network.task)
  const { classes } = network.task
  if (output === undefined || classes === null || classes !== task.classes)
    return no(
      `the teacher distinguishes ${classes ?? "no"} classes, but the network ${task.classes ?? "none"}`,
      "give a teacher with the same classes"
    )
  return Result.map(programOf(teacher, batch), (made) => ({ ...made, output, classes }))
}

const compiled = Effect.fnUntraced(function* (program: Program.Program, { weights }: Teacher) {
  const programs: Record<string, Program.Program> = { teacher: program }
  const executable = yield* (yield* Runtime).compile(programs)
  yield* executable.write(weights)
  return executable
})

/** The rows of a table of logits for some examples. */
const rowsOf = (table: Float32Array, indexes: Uint32Array, classes: number): Float32Array => {
  const out = new Float32Array(indexes.length * classes)
  for (const [i, index] of indexes.entries())
    out.set(table.subarray(index * classes, (index + 1) * classes), i * classes)
  return out
}

/**
 * The teacher that a recipe asks for, compiled for its batch, or with the logits that come with it; `undefined` if the recipe asks for
 * none.
 *
 * Fails like `check`, and with `RecipeRefused` if its logits are not for this number of training examples.
 */
export const of = Effect.fnUntraced(function* (
  network: Pick<ModelSpace.Trainable, "model" | "task">,
  recipe: Recipe.Recipe,
  teacher: Teacher | undefined,
  examples: number
): Effect.fn.Return<Teaching | undefined, TrainError, Runtime | Scope.Scope> {
  const checked = yield* Effect.fromResult(check(network, recipe, teacher))
  if (checked === undefined || teacher === undefined) return undefined
  const { classes, digest, output, program } = checked
  const table = knows(recipe) ? teacher.logits : undefined
  if (table !== undefined) {
    if (table.length !== examples * classes)
      return yield* new RecipeRefused({
        task: network.task.name,
        part: "distillation",
        reason: `the teacher's logits are ${table.length} numbers, but ${examples} examples with ${classes} classes have ${examples * classes}`,
        remedy: "give those of the training split (Teacher.logitsOf), or none"
      })
    return { digest, logits: ({ indexes }) => Effect.sync(() => rowsOf(table, indexes, classes)) }
  }
  const executable = yield* compiled(program, teacher)
  return {
    digest,
    logits: ({ inputs }) =>
      Effect.map(executable.run("teacher", inputs), (outputs) => outputs[output] ?? new Float32Array())
  }
})

/**
 * A teacher's logits `[examples, classes]` for an unchanged training split, in its order. Many trainings can share them (`Teacher.logits`).
 * `imageSize`: the recipe's.
 *
 * Fails if the teacher does not take the examples, or with the engine's error.
 */
export const logitsOf = (given: Dataset.DatasetShape, imageSize: number | null) =>
  Effect.fnUntraced(function* (teacher: Teacher): Effect.fn.Return<Float32Array, TrainError, Runtime | Scope.Scope> {
    const { model, task } = teacher.network
    const { train } = yield* Fitting.of(teacher.network, given, imageSize)
    const { program } = yield* Effect.fromResult(programOf(teacher, Session.evaluationBatch))
    const output = Distillation.outputOf(task) ?? ""
    const classes = task.classes ?? 0
    const table = new Float32Array(train.size * classes)
    let at = 0
    // Keeps every example's logits instead of a measure.
    const tally = (): Task.Tally => ({
      add: ({ outputs, size }) => {
        const logits = outputs[output]
        for (let i = 0; i < size * classes; i++) table[at++] = logits?.[i] ?? Number.NaN
      },
      measures: () => ({})
    })
    const executable = yield* compiled(program, teacher)
    yield* Session.evaluate(executable, "teacher", train, { model, task: { ...task, tally } }, Session.evaluationBatch)
    return table
  }, Effect.scoped)
