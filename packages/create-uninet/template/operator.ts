/**
 * A custom operator: a depthwise convolution whose kernel is searched. Replace its `layer`, and yours is searched, costed, trained and
 * exported in the same way.
 */
import { Nn, Scope } from "@uninet/nn"
import { Operator, OperatorSet } from "@uninet/operators"
import { Choice } from "@uninet/search-space"
import { Kit } from "@uninet/uninet"
import { flow } from "effect/Function"

export const Wide = Operator.make({
  choices: { kernel: Choice.ordered([3, 5, 7]) },
  layer: (scope, { channels, settings, stochasticDepth }) =>
    Nn.residual(scope, {
      branch: flow(
        Nn.batchNorm(Scope.at("norm")(scope)),
        Nn.depthwise(Scope.at("depthwise")(scope), { kernel: settings.kernel }),
        Nn.gelu(scope),
        Nn.pointwise(Scope.at("project")(scope), { out: channels }),
        Nn.stochasticDepth(scope, stochasticDepth)
      )
    })
})

/** What networks are made of: UniNet's operators, and this one. */
export const kit = Kit.make({ operators: OperatorSet.with({ Wide }) })
