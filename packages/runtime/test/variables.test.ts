/** How variables start, on ONNX Runtime; tfjs is held to the same in its own package. */
import { assert, describe, it } from "@effect/vitest"
import { OnnxRuntime } from "@uninet/runtime"
import * as Effect from "effect/Effect"
import * as Starting from "./support/starting.ts"

describe.each(["standard", "blocked"] as const)("variables on ONNX Runtime, %s formulation,", (formulation) => {
  for (const [name, check] of Object.entries(Starting.laws))
    it.effect(name, () =>
      check.pipe(
        Effect.map((broken) => assert.isUndefined(broken)),
        Effect.scoped,
        Effect.provide(OnnxRuntime.cpu({ formulation }))
      )
    )
})
