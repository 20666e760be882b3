/**
 * What a network is trained for: the target of an example, what is minimised, and the measures of how good a trained network is. `Classification`,
 * `MultiLabel`, `Regression` and `Segmentation` make the usual tasks; a custom task is a value of the same type.
 *
 * @example
 * ```ts
 * import { Op, Shape } from "@uninet/graph"
 * import { Task } from "@uninet/model-space"
 *
 * // The mean absolute difference of two numbers, which is its own measure.
 * const nearness = Task.make({
 *   name: "nearness",
 *   outputs: { y: [] },
 *   targets: { shape: [], dtype: "float32" },
 *   loss: ({ y }, targets) => Op.mean(Op.abs(Op.sub(y, targets))),
 *   measures: { distance: "lower" },
 *   decides: "distance",
 *   tally: () => {
 *     let [sum, examples] = [0, 0]
 *     return {
 *       add: ({ outputs, size, targets }) => {
 *         for (let i = 0; i < size; i++) sum += Math.abs(outputs.y[i] - targets[i])
 *         examples += size
 *       },
 *       measures: () => ({ distance: sum / examples })
 *     }
 *   }
 * })
 * ```
 */
import type { Tensor } from "@uninet/graph"
import { Model } from "@uninet/nn"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"

/** Whether a higher or a lower value of a measure or cost is better. */
export const Direction = Schema.Literals(["higher", "lower"])
export type Direction = typeof Direction.Type

/** The numbers of a batch, row by row. */
export type Values = Float32Array | Int32Array

/** Examples that a network was evaluated on. */
export interface Evaluated {
  /** By output name: `[≥ size, ...shape]`; rows beyond `size` are padding. */
  readonly outputs: Readonly<Record<string, ArrayLike<number>>>
  /** `[size, ...shape]`. */
  readonly targets: ArrayLike<number>
  /** Number of examples. */
  readonly size: number
}

/** Accumulates an evaluation's results, so that the batch size makes no difference. Mutable, and used for one evaluation only. */
export interface Tally<Measure extends string = string> {
  readonly add: (batch: Evaluated) => void
  /** The measures over at least one example. */
  readonly measures: () => { readonly [M in Measure]: number }
  /** Any further results as plain JSON, such as a confusion matrix. Default: nothing. */
  readonly details?: () => Schema.Json
}

/** What a recipe may do to examples without making their targets wrong. */
export interface Allows {
  /**
   * - `all`: images may be moved, cropped, rotated and recoloured.
   * - `values`: images may only be recoloured, since targets belong to positions.
   * - `none`: examples stay as they are.
   */
  readonly augmentation: "all" | "values" | "none"
  /** Whether part of the target may be spread over all classes. */
  readonly labelSmoothing: boolean
}

/** Targets as distributions over classes, for recipes that mix examples (mixup, cutmix). */
export interface Mixed {
  /** Number of classes. */
  readonly classes: number
  /** The loss with targets `[batch, classes]`. */
  readonly loss: (outputs: Model.Tensors, targets: Tensor.Tensor) => Tensor.Tensor
}

/** What a training step reports about its own batch, before the update. */
export interface Running {
  /** The outputs it needs, which the step has to return. */
  readonly outputs: ReadonlyArray<string>
  /** Shares or means over the batch, by name. */
  readonly of: (batch: Evaluated) => Readonly<Record<string, number>>
}

/** A task. Made by `make`, or by the modules for the usual tasks. */
export interface Task<Measure extends string = string> {
  readonly name: string
  /** The outputs it takes, by name: their shapes for one example, with `null` for an axis of any length. */
  readonly outputs: Readonly<Record<string, ReadonlyArray<number | null>>>
  /** The target of one example. */
  readonly targets: Model.Port
  /** For integer targets: how many classes they distinguish. `null` if they are not classes. */
  readonly classes: number | null
  /** The batch's mean loss, a scalar, from the outputs and the targets `[batch, ...shape]`. */
  readonly loss: (
    outputs: Model.Tensors,
    targets: Tensor.Tensor,
    options: { readonly labelSmoothing: number }
  ) => Tensor.Tensor
  /** The results of an evaluation, and whether higher or lower is better. */
  readonly measures: { readonly [M in Measure]: Direction }
  /** Measures of a trained network that do not follow from its outputs but come from whoever evaluates it, and whether higher or lower is better. Absent if there are none. */
  readonly also?: Readonly<Record<string, Direction>>
  /** The measure by which networks are chosen. */
  readonly decides: Measure
  /** The measures that are shares from 0 to 1, usually read as percentages. */
  readonly shares: ReadonlyArray<Measure>
  readonly tally: () => Tally<Measure>
  /** `null` if examples cannot be mixed. */
  readonly mixed: Mixed | null
  /** `null` if a step reports only its loss. */
  readonly running: Running | null
  readonly allows: Allows
}

