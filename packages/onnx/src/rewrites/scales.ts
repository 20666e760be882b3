/** Folds a factor on a linear layer's result, per feature or one number, into the layer's weights (LayerScale, the √½ of a GELU); the factor's gradient comes from their product. */
import { Definition, Op, Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Forms from "../Forms.ts"
import * as Fused from "../Fused.ts"
import type { Rewrite } from "../Rewrite.ts"
import { type Target, tokensInRows, worthFolding } from "../Target.ts"
import { tokensAndVector } from "./factors.ts"

const isLinear = Tensor.is("linear")
const isBinary = Tensor.is("binary")

/** `factor` times a linear layer, if it is less work to apply it to the weights. */
const scaledLinear = (target: Target, t: Tensor.Tensor, factor: Tensor.Tensor, path: string) => {
  if (!isLinear(t) || !tokensInRows(target, t.shape)) return undefined
  const [x, weight, bias] = t.inputs
  if (!worthFolding(t.shape, Arr.getUnsafe(weight.shape, 1))) return undefined
  return Op.linear(x, Fused.rowScaled(weight, factor, path), bias && Op.mul(bias, factor, path), path)
}

/** The linear layer and the other factor of a product. */
const linearAnd = ([x, y]: Tensor.Inputs["binary"]) =>
  isLinear(x) ? { layer: x, other: y } : isLinear(y) ? { layer: y, other: x } : undefined

export const rewrite: Rewrite = {
  name: "scales",
  summary: "factors of a linear layer's features are folded into its weights",
  rules: (target) => ({
    binary: (node) => {
      const found = tokensAndVector(target, node)
      return found && scaledLinear(target, found.tokens, found.vector, node.path)
    },
    composite: (node) => {
      if (!Fused.is("line")(node)) return undefined
      const { factor, offset } = node.attributes.parameters
      return offset === 0 ? scaledLinear(target, node.inputs[0], Op.fill(factor), node.path) : undefined
    },
    reduce: ({ attributes: { axes, fn }, inputs: [x], path, shape }) => {
      if (fn !== "sum" || axes.join() !== "0,1" || !tokensInRows(target, x.shape)) return undefined
      if (!isBinary(x) || x.attributes.fn !== "mul" || !Shape.equals(x.inputs[0].shape, x.inputs[1].shape))
        return undefined
      const found = linearAnd(x.inputs)
      if (found === undefined || !worthFolding(x.shape, Arr.getUnsafe(found.layer.inputs[1].shape, 1)))
        return Op.reshape(Fused.rowDot(x.inputs[0], x.inputs[1], path), shape, path)
      const [input, weight, bias] = found.layer.inputs
      const { factor, value } = Forms.scaledOf(found.other, target)
      const gradient = Definition.apply(Op.definitions.linearGradWeight, {}, [value, input], path)
      const products = Op.sum(Op.mul(weight, gradient, path), [1], false, path)
      const sums = bias === undefined ? products : Op.add(products, Op.mul(Fused.rowSum(value, path), bias, path), path)
      return Op.reshape(factor === undefined ? sums : Op.mul(sums, factor, path), shape, path)
    }
  })
}
