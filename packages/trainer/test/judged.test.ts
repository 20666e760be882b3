/** A figure is reported only if there is one: from finite numbers, on examples that exist, for a network that could learn. */
import { assert, describe, it } from "@effect/vitest"
import { Dataset, Joined } from "@uninet/data"
import { Op } from "@uninet/graph"
import { Classification } from "@uninet/model-space"
import { Model, Nn, Scope } from "@uninet/nn"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import { Initialise, Recipe, Trainer, TrainingProgram } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { dataset, layer, network, recipe } from "./support/tiny.ts"

const { variables } = Result.getOrThrow(Model.evaluation()(network.model))
const weights = () => new Map(Initialise.values(Prng.fromSeed("judged"))(variables))

describe("a network", () => {
  it.effect.each([Number.NaN, Infinity])("with the weight %s is not judged at all", (value) =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const spoilt = weights().set("classifier.bias", Float32Array.of(0, value, 0, 0))
      const error = yield* Effect.flip(trainer.evaluate(network, spoilt, "test"))
      assert.strictEqual(error._tag, "NotFinite")
      assert.match(error.message, /^the weight classifier\.bias is (NaN|Infinity), .*; train it again, /)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("whose outputs overflow is not judged by what is left of them", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const huge = weights()
      for (const [name, values] of huge)
        huge.set(
          name,
          values.map((x) => x * 1e30)
        )
      const error = yield* Effect.flip(trainer.evaluate(network, huge, "test"))
      assert.strictEqual(error._tag, "NotFinite")
      assert.include(error.message, "on the test split")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("that cannot learn, as a batch norm of single values gives 0 whatever comes in, is refused", () =>
    Effect.gen(function* () {
      const model = Model.make({
        inputs: { image: Model.input([1, 2, 2]) },
        forward: (scope, { image }) => {
          const map = Nn.convolution(Scope.at("stem")(scope), { out: 4, kernel: 2, stride: 2 })(image)
          const normal = Nn.batchNorm(Scope.at("norm")(scope))(map)
          return { logits: Nn.linear(Scope.at("logits")(scope), { out: 2 })(Op.globalAveragePool(normal)) }
        }
      })
      const task = Classification.make({ classes: 2 })
      const program = (batch: number) => TrainingProgram.make(model, task, { ...Recipe.proxy, batch })
      const alone = yield* Effect.flip(Effect.fromResult(program(1)))
      assert.strictEqual(
        alone.message,
        "the recipe's batch cannot be used for classification: the batch norm norm would have a single value per channel, [1×4×1×1]; give a batch of 2 or more"
      )
      assert.isTrue(Result.isSuccess(program(2)))
    })
  )
})

describe("early stopping", () => {
  it.effect("by validation examples that there are not is refused", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const earlyStopping = { patience: 1, improvement: 0 }
      const error = yield* trainer
        .fit(network, { recipe: { ...recipe, earlyStopping }, seed: 1 })
        .pipe(Stream.runDrain, Effect.flip)
      assert.strictEqual(
        error.message,
        "the recipe's earlyStopping cannot be used for classification: quarters has no validation examples to stop by; set earlyStopping to null, or give the data set a validation split"
      )
    }).pipe(Effect.provide(Trainer.layer.pipe(Layer.provide([unvalidated, OnnxRuntime.cpu()]))))
  )
})

const unvalidated = Layer.effect(Dataset.Dataset, Effect.map(Dataset.Dataset, Joined.withValidation)).pipe(
  Layer.provide(dataset())
)
