/** The table of the ops that are lowered. Ops that rewrites remove have no row. */
import type { Tensor } from "@uninet/graph"
import type { Context, Value } from "./context.ts"

/** Ops that no program has after the rewrites. */
export type Rewritten =
  | "toTokens"
  | "toImage"
  | "globalAveragePool"
  | "batchNorm"
  | "batchMoments"
  | "batchNormGradInput"
  | "batchNormGradScale"
  | "batchNormInference"
  | "layerNorm"
  | "layerNormGradInput"
  | "layerNormGradScale"
  | "softmax"
  | "softmaxGrad"
  | "logSoftmax"
  | "sgd"
  | "movingAverage"
  | "globalNorm"
  | "clipByNorm"

export type Lowered = Exclude<Tensor.Primitive, Rewritten>

export type Rules = {
  readonly [K in Lowered]: (node: Tensor.Tensor<K>, ctx: Context) => Value
}
