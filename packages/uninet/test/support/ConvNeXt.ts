/** A user's own operator: ConvNeXt's block (arXiv 2201.03545), which UniNet does not have. */
import { Op } from "@uninet/graph"
import { Nn, Scope } from "@uninet/nn"
import type { Operator } from "@uninet/operators"
import { flow } from "effect/Function"

export const ConvNeXt: Operator.Operator = {
  layer: (scope, { channels, expansion, stochasticDepth }) =>
    Nn.residual(scope, {
      branch: (x) => {
        const [, , height, width] = x.shape
        return flow(
          Nn.depthwise(Scope.at("depthwise")(scope), { kernel: 7, bias: true }),
          (y) => Op.toTokens(y, scope.path),
          Nn.layerNorm(Scope.at("norm")(scope)),
          Nn.feedForward(Scope.at("mlp")(scope), { hidden: expansion * channels }),
          Nn.layerScale(scope, "gamma"),
          (y) => Op.toImage(y, height, width, scope.path),
          Nn.stochasticDepth(scope, stochasticDepth)
        )(x)
      }
    })
}
