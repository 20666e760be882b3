/**
 * A custom operator with a choice of its own, searched alongside UniNet's: a depthwise convolution whose kernel size is searched, too.
 *
 *     uninet search --config examples/own-operator.config.ts
 *     uninet verify examples/own-operator.config.ts
 */
import { Nn, Scope } from "@uninet/nn"
import { Operator, OperatorSet } from "@uninet/operators"
import { defineConfig } from "@uninet/search"
import { Choice } from "@uninet/search-space"
import { Kit, UniNetSpace } from "@uninet/uninet"
import { flow } from "effect/Function"

const Wide = Operator.make({
  choices: { kernel: Choice.ordered([3, 5, 7]) },
  layer: (scope, { channels, settings }) =>
    Nn.residual(scope, {
      branch: flow(
        Nn.depthwise(Scope.at("mix")(scope), { kernel: settings.kernel }),
        Nn.batchNorm(Scope.at("norm")(scope)),
        Nn.gelu(scope),
        Nn.pointwise(Scope.at("out")(scope), { out: channels })
      )
    }),
  // A bias that the norm after the block cancels.
  idle: ["out.bias"]
})

export default defineConfig({
  space: UniNetSpace.forData({ kit: Kit.make({ operators: OperatorSet.with({ Wide }) }) })
})
