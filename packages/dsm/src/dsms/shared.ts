/** Parts that the downsampling modules share, and their counts. */
import { Op, type Tensor } from "@uninet/graph"
import { type Layer, Nn, Scope } from "@uninet/nn"
import { flow } from "effect/Function"
import type { Block } from "@uninet/operators"
import { type Config, strided } from "../Dsm.ts"

const area = ({ height, width }: Block.Size) => height * width

export const plus = (...counts: ReadonlyArray<Block.Count>): Block.Count => ({
  parameters: counts.reduce((sum, count) => sum + count.parameters, 0),
  macs: counts.reduce((sum, count) => sum + count.macs, 0)
})

/** Max-pool 3×3 with the stride (left out at stride 1) → 1×1 convolution, as in the released PyTorch code. */
export const shortcut = (scope: Scope.Scope, { channels, stride }: Config): Layer.Layer => {
  // In the authors' `Sequential`, the convolution's number depends on what comes before it.
  const project = Nn.pointwise(Scope.at(stride === 1 ? "residual.0" : "residual.1")(scope), { out: channels })
  return stride === 1
    ? project
    : flow((x) => Op.maxPool2d(x, { kernel: [3, 3], stride: [stride, stride] }, scope.path), project)
}

export const shortcutCount = ({ channels, inChannels, stride }: Config, size: Block.Size): Block.Count => ({
  parameters: (inChannels + 1) * channels,
  macs: area(strided(stride)(size)) * inChannels * channels
})

/** The local branch: depthwise 3×3 with the stride → BN → 1×1, all named after `scope`, as in the released PyTorch code. */
export const local = (scope: Scope.Scope, { channels, stride }: Config): Layer.Layer =>
  flow(
    Nn.depthwise(Scope.at("0")(scope), { stride, bias: true }),
    Nn.batchNorm(Scope.at("1")(scope)),
    Nn.pointwise(Scope.at("2")(scope), { out: channels })
  )

/** A branch made of a depthwise convolution with `kernel` weights per channel, BN and 1×1. */
export const branchCount = (
  { channels, inChannels, stride }: Config,
  size: Block.Size,
  kernel: number
): Block.Count => ({
  parameters: (kernel + 1) * inChannels + 2 * inChannels + (inChannels + 1) * channels,
  macs: area(strided(stride)(size)) * (kernel * inChannels + inChannels * channels)
})

/** The shortcut plus attention: the queries that `branch` makes attend to every position of the input. */
export const attending = (
  scope: Scope.Scope,
  config: Config,
  branch: (x: Tensor.Tensor) => Tensor.Tensor
): Layer.Layer =>
  Nn.residual(scope, {
    shortcut: shortcut(scope, config),
    branch: (x) => {
      const [, , rows = 0, columns = 0] = x.shape
      const { height, width } = strided(config.stride)({ height: rows, width: columns })
      const query = Nn.layerNorm(Scope.at("q_norm")(scope))(Op.toTokens(branch(x), scope.path))
      const tokens = Nn.layerNorm(Scope.at("kv_norm")(scope))(Op.toTokens(x, scope.path))
      const attended = Nn.crossAttention(scope, { headDim: config.headDim, query })(tokens)
      return Op.toImage(attended, height, width, scope.path)
    }
  })

/** Norms, key and value, output projection, and the attention itself. */
export const attendingCount = ({ channels, inChannels, stride }: Config, size: Block.Size): Block.Count => {
  const [keys, queries] = [area(size), area(strided(stride)(size))]
  return {
    parameters: 2 * channels + 2 * inChannels + (inChannels + 1) * 2 * channels + (channels + 1) * channels,
    macs: keys * inChannels * 2 * channels + queries * channels * channels + 2 * queries * keys * channels
  }
}
