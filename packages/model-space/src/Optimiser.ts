/**
 * Turns gradients into the next parameters: AdamW, SGD or Muon, as data, and as the ops of a training step.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Optimiser } from "@uninet/model-space"
 * import { Nn, Scope } from "@uninet/nn"
 *
 * // The ops of a training step: the classifier trains ten times as fast as what stands before it.
 * const scope = Scope.make("training")
 * const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: 32 })(Op.input("x", [64, 4])))
 * const loss = Op.mean(Op.abs(Nn.linear(Scope.at("classifier")(scope), { out: 1 })(hidden)))
 * const groups = [Optimiser.Group.make({ prefix: "classifier", learningRate: 10 })]
 * const { updates } = Optimiser.updates({ optimiser: Optimiser.sgd(), groups, gradientClip: 5 })(loss)
 * console.log(updates.length) // 8: four parameters, and the momentum of each
 *
 * // What a step is fed.
 * console.log(Optimiser.inputs(groups, 0.01, 0)) // step 1, learningRate 0.01, learningRate/classifier 0.1
 * console.log(Optimiser.rateName(Optimiser.groupOf("classifier.weight")(groups))) // learningRate/classifier
 * ```
 */
import { gradient, Op, type Program, Shape, Tensor, topological } from "@uninet/graph"
import * as Schema from "effect/Schema"
import { Count, or, Positive, Rate, Share } from "./internal/schema.ts"

/**
 * - `AdamW` (Loshchilov & Hutter 2019), as in PyTorch: decoupled weight decay.
 * - `Sgd` with momentum, as in PyTorch: v ← μv + g + λp, then p ← p − ηv, or p ← p − η(g + λp + μv) with `nesterov`.
 *
 * - `Muon` (Jordan 2024) for matrices, `[out, in]` and the filters of convolutions as `[out, in · height · width]`: momentum, made nearly orthogonal by Newton–Schulz steps. AdamW for everything else:
 *   biases, norms, depthwise filters, and parameters whose names begin with an entry of `except` (default `classifier`). The orthogonal update is scaled by 0.2 · √(the larger of rows and columns), which
 *   gives it the usual length of an AdamW update (Liu et al. 2025), so that both train with the same learning rate and decay.
 *
 * `weightDecay` λ does not apply to biases, norm parameters and LayerScale, as in the paper.
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
  },
  Muon: {
    momentum: or(Share, 0.95),
    nesterov: or(Schema.Boolean, true),
    /** Number of Newton–Schulz steps. */
    steps: or(Count, 5),
    except: or(Schema.Array(Schema.String), ["classifier"]),
    /** AdamW's constants. */
    beta1: or(Share, 0.9),
    beta2: or(Share, 0.999),
    epsilon: or(Positive, 1e-8),
    weightDecay: or(Rate, 0.05)
  }
})
export type Optimiser = typeof Optimiser.Type

/** AdamW. Defaults: β₁ 0.9, β₂ 0.999, ε 1e-8, weight decay 0.05, as in the UniNet paper. */
export const adamw = (options: Partial<Omit<Extract<Optimiser, { _tag: "AdamW" }>, "_tag">> = {}): Optimiser =>
  Optimiser.cases.AdamW.make(options)

/** SGD. Defaults: momentum 0.9 and weight decay 1e-4. */
export const sgd = (options: Partial<Omit<Extract<Optimiser, { _tag: "Sgd" }>, "_tag">> = {}): Optimiser =>
  Optimiser.cases.Sgd.make(options)

/**
 * Muon. Defaults: its author's constants, and the paper's for the AdamW next to it.
 *
 * @example
 * ```ts
 * import { Optimiser, Recipe } from "@uninet/model-space"
 *
 * const recipe = Recipe.Recipe.make({ ...Recipe.quick, optimiser: Optimiser.muon({ weightDecay: 0.01 }) })
 * console.log(recipe.optimiser._tag, recipe.optimiser.weightDecay) // Muon 0.01
 * console.log(Optimiser.adamw().weightDecay, Optimiser.sgd({ nesterov: true }).weightDecay) // 0.05 0.0001
 * ```
 */
export const muon = (options: Partial<Omit<Extract<Optimiser, { _tag: "Muon" }>, "_tag">> = {}): Optimiser =>
  Optimiser.cases.Muon.make(options)

/**
 * Parameters whose names begin with `prefix` (`classifier`, `blocks.3`) train at `learningRate` times the schedule's rate and with
 * `weightDecay` times the optimiser's, both 1 by default. A rate of 0 keeps them unchanged.
 */
export const Group = Schema.Struct({ prefix: Schema.String, learningRate: or(Rate, 1), weightDecay: or(Rate, 1) })
export type Group = typeof Group.Type

/** The group of a parameter: the first one whose prefix its name begins with. */
export const groupOf =
  (name: string) =>
  (groups: ReadonlyArray<Group>): Group | undefined =>
    groups.find(({ prefix }) => name.startsWith(prefix))

/** The program input for the learning rate of a group, or of everything in no group; of biases, if they have their own rate. */
export const rateName = (group?: Group, of: "all" | "biases" = "all"): string => {
  const name = of === "all" ? "learningRate" : "biasLearningRate"
  return group === undefined ? name : `${name}/${group.prefix}`
}

/** The program input for the step, counted from 1. Only AdamW has it, and Muon because of its AdamW. */
export const stepName = "step"

