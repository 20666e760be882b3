/** A whole training step as one program: forward, backward, AdamW and running statistics. */
import { gradient, type GraphError, Op, Program, Tensor, topological } from "@uninet/graph"
import { Network } from "@uninet/network"
import { Loss, RunningStatistics, Scope } from "@uninet/nn"
import * as Result from "effect/Result"
import type { Recipe } from "./Recipe.ts"

/** Names of the step's inputs and outputs. */
export const names = {
  image: "image",
  labels: "labels",
  learningRate: "learningRate",
  step: "step",
  loss: "loss",
  logits: "logits"
} as const

/** A trained parameter's moment: a variable of its shape that starts at zero. */
const moment = (parameter: Tensor.Tensor<"variable">, which: 1 | 2) =>
  Op.variable(
    {
      name: `moment${which}/${parameter.attributes.name}`,
      role: "moment",
      initialiser: { kind: "constant", value: 0 },
      decay: false
    },
    parameter.shape
  )

/**
 * AdamW's updates of every parameter that a loss depends on.
 *
 * Inputs of the program: `learningRate` and `step` (from 1), both scalars.
 */
export const adamwUpdates = (
  loss: Tensor.Tensor,
  recipe: Pick<Recipe, "beta1" | "beta2" | "epsilon" | "weightDecay">
): ReadonlyArray<Program.Update> => {
  const parameters = topological([loss])
    .filter(Tensor.is("variable"))
    .filter((v) => v.attributes.role === "parameter")
  const gradients = gradient(loss, parameters)
  const learningRate = Op.input(names.learningRate, [])
  const step = Op.input(names.step, [])
  const { beta1, beta2, epsilon, weightDecay } = recipe
  return parameters.flatMap((parameter, i) => {
    const g = gradients[i]
    if (g === undefined) return []
    const [moment1, moment2] = [moment(parameter, 1), moment(parameter, 2)]
    const decay = parameter.attributes.decay ? weightDecay : 0
    const next = Op.adamw(
      { beta1, beta2, epsilon, weightDecay: decay },
      { parameter, gradient: g, moment1, moment2 },
      learningRate,
      step
    )
    return [
      { variable: parameter, value: next.parameter },
      { variable: moment1, value: next.moment1 },
      { variable: moment2, value: next.moment2 }
    ]
  })
}

/**
 * The training step of a network for a recipe's batch.
 *
 * Inputs: `image` `[batch, channels, height, width]`, `labels` `[batch]` (int32), `learningRate` and `step` (scalars, `step` from 1), and
 * `noise/<path>` where the recipe has stochastic depth or dropout. Outputs: `loss` (the batch's mean) and `logits`.
 */
export const make = (network: Network.Network, recipe: Recipe): Result.Result<Program.Program, GraphError> => {
  const { channels, height, width } = network.architecture.image
  const image = Op.input(names.image, [recipe.batch, channels, height, width])
  const labels = Op.input(names.labels, [recipe.batch], "int32")
  const logits = Network.forward(network, Scope.make("training"), recipe)(image)
  const loss = Loss.crossEntropy(logits, labels, recipe)
  return Program.make({
    outputs: { [names.loss]: loss, [names.logits]: logits },
    updates: [...adamwUpdates(loss, recipe), ...RunningStatistics.updates([logits])]
  })
}
