/** Folds the factor of a gradient, one number or one per channel, into the weights of its reader, or applies it to the reader's sums. */
import { Definition, Op, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Forms from "../Forms.ts"
import * as Fused from "../Fused.ts"
import type { Rewrite } from "../Rewrite.ts"
import { type Target, tokensInRows, worthFolding } from "../Target.ts"

const isBinary = Tensor.is("binary")
const isLinear = Tensor.is("linear")
const isColumnScaled = Fused.is("columnScaled")
const isRowSum = Fused.is("rowSum")

/** The tokens and the number per feature in a product. */
export const tokensAndVector = (
  target: Target,
  node: Tensor.Tensor
): { readonly tokens: Tensor.Tensor; readonly vector: Tensor.Tensor } | undefined => {
  if (!isBinary(node) || node.attributes.fn !== "mul") return undefined
  const [x, y] = node.inputs
  const [tokens, vector] = x.shape.length === 3 ? [x, y] : [y, x]
  const fits = tokensInRows(target, tokens.shape) && vector.shape.join() === `${tokens.shape[2]}`
  return fits ? { tokens, vector } : undefined
}

/** A gradient as `factor · value`, if its readers may apply the factor elsewhere. */
const partsOf = (target: Target, dy: Tensor.Tensor) => {
  const own = Forms.scaledOf(dy, target)
  if (own.factor !== undefined) return { value: own.value, factor: own.factor }
  const product = tokensAndVector(target, dy)
  if (product === undefined) return undefined
  const { tokens, vector } = product
  // The gradient's reader is a linear layer with about as many input features.
  if (!worthFolding(dy.shape, Arr.getUnsafe(dy.shape, 2))) return undefined
  return isLinear(tokens) && worthFolding(tokens.shape, Arr.getUnsafe(tokens.inputs[1].shape, 1))
    ? undefined
    : { value: tokens, factor: vector }
}

/** Weights times a number per row, applied before the factor of their columns. */
const scaledRows = (w: Tensor.Tensor, factor: Tensor.Tensor, path: string): Tensor.Tensor =>
  isColumnScaled(w)
    ? Fused.columnScaled(Fused.rowScaled(w.inputs[0], factor, path), w.inputs[1], path)
    : Fused.rowScaled(w, factor, path)

export const rewrite: Rewrite = {
  name: "factors",
  summary: "factors of gradients are folded into weights and sums",
  rules: (target) => {
    const sumsOf = (dy: Tensor.Tensor, path: string) => {
      const parts = partsOf(target, dy)
      return parts && Op.mul(Fused.rowSum(parts.value, path), parts.factor, path)
    }
    return {
      conv2dGradInput: (node) => {
        const {
          attributes,
          inputs: [dy, weight],
          path
        } = node
        const parts = partsOf(target, dy)
        if (parts === undefined || !Forms.inputTakesFactor(node, Forms.of(node, target), target)) return undefined
        const w = scaledRows(weight, parts.factor, path)
        return Definition.apply(Op.definitions.conv2dGradInput, attributes, [parts.value, w], path)
      },
      conv2dGradWeight: (node) => {
        const {
          attributes,
          inputs: [dy, x],
          path
        } = node
        const parts = partsOf(target, dy)
        if (parts === undefined || !Forms.weightTakesFactor(node, Forms.of(node, target), target)) return undefined
        const w = Definition.apply(Op.definitions.conv2dGradWeight, attributes, [parts.value, x], path)
        return Fused.rowScaled(w, parts.factor, path)
      },
      linearGradInput: ({ inputs: [dy, weight], path, shape }) => {
        const parts = tokensInRows(target, shape) ? partsOf(target, dy) : undefined
        if (parts === undefined) return undefined
        const w = scaledRows(weight, parts.factor, path)
        return Definition.apply(Op.definitions.linearGradInput, {}, [parts.value, w], path)
      },
      linearGradWeight: ({ inputs: [dy, x], path }) => {
        const parts = tokensInRows(target, x.shape) ? partsOf(target, dy) : undefined
        if (parts === undefined) return undefined
        const w = Definition.apply(Op.definitions.linearGradWeight, {}, [parts.value, x], path)
        return Fused.rowScaled(w, parts.factor, path)
      },
      reduce: ({ attributes: { axes, fn }, inputs: [x], path, shape }) => {
        if (fn !== "sum") return undefined
        const overImage = axes.join() === "0,2,3" && x.shape.length === 4 && target.allows("channels", x.shape)
        const overTokens = axes.join() === "0,1" && tokensInRows(target, x.shape)
        const sums = overImage || overTokens ? sumsOf(x, path) : undefined
        return sums && Op.reshape(sums, shape, path)
      },
      composite: (node) => (isRowSum(node) ? sumsOf(node.inputs[0], node.path) : undefined)
    }
  }
}
