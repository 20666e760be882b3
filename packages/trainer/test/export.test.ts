import { assert, describe, it } from "@effect/vitest"
import { Model } from "@uninet/nn"
import { Network, UniNetSpace } from "@uninet/uninet"
import { Export } from "@uninet/onnx"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as ort from "onnxruntime-node"
import { Initialise } from "@uninet/trainer"

const space = Result.getOrThrow(UniNetSpace.small({ image: 28, channels: 1, classes: 10 }))

/** Weights and running statistics that all differ from their initial values. */
const someWeights = (variables: Parameters<ReturnType<typeof Initialise.values>>[0], prng: Prng.Prng) => {
  const values = Initialise.values(prng)(variables)
  for (const data of values.values()) for (let i = 0; i < data.length; i++) data[i] += 0.1 * (1 + prng.nextFloat())
  return values
}

describe("an exported network", () => {
  it.effect("gives in plain ONNX Runtime, for any batch size, what the engine gives", () =>
    Effect.gen(function* () {
      const prng = Prng.fromSeed("export")
      const runtime = yield* Runtime
      for (let round = 0; round < 6; round++) {
        const model = Network.model(Result.getOrThrow(Network.make(Space.sample(prng)(space))))
        const evaluation = Result.getOrThrow(Model.evaluation({ batch: 16 })(model))
        const weights = someWeights(evaluation.variables, prng)
        const image = Float32Array.from({ length: 16 * 28 * 28 }, () => prng.nextNormal())
        const executable = yield* runtime.compile({ evaluation })
        yield* executable.write(weights)
        const { logits } = yield* executable.run("evaluation", { image })

        const file = Result.getOrThrow(
          Export.toOnnx({
            program: (batch) => Model.evaluation({ batch })(model),
            weights,
            metadata: { key: "value" }
          })
        )
        const session = yield* Effect.promise(() => ort.InferenceSession.create(file))
        assert.deepStrictEqual([session.inputNames, session.outputNames], [["image"], ["logits"]])
        for (const batch of [1, 5, 16]) {
          const feeds = { image: new ort.Tensor("float32", image.subarray(0, batch * 28 * 28), [batch, 1, 28, 28]) }
          const found = (yield* Effect.promise(() => session.run(feeds))).logits
          assert.deepStrictEqual(found.dims, [batch, 10])
          const scale = Math.max(...logits.map(Math.abs))
          for (const [i, value] of Array.from(found.data as Float32Array).entries())
            assert.isBelow(Math.abs(value - logits[i]) / scale, 1e-4)
        }
      }
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )
})