/** The inputs of a step for a learning rate; with a recipe's `biasRate`, those for biases too. */
export const inputs = (
  groups: ReadonlyArray<Group>,
  learningRate: number,
  step: number,
  biasRate?: number
): Readonly<Record<string, Float32Array>> => {
  const rates = (of: "all" | "biases", factor: number) =>
    [undefined, ...groups].map(
      (group) => [rateName(group, of), Float32Array.of(learningRate * (group?.learningRate ?? 1) * factor)] as const
    )
  return {
    [stepName]: Float32Array.of(step + 1),
    ...Object.fromEntries([...rates("all", 1), ...(biasRate === undefined ? [] : rates("biases", biasRate))])
  }
}

/** An offset per channel or feature: a parameter `bias` with one axis, whether of a layer or a norm. */
const isBias = ({ attributes: { name }, shape }: Tensor.Tensor<"variable">): boolean =>
  shape.length === 1 && /(^|\.)bias$/.test(name)

/** The optimiser state for a parameter: a variable of its shape that starts at zero. */
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

/** What Muon trains: matrices with more than one row and column, including filters that see all channels. */
const isMatrix = (
  { attributes: { name }, shape }: Tensor.Tensor<"variable">,
  except: ReadonlyArray<string>
): boolean => {
  const [out = 0, ...rest] = shape
  const isDepthwise = shape.length === 4 && shape[1] === 1
  return (
    shape.length > 1 &&
    !isDepthwise &&
    out > 1 &&
    Shape.size(rest) > 1 &&
    !except.some((prefix) => name.startsWith(prefix))
  )
}

/** The polynomial ax + bx³ + cx⁵ found by Muon's author: it brings singular values between 0 and 1 close to 1 in five steps. */
const [a, b, c] = [3.4445, -4.775, 2.0315]

/** A matrix with the singular vectors of `x` and singular values near 1. */
const orthogonal = (x: Tensor.Tensor, steps: number): Tensor.Tensor => {
  const [rows = 1, columns = 1] = x.shape
  const isTall = rows > columns
  const unit = Op.div(x, Op.add(Op.globalNorm([x], x.path), Op.fill(1e-7)))
  let y = isTall ? Op.transpose(unit, [1, 0]) : unit
  for (let i = 0; i < steps; i++) {
    const square = Op.matmul(y, y, { transposeB: true })
    const polynomial = Op.add(Op.scale(square, b), Op.scale(Op.matmul(square, square), c))
    y = Op.add(Op.scale(y, a), Op.matmul(polynomial, y))
  }
  return isTall ? Op.transpose(y, [1, 0]) : y
}

/** The updates of one parameter and of the optimiser's state for it. */
const updatesOf = (
  optimiser: Optimiser,
  parameter: Tensor.Tensor<"variable">,
  g: Tensor.Tensor,
  group: Group | undefined,
  of: "all" | "biases"
): ReadonlyArray<Program.Update> => {
  const rate = Op.input(rateName(group, of), [])
  const weightDecay = parameter.attributes.decay ? optimiser.weightDecay * (group?.weightDecay ?? 1) : 0
  if (optimiser._tag === "Muon" && isMatrix(parameter, optimiser.except)) {
    const velocity = state("velocity", parameter)
    const { momentum, nesterov, steps } = optimiser
    const [rows = 1, ...rest] = parameter.shape
    const columns = Shape.size(rest)
    const next = Op.add(Op.scale(velocity, momentum), g)
    const pull = nesterov ? Op.add(Op.scale(next, momentum), g) : next
    const direction = Op.reshape(orthogonal(Op.reshape(pull, [rows, columns]), steps), parameter.shape)
    const step = Op.mul(direction, Op.scale(rate, 0.2 * Math.sqrt(Math.max(rows, columns))))
    const kept =
      weightDecay === 0 ? parameter : Op.mul(parameter, Op.sub(Op.fill(1), Op.scale(rate, weightDecay), parameter.path))
    return [
      { variable: parameter, value: Op.sub(kept, step) },
      { variable: velocity, value: next }
    ]
  }
  if (optimiser._tag !== "Sgd") {
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

/** The optimiser, and what else a step does. */
export interface Options {
  readonly optimiser: Optimiser
  readonly groups: ReadonlyArray<Group>
  /** How much faster biases and the offsets of norms train than the rest. Default: just as fast. */
  readonly biasRate?: number
  /** A parameter that is not trained. Default: none. */
  readonly frozen?: Tensor.Tensor<"variable"> | undefined
  /** Gradients with a larger global norm are scaled down to it; `null` for never. */
  readonly gradientClip: number | null
}

/**
 * The updates of every parameter that a loss depends on, and the global norm of its gradients before clipping (a scalar, which is only
 * computed if something asks for it).
 *
 * Clipping follows PyTorch's `clip_grad_norm_`: all gradients times min(1, clip / (norm + 1e-6)).
 *
 * Inputs of the program, all scalars: `learningRate`, `learningRate/<prefix>` for each group, the same with `biasLearningRate` if biases have their own rate, `step` (AdamW and Muon). See `inputs`.
 */
export const updates =
  ({ biasRate, frozen, gradientClip, groups, optimiser }: Options) =>
  (loss: Tensor.Tensor): { readonly updates: ReadonlyArray<Program.Update>; readonly gradientNorm: Tensor.Tensor } => {
    const parameters = topological([loss])
      .filter(Tensor.is("variable"))
      .filter((v) => v.attributes.role === "parameter" && v !== frozen)
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
          groupOf(parameter.attributes.name)(groups),
          biasRate !== undefined && isBias(parameter) ? "biases" : "all"
        )
      )
    }
  }
