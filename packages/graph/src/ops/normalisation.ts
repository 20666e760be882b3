/** Batch and layer normalisation and their gradients. */
import { flops } from "../Cost.ts"
import { apply, define, type Definitions, isAmount } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"
import { add, mul, neg, reciprocal, scale, sqrt, sub } from "./elementwise.ts"
import { fill } from "./leaf.ts"
import { reshape } from "./layout.ts"
import { sum } from "./reduction.ts"

export interface Attributes {
  /** Inputs `[x, scale, bias]`, or `[x]` for neither, with `x` `[batch, channels, ...]`: normalised by the batch's own mean and biased variance. */
  readonly batchNorm: { readonly epsilon: number; readonly momentum: number }
  /** Inputs `[x]` → `[2, channels]`: the batch's mean and biased variance per channel. */
  readonly batchMoments: {}
  /** Inputs `[dy, x, scale?]` → the gradient for `x`. */
  readonly batchNormGradInput: { readonly epsilon: number }
  /** Inputs `[dy, x]` → the gradient for the scale. */
  readonly batchNormGradScale: { readonly epsilon: number }
  /** Inputs `[x, scale, bias, mean, variance]`, or `[x, mean, variance]`: normalised by running statistics. */
  readonly batchNormInference: { readonly epsilon: number }
  /** Inputs `[x, scale, bias]`, over the last axis. */
  readonly layerNorm: { readonly epsilon: number }
  /** Inputs `[dy, x, scale]` → the gradient for `x`. */
  readonly layerNormGradInput: { readonly epsilon: number }
  /** Inputs `[dy, x]` → the gradient for the scale. */
  readonly layerNormGradScale: { readonly epsilon: number }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly batchNorm: readonly [x: Tensor, ...affine: ReadonlyArray<Tensor>]
  readonly batchMoments: readonly [x: Tensor]
  readonly batchNormGradInput: readonly [dy: Tensor, x: Tensor, ...scale: ReadonlyArray<Tensor>]
  readonly batchNormGradScale: readonly [dy: Tensor, x: Tensor]
  readonly batchNormInference:
    | readonly [x: Tensor, mean: Tensor, variance: Tensor]
    | readonly [x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor]
  readonly layerNorm: readonly [x: Tensor, scale: Tensor, bias: Tensor]
  readonly layerNormGradInput: readonly [dy: Tensor, x: Tensor, scale: Tensor]
  readonly layerNormGradScale: readonly [dy: Tensor, x: Tensor]
}

/** Every axis but that of the channels. */
const batchAxes = (x: Tensor) => x.shape.map((_, i) => i).filter((i) => i !== 1)

const perChannel = ({ shape }: Tensor, vectors: ReadonlyArray<Tensor>) => {
  const [, channels] = shape
  if (channels === undefined) return "the input must be [batch×channels×...]"
  return vectors.every((v) => Shape.equals(v.shape, [channels]))
    ? shape
    : `the per-channel inputs must be [${channels}]`
}

/** The shape of the normalised tensor, unless one of the norm's numbers makes no sense. */
const unlessWrong = (
  { epsilon, momentum = 0 }: { readonly epsilon: number; readonly momentum?: number },
  shape: Shape.Shape | string
) => {
  if (!isAmount(epsilon)) return "epsilon must be finite and not negative"
  return momentum >= 0 && momentum <= 1 ? shape : "the momentum must lie between 0 and 1"
}

const unpaired = "needs both a scale and a bias, or neither"

/** Scale and bias are given both or not at all: whether `inputs` has both, in addition to its `others` other tensors. */
const affine = (inputs: ReadonlyArray<Tensor>, others: number) => inputs.length === others + 2

const normalised = (inputs: Inputs["batchNorm" | "batchNormInference"], others: number) => {
  const [x, ...vectors] = inputs
  return affine(inputs, others) || inputs.length === others ? perChannel(x, vectors) : unpaired
}

