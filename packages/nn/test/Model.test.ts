import { assert, describe, it } from "@effect/vitest"
import { Op } from "@uninet/graph"
import { Model, Nn, Scope } from "@uninet/nn"
import { Result } from "effect"

/** Two inputs of different kinds, two outputs. */
const two = Model.make({
  inputs: { image: Model.input([2, 4, 4]), answer: Model.input([], "int32") },
  forward: (scope, { answer, image }) => {
    const features = Op.globalAveragePool(Nn.depthwise(Scope.at("mix")(scope))(image), scope.path)
    const asked = Op.oneHot(answer, 2, scope.path)
    return {
      score: Op.sum(Op.mul(features, asked, scope.path), [1], false, scope.path),
      features: Nn.dropout(Scope.at("drop")(scope), scope.rates.dropout)(features)
    }
  }
})

/** Whether its features are dropped at random. */
const noiseIn = (scope: Scope.Scope) =>
  Object.values(Model.apply(scope, { batch: 2 })(two)).some(
    (output) => output.kind === "binary" && output.path === "drop"
  )

describe("a model", () => {
  it("says what it takes and gives for one example", () => {
    assert.deepStrictEqual(Result.getOrThrow(Model.outputs(two)), {
      score: { shape: [], dtype: "float32" },
      features: { shape: [2], dtype: "float32" }
    })
    assert.strictEqual(Model.print(two.inputs), "image [2×4×4], answer [] int32")
  })

  it("is a program for any batch, its inputs by name", () => {
    const program = Result.getOrThrow(Model.evaluation({ batch: 3 })(two))
    assert.deepStrictEqual(
      program.inputs.map(({ attributes, dtype, shape }) => [attributes.name, shape, dtype]),
      [
        ["image", [3, 2, 4, 4], "float32"],
        ["answer", [3], "int32"]
      ]
    )
    assert.deepStrictEqual(
      program.variables.map(({ attributes }) => attributes.name),
      ["mix.weight"]
    )
  })

  it("has its parameters under a prefix where one is asked for", () => {
    const program = Result.getOrThrow(Model.evaluation({ path: "ema" })(two))
    assert.deepStrictEqual(
      program.variables.map(({ attributes }) => attributes.name),
      ["ema.mix.weight"]
    )
  })

  it("leaves to chance what the scope's rates say, in training only", () => {
    assert.isTrue(noiseIn(Scope.make("training", "", { dropout: 0.5 })))
    assert.isFalse(noiseIn(Scope.make("training")))
    assert.isFalse(noiseIn(Scope.make("evaluation", "", { dropout: 0.5 })))
  })

  it("that cannot be built fails with the layer's path", () => {
    const wrong = Model.make({
      inputs: { image: Model.input([3, 8, 8]) },
      forward: (scope, { image }) => ({ y: Nn.selfAttention(Scope.at("attn")(scope), { headDim: 5 })(image) })
    })
    const failure = Result.match(Model.evaluation()(wrong), { onFailure: (e) => e.message, onSuccess: () => "built" })
    assert.match(failure, /^attn/)
  })
})
