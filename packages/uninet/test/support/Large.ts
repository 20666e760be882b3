/** A user's own operator with a choice of its own: a depthwise convolution whose kernel is searched where this operator is chosen. */
import { Nn, Scope } from "@uninet/nn"
import { Operator } from "@uninet/operators"
import { Choice } from "@uninet/search-space"
import { flow } from "effect/Function"

export const Large = Operator.make({
  choices: { kernel: Choice.ordered([3, 5, 7], { seed: 5 }) },
  layer: (scope, { channels, settings, stochasticDepth }) =>
    Nn.residual(scope, {
      branch: flow(
        Nn.batchNorm(Scope.at("norm")(scope)),
        Nn.depthwise(Scope.at("depthwise")(scope), { kernel: settings.kernel }),
        Nn.gelu(scope),
        Nn.pointwise(Scope.at("project")(scope), { out: channels }),
        Nn.stochasticDepth(scope, stochasticDepth)
      )
    }),
  count: ({ channels, settings: { kernel } }, { height, width }) => ({
    parameters: 2 * channels + kernel ** 2 * channels + channels ** 2 + channels,
    macs: height * width * (kernel ** 2 * channels + channels ** 2)
  }),
  // A norm may follow.
  idle: ["project.bias"],
  pytorch: {
    definitions: [
      `class Large(nn.Module):
    def __init__(self, channels, kernel):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return x + self.project(F.gelu(self.depthwise(self.norm(x))))`
    ],
    expression: ({ channels, settings }) => `Large(${channels}, kernel=${settings.kernel})`
  }
})
