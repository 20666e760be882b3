/** A network as proxies see it: its training graph on a batch, whole and in halves, and for one example. */
import { Costs, Op, Program, Tensor, topological } from "@uninet/graph"
import type { ModelSpace, Task } from "@uninet/model-space"
import { Model, Scope } from "@uninet/nn"
import * as Result from "effect/Result"
import { Unscorable } from "./PredictorError.ts"

/** A forward pass with its loss. */
export interface Traced {
  /** The model's float inputs. */
  readonly inputs: ReadonlyArray<Tensor.Tensor>
  /** The float outputs of the model that the task takes. */
  readonly answers: ReadonlyArray<Tensor.Tensor>
  readonly loss: Tensor.Tensor
  /** The nodes that the answers are made from, each after its inputs; custom ops are replaced by their bodies. */
  readonly order: ReadonlyArray<Tensor.Tensor>
  /** Parameters with two axes or more: weights, without biases and norms. */
  readonly weights: ReadonlyArray<Tensor.Tensor<"variable">>
}

/** A network prepared for proxies. */
export interface Subject {
  /** Number of examples. */
  readonly batch: number
  /** The forward pass on the batch, with batch statistics in batch norms. */
  readonly whole: Traced
  /** The same on its first and second half. */
  readonly halves: () => readonly [Traced, Traced]
  /** The same on one example. */
  readonly single: () => Traced
  /** The forward pass in evaluation mode, in which examples do not affect one another, on a number of copies of the batch's first examples, one copy after the other. */
  readonly apart: (examples: number, copies: number) => Traced
  /** The costs of evaluating one example. */
  readonly costs: Costs.Costs
}

/** The name of the input for the targets. */
export const targets = "targets"

const isWeight = (node: Tensor.Tensor): node is Tensor.Tensor<"variable"> =>
  Tensor.is("variable")(node) && node.attributes.role === "parameter" && node.shape.length >= 2

/** A forward pass on tensors for the model's inputs. */
const trace = (
  model: Model.Model,
  task: Task.Task,
  inputs: Model.Tensors,
  given: Tensor.Tensor,
  mode: Scope.Mode = "training"
): Traced => {
  const outputs = model.forward(Scope.make(mode), inputs)
  const loss = task.loss(outputs, given, { labelSmoothing: 0 })
  const taken = Object.keys(task.outputs).flatMap((name) => {
    const output = outputs[name]
    return output === undefined || output.dtype !== "float32" ? [] : [output]
  })
  const expanded = Op.expandComposites([loss, ...taken, ...Object.values(inputs)])
  const answers = taken.map(expanded)
  const order = topological(answers)
  return {
    inputs: Object.values(inputs).filter(({ dtype }) => dtype === "float32"),
    answers,
    loss: expanded(loss),
    order,
    weights: [...new Map(order.filter(isWeight).map((node) => [node.attributes.name, node])).values()]
  }
}

const failed = (error: { readonly message: string }) => new Unscorable({ reason: error.message })

/**
 * Prepares a network for proxies on a batch with an even number of examples. Inputs of its programs: the model's, and `targets`.
 *
 * Fails with `Unscorable` if the network cannot be built, the task does not take its outputs, or the batch size is odd.
 *
 * @example
 * ```ts
 * import { Classification } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Subject } from "@uninet/predictor"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => {
 *     const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: 16 })(x))
 *     return { logits: Nn.linear(Scope.at("logits")(scope), { out: 3 })(hidden) }
 *   }
 * })
 * // What your own proxy would look at: the graph, its weights and its costs.
 * const subject = Result.getOrThrow(Subject.make({ model, task: Classification.make({ classes: 3 }) }, { batch: 32 }))
 * console.log(subject.whole.weights.map(({ attributes }) => attributes.name)) // [ 'hidden.weight', 'logits.weight' ]
 * console.log(subject.whole.loss.shape, subject.costs.macs) // [] 112
 * ```
 */
export const make = (
  { model, task }: Pick<ModelSpace.Trainable, "model" | "task">,
  { batch }: { readonly batch: number }
): Result.Result<Subject, Unscorable> =>
  Result.gen(function* () {
    if (!Number.isSafeInteger(batch) || batch < 4 || batch % 2 === 1)
      return yield* Result.fail(
        new Unscorable({ reason: `a batch of ${batch} cannot be halved; give an even batch size of 4 or more` })
      )
    if (Object.hasOwn(model.inputs, targets))
      return yield* Result.fail(
        new Unscorable({ reason: `its input ${targets} has a name that is reserved for the task; rename it` })
      )
    // User code may throw.
    const attempt = <A>(run: () => A) =>
      Result.try({
        try: run,
        catch: (cause) => failed({ message: cause instanceof Error ? cause.message : String(cause) })
      })
    const all = (n: number) =>
      Object.fromEntries(
        Object.entries(model.inputs).map(([name, { dtype, shape }]) => [name, Op.input(name, [n, ...shape], dtype)])
      )
    const answered = (n: number) => Op.input(targets, [n, ...task.targets.shape], task.targets.dtype)
    const whole = yield* attempt(() => trace(model, task, all(batch), answered(batch)))
    // A mistake shows here once; the other batches are of the same network.
    yield* Result.mapError(
      Program.make({
        outputs: { loss: whole.loss, ...Object.fromEntries(whole.answers.map((y, i) => [`answer${i}`, y])) }
      }),
      failed
    )
    if (whole.loss.shape.length > 0)
      return yield* Result.fail(new Unscorable({ reason: "its task's loss is not a scalar" }))
    if (whole.answers.length === 0)
      return yield* Result.fail(new Unscorable({ reason: "its task takes none of its outputs as float32" }))
    const costs = Costs.ofProgram(yield* Result.mapError(Model.evaluation()(model), failed))
    /** The forward pass on inputs derived from the batch. */
    const of = (part: (x: Tensor.Tensor) => Tensor.Tensor, mode?: Scope.Mode) => {
      const inputs = Object.fromEntries(Object.entries(all(batch)).map(([name, x]) => [name, part(x)]))
      return trace(model, task, inputs, part(answered(batch)), mode)
    }
    const half = (start: number, end: number) => of((x) => Op.slice(x, 0, start, end))
    return {
      batch,
      whole,
      halves: () => [half(0, batch / 2), half(batch / 2, batch)],
      single: () => trace(model, task, all(1), answered(1)),
      apart: (examples, copies) =>
        of((x) => {
          const some = Op.slice(x, 0, 0, examples)
          return Op.concat([some, ...Array.from({ length: copies - 1 }, () => some)], 0)
        }, "evaluation"),
      costs
    }
  })