/** The declaration of a custom task. Optional fields have defaults. */
export type Declaration<Measure extends string> = Pick<
  Task<Measure>,
  "name" | "outputs" | "targets" | "loss" | "measures" | "tally"
> &
  Partial<Omit<Task<Measure>, "decides" | "shares" | "allows">> & {
    readonly decides: NoInfer<Measure>
    /** Default: none. */
    readonly shares?: ReadonlyArray<NoInfer<Measure>>
    /** Default: neither augmentation nor label smoothing. */
    readonly allows?: Partial<Allows>
  }

/** Makes a custom task. The type of its measures is inferred from `measures`. */
export const make = <const Measure extends string>(task: Declaration<Measure>): Task<Measure> => ({
  ...task,
  classes: task.classes ?? null,
  shares: task.shares ?? [],
  mixed: task.mixed ?? null,
  running: task.running ?? null,
  allows: { augmentation: "none", labelSmoothing: false, ...task.allows }
})

/** The names of a task's measures, in the order in which it declares them. */
export const measuresOf = <Measure extends string>(task: Task<Measure>): ReadonlyArray<Measure> =>
  Struct.keys(task.measures)

/** Whether higher or lower is better for every measure: the task's own, and those that others add. */
export const directions = ({
  also,
  measures
}: Pick<Task, "also" | "measures">): Readonly<Record<string, Direction>> => ({
  ...measures,
  ...also
})

/**
 * A measure's value as a number for which larger is better: negated if lower is better.
 *
 * @example
 * ```ts
 * import { Classification, Regression, Task } from "@uninet/model-space"
 *
 * const digits = Classification.make({ classes: 10 })
 * console.log(Task.measuresOf(digits)) // [ 'accuracy', 'top5', 'loss', 'calibrationError' ]
 * console.log(Task.worth(digits.measures.loss)(0.3)) // -0.3: the lower the loss the better
 *
 * // Whether a task fits a network is known before anything is trained.
 * console.log(Task.takes({ logits: { shape: [10], dtype: "float32" } })(digits)._tag) // Success
 * console.log(Task.takes({ logits: { shape: [7], dtype: "float32" } })(digits)._tag) // Failure
 * console.log(Task.tallies(Regression.make())._tag) // Success: its tally gives what the task names
 * ```
 */
export const worth =
  (direction: Direction) =>
  (value: number): number =>
    direction === "higher" ? value : -value

/** Outputs that a task cannot take. */
export class OutputsMismatch extends Schema.TaggedError<OutputsMismatch>()("OutputsMismatch", {
  task: Schema.String,
  /** What the task takes, and what the model gives, as text. */
  takes: Schema.String,
  gives: Schema.String
}) {
  override get message() {
    return `the task ${this.task} takes the outputs ${this.takes}, but the model gives ${this.gives}; give the model these outputs, or change the task`
  }
}

const wanted = (outputs: Task["outputs"]): string =>
  Object.entries(outputs)
    .map(([name, shape]) => `${name} [${shape.map((length) => length ?? "any").join("×")}]`)
    .join(", ")

/** Succeeds if a model has the outputs that the task takes, in their shapes; it may have others as well. Fails with `OutputsMismatch`. */
export const takes =
  (given: Model.Ports) =>
  (task: Task): Result.Result<void, OutputsMismatch> => {
    const fits = Object.entries(task.outputs).every(([name, shape]) => {
      const own = Object.hasOwn(given, name) ? given[name] : undefined
      return (
        own !== undefined &&
        own.shape.length === shape.length &&
        shape.every((length, axis) => length === null || length === own.shape[axis])
      )
    })
    return fits
      ? Result.succeed(undefined)
      : Result.fail(new OutputsMismatch({ task: task.name, takes: wanted(task.outputs), gives: Model.print(given) }))
  }

/** A tally that does not give the measures that its task declares. */
export class MeasuresMissing extends Schema.TaggedError<MeasuresMissing>()("MeasuresMissing", {
  task: Schema.String,
  missing: Schema.String,
  gives: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the tally of the task ${this.task} lacks ${this.missing}: it gives ${this.gives.join(", ") || "nothing"}; make it return every measure that the task names`
  }
}

/** Whether a task's tally gives the measures that the task declares, as far as it shows them without any examples. */
export const tallies = (task: Task): Result.Result<void, MeasuresMissing> => {
  const given = Result.try(() => Object.keys(task.tally().measures()))
  if (Result.isFailure(given)) return Result.succeed(undefined)
  const gives = given.success
  const missing = [task.decides, ...measuresOf(task)].find((name) => !gives.includes(name))
  return missing === undefined
    ? Result.succeed(undefined)
    : Result.fail(new MeasuresMissing({ task: task.name, missing, gives }))
}
