/**
 * Update rules of optimisers as ops, so that an engine can run them where it likes (in its graph, or on flat memory next to it).
 */
import { flops } from "../Cost.ts"
import { apply, define, type Definitions, isAmount } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"

/** The constants of AdamW; the learning rate is an input of the step. */
export interface AdamW {
  /** β₁: how much of the gradients' mean is kept at a step. */
  readonly beta1: number
  /** β₂: how much of the squares' mean is kept at a step. */
  readonly beta2: number
  /** ε: added to the root of the squares' mean. */
  readonly epsilon: number
  /** Decoupled: the parameter shrinks by `learning rate × decay` per step. */
  readonly weightDecay: number
}

/** The constants of SGD; the learning rate is an input of the step. */
export interface Sgd {
  /** μ: how much of the velocity is kept at a step. */
  readonly momentum: number
  readonly nesterov: boolean
  /** Added to the gradient: `decay × parameter`. */
  readonly weightDecay: number
}

export interface Attributes {
  /**
   * Inputs `[parameter, gradient, moment1, moment2, learningRate, step]`, the last two scalars; `step` counts from 1.
   * Gives the next value of one of the three state tensors.
   */
  readonly adamw: AdamW & { readonly of: "parameter" | "moment1" | "moment2" }
  /** Inputs `[parameter, gradient, velocity, learningRate]`, the last a scalar. Gives the next value of one of the two state tensors. */
  readonly sgd: Sgd & { readonly of: "parameter" | "velocity" }
  /** Inputs `[average, current, decay]`, the last a scalar. */
  readonly movingAverage: {}
  /** Inputs: tensors of any shapes. Gives a scalar. */
  readonly globalNorm: {}
  /** Inputs `[gradient, norm]`, the last a scalar. */
  readonly clipByNorm: { readonly most: number }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly adamw: readonly [
    parameter: Tensor,
    gradient: Tensor,
    moment1: Tensor,
    moment2: Tensor,
    learningRate: Tensor,
    step: Tensor
  ]
  readonly sgd: readonly [parameter: Tensor, gradient: Tensor, velocity: Tensor, learningRate: Tensor]
  readonly movingAverage: readonly [average: Tensor, current: Tensor, decay: Tensor]
  readonly globalNorm: ReadonlyArray<Tensor>
  readonly clipByNorm: readonly [gradient: Tensor, norm: Tensor]
}

/** What is wrong with numbers that must be finite and not negative, if anything. */
const wrongAmount = (amounts: Readonly<Record<string, number>>): string | undefined => {
  const wrong = Object.entries(amounts).find(([, amount]) => !isAmount(amount))
  return wrong && `the ${wrong[0]} must be finite and not negative`
}

export const definitions: Definitions<Attributes> = {
  adamw: define("adamw", {
    shape: ({ beta1, beta2, epsilon, weightDecay }, [parameter, gradient, moment1, moment2, learningRate, step]) => {
      if (![beta1, beta2].every((beta) => beta >= 0 && beta < 1)) return "the betas must lie in [0, 1)"
      const wrong = wrongAmount({ epsilon, "weight decay": weightDecay })
      if (wrong !== undefined) return wrong
      return [gradient, moment1, moment2].every((t) => Shape.equals(t.shape, parameter.shape))
        ? learningRate.shape.length === 0 && step.shape.length === 0
          ? parameter.shape
          : "the learning rate and the step must be scalars"
        : "parameter, gradient and moments must have the same shape"
    },
    cost: (y) => flops({ parameter: 8, moment1: 3, moment2: 4 }[y.attributes.of] * Shape.size(y.shape)),
    gradient: "unsupported"
  }),
  sgd: define("sgd", {
    shape: ({ momentum, weightDecay }, [parameter, gradient, velocity, learningRate]) => {
      const wrong = wrongAmount({ momentum, "weight decay": weightDecay })
      if (wrong !== undefined) return wrong
      return [gradient, velocity].every((t) => Shape.equals(t.shape, parameter.shape))
        ? learningRate.shape.length === 0
          ? parameter.shape
          : "the learning rate must be a scalar"
        : "parameter, gradient and velocity must have the same shape"
    },
    cost: (y) => flops((y.attributes.of === "velocity" ? 4 : 2) * Shape.size(y.shape)),
    gradient: "unsupported"
  }),
  movingAverage: define("movingAverage", {
    shape: (_, [average, current, decay]) =>
      Shape.equals(average.shape, current.shape)
        ? decay.shape.length === 0
          ? average.shape
          : "the decay must be a scalar"
        : "the average and the current value must have the same shape",
    cost: (y) => flops(3 * Shape.size(y.shape)),
    gradient: "unsupported"
  }),
  globalNorm: define("globalNorm", {
    shape: (_, tensors) => (tensors.length > 0 ? [] : "needs a tensor"),
    cost: ({ inputs }) => flops(inputs.reduce((sum, x) => sum + 2 * Shape.size(x.shape), 1)),
    gradient: "unsupported"
  }),
  clipByNorm: define("clipByNorm", {
    shape: ({ most }, [gradient, norm]) =>
      norm.shape.length > 0
        ? "the norm must be a scalar"
        : most > 0
          ? gradient.shape
          : "the maximum norm must be above 0",
    cost: (y) => flops(Shape.size(y.shape) + 3),
    gradient: "unsupported"
  })
}

