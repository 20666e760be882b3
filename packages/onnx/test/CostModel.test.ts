import { assert, describe, it } from "@effect/vitest"
import { Op, Program } from "@uninet/graph"
import { CostModel, Explain } from "@uninet/onnx"
import * as Result from "effect/Result"

const own = CostModel.known["amd-avx512"]

const said = (text: string) => {
  const result = CostModel.parse("costs.json", "avx2")(text)
  return Result.isFailure(result) ? result.failure.message : ""
}

describe("a cost model", () => {
  it("is read as it was written", () =>
    assert.deepStrictEqual(CostModel.parse("costs.json", "amd-avx512")(CostModel.print(own)), Result.succeed(own)))

  it("of another processor, another version or damaged is refused in a sentence with the remedy", () => {
    const remedy = "make one for this machine with: uninet calibrate --out costs.json"
    assert.strictEqual(
      said(CostModel.print(own)),
      `the cost model costs.json is for amd-avx512 processors, but this one is avx2; ${remedy}`
    )
    assert.include(said(JSON.stringify({ ...own, version: 7 })), "has version 7, but this uninet reads version 1")
    assert.include(said(CostModel.print(own).slice(0, 100)), "is damaged or not a cost model")
    assert.include(said(JSON.stringify({ ...own, products: [] })), "is damaged or not a cost model")
  })

  it("ships for every kind of processor, and says where it takes another one's figures", () => {
    for (const kind of CostModel.kinds) assert.strictEqual(CostModel.known[kind].processor, kind)
    for (const kind of ["avx2", "other"] as const) assert.include(CostModel.known[kind].source, "not measured")
  })

  it("predicts more for more work", () => {
    const price = CostModel.costOf(own)
    const adding = (elements: number) => price({ opType: "Add", bytes: 12 * elements, elements, product: undefined })
    assert.isAbove(adding(2 ** 20), 8 * adding(2 ** 15))
    assert.isAbove(adding(1), 0)
  })
})

describe("an explanation with predicted times", () => {
  const x = Op.input("x", [16, 8, 8, 8])
  const y = Op.conv2d(Op.gelu(Op.batchNorm(x)), Op.input("w", [16, 8, 1, 1]))
  const program = Result.getOrThrow(Program.make({ outputs: { y } }))
  const explained = Explain.explain(own, { block: 16, lanes: 16 })(program)

  it("says of every rewrite what the program would take without it", () => {
    const norms = explained.rewrites.find(({ name }) => name === "batch norms")
    assert.deepStrictEqual(norms?.taken, { batchNorm: 1 })
    assert.isAbove(explained.predicted, 0)
    assert.notStrictEqual(norms?.without, explained.predicted)
  })

  it("holds at most what its operators give", () => {
    const { held, operators, peak } = explained.memory
    assert.strictEqual(
      held.reduce((sum, { bytes }) => sum + bytes, 0),
      peak
    )
    for (const { from, to } of held) assert.isTrue(from <= to && to <= operators)
  })
})
