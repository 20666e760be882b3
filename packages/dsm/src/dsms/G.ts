/** The global downsampling module: like LG, but without the two-dimensional neighbourhood. It follows the paper's description in words; the padding is our choice. */
import { Op } from "@uninet/graph"
import { type Layer, Nn, Scope } from "@uninet/nn"
import { flow } from "effect/Function"
import { type Config, type Dsm, strided } from "../Dsm.ts"
import * as pytorch from "./pytorch.ts"
import { attending, attendingCount, branchCount, plus, shortcutCount } from "./shared.ts"

/** Weights per channel: the stride's area, so that the sequence shrinks by as much as an image would. */
const kernel = ({ stride }: Config) => (stride === 1 ? 3 : stride * stride)

/**
 * Depthwise convolution along the row-major token sequence, kernel = stride = s² (kernel 3 and padding 1 where s = 1) → BN → 1×1.
 *
 * The sequence is treated as an image one pixel high. Zeros at its end make it as long as the result requires: s² for each of ⌈h/s⌉·⌈w/s⌉ positions.
 */
const sequence =
  (scope: Scope.Scope, config: Config): Layer.Layer =>
  (x) => {
    const { stride } = config
    const [batch = 0, channels = 0, height = 0, width = 0] = x.shape
    const size = strided(stride)({ height, width })
    const tokens = height * width
    const padding = stride === 1 ? 0 : size.height * size.width * stride * stride - tokens
    const line = Op.reshape(x, [batch, channels, 1, tokens], scope.path)
    return flow(
      Nn.depthwise(Scope.at("0")(scope), {
        kernel: [1, kernel(config)],
        stride: [1, stride * stride],
        padding: stride === 1 ? [0, 1, 0, 1] : [0, 0, 0, 0],
        bias: true
      }),
      Nn.batchNorm(Scope.at("1")(scope)),
      Nn.pointwise(Scope.at("2")(scope), { out: config.channels })
    )(Op.pad(line, [0, 0, 0, 0], [0, 0, 0, padding], scope.path))
  }

/** Queries from the sequence branch attend to every position of the input; + max-pool → 1×1. */
export const G: Dsm = {
  heads: true,
  // A norm follows, in the module or after it.
  idle: ["q.0.bias", "kv_norm.bias", "kv.bias", "proj.bias", "residual.0.bias", "residual.1.bias"],
  growth: { parts: { kv: 2 }, normsChannels: true },
  pytorch: pytorch.G,
  layer: (scope, config) => attending(scope, config, sequence(Scope.at("q")(scope), config)),
  count: (config, size) =>
    plus(branchCount(config, size, kernel(config)), attendingCount(config, size), shortcutCount(config, size))
}
