/** A trained network that another one learns from: its logits for every batch, and a digest that tells it from others. */
import { Program } from "@uninet/graph"
import { Distillation, type ModelSpace, type Recipe } from "@uninet/model-space"
import { Model, Weights } from "@uninet/nn"
import { type Data, Runtime } from "@uninet/engine"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { RecipeRefused, type TrainError } from "./TrainError.ts"

/** A network with its trained weights. */
export interface Teacher {
  readonly network: Pick<ModelSpace.Trainable, "model" | "task">
  readonly weights: Weights.Weights
}

/** A teacher at work. */
export interface Teaching {
  /** Tells its network and weights from others'. */
  readonly digest: string
  /** Its logits `[batch, classes]` for a batch's inputs. */
  readonly logits: (inputs: Readonly<Record<string, Data>>) => Effect.Effect<Data, TrainError>
}

/**
 * The teacher that a recipe asks for, compiled for its batch; `undefined` where it asks for none.
 *
 * Fails with `RecipeRefused` where there is a teacher and the recipe has no use for it, or the other way round, or where it is of other examples or classes.
 */
export const of = Effect.fnUntraced(function* (
  { model, task }: Pick<ModelSpace.Trainable, "model" | "task">,
  { batch, distillation, progressive }: Recipe.Recipe,
  teacher: Teacher | undefined
): Effect.fn.Return<Teaching | undefined, TrainError, Runtime | Scope.Scope> {
  const no = (reason: string, remedy: string) =>
    new RecipeRefused({ task: task.name, part: "distillation", reason, remedy })
  if (teacher === undefined)
    return distillation === undefined
      ? undefined
      : yield* no("there is no teacher", "give one (uninet train --teacher), or leave distillation out")
  if (distillation === undefined)
    return yield* no("there is a teacher, and it does not say how to learn from one", "give it, such as {}")
  if (progressive !== undefined)
    return yield* no("the teacher takes no smaller pictures", "leave progressive or distillation out")
  const { network, weights } = teacher
  const [theirs, ours] = [Model.print(network.model.inputs), Model.print(model.inputs)]
  if (theirs !== ours)
    return yield* no(`the teacher takes ${theirs}, and the network ${ours}`, "give a teacher of the same examples")
  const output = Distillation.outputOf(network.task)
  if (output === undefined || network.task.classes !== task.classes)
    return yield* no(
      `the teacher tells ${network.task.classes ?? "no"} classes apart, and the network ${task.classes ?? "none"}`,
      "give a teacher of the same classes"
    )
  const program = yield* Effect.fromResult(Model.evaluation({ batch })(network.model))
  yield* Effect.fromResult(Weights.toSafetensors(program)(weights))
  const executable = yield* (yield* Runtime).compile({ teacher: program })
  yield* executable.write(weights)
  const hash = createHash("sha256").update(Program.digest(program))
  for (const { attributes } of program.variables) {
    const { buffer, byteLength, byteOffset } = weights.get(attributes.name) ?? new Float32Array()
    hash.update(new Uint8Array(buffer, byteOffset, byteLength))
  }
  return {
    digest: hash.digest("hex").slice(0, 16),
    logits: (inputs) =>
      Effect.map(executable.run("teacher", inputs), (outputs) => outputs[output] ?? new Float32Array())
  }
})
