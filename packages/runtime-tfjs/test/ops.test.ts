import { assert, describe, it } from "@effect/vitest"
import { OnnxRuntime } from "@uninet/runtime"
import { Tfjs } from "@uninet/runtime-tfjs"
import * as Effect from "effect/Effect"
import { families, withoutGradients } from "./support/cases.ts"
import { disagreement } from "./support/compare.ts"

const engines = {
  "tfjs wasm": Tfjs.wasm(),
  "tfjs cpu": Tfjs.cpu(),
  "ONNX Runtime": OnnxRuntime.cpu({ formulation: "standard" })
}

for (const [engine, layer] of Object.entries(engines))
  describe(`random programs on ${engine} agree with the reference interpreter`, () => {
    for (const [name, cases] of Object.entries(families))
      it.effect(`${name} and its gradients`, () =>
        disagreement(cases, { runs: 40, tolerance: 1e-4 }).pipe(
          Effect.map((found) => assert.isUndefined(found)),
          Effect.provide(layer)
        )
      )
    it.effect("moments and the optimiser", () =>
      disagreement(withoutGradients, { runs: 30, tolerance: 1e-4, gradients: false }).pipe(
        Effect.map((found) => assert.isUndefined(found)),
        Effect.provide(layer)
      )
    )
  })
