/** A space with its own operator, whose declared MACs are off by one on odd sizes. */
import { type Operator, OperatorSet } from "@uninet/operators"
import type { SpaceError } from "@uninet/search-space"
import { Kit, UniNetSpace } from "@uninet/uninet"
import type * as Result from "effect/Result"

const { DWConv } = OperatorSet.standard

const Miscounted: Operator.Operator = {
  ...DWConv,
  count: (config, size) => {
    const { macs, parameters } = DWConv.count?.(config, size) ?? { macs: 0, parameters: 0 }
    return { parameters, macs: macs + ((size.height * size.width) % 2) }
  }
}

const space: Result.Result<UniNetSpace.Models, SpaceError.InvalidSpace> = UniNetSpace.models({
  image: 28,
  channels: 1,
  classes: 10,
  kit: Kit.make({ operators: OperatorSet.with({ Miscounted }) })
})

export default space
