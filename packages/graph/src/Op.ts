/**
 * The ops: constructors for building graphs, and the table that defines each op.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const x = Op.input("x", [2, 3, 4])
 * console.log(Op.softmax(x).shape, Op.layerNorm(x, Op.fill(1, [4]), Op.fill(0, [4])).shape, Op.transpose(x, [0, 2, 1]).shape, Op.matmul(x, Op.transpose(x, [0, 2, 1])).shape)
 * console.log(Op.concat([x, x], 1).shape, Op.constant(Float32Array.of(1, 2), [2]).shape, Op.argMax(x).shape)
 * ```
 */
import * as Activation from "./ops/activation.ts"
import * as Attention from "./ops/attention.ts"
import * as Composite from "./ops/composite.ts"
import * as Convolution from "./ops/convolution.ts"
import * as Elementwise from "./ops/elementwise.ts"
import * as Gather from "./ops/gather.ts"
import * as Layout from "./ops/layout.ts"
import * as Leaf from "./ops/leaf.ts"
import * as MatMul from "./ops/matmul.ts"
import * as Normalisation from "./ops/normalisation.ts"
import * as Optimiser from "./ops/optimiser.ts"
import * as Pool from "./ops/pool.ts"
import * as Reduction from "./ops/reduction.ts"
import * as Resize from "./ops/resize.ts"
import type { Definition } from "./Definition.ts"
import type { Kind, Primitive, Tensor } from "./Tensor.ts"

export { activation, type ActivationFunction, gelu, hardSigmoid, relu, sigmoid, silu, tanh } from "./ops/activation.ts"
export { attention } from "./ops/attention.ts"
export { composite, type Composite, expandComposites, type Json, type Parameters } from "./ops/composite.ts"
export { conv2d, type Convolution, kernelExtent, halfPadding, type Window } from "./ops/convolution.ts"
export {
  abs,
  add,
  type BinaryFunction,
  broadcastTo,
  type Comparison,
  div,
  equal,
  exp,
  greater,
  greaterOrEqual,
  log,
  max,
  min,
  mul,
  neg,
  reciprocal,
  scale,
  sign,
  sqrt,
  sub,
  type UnaryFunction
} from "./ops/elementwise.ts"
export { gather, scatterAdd } from "./ops/gather.ts"
export { concat, pad, reshape, slice, toImage, toTokens, transpose } from "./ops/layout.ts"
export { constant, fill, type Initialiser, input, noise, type Role, variable } from "./ops/leaf.ts"
export { linear, matmul } from "./ops/matmul.ts"
export { batchMoments, batchNorm, batchNormInference, layerNorm } from "./ops/normalisation.ts"
export { adamw, type AdamW, clipByNorm, globalNorm, movingAverage, sgd, type Sgd } from "./ops/optimiser.ts"
export { averagePool2d, globalAveragePool, maxPool2d, type Pool, windowCounts } from "./ops/pool.ts"
export { argMax, logSoftmax, mean, oneHot, reduceMax, softmax, sum } from "./ops/reduction.ts"
export { type Interpolation, resize, resizeMatrix, resizeTaps, type Taps } from "./ops/resize.ts"

/** What every op means. A missing row is a type error. */
export const definitions: { readonly [K in Kind]: Definition<K> } = {
  ...Leaf.definitions,
  ...Elementwise.definitions,
  ...Activation.definitions,
  ...Reduction.definitions,
  ...Layout.definitions,
  ...Gather.definitions,
  ...MatMul.definitions,
  ...Convolution.definitions,
  ...Pool.definitions,
  ...Resize.definitions,
  ...Normalisation.definitions,
  ...Attention.definitions,
  ...Optimiser.definitions,
  ...Composite.definitions
}

/** One rule for each op that can occur in a program. Engines, printers and analyses are tables of this kind. Custom ops need no rule. */
export type Table<Args extends ReadonlyArray<unknown>, Result> = {
  readonly [K in Primitive]: (node: Tensor<K>, ...args: Args) => Result
}

/** Applies the rule for a node's kind. The node must come from a program. */
export const dispatch = <Args extends ReadonlyArray<unknown>, Result>(
  table: Table<Args, Result>,
  node: Tensor,
  ...args: Args
): Result => {
  // A node's kind and attributes agree by construction (`apply`), which the type of a lookup by a union of kinds cannot express.
  // No program contains a composite.
  const rule = table[node.kind as Primitive] as (node: Tensor, ...args: Args) => Result
  return rule(node, ...args)
}
