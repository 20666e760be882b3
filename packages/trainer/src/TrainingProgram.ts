/** A whole training step as one program: forward, backward, the optimiser and running statistics. */
import { type GraphError, Op, Program } from "@uninet/graph"
import { Network } from "@uninet/network"
import { Loss, RunningStatistics, Scope } from "@uninet/nn"
import * as Result from "effect/Result"
import * as Optimiser from "./Optimiser.ts"
import type { Recipe } from "./Recipe.ts"

/** Names of the step's inputs and outputs. */
export const names = {
  image: "image",
  labels: "labels",
  targets: "targets",
  learningRate: Optimiser.rateName(),
  step: Optimiser.stepName,
  loss: "loss",
  logits: "logits",
  gradientNorm: "gradientNorm"
} as const

/** Whether a recipe's targets are distributions that the data makes (mixup, cutmix), and not labels. */
export const mixes = ({ mix }: Pick<Recipe, "mix">): boolean => (mix.mixup > 0 || mix.cutmix > 0) && mix.probability > 0

export interface Options {
  /** Output the gradients' global norm even where the recipe does not clip by it. Default false. */
  readonly gradientNorm?: boolean
}

/**
 * The training step of a network for a recipe's batch.
 *
 * Inputs: `image` `[batch, channels, height, width]`; `labels` `[batch]` (int32), or `targets` `[batch, classes]` where the recipe mixes;
 * `learningRate`, `learningRate/<prefix>` for each group, and `step` (scalars, `step` from 1); `noise/<path>` where the recipe has stochastic
 * depth or dropout. Outputs: `loss` (the batch's mean), `logits`, and `gradientNorm` where asked for.
 */
export const make = (
  network: Network.Network,
  recipe: Recipe,
  options: Options = {}
): Result.Result<Program.Program, GraphError> => {
  const { classes, image: size } = network.architecture
  const { batch, gradientClip } = recipe
  const image = Op.input(names.image, [batch, size.channels, size.height, size.width])
  const logits = Network.forward(network, Scope.make("training"), recipe)(image)
  const loss = mixes(recipe)
    ? Loss.softCrossEntropy(logits, Op.input(names.targets, [batch, classes]))
    : Loss.crossEntropy(logits, Op.input(names.labels, [batch], "int32"), recipe)
  const { gradientNorm, updates } = Optimiser.updates(loss, recipe)
  return Program.make({
    outputs: {
      [names.loss]: loss,
      [names.logits]: logits,
      ...(gradientClip !== null || options.gradientNorm === true ? { [names.gradientNorm]: gradientNorm } : {})
    },
    updates: [...updates, ...RunningStatistics.updates([logits])]
  })
}
