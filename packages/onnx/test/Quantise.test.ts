import { assert, describe, it } from "@effect/vitest"
import { Model, Quantise } from "@uninet/onnx"

const node = (opType: string, inputs: ReadonlyArray<string>, output: string): Model.Node => ({
  opType,
  domain: "",
  inputs,
  outputs: [output],
  attributes: {}
})
const shape = (name: string, ...lengths: ReadonlyArray<number>): Model.Constant => ({
  name,
  shape: [lengths.length],
  data: BigInt64Array.from(lengths, BigInt)
})

/** An image of 8 × 5 × 3 times its gate, both as matrices by channel, and then in this shape. */
const gated = (...back: ReadonlyArray<number>): Model.Model => ({
  name: "gated",
  metadata: {},
  inputs: [{ name: "image", type: "float32", shape: ["batch", 8, 5, 3] }],
  outputs: [{ name: "out", type: "float32", shape: null }],
  constants: [shape("rows", -1, 15), shape("each", -1, 1), shape("back", ...back)],
  nodes: [
    node("Relu", ["image"], "x"),
    node("GlobalAveragePool", ["x"], "mean"),
    node("HardSigmoid", ["mean"], "gate"),
    node("Reshape", ["x", "rows"], "matrix"),
    node("Reshape", ["gate", "each"], "column"),
    node("Mul", ["matrix", "column"], "product"),
    node("Reshape", ["product", "back"], "y"),
    node("Sigmoid", ["y"], "out")
  ]
})

const quantised = (model: Model.Model) => {
  const ranges = new Map(Quantise.observed(model).map((name) => [name, { min: -1, max: 1 }]))
  return Quantise.quantise(ranges)(model).model
}

describe("a model in eight bits", () => {
  it("has an image times its gate by four axes, so that no image is turned for it", () => {
    const { nodes } = quantised(gated(-1, 8, 5, 3))
    assert.notInclude(
      nodes.map(({ opType }) => opType),
      "Reshape"
    )
    const product = nodes.find(({ opType }) => opType === "Mul")
    assert.deepStrictEqual(product?.inputs, ["x:through", "gate:through"])
  })

  it("leaves the matrices where what follows is no image", () => {
    const { nodes } = quantised(gated(-1, 8, 15))
    assert.lengthOf(
      nodes.filter(({ opType }) => opType === "Reshape"),
      3
    )
  })
})
