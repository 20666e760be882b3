import { assert, describe, it } from "@effect/vitest"
import { Op, Program } from "@uninet/graph"
import { Explain, Lower, Rewrite } from "@uninet/loops"
import * as Result from "effect/Result"

const scale = Op.input("scale", [24])
const program = Result.getOrThrow(
  Program.make({
    outputs: {
      y: Op.globalAveragePool(
        Op.gelu(
          Op.batchNorm(
            Op.conv2d(Op.input("image", [16, 3, 8, 8]), Op.input("weight", [24, 3, 3, 3]), { padding: [1, 1, 1, 1] }),
            scale,
            scale
          )
        )
      )
    }
  })
)
const explained = Result.getOrThrow(Explain.explain(program))

describe("what is explained of a program", () => {
  it("are the rewrites, with what each replaced, as they are applied", () => {
    const names = explained.rewrites.map(({ name }) => name)
    assert.deepStrictEqual(
      names,
      Lower.rewrites.map(({ name }) => name)
    )
    const norms = explained.rewrites[names.indexOf("norms")]
    assert.deepStrictEqual(norms.taken, { batchNorm: 1 })
    const last = Result.getOrThrow(Rewrite.apply(Lower.rewrites)(program))
    assert.strictEqual(explained.rewrites.at(-1)?.after, last.nodes.length)
  })

  it("is where results lie: images in lanes, the activation in the loop that averages it", () => {
    const layout = (kind: string) => explained.layouts.find((row) => row.kind === kind)
    assert.deepInclude(layout("conv2d"), { lanes: 1, plain: 0, inReaders: 0 })
    assert.deepInclude(layout("activation"), { lanes: 0, plain: 0, inReaders: 1 })
    assert.isAbove(explained.conversions.count, 0)
  })

  it("is every piece of work, with the multiply-accumulates of the program", () => {
    assert.strictEqual(
      explained.kernels.reduce((sum, { macs }) => sum + macs, 0),
      16 * 64 * 24 * 27
    )
    for (const { bytes, phase, shares } of explained.kernels) {
      assert.isAbove(bytes, 0)
      assert.isAtLeast(shares, 1)
      assert.isBelow(phase, explained.memory.phases)
    }
  })

  it("is the memory: no phase needs more than there is, and no buffer outlives the program", () => {
    const { buffers, peak, phases, working } = explained.memory
    assert.isAtMost(peak, working)
    for (const { from, to } of buffers) assert.isTrue(from <= to && to <= phases)
  })

  it("are the pieces of an attention of many scores, with the kernels that they go through", () => {
    const x = Op.input("x", [8, 64, 16])
    const y = Op.attention(x, x, x, { heads: 2, scale: 0.3 })
    const { kernels } = Result.getOrThrow(Explain.explain(Result.getOrThrow(Program.make({ outputs: { y } }))))
    const own = kernels.filter(({ kind }) => kind === "attention")
    assert.isTrue(
      own.some(({ kernel, text }) => kernel.startsWith("repeat; product") && / queries of 64 keys/.test(text))
    )
  })

  it("is, where it is measured, how long every piece takes", () => {
    const { explained: measured, limits } = Result.getOrThrow(Explain.measure({ runs: 1 })(program))
    assert.lengthOf(measured.kernels, explained.kernels.length)
    for (const { milliseconds } of measured.kernels) assert.isAtLeast(milliseconds ?? Number.NaN, 0)
    assert.isAbove(limits.macs, 0)
  })
})
