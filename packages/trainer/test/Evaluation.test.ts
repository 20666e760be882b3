import { assert, describe, it } from "@effect/vitest"
import { Dataset, Joined } from "@uninet/data"
import { Model } from "@uninet/nn"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { Initialise, Trainer } from "@uninet/trainer"
import { dataset, layer, network } from "./support/tiny.ts"

const { variables } = Result.getOrThrow(Model.evaluation()(network.model))

const drawn = () => {
  const prng = Prng.fromSeed("evaluate")
  const weights = Initialise.values(prng)(variables)
  for (const data of weights.values()) for (let i = 0; i < data.length; i++) data[i] += 0.1 * prng.nextFloat()
  return weights
}

describe("an evaluation", () => {
  it.effect("of a network is the same at any batch size", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const weights = drawn()
      const reference = yield* trainer.evaluate(network, weights, "test")
      assert.strictEqual(reference.examples, 200)
      const { measures, details } = reference
      for (const batch of [1, 7, 16, 200, 256]) {
        const found = yield* trainer.evaluate(network, weights, "test", { batch })
        assert.deepStrictEqual(found.details, details)
        for (const share of ["accuracy", "top5"]) assert.strictEqual(found.measures[share], measures[share])
        assert.closeTo(found.measures["loss"], measures["loss"], 1e-6)
        assert.closeTo(found.measures["calibrationError"], measures["calibrationError"], 1e-6)
      }
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.effect("of no examples has no measures", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const found = yield* trainer.evaluate(network, drawn(), "validation")
      assert.deepStrictEqual(found, { measures: {}, examples: 0, details: null })
    }).pipe(Effect.provide(Trainer.layer.pipe(Layer.provide([joined, OnnxRuntime.cpu()]))))
  )
})

/** Nothing is left to validate on. */
const joined = Layer.effect(Dataset.Dataset, Effect.map(Dataset.Dataset, Joined.withValidation)).pipe(
  Layer.provide(dataset())
)