/** The scale and the bias of a batch norm that has them, as the beginning of a list. */
const given = (gamma: Tensor | undefined, beta: Tensor | undefined): ReadonlyArray<Tensor> =>
  [gamma, beta].filter((v) => v !== undefined)

const perFeature = (x: Tensor, vectors: ReadonlyArray<Tensor>) => {
  const features = x.shape.at(-1)
  if (features === undefined) return "a scalar has no last axis"
  return vectors.every((v) => Shape.equals(v.shape, [features])) ? x.shape : `the scale and bias must be [${features}]`
}

export const definitions: Definitions<Attributes> = {
  batchNorm: define("batchNorm", {
    shape: (attributes, inputs) => unlessWrong(attributes, normalised(inputs, 1)),
    // fvcore counts a norm in training like any other: four or five operations per element.
    cost: ({ inputs, shape }) => ({
      ...flops((affine(inputs, 1) ? 7 : 5) * Shape.size(shape)),
      fvcore: { operator: "batch_norm", count: (affine(inputs, 1) ? 5 : 4) * Shape.size(shape) }
    }),
    gradient: (y, dy) => {
      const [x, ...vectors] = y.inputs
      const { epsilon } = y.attributes
      const dx = apply(definitions.batchNormGradInput, { epsilon }, [dy, x, ...vectors.slice(0, 1)], y.path)
      if (vectors.length === 0) return [dx]
      return [
        dx,
        apply(definitions.batchNormGradScale, { epsilon }, [dy, x], y.path),
        sum(dy, batchAxes(x), false, y.path)
      ]
    }
  }),
  batchMoments: define("batchMoments", {
    shape: (
      _,
      [
        {
          shape: [, channels]
        }
      ]
    ) => (channels === undefined ? "the input must be [batch×channels×...]" : [2, channels]),
    cost: (y) => flops(3 * Shape.size(y.inputs[0].shape)),
    gradient: "unsupported"
  }),
  batchNormGradInput: define("batchNormGradInput", {
    shape: (_, [, x, ...vectors]) => perChannel(x, vectors),
    cost: (y) => flops(8 * Shape.size(y.shape)),
    gradient: "unsupported"
  }),
  batchNormGradScale: define("batchNormGradScale", {
    shape: (_, [, x]) => x.shape.slice(1, 2),
    cost: (y) => flops(3 * Shape.size(y.inputs[1].shape)),
    gradient: "unsupported"
  }),
  batchNormInference: define("batchNormInference", {
    shape: (attributes, inputs) => unlessWrong(attributes, normalised(inputs, 3)),
    // fvcore counts one multiplication and one addition per element or, without scale and bias, only one of the two.
    cost: ({ inputs, shape }) => ({
      ...flops(2 * Shape.size(shape)),
      fvcore: { operator: "batch_norm", count: (affine(inputs, 3) ? 2 : 1) * Shape.size(shape) }
    }),
    gradient: (y, dy) => {
      const { path } = y
      const { inputs } = y
      const [x] = inputs
      const [gamma, mean, variance] =
        inputs.length === 3 ? [undefined, inputs[1], inputs[2]] : [inputs[1], inputs[3], inputs[4]]
      const wide = (v: Tensor) => reshape(v, [...v.shape, ...x.shape.slice(2).map(() => 1)], path)
      const inverse = reciprocal(sqrt(add(variance, fill(y.attributes.epsilon), path), path), path)
      const slope = gamma === undefined ? inverse : mul(gamma, inverse, path)
      const dScale = mul(sum(mul(dy, sub(x, wide(mean), path), path), batchAxes(x), false, path), inverse, path)
      const dBias = sum(dy, batchAxes(x), false, path)
      return [
        mul(dy, wide(slope), path),
        ...(gamma === undefined ? [] : [dScale, dBias]),
        neg(mul(dBias, slope, path), path),
        scale(mul(dScale, mul(slope, inverse, path), path), -0.5, path)
      ]
    }
  }),
  layerNorm: define("layerNorm", {
    shape: (attributes, [x, ...vectors]) => unlessWrong(attributes, perFeature(x, vectors)),
    cost: (y) => ({
      ...flops(7 * Shape.size(y.shape)),
      fvcore: { operator: "layer_norm", count: 5 * Shape.size(y.shape) }
    }),
    gradient: (y, dy) => {
      const [x, gamma] = y.inputs
      const { epsilon } = y.attributes
      const others = x.shape.map((_, i) => i).slice(0, -1)
      return [
        apply(definitions.layerNormGradInput, { epsilon }, [dy, x, gamma], y.path),
        apply(definitions.layerNormGradScale, { epsilon }, [dy, x], y.path),
        sum(dy, others, false, y.path)
      ]
    }
  }),
  layerNormGradInput: define("layerNormGradInput", {
    shape: (_, [, x, gamma]) => perFeature(x, [gamma]),
    cost: (y) => flops(8 * Shape.size(y.shape)),
    gradient: "unsupported"
  }),
  layerNormGradScale: define("layerNormGradScale", {
    shape: (_, [, x]) => x.shape.slice(-1),
    cost: (y) => flops(3 * Shape.size(y.inputs[1].shape)),
    gradient: "unsupported"
  })
}

