/** Ops that other ops can express: tokens, means, clipping, and updates of variables by averages and optimisers. */
import { Op, Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Rewrite } from "../Rewrite.ts"

const isConcat = Tensor.is("concat")

export const rewrite: Rewrite = {
  name: "small",
  summary: "tokens, means, clipping and moving averages as arithmetic",
  rules: {
    toTokens: ({ inputs: [x], path }) => {
      const [batch, channels, height, width] = Shape.ofRank(4)(x.shape)
      return Op.transpose(Op.reshape(x, [batch, channels, height * width], path), [0, 2, 1], path)
    },
    toImage: ({ inputs: [x], path, shape }) => Op.reshape(Op.transpose(x, [0, 2, 1], path), shape, path),
    reduce: (node) => {
      const { axes, fn, keepDims } = node.attributes
      const [x] = node.inputs
      if (fn !== "mean") return undefined
      const share = Shape.size(node.shape) / Shape.size(x.shape)
      return Op.scale(Op.sum(x, axes, keepDims, node.path), share, node.path)
    },
    globalAveragePool: ({ inputs: [x], path }) =>
      Op.scale(Op.sum(x, [2, 3], false, path), 1 / Shape.size(x.shape.slice(2)), path),
    // One part of a concatenation.
    slice: ({ attributes: { axis, end, start }, inputs: [x], path }) => {
      if (!isConcat(x) || x.attributes.axis !== axis) return undefined
      let from = 0
      for (const part of x.inputs) {
        const length = Arr.getUnsafe(part.shape, axis)
        if (start >= from && end <= from + length) return Op.slice(part, axis, start - from, end - from, path)
        from += length
      }
      return undefined
    },
    // Features without a batch are a batch of one.
    linear: ({ inputs: [x, weight, bias], path }) =>
      x.shape.length === 1
        ? Op.reshape(
            Op.linear(Op.reshape(x, [1, Arr.getUnsafe(x.shape, 0)], path), weight, bias, path),
            [Arr.getUnsafe(weight.shape, 0)],
            path
          )
        : undefined,
    linearGradInput: ({ inputs: [dy, weight], path }) =>
      dy.shape.length === 1
        ? Op.reshape(
            Op.matmul(Op.reshape(dy, [1, Arr.getUnsafe(dy.shape, 0)], path), weight, {}, path),
            [Arr.getUnsafe(weight.shape, 1)],
            path
          )
        : undefined,
    linearGradWeight: ({ inputs: [dy, x], path }) =>
      dy.shape.length === 1
        ? Op.matmul(
            Op.reshape(dy, [Arr.getUnsafe(dy.shape, 0), 1], path),
            Op.reshape(x, [1, Arr.getUnsafe(x.shape, 0)], path),
            {},
            path
          )
        : undefined,
    globalNorm: ({ inputs, path }) => {
      const squares = inputs.map((x) => Op.sum(Op.mul(x, x, path), undefined, false, path))
      return Op.sqrt(
        squares.reduce((sum, x) => Op.add(sum, x, path)),
        path
      )
    },
    clipByNorm: ({ attributes: { most }, inputs: [gradient, norm], path }) => {
      const share = Op.div(Op.fill(most), Op.add(norm, Op.fill(1e-6), path), path)
      return Op.mul(gradient, Op.min(share, Op.fill(1), path), path)
    },
    movingAverage: ({ inputs: [average, current, decay], path }) =>
      Op.add(Op.mul(average, decay, path), Op.mul(current, Op.sub(Op.fill(1), decay, path), path), path),
    sgd: ({ attributes: { momentum, nesterov, of, weightDecay }, inputs, path }) => {
      const [parameter, gradient, velocity, rate] = inputs
      const pull = weightDecay === 0 ? gradient : Op.add(gradient, Op.scale(parameter, weightDecay, path), path)
      const next = Op.add(Op.scale(velocity, momentum, path), pull, path)
      if (of === "velocity") return next
      const direction = nesterov ? Op.add(pull, Op.scale(next, momentum, path), path) : next
      return Op.sub(parameter, Op.mul(direction, rate, path), path)
    }
  }
}
