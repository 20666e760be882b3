import { assert, describe, it } from "@effect/vitest"
import { Loops } from "@uninet/loops"
import { OnnxRuntime } from "@uninet/runtime"
import { Architecture } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { architectures, disagreement, train } from "../../runtime-tfjs/test/support/steps.ts"

const compared = (architecture: Architecture.Architecture) =>
  Effect.gen(function* () {
    const expected = yield* train(architecture, "step", 1).pipe(Effect.provide(OnnxRuntime.cpu()))
    const actual = yield* train(architecture, "step", 1).pipe(Effect.provide(Loops.portable()))
    return disagreement(expected, actual, 1e-4)
  }).pipe(Effect.catch((error) => Effect.succeed(error.message)))

describe("a whole training step of a random architecture", () => {
  it.live("gives ONNX Runtime's loss, gradients and statistics on portable loops", () =>
    Effect.gen(function* () {
      // fast-check draws and shrinks by promises.
      const details = yield* Effect.promise(() =>
        fc.check(
          fc.asyncProperty(architectures, async (one) => (await Effect.runPromise(compared(one))) === undefined),
          { numRuns: 5, seed: 21, endOnFailure: false }
        )
      )
      const smallest = details.counterexample?.[0]
      if (smallest !== undefined) assert.fail(`${yield* compared(smallest)} of ${Architecture.line(smallest)}`)
    })
  )
})
