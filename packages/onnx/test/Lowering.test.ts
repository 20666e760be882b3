import { assert, describe, it } from "@effect/vitest"
import { Op, Program, type Tensor } from "@uninet/graph"
import { Lowering, Model } from "@uninet/onnx"
import { PbfReader } from "pbf"
import * as Result from "effect/Result"

const made = (ends: Parameters<typeof Program.make>[0]) => Result.getOrThrow(Program.make(ends))
const operators = ({ model }: Lowering.Lowered) => model.nodes.map((node) => node.opType)

const weight = (shape: ReadonlyArray<number>) =>
  Op.variable({ name: "weight", role: "parameter", initialiser: { kind: "constant", value: 0 }, decay: true }, shape)

const bytesOf = (program: Program.Program, options: Lowering.Options) =>
  Lowering.explain(options)(program).reduce((sum, row) => sum + row.bytes, 0)

/** Bytes that a tensor's computation holds at once. */
const peak = (y: Tensor.Tensor) => Lowering.lower()(made({ outputs: { y } })).peakBytes

describe("lowering", () => {
  it("makes a pointwise convolution one matrix product", () => {
    const y = Op.conv2d(Op.input("x", [2, 3, 4, 4]), weight([5, 3, 1, 1]))
    assert.strictEqual(operators(Lowering.lower()(made({ outputs: { y } }))).filter((op) => op === "Gemm").length, 1)
    assert.notInclude(operators(Lowering.lower()(made({ outputs: { y } }))), "Conv")
  })

  it("keeps convolutions and the images' layout where it is asked to", () => {
    const y = Op.conv2d(Op.input("x", [2, 3, 4, 4]), weight([5, 3, 1, 1]))
    assert.deepStrictEqual(operators(Lowering.lower({ images: "plain" })(made({ outputs: { y } }))), ["Conv"])
  })

  it("uses the standard's operators only, unless blocked kernels are allowed", () => {
    const x = Op.input("x", [16, 3, 4, 4])
    const y = Op.gelu(Op.conv2d(x, weight([3, 1, 3, 3]), { groups: 3 }))
    const program = made({ outputs: { y } })
    const domains = (options: Lowering.Options) =>
      new Set(Lowering.lower(options)(program).model.nodes.map((n) => n.domain))
    assert.deepStrictEqual([...domains({})], [""])
    assert.include([...domains({ block: 16, lanes: 16 })], "com.microsoft.nchwc")
  })

  it("emits equal work once: a norm and its gradients share statistics", () => {
    const x = Op.input("x", [4, 3, 4, 4])
    const [gamma, beta] = [Op.input("gamma", [3]), Op.input("beta", [3])]
    const y = Op.batchNorm(x, gamma, beta)
    const both = made({ outputs: { y, moments: Op.batchMoments(x) } })
    assert.strictEqual(operators(Lowering.lower()(both)).filter((op) => op === "LayerNormalization").length, 1)
  })

  it("knows what is held at once: of a chain two results, of a sum of two chains three", () => {
    const x = Op.input("x", [1000])
    const chain = Op.exp(Op.neg(Op.exp(Op.neg(x))))
    const other = Op.tanh(Op.sqrt(Op.abs(x)))
    assert.strictEqual(peak(chain), 8000)
    assert.strictEqual(peak(Op.add(chain, other)), 12_000)
  })

  it("chains of element-wise ops need no reshape between them", () => {
    const x = Op.input("x", [16, 4, 4, 4])
    const y = Op.exp(Op.neg(Op.mul(Op.conv2d(x, weight([4, 4, 1, 1])), Op.fill(2))))
    const ops = operators(Lowering.lower({ block: 16, lanes: 16 })(made({ outputs: { y } })))
    const from = ops.indexOf("Gemm")
    assert.deepStrictEqual(ops.slice(from, from + 4), ["Gemm", "Mul", "Neg", "Exp"])
  })

  it("names inputs, variables, outputs and updates, and tells an output from an input of its name", () => {
    const x = Op.input("x", [2])
    const count = Op.variable(
      { name: "count", role: "buffer", initialiser: { kind: "constant", value: 0 }, decay: false },
      []
    )
    const lowered = Lowering.lower()(
      made({ outputs: { x: Op.neg(x) }, updates: [{ variable: count, value: Op.add(count, Op.fill(1)) }] })
    )
    assert.deepStrictEqual(lowered.model.inputs.map((v) => v.name).sort(), ["count", "x"])
    assert.deepStrictEqual(
      lowered.model.outputs.map((v) => v.name),
      ["out:x", "next:count"]
    )
  })
})

describe("an explanation", () => {
  const x = Op.input("x", [16, 4, 6, 6])
  const [gamma, beta] = [Op.input("gamma", [4]), Op.input("beta", [4])]
  const normal = Op.batchNorm(Op.conv2d(x, weight([4, 1, 3, 3]), { groups: 4 }, "depthwise"), gamma, beta, {}, "norm")
  const program = made({ outputs: { y: Op.conv2d(normal, Op.input("w", [8, 4, 1, 1]), {}, "pointwise") } })

  it("names what was chosen for every op: the norm shifts the convolution before it and goes into the one after it", () => {
    const rows = Lowering.explain({ block: 16, lanes: 16 })(program)
    assert.deepStrictEqual(
      rows.map(({ formulation, path }) => [path, formulation]),
      [
        ["depthwise", "blocked"],
        ["norm", "fused"],
        ["pointwise", "fused"]
      ]
    )
    assert.strictEqual(rows[0].macs, 16 * 4 * 36 * 9)
  })

  it("counts fewer bytes for the blocked formulation than for the standard one", () => {
    assert.isBelow(bytesOf(program, { block: 16, lanes: 16 }), bytesOf(program, {}))
  })
})

describe("an encoded model", () => {
  it("says its producer, operator set and the types of its ends", () => {
    const { model } = Lowering.lower({
      exact: true,
      metadata: { classes: "a,b" }
    })(made({ outputs: { y: Op.relu(Op.input("x", [2, 3])) } }))
    const fields: Record<number, number> = {}
    let producer = ""
    new PbfReader(Model.encode(model)).readFields((tag, _, pbf) => {
      fields[tag] = (fields[tag] ?? 0) + 1
      if (tag === 2) producer = pbf?.readString() ?? ""
    }, undefined)
    assert.strictEqual(producer, "uninet")
    // One graph, one operator set, one entry of metadata.
    assert.deepStrictEqual([fields[7], fields[8], fields[14]], [1, 1, 1])
    assert.deepStrictEqual(model.inputs, [{ name: "x", type: "float32", shape: [2, 3] }])
  })
})
