/** A whole training step as one program: forward, backward, the optimiser and running statistics. */
import { type GraphError, Op, Program, Shape, Tensor } from "@uninet/graph"
import { Distillation, Optimiser, Progressive, Recipe, type Task, Views } from "@uninet/model-space"
import { Model, Regularisation, RunningStatistics, Scope } from "@uninet/nn"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { InvalidRecipe, LossFailed, RecipeRefused } from "./TrainError.ts"
import * as Whitening from "./Whitening.ts"

/** Names of the step's inputs and outputs, besides the model's. */
export const names = {
  targets: "targets",
  /** A teacher's logits. */
  teacher: "teacher",
  learningRate: Optimiser.rateName(),
  step: Optimiser.stepName,
  loss: "loss",
  gradientNorm: "gradientNorm"
} as const

/** Whether a recipe's targets are distributions made from the data (mixup, cutmix) rather than labels. */
export const mixes = ({ mix }: Pick<Recipe.Recipe, "mix">): boolean =>
  (mix.mixup > 0 || mix.cutmix > 0) && mix.probability > 0

/** What a step reports besides the loss. */
export interface Options {
  /** Outputs the gradients' global norm even if the recipe does not clip by it. Default false. */
  readonly gradientNorm?: boolean
}

const issues = SchemaIssue.makeFormatterStandardSchemaV1()

const invalid = (field: string, problem: string) => Result.fail(new InvalidRecipe({ field, problem }))

/** Returns the recipe if every value is within its bounds, which `make` and `all` assume. Fails with `InvalidRecipe`, which names the field. */
export const checkRecipe = (recipe: Recipe.Recipe): Result.Result<Recipe.Recipe, InvalidRecipe> =>
  Schema.decodeUnknownResult(Schema.toType(Recipe.Recipe))(recipe).pipe(
    Result.mapError(({ issue }) => {
      const [first] = issues(issue).issues
      const field = (first?.path ?? []).map(String).join(".")
      return new InvalidRecipe({
        field: field === "" ? "form" : field,
        problem: first?.message ?? "it is not a recipe"
      })
    }),
    Result.flatMap((found) => {
      const { batch, epochs, examples = Infinity, progressive = [] } = found
      if (examples < batch)
        return invalid("examples", `an epoch of ${examples} examples is smaller than one batch of ${batch}`)
      const smaller = Progressive.epochsOf(progressive)
      return smaller > epochs
        ? invalid("progressive", `its sizes take ${smaller} epochs, but the recipe has only ${epochs}`)
        : Result.succeed(found)
    })
  )

const refused = (task: Task.Task, part: string, reason: string, remedy: string) =>
  new RecipeRefused({ task: task.name, part, reason, remedy })

/** A setting of the recipe that the task or the model cannot use, and that would otherwise be ignored silently. */
const refusalOf = (model: Model.Model, task: Task.Task, recipe: Recipe.Recipe): RecipeRefused | undefined => {
  const { allows, mixed } = task
  if (recipe.labelSmoothing > 0 && !allows.labelSmoothing)
    return refused(task, "labelSmoothing", "its targets cannot be smoothed", "set labelSmoothing to 0")
  if (mixes(recipe) && mixed === null)
    return refused(task, "mix", "its examples cannot be mixed", "set mixup and cutmix to 0")
  if (recipe.distillation !== undefined && Distillation.outputOf(task) === undefined)
    return refused(task, "distillation", "its targets are not distributions over classes", "leave distillation out")
  const step = recipe.augmentation.find((each) => !Recipe.isAllowed(task)(each))
  if (step !== undefined)
    return refused(
      task,
      "augmentation",
      `its targets would not be transformed with the pictures by ${step._tag}`,
      "leave the step out"
    )
  const { views } = recipe
  if (views !== undefined && !Views.fits(model))
    return refused(task, "views", "the network's only input is not a picture", "leave the views out")
  if (views !== undefined && task.allows.augmentation !== "all")
    return refused(task, "views", "its outputs would not be transformed with the pictures", "leave the views out")
  const own = [names.targets, names.learningRate, names.step]
  const taken = [...own, ...(recipe.distillation === undefined ? [] : [names.teacher])].find((name) =>
    Object.hasOwn(model.inputs, name)
  )
  if (taken !== undefined)
    return refused(
      task,
      "inputs",
      `the model's input ${taken} has a name that is reserved for training`,
      "rename the input"
    )
  const told = [names.loss, names.gradientNorm].find((name) => task.running?.outputs.includes(name))
  return told === undefined
    ? undefined
    : refused(
        task,
        "outputs",
        `the model's output ${told} has a name that is reserved for training`,
        "rename the output"
      )
}