/**
 * Normalises axis 1 of `[batch, channels, ...]` by the batch's own mean and biased variance, then multiplies by `gamma` and adds `beta`, `[channels]` each. Leave out both for neither.
 *
 * Defaults are PyTorch's: epsilon 1e-5, and momentum 0.1, by which running statistics move towards the batch's.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const x = Op.input("x", [8, 32, 16, 16])
 * const [gamma, beta] = [Op.fill(1, [32]), Op.fill(0, [32])]
 * console.log(Op.batchNorm(x, gamma, beta).shape, Op.batchNorm(x).shape) // the second without scale and offset
 * ```
 */
export const batchNorm = (
  x: Tensor,
  gamma?: Tensor,
  beta?: Tensor,
  { epsilon = 1e-5, momentum = 0.1 }: Partial<Attributes["batchNorm"]> = {},
  path = x.path
): Tensor<"batchNorm"> => apply(definitions.batchNorm, { epsilon, momentum }, [x, ...given(gamma, beta)], path)

/** Mean and biased variance of the batch per channel: `[batch, channels, ...]` → `[2, channels]`. No gradient flows through it. */
export const batchMoments = (x: Tensor, path = x.path): Tensor<"batchMoments"> =>
  apply(definitions.batchMoments, {}, [x], path)

/**
 * Normalises axis 1 by given statistics, then multiplies by `gamma` and adds `beta`; does neither if both are `undefined`. Default epsilon: 1e-5.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const x = Op.input("x", [8, 32, 16, 16])
 * const [gamma, beta] = [Op.fill(1, [32]), Op.fill(0, [32])]
 * const [mean, variance] = [Op.fill(0, [32]), Op.fill(1, [32])]
 * console.log(Op.batchNormInference(x, gamma, beta, mean, variance).shape)
 * ```
 */
export const batchNormInference = (
  x: Tensor,
  gamma: Tensor | undefined,
  beta: Tensor | undefined,
  mean: Tensor,
  variance: Tensor,
  { epsilon = 1e-5 }: Partial<Attributes["batchNormInference"]> = {},
  path = x.path
): Tensor<"batchNormInference"> => {
  const definition = definitions.batchNormInference
  if (gamma !== undefined && beta !== undefined)
    return apply(definition, { epsilon }, [x, gamma, beta, mean, variance], path)
  const neither = gamma === beta ? definition : { ...definition, shape: () => unpaired }
  return apply(neither, { epsilon }, [x, mean, variance], path)
}

/** Normalises the last axis. Default epsilon: 1e-5. */
export const layerNorm = (
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  { epsilon = 1e-5 }: Partial<Attributes["layerNorm"]> = {},
  path = x.path
): Tensor<"layerNorm"> => apply(definitions.layerNorm, { epsilon }, [x, gamma, beta], path)
