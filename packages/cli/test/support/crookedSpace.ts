/** A space with an operator of its own whose declared MACs are off by one on odd sizes. */
import { type Operator, OperatorSet } from "@uninet/operators"
import { type Architecture, type Space, type SpaceError, UniNetSpace } from "@uninet/search-space"
import type * as Result from "effect/Result"

const { DWConv } = OperatorSet.standard

const Miscounted: Operator.Operator = {
  ...DWConv,
  count: (config, size) => {
    const { macs, parameters } = DWConv.count?.(config, size) ?? { macs: 0, parameters: 0 }
    return { parameters, macs: macs + ((size.height * size.width) % 2) }
  }
}

export const operators = { Miscounted }
const space: Result.Result<Space.Space<Architecture.Architecture>, SpaceError.InvalidSpace> = UniNetSpace.make({
  image: 28,
  channels: 1,
  classes: 10,
  operators: [...Object.keys(OperatorSet.standard), "Miscounted"]
})

export default space
