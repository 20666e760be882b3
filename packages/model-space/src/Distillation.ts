/**
 * Knowledge distillation (Hinton, Vinyals & Dean 2015): besides its own targets, a network learns the class probabilities of a trained teacher, softened by a temperature.
 *
 * The teacher sees every batch exactly as the network does, augmented and mixed (Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and consistent").
 */
import { Op, type Tensor } from "@uninet/graph"
import type { Model } from "@uninet/nn"
import * as Schema from "effect/Schema"
import { or, Positive } from "./internal/schema.ts"
import type { Task } from "./Task.ts"

/**
 * - `weight` (default 0.5): the teacher's share of the loss; at 1 the examples' own targets do not count.
 * - `temperature` (default 4): divides both networks' logits. The teacher's part is multiplied by its square, which keeps the size of its gradients independent of the temperature.
 */
export const Distillation = Schema.Struct({
  weight: or(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })), 0.5),
  temperature: or(Positive, 4)
})
export type Distillation = typeof Distillation.Type

/** The task output that a teacher can provide: its logits. `undefined` for a task whose targets are not distributions over classes, or that takes several outputs. */
export const outputOf = ({ mixed, outputs }: Pick<Task, "mixed" | "outputs">): string | undefined => {
  const [output, ...others] = Object.keys(outputs)
  return mixed === null || others.length > 0 ? undefined : output
}

/**
 * `own`, the loss on the examples' targets, combined with the teacher's part: (1 − weight) · own + weight · temperature² · the cross entropy with the teacher's softened probabilities. `teacher`
 * holds its logits `[batch, classes]`. For a task that cannot learn from a teacher (`outputOf`), it is `own`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Classification, Distillation } from "@uninet/model-space"
 *
 * const [logits, teacher] = ["logits", "teacher"].map((name) => Op.input(name, [8, 10]))
 * const task = Classification.make({ classes: 10 })
 * if (logits !== undefined && teacher !== undefined)
 *   console.log(Distillation.loss({ weight: 0.5, temperature: 4 }, task, { logits }, { own: Op.fill(1), teacher }).shape) // []
 * ```
 */
export const loss = (
  { temperature, weight }: Distillation,
  task: Pick<Task, "mixed" | "outputs">,
  outputs: Model.Tensors,
  { own, teacher }: { readonly own: Tensor.Tensor; readonly teacher: Tensor.Tensor }
): Tensor.Tensor => {
  const name = outputOf(task)
  const logits = name === undefined ? undefined : outputs[name]
  if (task.mixed === null || name === undefined || logits === undefined) return own
  const softened = (x: Tensor.Tensor) => Op.scale(x, 1 / temperature)
  const probabilities = Op.softmax(softened(teacher))
  const towards = task.mixed.loss({ [name]: softened(logits) }, probabilities)
  return Op.add(Op.scale(own, 1 - weight), Op.scale(towards, weight * temperature * temperature))
}
