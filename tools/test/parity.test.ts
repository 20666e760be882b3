/** The network of the reference vectors compared with PyTorch, on the float64 interpreter and on ONNX Runtime. */
import { assert, describe, it } from "@effect/vitest"
import { Safetensors } from "@uninet/nn"
import { OnnxRuntime } from "@uninet/runtime"
import { Effect, Result } from "effect"
import { readFileSync } from "node:fs"
import { interpreter } from "../../packages/uninet/test/support/interpreter.ts"
import * as Parity from "../src/Parity.ts"

const bytes = readFileSync(new URL("../../packages/uninet/test/fixtures/network.safetensors", import.meta.url))
const file = Result.getOrThrow(Safetensors.decode(bytes))

const meetsTheBar = ({
  evaluationLogits,
  finalParameters,
  gradients,
  losses,
  runningStatistics,
  trainingLogits
}: Parity.Report) => {
  assert.isAtMost(evaluationLogits.worst, 1e-4, "evaluation logits")
  assert.isAtMost(losses.worst, 1e-5, "losses")
  assert.isAtMost(trainingLogits.worst, 1e-3, "training logits")
  assert.isAtMost(gradients.worst, 1e-3, `gradient of ${gradients.tensor}`)
  assert.isAtMost(gradients.worstOfZeros, 1e-5, "gradients that are zero")
  assert.isAtMost(runningStatistics.worst, 1e-3, `running statistics ${runningStatistics.tensor}`)
  assert.isAtMost(finalParameters.worst, 1e-3, `parameter ${finalParameters.tensor}`)
}

/** The reference without one tensor. */
const without = (name: string) => new Map([...file.tensors].filter(([key]) => key !== name))

/** The error for a changed reference. */
const failing = (change: Partial<Safetensors.Safetensors>) =>
  Effect.map(Effect.flip(Parity.run({ ...file, ...change }, "broken")), (error) => error.message)

describe("parity with PyTorch", () => {
  it.effect("holds on the reference interpreter", () =>
    Effect.gen(function* () {
      const report = yield* Parity.run(file, "network")
      meetsTheBar(report)
    }).pipe(Effect.provide(interpreter))
  )
  it.effect("holds on ONNX Runtime", () =>
    Effect.gen(function* () {
      const report = yield* Parity.run(file, "network")
      meetsTheBar(report)
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )

  it.effect("says what a file lacks that is no reference", () =>
    Effect.gen(function* () {
      assert.match(yield* failing({ metadata: {} }), /^not a file of reference vectors: the metadata's config/)
      assert.match(yield* failing({ tensors: without("labels/1") }), /no tensor labels\/1/)
      assert.match(yield* failing({ tensors: without("weights/stem.0.weight") }), /missing: stem\.0\.weight/)
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )
})
