import { assert, describe, it } from "@effect/vitest"
import { Op, Program, type Tensor } from "@uninet/graph"
import { Export, Model } from "@uninet/onnx"
import * as Result from "effect/Result"
import { read } from "./support.ts"

const zero = { kind: "constant", value: 0 } as const
const variable = (name: string, shape: ReadonlyArray<number>) =>
  Op.variable({ name, role: "parameter", initialiser: zero, decay: true }, shape)

const norm = (x: Tensor.Tensor, name: string) => {
  const vector = (what: string) => variable(`${name}.${what}`, [x.shape[1]])
  return Op.batchNormInference(x, vector("weight"), vector("bias"), vector("mean"), vector("var"))
}

/** Without scale and bias. */
const bareNorm = (x: Tensor.Tensor) => {
  const [mean, variance] = ["mean", "var"].map((what) => variable(what, [x.shape[1]]))
  return Op.batchNormInference(x, undefined, undefined, mean, variance)
}

/** The operators of a layer's file, in order. */
const exported = (layer: (x: Tensor.Tensor) => Tensor.Tensor, shape: ReadonlyArray<number>) => {
  const program = (batch: number) => Program.make({ outputs: { y: layer(Op.input("x", [batch, ...shape])) } })
  const { variables } = Result.getOrThrow(program(1))
  const weights = new Map(
    variables.map(
      (v) => [v.attributes.name, new Float32Array(v.shape.reduce((n, axis) => n * axis, 1)).fill(1)] as const
    )
  )
  const file = Result.getOrThrow(Export.toOnnx({ program, weights, metadata: { classes: "a,b", ä: "" } }))
  return { file, operators: read(file).operators.map(({ name }) => name) }
}

const convolution = (x: Tensor.Tensor, out: number, kernel: number, groups = 1) =>
  Op.conv2d(x, variable(`w${out}`, [out, x.shape[1] / groups, kernel, kernel]), { groups })

const scaled = (x: Tensor.Tensor) =>
  Op.mul(Op.linear(x, variable("w", [6, 4]), variable("b", [6])), variable("gamma", [6]))

describe("an exported file", () => {
  it("has a batch norm in the convolution before it, padded or not", () => {
    assert.deepStrictEqual(exported((x) => norm(convolution(x, 4, 3), "n"), [3, 5, 5]).operators, ["Conv"])
    assert.deepStrictEqual(exported((x) => norm(convolution(x, 3, 3, 3), "n"), [3, 5, 5]).operators, ["Conv"])
  })

  it("has a batch norm in the 1×1 convolution after it, and in both", () => {
    assert.deepStrictEqual(exported((x) => convolution(norm(x, "n"), 4, 1), [3, 5, 5]).operators, ["Conv"])
    const both = exported((x) => norm(convolution(norm(x, "n"), 4, 1), "m"), [3, 5, 5])
    assert.deepStrictEqual(both.operators, ["Conv"])
  })

  it("has a batch norm without scale and bias in the convolution before it too", () => {
    assert.deepStrictEqual(exported((x) => bareNorm(convolution(x, 4, 3)), [3, 5, 5]).operators, ["Conv"])
  })

  it("keeps a batch norm before a padded convolution, whose zeros are not the norm's", () => {
    const { operators } = exported((x) => convolution(norm(x, "n"), 4, 3), [3, 5, 5])
    assert.deepStrictEqual(operators, ["BatchNormalization", "Conv"])
  })

  it("keeps a batch norm that something else needs too", () => {
    const shared = exported((x) => Op.add(convolution(norm(x, "n"), 3, 1), norm(x, "n")), [3, 5, 5])
    assert.include(shared.operators, "BatchNormalization")
    const convolved = exported(
      (x) => {
        const y = convolution(x, 3, 3)
        return Op.add(norm(y, "n"), y)
      },
      [3, 5, 5]
    )
    assert.include(convolved.operators, "BatchNormalization")
  })

  it("has factors per feature in the linear layer before them", () => {
    assert.notInclude(exported(scaled, [7, 4]).operators, "Mul")
  })

  it("has its metadata, and nothing else is taken for a file", () => {
    const { file } = exported((x) => convolution(x, 4, 3), [3, 5, 5])
    assert.deepStrictEqual(Result.getOrThrow(Model.metadataOf(file)), { classes: "a,b", ä: "" })
    for (const bytes of [new Uint8Array(), new TextEncoder().encode("no model at all"), file.subarray(0, 40)])
      assert.strictEqual(Result.getOrThrow(Result.flip(Model.metadataOf(bytes)))._tag, "NotOnnx")
  })
})
