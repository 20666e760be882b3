import { assert, describe, it } from "@effect/vitest"
import { Loops } from "@uninet/loops"
import * as Effect from "effect/Effect"
import { families, withoutGradients } from "../../runtime-tfjs/test/support/cases.ts"
import { disagreement } from "../../runtime-tfjs/test/support/compare.ts"

const engines = {
  portable: { layer: Loops.portable(), runs: 30 },
  fused: { layer: Loops.fast(), runs: 10 }
}

for (const [engine, { layer, runs }] of Object.entries(engines))
  describe(`random programs on ${engine} loops agree with the reference interpreter`, () => {
    for (const [name, cases] of Object.entries(families))
      it.effect(`${name} and its gradients`, () =>
        disagreement(cases, { runs, tolerance: 1e-4 }).pipe(
          Effect.map((found) => assert.isUndefined(found)),
          Effect.provide(layer)
        )
      )
    it.effect("moments and the optimiser", () =>
      disagreement(withoutGradients, { runs, tolerance: 1e-4, gradients: false }).pipe(
        Effect.map((found) => assert.isUndefined(found)),
        Effect.provide(layer)
      )
    )
  })
