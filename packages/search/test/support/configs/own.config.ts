/** An evaluator of one's own, that says in which process it ran. */
import { DsmSet, Dsms } from "@uninet/dsm"
import { Operators } from "@uninet/operators"
import { defineConfig, Evaluator } from "@uninet/search"
import * as Effect from "effect/Effect"
import { accuracyOf } from "../search.ts"

export default defineConfig({
  trials: 12,
  targetMacs: "1.5M",
  operators: Operators.only("Conv", "DWConv"),
  dsms: Dsms.layer({ Own: DsmSet.standard.L }),
  evaluator: Evaluator.fromFunction((architecture) =>
    Effect.succeed({ accuracy: accuracyOf(architecture), metrics: { pid: process.pid } })
  )
})