/**
 * The training step of a model, for a recipe's batch.
 *
 * Inputs: the model's; `targets` `[batch, ...shape]` of the task, or `[batch, classes]` distributions if the recipe mixes; `teacher`
 * `[batch, classes]`, its logits, if the recipe distils; `learningRate`; `learningRate/<prefix>` for each group, and `step` (scalars,
 * `step` from 1); `noise/<path>` if the recipe's rates require randomness. Outputs: `loss` (the batch's mean), what the task reports per
 * step under the model's names, and `gradientNorm` if asked for.
 *
 * Fails with a `GraphError`, with `LossFailed`, or with `RecipeRefused` if the recipe asks for something that the task or the model cannot
 * do.
 *
 * @example
 * ```ts
 * import { Classification, Recipe } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { TrainingProgram } from "@uninet/trainer"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ logits: Nn.linear(Scope.at("logits")(scope), { out: 3 })(x) })
 * })
 * const task = Classification.make({ classes: 3 })
 *
 * // Forward, backward and the optimiser's update as one program, which any engine runs.
 * const step = Result.getOrThrow(TrainingProgram.make(model, task, Recipe.proxy, { gradientNorm: true }))
 * console.log(step.inputs.map(({ attributes, shape }) => `${attributes.name} [${shape.join("×")}]`))
 * console.log(Object.keys(step.outputs), step.updates.length)
 *
 * // What makes no sense, and what the recipe asks for and the model cannot do, is said before anything runs.
 * const wrong = TrainingProgram.checkRecipe({ ...Recipe.proxy, batch: 0 })
 * if (Result.isFailure(wrong)) console.log(wrong.failure.message)
 * const refused = TrainingProgram.make(model, task, { ...Recipe.proxy, dropout: 0.2 })
 * if (Result.isFailure(refused)) console.log(refused.failure.message)
 * console.log(TrainingProgram.mixes(Recipe.proxy), TrainingProgram.mixes(Recipe.paper)) // false true
 * ```
 */
