/** Squeeze-and-excitation: the gradient of a gate is a dot product per channel and image, and that of the mean is computed together with that of the gate. */
import { Op, Shape, Tensor } from "@uninet/graph"
import * as Fused from "../Fused.ts"
import type { Rewrite } from "../Rewrite.ts"
import { gatesImages, isGate, type Target } from "../Target.ts"

const isBinary = Tensor.is("binary")
const isSpread = Tensor.is("broadcastTo")

/** The image and the gate of a product, if it is one. */
export const gated = (
  target: Target,
  node: Tensor.Tensor
): { readonly image: Tensor.Tensor; readonly gate: Tensor.Tensor } | undefined => {
  if (!isBinary(node) || node.attributes.fn !== "mul" || node.shape.length !== 4) return undefined
  if (!gatesImages(target, node.shape)) return undefined
  const [x, y] = node.inputs
  return isGate(x.shape, y.shape) ? { image: x, gate: y } : isGate(y.shape, x.shape) ? { image: y, gate: x } : undefined
}

/** The number per channel and image that was repeated over an image, if the tensor is one of those. */
const spread = (node: Tensor.Tensor): Tensor.Tensor | undefined =>
  isSpread(node) && isGate(node.shape, node.inputs[0].shape) ? node.inputs[0] : undefined

export const rewrite: Rewrite = {
  name: "gates",
  summary: "a gate's gradient as a dot product per image, its mean's as an offset of the gate",
  rules: (target) => ({
    binary: ({ attributes, inputs, path }) => {
      if (attributes.fn !== "add" || !Shape.equals(inputs[0].shape, inputs[1].shape)) return undefined
      for (const [first, second] of [inputs, inputs.toReversed()]) {
        const each = spread(first)
        const product = gated(target, second)
        if (each !== undefined && product !== undefined) return Fused.gate(product.image, product.gate, each, path)
      }
      return undefined
    },
    reduce: ({ attributes: { axes, fn }, inputs: [x], path, shape }) => {
      if (fn !== "sum" || axes.join() !== "2,3" || !isBinary(x) || x.attributes.fn !== "mul") return undefined
      const [p, q] = x.inputs
      return p.shape.length === 4 && Shape.equals(p.shape, q.shape) && gatesImages(target, p.shape)
        ? Op.reshape(Fused.imageDot(p, q, path), shape, path)
        : undefined
    }
  })
}
