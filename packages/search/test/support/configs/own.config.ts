/** Custom operators and modules, and an evaluator that reports the process in which it ran. */
import { DsmSet } from "@uninet/dsm"
import { OperatorSet } from "@uninet/operators"
import { defineConfig, Evaluator } from "@uninet/search"
import { Kit, UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import { measuresOf } from "../search.ts"

const kit = Kit.make({ operators: OperatorSet.only("Conv", "DWConv"), dsms: { Own: DsmSet.standard.L } })

export default defineConfig({
  trials: 12,
  targetMacs: "1.5M",
  space: UniNetSpace.forData({ kit }),
  evaluator: (space) => Evaluator.fromFunction(space, () => Effect.succeed({ ...measuresOf(0.5), pid: process.pid }))
})