export const make = (
  model: Model.Model,
  task: Task.Task,
  recipe: Recipe.Recipe,
  options: Options = {}
): Result.Result<Program.Program, GraphError | LossFailed | RecipeRefused> =>
  Result.gen(function* () {
    const refusal = refusalOf(model, task, recipe)
    if (refusal !== undefined) return yield* Result.fail(refusal)
    const { batch, gradientClip } = recipe
    const outputs = Model.apply(Scope.make("training", "", recipe), { batch })(model)
    // An author's function, which may throw.
    const own = yield* Result.try({
      try: () => {
        const given =
          mixes(recipe) && task.mixed !== null
            ? task.mixed.loss(outputs, Op.input(names.targets, [batch, task.mixed.classes]))
            : task.loss(outputs, Op.input(names.targets, [batch, ...task.targets.shape], task.targets.dtype), recipe)
        if (!Predicate.hasProperty(given, "shape")) throw new Error("it returned no tensor")
        return given
      },
      catch: (cause) =>
        new LossFailed({
          task: task.name,
          problem: `failed: ${(cause instanceof Error ? cause.message : String(cause)).replace(/\s+/g, " ")}`
        })
    })
    // An earlier mistake in it is reported by the program.
    if (own.fault === undefined && own.shape.length > 0)
      return yield* Result.fail(new LossFailed({ task: task.name, problem: `is ${Shape.print(own.shape)}` }))
    const { distillation } = recipe
    const loss =
      distillation === undefined || task.mixed === null
        ? own
        : Distillation.loss(distillation, task, outputs, {
            own,
            teacher: Op.input(names.teacher, [batch, task.mixed.classes])
          })
    const frozen = recipe.whitening === undefined ? undefined : Whitening.weightOf([loss])
    if (recipe.whitening !== undefined && frozen === undefined)
      return yield* Result.fail(
        refused(task, "whitening", "the model has no convolution of the pictures themselves", "leave whitening out")
      )
    const { gradientNorm, updates } = Optimiser.updates({ ...recipe, frozen })(loss)
    const told = (task.running?.outputs ?? []).map((name) => [name, outputs[name]] as const)
    const program = yield* Program.make({
      outputs: {
        [names.loss]: loss,
        ...Object.fromEntries(told),
        ...(gradientClip !== null || options.gradientNorm === true ? { [names.gradientNorm]: gradientNorm } : {})
      },
      updates: [...updates, ...RunningStatistics.updates(Object.values(outputs))]
    })
    // A value normalised on its own is always 0: nothing before it would learn.
    const lonely = program.nodes
      .filter(Tensor.is("batchNorm"))
      .find(({ shape }) => Shape.size(shape) === (shape[1] ?? 1))
    if (lonely !== undefined)
      return yield* Result.fail(
        refused(
          task,
          "batch",
          `the batch norm ${lonely.path} would have a single value per channel, ${Shape.print(lonely.shape)}`,
          "give a batch of 2 or more"
        )
      )
    const random = recipe.stochasticDepth > 0 ? "stochasticDepth" : recipe.dropout > 0 ? "dropout" : undefined
    return random !== undefined && !program.inputs.some(Regularisation.isNoise)
      ? yield* Result.fail(refused(task, random, "the model has no random operations", `set ${random} to 0`))
      : program
  })

/** The programs of a training: for the network's own picture size, and for the smaller pictures of its first epochs, by their height. */
export interface Programs {
  readonly training: Program.Program
  readonly smaller: ReadonlyMap<number, Program.Program>
}

const shapesOf = ({ variables }: Program.Program) =>
  new Map(variables.map(({ attributes: { name }, shape }) => [name, Shape.print(shape)]))

/** The first variable that differs between two programs, in words. */
const unlike = (a: Program.Program, b: Program.Program): string | undefined => {
  const [ours, theirs] = [shapesOf(a), shapesOf(b)]
  const name = [...ours.keys(), ...theirs.keys()].find((each) => ours.get(each) !== theirs.get(each))
  return name && `its ${name} is ${theirs.get(name) ?? "missing"}, not ${ours.get(name) ?? "missing"}`
}

/**
 * `make`, and the same step for every size of a recipe's smaller pictures (`progressive`), on the same variables.
 *
 * Fails like `make`, and with `RecipeRefused` if the network does not take smaller pictures, or has different weights for them.
 */
export const all = (
  model: Model.Model,
  task: Task.Task,
  recipe: Recipe.Recipe,
  options: Options = {}
): Result.Result<Programs, GraphError | LossFailed | RecipeRefused> =>
  Result.gen(function* () {
    const training = yield* make(model, task, recipe, options)
    const smaller = new Map<number, Program.Program>()
    const [, height = 0] = Object.values(model.inputs)[0]?.shape ?? []
    const no = (reason: string, remedy = "leave progressive out") =>
      Result.fail(refused(task, "progressive", reason, remedy))
    for (const { size } of recipe.progressive ?? []) {
      const small = Progressive.of(size)(model)
      if (small === undefined) return yield* no("the network's only input is not a picture")
      if (size >= height)
        return yield* no(
          `pictures of ${size} pixels are no smaller than the network's ${height}`,
          "give a smaller size"
        )
      const made = make(small, task, recipe, options)
      const reason = Result.match(made, {
        onFailure: ({ message }) => message,
        onSuccess: (program) => unlike(training, program)
      })
      if (Result.isFailure(made) || reason !== undefined)
        return yield* no(
          `the network cannot use its weights for pictures of ${size} pixels (${reason})`,
          "give a larger size, or leave progressive out"
        )
      smaller.set(size, made.success)
    }
    return { training, smaller }
  })
