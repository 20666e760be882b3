import { assert, describe, it } from "@effect/vitest"
import { Op, Shape } from "@uninet/graph"
import { Model, Nn, Safetensors, Scope, Weights } from "@uninet/nn"
import { Result } from "effect"
import { flow } from "effect/Function"

/** A stem, a head and a classifier, by the names of a PyTorch checkpoint. */
const model = Model.make({
  inputs: { image: Model.input([3, 16, 16]) },
  forward: (scope, { image }) => {
    const at = (name: string) => Scope.at(name)(scope)
    const layers = flow(
      Nn.convolution(at("stem.0"), { out: 32, kernel: 3, stride: 2, bias: false }),
      Nn.batchNorm(at("stem.1")),
      Nn.pointwise(at("head.0"), { out: 16, bias: false }),
      Nn.batchNorm(at("head.1")),
      (x) => Op.globalAveragePool(x, scope.path),
      Nn.linear(at("classifier"), { out: 10 })
    )
    return { logits: layers(image) }
  }
})
const program = Result.getOrThrow(Model.evaluation()(model))
const weights: Weights.Weights = new Map(
  program.variables.map(({ attributes, shape }, k) => [
    attributes.name,
    Float32Array.from({ length: Shape.size(shape) }, (_, i) => k + i / 1000)
  ])
)
const saved = Result.getOrThrow(Weights.toSafetensors(program, { model: "B0" })(weights))

const mismatch = (change: (tensors: Map<string, Safetensors.Entry>) => void): Weights.WeightsMismatch => {
  const tensors = new Map(saved.tensors)
  change(tensors)
  return Result.match(Weights.fromSafetensors(program)({ ...saved, tensors }), {
    onFailure: (error) => error,
    onSuccess: () => assert.fail("they were accepted")
  })
}

describe("weights", () => {
  it("are read back from a file as they were saved", () => {
    const file = Result.getOrThrow(Safetensors.decode(Safetensors.encode(saved)))
    assert.deepStrictEqual(Result.getOrThrow(Weights.fromSafetensors(program)(file)), weights)
    assert.deepStrictEqual({ ...file.metadata }, { model: "B0" })
  })

  it("of a PyTorch checkpoint may hold counts of batches", () => {
    const tensors = new Map(saved.tensors)
    const count = { dtype: "I64", shape: [], bytes: new Uint8Array(8) } as const
    tensors.set("stem.1.num_batches_tracked", count)
    assert.isTrue(Result.isSuccess(Weights.fromSafetensors(program)({ ...saved, tensors })))
  })

  it("that do not fit are told apart completely, in one error", () => {
    const error = mismatch((tensors) => {
      tensors.delete("stem.0.weight")
      tensors.delete("head.1.running_var")
      tensors.set("blocks.99.weight", Safetensors.fromFloat32(Float32Array.of(1), [1]))
      tensors.set("classifier.bias", Safetensors.fromFloat32(new Float32Array(1000), [1000]))
      tensors.set("stem.1.bias", { dtype: "F16", shape: [32], bytes: new Uint8Array(64) })
    })
    assert.deepStrictEqual(error.missing, ["stem.0.weight", "head.1.running_var"])
    assert.deepStrictEqual(error.unexpected, ["blocks.99.weight"])
    assert.deepStrictEqual(error.mismatched, [
      { name: "stem.1.bias", expected: "F32 [32]", found: "F16 [32]" },
      { name: "classifier.bias", expected: "F32 [10]", found: "F32 [1000]" }
    ])
    for (const name of ["stem.0.weight", "blocks.99.weight", "classifier.bias (F32 [1000], not F32 [10])"])
      assert.include(error.message, name)
  })

  it("are not saved incomplete or in the wrong size", () => {
    const short = new Map(weights).set("classifier.bias", new Float32Array(3))
    short.delete("stem.0.weight")
    const result = Weights.toSafetensors(program)(short)
    assert.isTrue(Result.isFailure(result))
    if (Result.isFailure(result)) {
      assert.deepStrictEqual(result.failure.missing, ["stem.0.weight"])
      assert.deepStrictEqual(result.failure.mismatched, [
        { name: "classifier.bias", expected: "F32 [10]", found: "3 numbers" }
      ])
    }
  })
})
