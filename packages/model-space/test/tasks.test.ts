import { assert, describe, it } from "@effect/vitest"
import { Op, Program } from "@uninet/graph"
import { Classification, ModelSpace, MultiLabel, Regression, Segmentation, Task } from "@uninet/model-space"
import { Model, Nn, Scope } from "@uninet/nn"
import { Choice, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { evaluate } from "../../graph/test/support/interpreter.ts"

/** What a task finds of examples whose outputs and targets are given row by row. */
const found = <M extends string>(
  task: Task.Task<M>,
  outputs: ReadonlyArray<ReadonlyArray<number>>,
  targets: ReadonlyArray<ReadonlyArray<number>>
) => {
  const [output] = Object.keys(task.outputs)
  const tally = task.tally()
  // One by one, the first two together.
  for (const [from, to] of [[0, 2], ...outputs.slice(2).map((_, i) => [i + 2, i + 3])])
    tally.add({
      outputs: { [output]: outputs.slice(from, to).flat() },
      targets: targets.slice(from, to).flat(),
      size: Math.min(to, outputs.length) - from
    })
  return tally.measures()
}

/** The loss of a training step, by the reference interpreter. */
const lossOf = (task: Task.Task, outputs: ReadonlyArray<number>, targets: ReadonlyArray<number>, batch: number) => {
  const [[name, shape]] = Object.entries(task.outputs)
  const lengths = shape.map((length) => length ?? 1)
  const given = { [name]: Op.input(name, [batch, ...lengths]) }
  const wanted = Op.input("targets", [batch, ...task.targets.shape], task.targets.dtype)
  const program = Result.getOrThrow(
    Program.make({ outputs: { loss: task.loss(given, wanted, { labelSmoothing: 0 }) } })
  )
  return evaluate(program, { inputs: { [name]: outputs, targets } }).outputs["loss"][0]
}

describe("regression", () => {
  const targets = [[1], [2], [4], [9]]
  const outputs = [[1.5], [2], [3], [8]]

  it("measures the mean absolute and the root mean squared error, and the share of the variance", () => {
    const { loss, mae, r2, rmse } = found(Regression.make(), outputs, targets)
    assert.approximately(mae, 2.5 / 4, 1e-12)
    assert.approximately(loss, 2.25 / 4, 1e-12)
    assert.approximately(rmse, Math.sqrt(2.25 / 4), 1e-12)
    // Mean 4; squares 9 + 4 + 0 + 25.
    assert.approximately(r2, 1 - 2.25 / 38, 1e-12)
  })

  it("is as good as its mean absolute error, less being better, unless told otherwise", () => {
    const task = Regression.make()
    assert.deepStrictEqual([task.decides, task.measures.mae, task.measures.r2], ["mae", "lower", "higher"])
    assert.strictEqual(Regression.make({ decides: "r2" }).decides, "r2")
    assert.deepStrictEqual(task.targets, { shape: [], dtype: "float32" })
    assert.deepStrictEqual(Regression.make({ values: 3 }).targets.shape, [3])
  })

  it("says of targets that are all equal whether they were met, and nothing that is no number", () => {
    const same = [[3], [3], [3]]
    assert.strictEqual(found(Regression.make(), same, same).r2, 1)
    assert.strictEqual(found(Regression.make(), [[3], [3], [4]], same).r2, 0)
  })

  it("has the loss of a training step among its measures, squared or absolute", () =>
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.float({ min: -9, max: 9, noNaN: true }), fc.float({ min: -9, max: 9, noNaN: true })), {
          minLength: 4,
          maxLength: 4
        }),
        fc.constantFrom("squared" as const, "absolute" as const),
        (pairs, error) => {
          const task = Regression.make({ values: 2, error })
          const rows = (k: 0 | 1) => [0, 1].map((i) => [pairs[2 * i][k], pairs[2 * i + 1][k]])
          const { loss } = found(task, rows(0), rows(1))
          assert.approximately(loss, lossOf(task, rows(0).flat(), rows(1).flat(), 2), 1e-9)
        }
      ),
      { numRuns: 50 }
    ))
})

