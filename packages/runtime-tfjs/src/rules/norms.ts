/** Batch and layer normalisation: rows of one matrix, whose columns are channels or features. */
import { Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import { type Context, last, physicalShape, plain, type Rules } from "../internal/context.ts"
import * as K from "../internal/kernels.ts"
import type { Value } from "../internal/plan.ts"
import { rows } from "./products.ts"

const channelRows = (ctx: Context, x: Tensor.Tensor): Value => rows(ctx, ctx.last(x))
const fromRows = (ctx: Context, node: Tensor.Tensor, value: Value) =>
  last(K.reshape(ctx.b, value, physicalShape("last", node.shape)))

/** The mean over rows, per column. */
const columnMean = ({ b }: Context, x: Value): Value => K.mean(b, x, [0])

/** Rows minus the batch's mean, that mean, and the biased variance. */
const moments = (ctx: Context, x: Tensor.Tensor) => {
  const { b } = ctx
  const from = channelRows(ctx, x)
  const mean = columnMean(ctx, from)
  const centred = K.sub(b, from, mean)
  return { centred, mean, variance: columnMean(ctx, K.unary(b, "Square", centred)) }
}

const inverseDeviation = ({ b }: Context, variance: Value, epsilon: number): Value =>
  K.unary(b, "Rsqrt", K.plus(b, variance, epsilon))

/** Numbers per channel times a batch norm's scale, if it has one. */
const scaledBy = (ctx: Context, gamma: Tensor.Tensor | undefined, x: Value): Value =>
  gamma === undefined ? x : K.mul(ctx.b, ctx.plain(gamma), x)

/** Rows minus their own mean, and the reciprocal of their standard deviation, `[rows, 1]`. */
const rowMoments = (ctx: Context, x: Tensor.Tensor, epsilon: number) => {
  const { b } = ctx
  const from = rows(ctx, ctx.plain(x))
  const centred = K.sub(b, from, K.mean(b, from, [1], true))
  const variance = K.mean(b, K.unary(b, "Square", centred), [1], true)
  const inverse = inverseDeviation(ctx, variance, epsilon)
  return { normal: K.mul(b, centred, inverse), inverse }
}

export const rules = {
  batchNorm: (node, ctx) => {
    const { b } = ctx
    const [x, gamma, beta] = node.inputs
    const { centred, variance } = moments(ctx, x)
    const slope = scaledBy(ctx, gamma, inverseDeviation(ctx, variance, node.attributes.epsilon))
    const scaled = K.mul(b, centred, slope)
    return fromRows(ctx, node, beta === undefined ? scaled : K.add(b, scaled, ctx.plain(beta)))
  },
  batchMoments: (node, ctx) => {
    const { mean, variance } = moments(ctx, node.inputs[0])
    const row = (v: Value) => K.reshape(ctx.b, v, [1, Arr.getUnsafe(node.shape, 1)])
    return plain(K.concat(ctx.b, [row(mean), row(variance)], 0))
  },
  batchNormGradInput: (node, ctx) => {
    const { b } = ctx
    const [dyNode, x, gamma] = node.inputs
    const { centred, variance } = moments(ctx, x)
    const inverse = inverseDeviation(ctx, variance, node.attributes.epsilon)
    const dy = channelRows(ctx, dyNode)
    // γs·(dy − mean(dy) − x̂·mean(dy·x̂)) as a·dy + b·centred + c, with numbers a, b, c per channel.
    const a = scaledBy(ctx, gamma, inverse)
    const product = columnMean(ctx, K.mul(b, dy, centred))
    const along = K.mul(b, K.mul(b, a, product), K.unary(b, "Square", inverse))
    const offset = K.mul(b, a, columnMean(ctx, dy))
    return fromRows(ctx, node, K.sub(b, K.sub(b, K.mul(b, dy, a), offset), K.mul(b, centred, along)))
  },
  batchNormGradScale: (node, ctx) => {
    const { b } = ctx
    const [dy, x] = node.inputs
    const { centred, variance } = moments(ctx, x)
    const total = K.sum(b, K.mul(b, channelRows(ctx, dy), centred), [0])
    return plain(K.mul(b, total, inverseDeviation(ctx, variance, node.attributes.epsilon)))
  },
  batchNormInference: (node, ctx) => {
    const { b } = ctx
    const { inputs } = node
    const [x] = inputs
    const [gamma, beta, ...statistics] =
      inputs.length === 5
        ? ([inputs[1], inputs[2], inputs[3], inputs[4]] as const)
        : ([undefined, undefined, inputs[1], inputs[2]] as const)
    const [mean, variance] = Tensor.each(ctx.plain)(statistics)
    const inverse = inverseDeviation(ctx, variance, node.attributes.epsilon)
    const slope = scaledBy(ctx, gamma, inverse)
    const drop = K.mul(b, mean, slope)
    const offset = beta === undefined ? K.unary(b, "Neg", drop) : K.sub(b, ctx.plain(beta), drop)
    return fromRows(ctx, node, K.add(b, K.mul(b, channelRows(ctx, x), slope), offset))
  },
  layerNorm: (node, ctx) => {
    const { b } = ctx
    const [x, gamma, beta] = node.inputs
    const { normal } = rowMoments(ctx, x, node.attributes.epsilon)
    return plain(K.reshape(b, K.add(b, K.mul(b, normal, ctx.plain(gamma)), ctx.plain(beta)), node.shape))
  },
  layerNormGradInput: (node, ctx) => {
    const { b } = ctx
    const [dy, x, gamma] = node.inputs
    const { inverse, normal } = rowMoments(ctx, x, node.attributes.epsilon)
    const d = K.mul(b, rows(ctx, ctx.plain(dy)), ctx.plain(gamma))
    const mean = (v: Value) => K.mean(b, v, [1], true)
    const centred = K.sub(b, K.sub(b, d, mean(d)), K.mul(b, normal, mean(K.mul(b, d, normal))))
    return plain(K.reshape(b, K.mul(b, centred, inverse), node.shape))
  },
  layerNormGradScale: (node, ctx) => {
    const [dy, x] = node.inputs
    const { normal } = rowMoments(ctx, x, node.attributes.epsilon)
    return plain(K.reshape(ctx.b, K.sum(ctx.b, K.mul(ctx.b, rows(ctx, ctx.plain(dy)), normal), [0]), node.shape))
  }
} satisfies Partial<Rules>
