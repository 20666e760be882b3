import { assert, describe, it } from "@effect/vitest"
import { Costs } from "@uninet/graph"
import { Laws, ModelSpace } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import { Constrained, Prng, Space } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { NasBench201 } from "@uninet/spaces"
import * as Result from "effect/Result"
import * as fc from "fast-check"

const cifar = { channels: 3, height: 32, width: 32, classes: 10 }
const benchmark = Result.getOrThrow(NasBench201.models(cifar))

/** What a cell's network holds and computes, counted on its graph. */
const counted = (of: typeof benchmark, cell: NasBench201.Cell) => {
  const { macs, parameters } = Costs.ofProgram(Result.getOrThrow(Model.evaluation()(Result.getOrThrow(of.model(cell)))))
  return { parameters, macs: Number(macs) }
}

const all = (operation: NasBench201.Operation): NasBench201.Cell => ({
  "0-1": operation,
  "0-2": operation,
  "1-2": operation,
  "0-3": operation,
  "1-3": operation,
  "2-3": operation
})

describe("NAS-Bench-201", () => {
  it("has 15,625 cells, whose parameters and multiply-accumulates are the published formulas'", () => {
    let cells = 0
    for (const cell of Result.getOrThrow(Space.enumerate(benchmark.space))) {
      const { ones, threes } = NasBench201.convolutions(cell)
      assert.strictEqual(benchmark.costs.parameters(cell), 73_306 + 28_000 * ones + 243_040 * threes)
      // 7.78305 million are published, with the classifier's bias, which is added and not multiplied.
      assert.strictEqual(benchmark.costs.macs(cell) + 10, 7_783_050 + 3_932_160 * (ones + 9 * threes))
      cells++
    }
    assert.strictEqual(cells, 15_625)
    assert.deepStrictEqual(counted(benchmark, all("none")), { parameters: 73_306, macs: 7_783_040 })
    assert.deepStrictEqual(counted(benchmark, all("nor_conv_3x3")), { parameters: 1_531_546, macs: 220_119_680 })
  })

  // Others every day; all of them take ten seconds.
  const eighth = Math.floor(Date.now() / 86_400_000) % 8
  it(`counts on the graph what it says, of every eighth cell from ${eighth} on in a network of one cell a stage`, () => {
    const shallow = Result.getOrThrow(NasBench201.models({ ...cifar, cells: 1 }))
    for (const [i, cell] of [...Result.getOrThrow(Space.enumerate(shallow.space))].entries()) {
      if (i % 8 !== eighth) continue
      const { macs, parameters } = counted(shallow, cell)
      if (macs === shallow.costs.macs(cell) && parameters === shallow.costs.parameters(cell)) continue
      assert.fail(`${NasBench201.print(cell)} has ${parameters} parameters and ${macs} multiply-accumulates`)
    }
  })

  it("counts on the graph what it says, whatever the sizes", () =>
    fc.assert(
      fc.property(
        fromSpace(benchmark.space),
        fc.record({
          channels: fc.integer({ min: 1, max: 4 }),
          height: fc.integer({ min: 5, max: 19 }),
          width: fc.integer({ min: 5, max: 19 }),
          classes: fc.integer({ min: 2, max: 12 }),
          width1: fc.integer({ min: 1, max: 6 }),
          cells: fc.integer({ min: 1, max: 3 })
        }),
        (cell, options) => {
          const of = Result.getOrThrow(NasBench201.models(options))
          assert.deepStrictEqual(counted(of, cell), {
            parameters: of.costs.parameters(cell),
            macs: of.costs.macs(cell)
          })
        }
      ),
      { numRuns: 60 }
    ))

  it("reads and writes cells as the benchmark does", () => {
    const text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    const cell = Result.getOrThrow(NasBench201.parse(text))
    assert.deepStrictEqual(cell, {
      "0-1": "nor_conv_3x3",
      "0-2": "none",
      "1-2": "skip_connect",
      "0-3": "avg_pool_3x3",
      "1-3": "nor_conv_1x1",
      "2-3": "nor_conv_3x3"
    })
    fc.assert(
      fc.property(fromSpace(benchmark.space), (cell) =>
        assert.deepStrictEqual(Result.getOrThrow(NasBench201.parse(NasBench201.print(cell))), cell)
      )
    )
    for (const wrong of ["", text.slice(1), text.replace("none", "nil"), `${text}+`])
      assert.match(
        Result.getOrThrow(Result.flip(NasBench201.parse(wrong))).message,
        /is not a cell of NAS-Bench-201; give a cell such as \|/
      )
  })

  it("meets bounds exactly, however few cells they admit", () => {
    // Networks without any convolution but one of 1×1: the cells of one such edge and no 3×3.
    const bounds = ModelSpace.within({ macs: { min: 7_783_041, max: 7_783_040 + 3_932_160 } })(benchmark)
    const domain = Result.getOrThrow(Constrained.make(benchmark.space, bounds))
    const prng = Prng.fromSeed("bounds")
    for (let i = 0; i < 50; i++) {
      const cell = Result.getOrThrow(Constrained.sampleWithin(prng)(domain))
      assert.deepStrictEqual(NasBench201.convolutions(cell), { ones: 1, threes: 0 })
    }
  })

  it("keeps the laws", () => {
    const small = Result.getOrThrow(NasBench201.models({ ...cifar, height: 8, width: 8, width1: 4, cells: 2 }))
    fc.assert(
      fc.property(fromSpace(small.space), (cell) => assert.isTrue(Result.isSuccess(Laws.check(cell)(small)))),
      { numRuns: 40 }
    )
  })
})
