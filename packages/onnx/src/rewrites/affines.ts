/**
 * Folds an affine map per channel into its readers: the weights of a convolution or a linear layer, whose weight gradient provides the map's own; the argument of a GELU; a residual sum.
 */
import { Definition, Op, Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Fused from "../Fused.ts"
import type { Rewrite } from "../Rewrite.ts"
import { isPointwise, worthFolding } from "../Target.ts"

/** A map of an image to which nothing is added. */
const ofImage = (t: Tensor.Tensor) => {
  const parts = t.shape.length === 4 ? Fused.affineOf(t) : undefined
  return parts?.offset !== undefined && parts.sum === undefined ? { ...parts, offset: parts.offset } : undefined
}

/** A map of tokens that is read by a linear layer with this many output features. */
const ofTokens = (t: Tensor.Tensor, features: number) => {
  const parts = t.shape.length === 3 && worthFolding(t.shape, features) ? Fused.affineOf(t) : undefined
  return parts?.offset !== undefined && parts.sum === undefined ? { ...parts, offset: parts.offset } : undefined
}

/** Sums per channel times a number per column: `[out, in]`. */
const outer = (sums: Tensor.Tensor, offset: Tensor.Tensor, path: string) =>
  Op.matmul(
    Op.reshape(sums, [Arr.getUnsafe(sums.shape, 0), 1], path),
    Op.reshape(offset, [1, Arr.getUnsafe(offset.shape, 0)], path),
    {},
    path
  )

export const rewrite: Rewrite = {
  name: "affine maps",
  summary: "affine maps are folded into the weights after them, into GELUs and into residual sums",
  rules: () => ({
    conv2d: ({ attributes, inputs: [x, weight, bias], path }) => {
      const parts = isPointwise(weight.shape, attributes) ? ofImage(x) : undefined
      if (parts === undefined) return undefined
      const matrix = Op.reshape(weight, [Arr.getUnsafe(weight.shape, 0), Arr.getUnsafe(weight.shape, 1)], path)
      const shifted = Fused.vectorProduct(matrix, parts.offset, { plus: bias }, path)
      const w = Fused.columnScaled(weight, parts.factor, path)
      return Definition.apply(Op.definitions.conv2d, attributes, [parts.x, w, shifted], path)
    },
    conv2dGradWeight: ({ attributes, inputs: [dy, x], path }) => {
      const { weightShape } = attributes
      const parts = isPointwise(weightShape, attributes) ? ofImage(x) : undefined
      if (parts === undefined) return undefined
      const product = Definition.apply(Op.definitions.conv2dGradWeight, attributes, [dy, parts.x], path)
      const constant = outer(Fused.rowSum(dy, path), parts.offset, path)
      const matrix = Op.reshape(Fused.columnScaled(product, parts.factor, path), constant.shape, path)
      return Op.reshape(Op.add(matrix, constant, path), weightShape, path)
    },
    linear: ({ inputs: [x, weight, bias], path }) => {
      const parts = ofTokens(x, Arr.getUnsafe(weight.shape, 0))
      if (parts === undefined) return undefined
      const shifted = Fused.vectorProduct(weight, parts.offset, { plus: bias }, path)
      return Op.linear(parts.x, Fused.columnScaled(weight, parts.factor, path), shifted, path)
    },
    linearGradWeight: ({ inputs: [dy, x], path }) => {
      const parts = ofTokens(x, Arr.getUnsafe(dy.shape, dy.shape.length - 1))
      if (parts === undefined) return undefined
      const product = Definition.apply(Op.definitions.linearGradWeight, {}, [dy, parts.x], path)
      const constant = outer(Fused.rowSum(dy, path), parts.offset, path)
      return Op.add(Fused.columnScaled(product, parts.factor, path), constant, path)
    },
    // A residual is added in the same step.
    binary: ({ attributes, inputs, path }) => {
      if (attributes.fn !== "add" || !Shape.equals(inputs[0].shape, inputs[1].shape)) return undefined
      for (const [first, second] of [inputs, inputs.toReversed()]) {
        const parts = ofImage(first)
        if (parts !== undefined) return Fused.affine(parts.x, parts.factor, { offset: parts.offset, sum: second }, path)
      }
      return undefined
    },
    composite: (node) => {
      if (!Fused.is("line")(node)) return undefined
      const parts = ofImage(node.inputs[0])
      const { factor, offset } = node.attributes.parameters
      if (parts === undefined || offset !== 0) return undefined
      return Fused.affine(
        parts.x,
        Op.scale(parts.factor, factor, node.path),
        { offset: Op.scale(parts.offset, factor, node.path) },
        node.path
      )
    }
  })
}