describe("several labels", () => {
  const task = MultiLabel.make({ labels: 2 })
  const logits = [
    [2, -1],
    [1, 1],
    [-1, 0.5],
    [-2, -3]
  ]
  const targets = [
    [1, 0],
    [0, 1],
    [1, 1],
    [0, 0]
  ]

  it("measures average precision, F1 and exact matches", () => {
    const { exactMatch, f1, meanAveragePrecision } = found(task, logits, targets)
    // Label 0: hits at places 1 and 3; label 1: at 1 and 2.
    assert.approximately(meanAveragePrecision, ((1 + 2 / 3) / 2 + 1) / 2, 1e-12)
    // Given: 0, 0 and 1, 1. Hits 3, one false alarm, one miss.
    assert.approximately(f1, 6 / 8, 1e-12)
    assert.strictEqual(exactMatch, 2 / 4)
  })

  it("has the loss of a training step among its measures", () => {
    const { loss } = found(task, logits, targets)
    assert.approximately(loss, lossOf(task, logits.flat(), targets.flat(), 4), 1e-9)
  })

  it("counts a label that no example has for nothing, and does not take ties for skill", () => {
    const none = [
      [0, 1],
      [0, 0]
    ]
    assert.strictEqual(
      found(
        task,
        [
          [3, 3],
          [3, 3]
        ],
        none
      ).meanAveragePrecision,
      0.5
    )
    assert.strictEqual(
      found(
        task,
        [
          [-1, -1],
          [-1, -1]
        ],
        [
          [0, 0],
          [0, 0]
        ]
      ).f1,
      1
    )
  })
})

describe("segmentation", () => {
  // Two classes, 1×3 pixels; logits by class and pixel.
  const task = Segmentation.make({ classes: 2, height: 1, width: 3 })
  const logits = [
    [2, 0, 0, 0, 1, 3],
    [1, 1, 1, 0, 0, 2]
  ]
  const targets = [
    [0, 1, 0],
    [0, 1, 255]
  ]

  it("measures intersection over union by class, and the share of the pixels that have a class", () => {
    const { meanIoU, pixelAccuracy } = found(task, logits, targets)
    // Found 0 1 1 and 0 0 –; class 0: 2 of {is 3, found 3, both 2} = 2/4, class 1: 1 of 3.
    assert.approximately(meanIoU, (2 / 4 + 1 / 3) / 2, 1e-12)
    assert.strictEqual(pixelAccuracy, 3 / 5)
  })

  it("has the loss of a training step among its measures, pixels without a class left out", () => {
    const { loss } = found(task, logits, targets)
    assert.approximately(loss, lossOf(task, logits.flat(), targets.flat(), 2), 1e-9)
  })

  it("leaves classes out that are neither there nor found", () => {
    const three = Segmentation.make({ classes: 3, height: 1, width: 2 })
    const { meanIoU } = found(
      three,
      [
        [5, 5, 0, 0, 0, 0],
        [5, 5, 0, 0, 0, 0]
      ],
      [
        [0, 0],
        [0, 0]
      ]
    )
    assert.strictEqual(meanIoU, 1)
  })
})

/** A space of one layer with so many outputs. */
const layerOf = (task: Task.Task, out: number) =>
  ModelSpace.make({
    name: "one layer",
    space: Result.getOrThrow(Space.make(Choice.struct({ width: Choice.ordered([4]) }))),
    task,
    model: () =>
      Model.make({
        inputs: { x: Model.input([3]) },
        forward: (scope, { x }) => ({ logits: Nn.linear(Scope.at("out")(scope), { out })(x) })
      })
  })

describe("a model that its task cannot take", () => {
  it.each([
    [Classification.make({ classes: 3 }), "the outputs logits [3], but the model gives logits [2]"],
    [MultiLabel.make({ labels: 5 }), "the outputs logits [5], but the model gives logits [2]"],
    [Regression.make(), "the outputs y [1], but the model gives logits [2]"],
    [
      Segmentation.make({ classes: 2, height: 4, width: 4 }),
      "the outputs logits [2×4×4], but the model gives logits [2]"
    ]
  ] as const)("is refused with the shapes of both: %#", (task, says) => {
    const mine = layerOf(task, 2)
    const refused = Result.getOrThrow(Result.flip(ModelSpace.checked({ width: 4 })(mine)))
    assert.include(refused.message, `takes ${says}`)
  })
})
