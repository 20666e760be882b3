import { assert, describe, it } from "@effect/vitest"
import { Classification, Task } from "@uninet/model-space"
import { Selection } from "@uninet/trainer"

const task = Classification.make({ classes: 10 })
const score = (accuracy: number, loss = 1) => ({ measures: { accuracy, top5: 1, loss }, examples: 100 })
const raw = (accuracy: number, loss?: number) => [{ averaged: false, validation: score(accuracy, loss) }]

/** Epochs of raw weights with these accuracies. */
const after = (accuracies: ReadonlyArray<number>, improvement?: number) =>
  accuracies.reduce(
    (selection, accuracy, epoch) => Selection.next(task, epoch, raw(accuracy), improvement)(selection),
    Selection.initial
  )

describe("the best epoch", () => {
  it("is the one with the highest accuracy, the first of equals unless a later one's loss is lower", () => {
    assert.strictEqual(after([0.5, 0.8, 0.7, 0.8]).best?.epoch, 1)
    const { best } = Selection.next(task, 2, raw(0.8, 0.9))(after([0.5, 0.8]))
    assert.strictEqual(best?.epoch, 2)
  })

  it("is that of the averaged weights where they are better", () => {
    const { best } = Selection.next(task, 0, [...raw(0.6), { averaged: true, validation: score(0.7) }])(
      Selection.initial
    )
    assert.deepStrictEqual(best, { epoch: 0, averaged: true, validation: score(0.7) })
  })

  it("is the last where there is nothing to validate on", () => {
    const nothing = { measures: {}, examples: 0 }
    const epoch = (selection: Selection.Selection, n: number) =>
      Selection.next(task, n, [
        { averaged: false, validation: nothing },
        { averaged: true, validation: nothing }
      ])(selection)
    assert.deepStrictEqual([0, 1, 2].reduce(epoch, Selection.initial).best, {
      epoch: 2,
      averaged: true,
      validation: nothing
    })
  })
})

describe("a measure that is better when it is lower", () => {
  const distances: Task.Task = Task.make({
    name: "distances",
    outputs: { y: [] },
    targets: { shape: [], dtype: "float32" },
    loss: ({ y }) => y,
    measures: { distance: "lower" },
    decides: "distance",
    tally: () => ({ add: () => undefined, measures: () => ({ distance: 0 }) })
  })
  const along = (found: ReadonlyArray<number>, improvement?: number) =>
    found.reduce(
      (selection, distance, epoch) =>
        Selection.next(
          distances,
          epoch,
          [{ averaged: false, validation: { measures: { distance }, examples: 100 } }],
          improvement
        )(selection),
      Selection.initial
    )

  it("is best where it is lowest, the first of equals", () => {
    assert.strictEqual(along([5, 2, 3, 2]).best?.epoch, 1)
  })

  it("stops a training that no longer lowers it", () => {
    const rule = { patience: 2, improvement: 0 }
    assert.isTrue(Selection.stops(rule)(along([5, 2, 3, 2])))
    assert.isFalse(Selection.stops(rule)(along([5, 2, 3, 1.9])))
    assert.isTrue(Selection.stops({ patience: 2, improvement: 0.5 })(along([5, 4.8, 4.6], 0.5)))
  })
})

describe("early stopping", () => {
  it("waits for so many epochs without a better one", () => {
    const rule = { patience: 2, improvement: 0 }
    assert.isFalse(Selection.stops(rule)(after([0.5, 0.8, 0.7])))
    assert.isTrue(Selection.stops(rule)(after([0.5, 0.8, 0.7, 0.8])))
    assert.isFalse(Selection.stops(rule)(after([0.5, 0.8, 0.7, 0.81])))
    assert.isFalse(Selection.stops(null)(after([0.5, 0.8, 0.7, 0.7, 0.7])))
  })

  it("takes small improvements for none, but not for ever", () => {
    const rule = { patience: 2, improvement: 0.05 }
    assert.isTrue(Selection.stops(rule)(after([0.5, 0.52, 0.54], 0.05)))
    assert.isFalse(Selection.stops(rule)(after([0.5, 0.53, 0.56], 0.05)))
    assert.strictEqual(after([0.5, 0.52, 0.54], 0.05).best?.epoch, 2)
  })
})
