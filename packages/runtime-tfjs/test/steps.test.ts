import { assert, describe, it } from "@effect/vitest"
import { type DeviceUnavailable, OnnxRuntime, type Runtime } from "@uninet/runtime"
import { Tfjs } from "@uninet/runtime-tfjs"
import { Architecture } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import fc from "fast-check"
import { architectures, disagreement, train } from "./support/steps.ts"

const engines = { "tfjs wasm": Tfjs.wasm(), "tfjs cpu": Tfjs.cpu() }

const between = Effect.fnUntraced(function* (
  layer: Layer.Layer<Runtime, DeviceUnavailable>,
  architecture: Architecture.Architecture
) {
  const expected = yield* train(architecture, "step", 1).pipe(Effect.provide(OnnxRuntime.cpu()))
  const actual = yield* train(architecture, "step", 1).pipe(Effect.provide(layer))
  return disagreement(expected, actual, 1e-4)
})

const compared = (...args: Parameters<typeof between>) =>
  Effect.catch(between(...args), (error) => Effect.succeed(error.message))

describe("a whole training step of a random architecture", () => {
  for (const [engine, layer] of Object.entries(engines))
    it.live(`gives ONNX Runtime's loss, gradients and statistics on ${engine}`, () =>
      Effect.gen(function* () {
        // fast-check draws and shrinks by promises.
        const details = yield* Effect.promise(() =>
          fc.check(
            fc.asyncProperty(
              architectures,
              async (one) => (await Effect.runPromise(compared(layer, one))) === undefined
            ),
            { numRuns: engine === "tfjs wasm" ? 5 : 2, seed: 9, endOnFailure: false }
          )
        )
        const smallest = details.counterexample?.[0]
        if (smallest !== undefined) assert.fail(`${yield* compared(layer, smallest)} of ${Architecture.line(smallest)}`)
      })
    )
})
