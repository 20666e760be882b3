/** Sums and dot products of a gradient that comes through a product with weights follow from the product's inputs, so they do not need the gradient itself. */
import { Definition, Op, Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Fused from "../Fused.ts"
import type { Rewrite } from "../Rewrite.ts"
import { imageInRows, isPointwise, type Target, tokensInRows, worthFolding } from "../Target.ts"

const isGradInput = Tensor.is("conv2dGradInput")
const isLinearGradInput = Tensor.is("linearGradInput")
const isBinary = Tensor.is("binary")

interface Through {
  /** The product's input. */
  readonly d: Tensor.Tensor
  /** `[out, in]`. */
  readonly weight: Tensor.Tensor
  /** Σ of `d` per channel. */
  readonly sum: () => Tensor.Tensor
  /** The weight gradient for an input, `[out, in]`. */
  readonly weightGradient: (x: Tensor.Tensor) => Tensor.Tensor
}

const throughImage = (target: Target, dy: Tensor.Tensor, path: string): Through | undefined => {
  if (!isGradInput(dy)) return undefined
  const [d, weight] = dy.inputs
  if (!isPointwise(weight.shape, dy.attributes) || !imageInRows(target, d.shape)) return undefined
  const { dilation, groups, padding, stride } = dy.attributes
  const attributes = { dilation, groups, padding, stride, weightShape: weight.shape }
  const matrix = weight.shape.slice(0, 2)
  return {
    d,
    weight: Op.reshape(weight, matrix, path),
    sum: () => Fused.rowSum(d, path),
    weightGradient: (x) =>
      Op.reshape(Definition.apply(Op.definitions.conv2dGradWeight, attributes, [d, x], path), matrix, path)
  }
}

const throughLinear = (target: Target, dy: Tensor.Tensor, path: string): Through | undefined => {
  if (!isLinearGradInput(dy) || !tokensInRows(target, dy.shape)) return undefined
  const [d, weight] = dy.inputs
  if (!worthFolding(d.shape, Arr.getUnsafe(weight.shape, 0))) return undefined
  return {
    d,
    weight,
    sum: () => Fused.rowSum(d, path),
    weightGradient: (x) => Definition.apply(Op.definitions.linearGradWeight, {}, [d, x], path)
  }
}

export const rewrite: Rewrite = {
  name: "sums",
  summary: "sums of gradients that come through weights, from what they come from",
  rules: (target) => {
    const through = (dy: Tensor.Tensor, path: string) =>
      throughImage(target, dy, path) ?? throughLinear(target, dy, path)
    const sumsOf = (dy: Tensor.Tensor, path: string) => {
      const of = through(dy, path)
      return of && Fused.vectorProduct(of.weight, of.sum(), { transposed: true }, path)
    }
    return {
      reduce: ({ attributes: { axes, fn }, inputs: [x], path, shape }) => {
        if (fn !== "sum") return undefined
        const perChannel = axes.join() === (x.shape.length === 4 ? "0,2,3" : "0,1")
        const sums = perChannel ? sumsOf(x, path) : undefined
        return sums && Op.reshape(sums, shape, path)
      },
      composite: (node) => {
        const { path } = node
        if (Fused.is("rowSum")(node)) return sumsOf(node.inputs[0], path)
        if (Fused.is("rowDot")(node)) {
          const [dy, rows] = node.inputs
          const of = through(dy, path)
          return of && Op.sum(Op.mul(of.weight, of.weightGradient(rows), path), [0], false, path)
        }
        // Subtracting the mean is folded into the weights.
        if (Fused.is("withoutMeans")(node)) {
          const [product] = node.inputs
          if (!isBinary(product) || product.attributes.fn !== "mul") return undefined
          const [dy, gamma] = product.inputs
          const of = throughLinear(target, dy, path)
          if (of === undefined || !Shape.equals(gamma.shape, [Arr.getUnsafe(node.shape, 2)])) return undefined
          const weight = Fused.columnScaled(of.weight, gamma, path)
          const even = Op.sub(weight, Op.mean(weight, [1], true, path), path)
          return Definition.apply(Op.definitions.linearGradInput, {}, [of.d, even], path)
        }
        return undefined
      }
    }
  }
}
