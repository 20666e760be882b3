/** What turns gradients into the next parameters: AdamW or SGD, as data, and as the ops of a training step. */
import { gradient, Op, type Program, Tensor, topological } from "@uninet/graph"
import * as Schema from "effect/Schema"
import { or, Positive, Rate, Share } from "./internal/schema.ts"

/**
 * - `AdamW` (Loshchilov & Hutter 2019), as PyTorch's: decoupled weight decay.
 * - `Sgd` with momentum, as PyTorch's: v ← μv + g + λp, then p ← p − ηv, or p ← p − η(g + λp + μv) with `nesterov`.
 *
 * `weightDecay` λ leaves out biases, norm parameters and LayerScale, as the paper's does.
 */
export const Optimiser = Schema.TaggedUnion({
  AdamW: {
    beta1: or(Share, 0.9),
    beta2: or(Share, 0.999),
    epsilon: or(Positive, 1e-8),
    weightDecay: or(Rate, 0.05)
  },
  Sgd: {
    momentum: or(Share, 0.9),
    nesterov: or(Schema.Boolean, false),
    weightDecay: or(Rate, 1e-4)
  }
})
export type Optimiser = typeof Optimiser.Type

/** AdamW with the paper's constants, or others. */
export const adamw = (options: Partial<Omit<Extract<Optimiser, { _tag: "AdamW" }>, "_tag">> = {}): Optimiser =>
  Optimiser.cases.AdamW.make(options)

/** SGD with momentum 0.9 and weight decay 1e-4, or others. */
export const sgd = (options: Partial<Omit<Extract<Optimiser, { _tag: "Sgd" }>, "_tag">> = {}): Optimiser =>
  Optimiser.cases.Sgd.make(options)

/**
 * Parameters whose names begin with `prefix` (`classifier`, `blocks.3`) train at `learningRate` times the schedule's rate and with
 * `weightDecay` times the optimiser's, both 1 by default. A rate of 0 leaves them as they are.
 */
export const Group = Schema.Struct({ prefix: Schema.String, learningRate: or(Rate, 1), weightDecay: or(Rate, 1) })
export type Group = typeof Group.Type

/** The group of a parameter: the first whose prefix its name begins with. */
export const groupOf = (groups: ReadonlyArray<Group>, name: string): Group | undefined =>
  groups.find(({ prefix }) => name.startsWith(prefix))

/** The program's input with the learning rate of a group, or of everything that is in none. */
export const rateName = (group?: Group): string =>
  group === undefined ? "learningRate" : `learningRate/${group.prefix}`

/** The program's input with the step, from 1. Only AdamW has it. */
export const stepName = "step"

/** What the inputs of a step are for a learning rate. */
export const inputs = (
  groups: ReadonlyArray<Group>,
  learningRate: number,
  step: number
): Readonly<Record<string, Float32Array>> => ({
  [rateName()]: Float32Array.of(learningRate),
  [stepName]: Float32Array.of(step + 1),
  ...Object.fromEntries(
    groups.map((group) => [rateName(group), Float32Array.of(learningRate * group.learningRate)] as const)
  )
})

/** A state of a parameter: a variable of its shape that starts at zero. */
const state = (name: string, parameter: Tensor.Tensor<"variable">) =>
  Op.variable(
    {
      name: `${name}/${parameter.attributes.name}`,
      role: "moment",
      initialiser: { kind: "constant", value: 0 },
      decay: false
    },
    parameter.shape
  )

/** The updates of one parameter and of the optimiser's state for it. */
const updatesOf = (
  optimiser: Optimiser,
  parameter: Tensor.Tensor<"variable">,
  g: Tensor.Tensor,
  group: Group | undefined
): ReadonlyArray<Program.Update> => {
  const rate = Op.input(rateName(group), [])
  const weightDecay = parameter.attributes.decay ? optimiser.weightDecay * (group?.weightDecay ?? 1) : 0
  if (optimiser._tag === "AdamW") {
    const [moment1, moment2] = [state("moment1", parameter), state("moment2", parameter)]
    const { beta1, beta2, epsilon } = optimiser
    const next = Op.adamw(
      { beta1, beta2, epsilon, weightDecay },
      { parameter, gradient: g, moment1, moment2 },
      rate,
      Op.input(stepName, [])
    )
    return [
      { variable: parameter, value: next.parameter },
      { variable: moment1, value: next.moment1 },
      { variable: moment2, value: next.moment2 }
    ]
  }
  const velocity = state("velocity", parameter)
  const { momentum, nesterov } = optimiser
  const next = Op.sgd({ momentum, nesterov, weightDecay }, { parameter, gradient: g, velocity }, rate)
  return [
    { variable: parameter, value: next.parameter },
    { variable: velocity, value: next.velocity }
  ]
}

export interface Options {
  readonly optimiser: Optimiser
  readonly groups: ReadonlyArray<Group>
  /** Gradients whose global norm is above this are scaled down to it; `null` for never. */
  readonly gradientClip: number | null
}

/**
 * The updates of every parameter that a loss depends on, and the global norm of its gradients before clipping (a scalar; only computed
 * where something asks for it).
 *
 * Clipping is PyTorch's `clip_grad_norm_`: all gradients times min(1, clip / (norm + 1e-6)).
 *
 * Inputs of the program, all scalars: `learningRate`, `learningRate/<prefix>` for each group, `step` (AdamW only). See `inputs`.
 */
export const updates = (
  loss: Tensor.Tensor,
  { gradientClip, groups, optimiser }: Options
): { readonly updates: ReadonlyArray<Program.Update>; readonly gradientNorm: Tensor.Tensor } => {
  const parameters = topological([loss])
    .filter(Tensor.is("variable"))
    .filter((v) => v.attributes.role === "parameter")
  const found = gradient(loss, parameters)
  const trained = parameters.flatMap((parameter, i) => {
    const g = found[i]
    return g === undefined ? [] : [{ parameter, g }]
  })
  const gradientNorm = Op.globalNorm(trained.map(({ g }) => g))
  return {
    gradientNorm,
    updates: trained.flatMap(({ g, parameter }) =>
      updatesOf(
        optimiser,
        parameter,
        gradientClip === null ? g : Op.clipByNorm(g, gradientNorm, gradientClip),
        groupOf(groups, parameter.attributes.name)
      )
    )
  }
}
