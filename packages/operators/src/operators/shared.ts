/** Parts that several operators share, and their counts. */
import { Op } from "@uninet/graph"
import { Layer, Nn, Scope } from "@uninet/nn"
import { flow } from "effect/Function"
import { type Config, hidden, type Size } from "../Operator.ts"

/**
 * What a convolutional block adds to its branch: the input itself or, where the channels change, a 1×1 convolution of its 3×3
 * maximum, as in the released PyTorch code.
 */
export const shortcut = (scope: Scope.Scope, { channels, inChannels }: Config): Layer.Layer =>
  inChannels === channels
    ? Layer.identity
    : flow(
        (x) => Op.maxPool2d(x, { kernel: [3, 3] }, scope.path),
        Nn.pointwise(Scope.at("residual.1")(scope), { out: channels })
      )

export const shortcutCount = ({ channels, inChannels }: Config, size: Size) =>
  inChannels === channels
    ? { parameters: 0, macs: 0 }
    : { parameters: (inChannels + 1) * channels, macs: area(size) * inChannels * channels }

/** Squeeze-and-excitation of `channels`. */
export const squeezeExcitationCount = (channels: number) => {
  const squeezed = Nn.squeezeChannels(channels)
  return { parameters: 2 * channels * squeezed + squeezed + channels, macs: 2 * channels * squeezed }
}

export const area = ({ height, width }: Size): number => height * width

/** x + γ·branch(LN(x)), the branch dropped at random in training: half of a transformer or mixer block over tokens. */
export const tokenResidual = (
  scope: Scope.Scope,
  names: { readonly norm: string; readonly scale: string; readonly branch: string },
  config: Config,
  branch: (scope: Scope.Scope) => Layer.Layer
): Layer.Layer =>
  Nn.residual(scope, {
    branch: flow(
      Nn.layerNorm(Scope.at(names.norm)(scope)),
      branch(Scope.at(names.branch)(scope)),
      Nn.layerScale(scope, names.scale),
      Nn.stochasticDepth(Scope.at(names.branch)(scope), config.stochasticDepth)
    )
  })

/** The second half of transformer and mixer blocks: x + γ₂·FFN(LN(x)), c → e·c → c. */
export const feedForward = (scope: Scope.Scope, config: Config): Layer.Layer =>
  tokenResidual(scope, { norm: "norm2", scale: "gamma_2", branch: "mlp" }, config, (at) =>
    Nn.feedForward(at, { hidden: hidden(config) })
  )

export const feedForwardCount = (config: Config, size: Size) => {
  const [c, h] = [config.channels, hidden(config)]
  // Norm and LayerScale are 3·c.
  return { parameters: 2 * c * h + h + c + 3 * c, macs: area(size) * 2 * c * h }
}

/** A layer over the tokens of an image as a layer over the image. */
export const overTokens =
  (scope: Scope.Scope, tokens: (size: Size) => Layer.Layer): Layer.Layer =>
  (x) => {
    const [, , height = 0, width = 0] = x.shape
    const y = tokens({ height, width })(Op.toTokens(x, scope.path))
    return Op.toImage(y, height, width, scope.path)
  }
