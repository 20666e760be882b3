import { assert, describe, it } from "@effect/vitest"
import { Op, Program } from "@uninet/graph"
import { Classification, Task } from "@uninet/model-space"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { evaluate } from "../../graph/test/support/interpreter.ts"

type Row = readonly [label: number, logits: ReadonlyArray<number>]

const batchOf = (rows: ReadonlyArray<Row>): Task.Evaluated => ({
  outputs: { logits: rows.flatMap(([, logits]) => logits) },
  targets: Int32Array.from(rows, ([label]) => label),
  size: rows.length
})

const found = (tally: Task.Tally<Classification.Measure>) => ({ ...tally.measures(), details: tally.details?.() })

const of = (classes: number, rows: ReadonlyArray<Row>) => {
  const tally = Classification.make({ classes }).tally()
  tally.add(batchOf(rows))
  return found(tally)
}

describe("a classification's measures", () => {
  const rows: ReadonlyArray<Row> = [
    [0, [9, 1, 2, 3, 4, 5, 6]],
    [1, [9, 1, 2, 3, 4, 5, 6]],
    [3, [9, 1, 2, 3, 4, 5, 6]],
    [6, [9, 1, 2, 3, 4, 5, 9.5]]
  ]

  it("count top-1, top-5 and who was taken for whom", () => {
    const { accuracy, details, top5 } = of(7, rows)
    assert.deepStrictEqual({ accuracy, top5 }, { accuracy: 0.5, top5: 0.75 })
    const confusion = Array.from({ length: 7 }, () => Array.from({ length: 7 }, () => 0))
    for (const [label, taken] of [
      [0, 0],
      [1, 0],
      [3, 0],
      [6, 6]
    ] as const)
      confusion[label][taken] = 1
    assert.deepStrictEqual(details, { confusion })
  })

  it("are told of a step's batch as well, where they can be", () => {
    const { running } = Classification.make({ classes: 7 })
    assert.deepStrictEqual(running?.outputs, ["logits"])
    assert.deepStrictEqual(running?.of(batchOf(rows)), { accuracy: 0.5, top5: 0.75 })
  })

  it("leave out rows beyond the examples, which are padding", () => {
    const batch = batchOf(rows)
    const tally = Classification.make({ classes: 7 }).tally()
    const outputs = { logits: [...Array.from(batch.outputs["logits"]), 1, 2, 3, 4, 5, 6, 7] }
    tally.add({ ...batch, outputs })
    assert.deepStrictEqual(found(tally), of(7, rows))
  })

  it("give a tie to the first class", () => {
    assert.strictEqual(of(3, [[0, [1, 1, 1]]]).accuracy, 1)
    assert.strictEqual(of(3, [[1, [1, 1, 1]]]).accuracy, 0)
  })

  it("have the cross entropy as their loss", () => {
    assert.closeTo(of(4, [[2, [0, 0, 0, 0]]]).loss, Math.log(4), 1e-12)
    assert.closeTo(
      of(2, [
        [0, [Math.log(3), 0]],
        [1, [Math.log(3), 0]]
      ]).loss,
      (Math.log(4 / 3) + Math.log(4)) / 2,
      1e-12
    )
    // Large logits overflow nothing.
    assert.closeTo(of(2, [[1, [1000, 0]]]).loss, 1000, 1e-9)
  })

  it("are calibrated where probabilities are the shares that are right", () => {
    const logits = [Math.log(3), 0]
    const says75 = (right: number) => Array.from({ length: 8 }, (_, i): Row => [i < right ? 0 : 1, logits])
    assert.closeTo(of(2, says75(6)).calibrationError, 0, 1e-12)
    assert.closeTo(of(2, says75(8)).calibrationError, 0.25, 1e-12)
    assert.closeTo(of(2, says75(0)).calibrationError, 0.75, 1e-12)
  })

  it("are no numbers where the logits are none, and throw nothing", () => {
    const { accuracy, calibrationError, loss } = of(2, [[1, [Number.NaN, Number.NaN]]])
    assert.deepStrictEqual({ accuracy, calibrationError }, { accuracy: 0, calibrationError: 0 })
    assert.isNaN(loss)
  })

  it("are the same however the examples are dealt into batches", () => {
    const examples = fc.array(
      fc.tuple(fc.nat(3), fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: 4, maxLength: 4 })),
      {
        minLength: 1,
        maxLength: 30
      }
    )
    fc.assert(
      fc.property(examples, fc.integer({ min: 1, max: 30 }), (rows, batch) => {
        const tally = Classification.make({ classes: 4 }).tally()
        for (let from = 0; from < rows.length; from += batch) tally.add(batchOf(rows.slice(from, from + batch)))
        assert.deepStrictEqual(found(tally), of(4, rows))
      })
    )
  })
})

describe("a classification", () => {
  it("takes the logits of its classes by the name that it is given", () => {
    const { outputs } = Classification.make({ classes: 3, output: "scores" })
    assert.deepStrictEqual(outputs, { scores: [3] })
    const tally = Classification.make({ classes: 2, output: "scores" }).tally()
    tally.add({ outputs: { scores: [0, 1] }, targets: [1], size: 1 })
    assert.strictEqual(tally.measures().accuracy, 1)
  })

  it("is decided by the accuracy, the higher the better, and by a loss that is better when it is lower", () => {
    const { decides, measures, shares } = Classification.make({ classes: 3 })
    assert.strictEqual(decides, "accuracy")
    assert.deepStrictEqual(measures, { accuracy: "higher", top5: "higher", loss: "lower", calibrationError: "lower" })
    assert.deepStrictEqual(shares, ["accuracy", "top5", "calibrationError"])
  })

  it("minimises the loss that it measures, and a mixed target's that of its label where nothing is mixed", () => {
    const { loss, mixed } = Classification.make({ classes: 4 })
    const rows: ReadonlyArray<Row> = [
      [2, [0.5, -1, 2, 0]],
      [0, [0.1, 3, -2, 1]]
    ]
    const logits = Op.input("logits", [2, 4])
    const losses = {
      plain: loss({ logits }, Op.input("labels", [2], "int32"), { labelSmoothing: 0 }),
      smoothed: loss({ logits }, Op.input("labels", [2], "int32"), { labelSmoothing: 0.1 }),
      mixed: mixed?.loss({ logits }, Op.input("targets", [2, 4])) ?? assert.fail("it mixes")
    }
    const { outputs } = evaluate(Result.getOrThrow(Program.make({ outputs: losses })), {
      inputs: {
        logits: rows.flatMap(([, row]) => row),
        labels: rows.map(([label]) => label),
        targets: rows.flatMap(([label]) => [0, 1, 2, 3].map((k) => 0.025 + (k === label ? 0.9 : 0)))
      }
    })
    assert.closeTo(outputs["plain"][0], of(4, rows).loss, 1e-12)
    assert.closeTo(outputs["mixed"][0], outputs["smoothed"][0], 1e-12)
    assert.notStrictEqual(outputs["smoothed"][0], outputs["plain"][0])
  })
})