/**
 * One step of AdamW (Loshchilov & Hutter; as in PyTorch): the next parameter and the next moments, all in the parameter's shape.
 *
 * m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², p ← p·(1 − η·decay) − η · (m / (1−β₁ᵗ)) / (√(v / (1−β₂ᵗ)) + ε).
 */
export const adamw = (
  attributes: AdamW,
  state: { readonly parameter: Tensor; readonly gradient: Tensor; readonly moment1: Tensor; readonly moment2: Tensor },
  learningRate: Tensor,
  step: Tensor
): { readonly parameter: Tensor; readonly moment1: Tensor; readonly moment2: Tensor } => {
  const { parameter, gradient, moment1, moment2 } = state
  const next = (of: Attributes["adamw"]["of"]) =>
    apply(
      definitions.adamw,
      { ...attributes, of },
      [parameter, gradient, moment1, moment2, learningRate, step],
      parameter.path
    )
  return { parameter: next("parameter"), moment1: next("moment1"), moment2: next("moment2") }
}

/**
 * One step of SGD with momentum, as in PyTorch: the next parameter and the next velocity, both in the parameter's shape.
 *
 * v ← μv + (g + λp), p ← p − ηv, or with `nesterov` p ← p − η(g + λp + μv) with the new v.
 */
export const sgd = (
  attributes: Sgd,
  state: { readonly parameter: Tensor; readonly gradient: Tensor; readonly velocity: Tensor },
  learningRate: Tensor
): { readonly parameter: Tensor; readonly velocity: Tensor } => {
  const { gradient, parameter, velocity } = state
  const next = (of: Attributes["sgd"]["of"]) =>
    apply(definitions.sgd, { ...attributes, of }, [parameter, gradient, velocity, learningRate], parameter.path)
  return { parameter: next("parameter"), velocity: next("velocity") }
}

/**
 * One step of an exponential moving average: decay · average + (1 − decay) · current.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const average = Op.input("average", [3])
 * const current = Op.input("current", [3])
 * console.log(Op.movingAverage(average, current, Op.input("decay", [])).shape) // [ 3 ]
 * ```
 */
export const movingAverage = (average: Tensor, current: Tensor, decay: Tensor): Tensor<"movingAverage"> =>
  apply(definitions.movingAverage, {}, [average, current, decay], current.path)

/**
 * The Euclidean norm of several tensors taken together: a scalar.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * console.log(Op.globalNorm([Op.fill(3, [1]), Op.fill(4, [1])]).shape) // []: of the number 5
 * ```
 */
export const globalNorm = (tensors: ReadonlyArray<Tensor>, path?: string): Tensor<"globalNorm"> =>
  apply(definitions.globalNorm, {}, tensors, path ?? tensors[0]?.path ?? "")

/**
 * A gradient times min(1, most / (norm + 1e-6)), as in PyTorch's `clip_grad_norm_`, in the gradient's shape. With the global norm of all gradients, the total norm is at most `most`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const gradients = [Op.fill(3, [1]), Op.fill(4, [1])]
 * const norm = Op.globalNorm(gradients)
 * console.log(gradients.map((gradient) => Op.clipByNorm(gradient, norm, 5).shape))
 * ```
 */
export const clipByNorm = (gradient: Tensor, norm: Tensor, most: number): Tensor<"clipByNorm"> =>
  apply(definitions.clipByNorm, { most }, [gradient, norm], gradient.path)
