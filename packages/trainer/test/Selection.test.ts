import { assert, describe, it } from "@effect/vitest"
import { Selection } from "@uninet/trainer"

const score = (top1: number, loss = 1) => ({ top1, top5: 1, loss, images: 100 })
const raw = (top1: number, loss?: number) => [{ averaged: false, validation: score(top1, loss) }]

/** Epochs of raw weights with these accuracies. */
const after = (accuracies: ReadonlyArray<number>, improvement?: number) =>
  accuracies.reduce(
    (selection, top1, epoch) => Selection.next(selection, epoch, raw(top1), improvement),
    Selection.initial
  )

describe("the best epoch", () => {
  it("is the one with the highest accuracy, the first of equals unless a later one's loss is lower", () => {
    assert.strictEqual(after([0.5, 0.8, 0.7, 0.8]).best?.epoch, 1)
    const { best } = Selection.next(after([0.5, 0.8]), 2, raw(0.8, 0.9))
    assert.strictEqual(best?.epoch, 2)
  })

  it("is that of the averaged weights where they are better", () => {
    const { best } = Selection.next(Selection.initial, 0, [...raw(0.6), { averaged: true, validation: score(0.7) }])
    assert.deepStrictEqual(best, { epoch: 0, averaged: true, validation: score(0.7) })
  })

  it("is the last where there is nothing to validate on", () => {
    const nothing = { top1: 0, top5: 0, loss: 0, images: 0 }
    const epoch = (selection: Selection.Selection, n: number) =>
      Selection.next(selection, n, [
        { averaged: false, validation: nothing },
        { averaged: true, validation: nothing }
      ])
    assert.deepStrictEqual([0, 1, 2].reduce(epoch, Selection.initial).best, {
      epoch: 2,
      averaged: true,
      validation: nothing
    })
  })
})

describe("early stopping", () => {
  it("waits for so many epochs without a better one", () => {
    const rule = { patience: 2, improvement: 0 }
    assert.isFalse(Selection.stops(after([0.5, 0.8, 0.7]), rule))
    assert.isTrue(Selection.stops(after([0.5, 0.8, 0.7, 0.8]), rule))
    assert.isFalse(Selection.stops(after([0.5, 0.8, 0.7, 0.81]), rule))
    assert.isFalse(Selection.stops(after([0.5, 0.8, 0.7, 0.7, 0.7]), null))
  })

  it("takes small improvements for none, but not for ever", () => {
    const rule = { patience: 2, improvement: 0.05 }
    assert.isTrue(Selection.stops(after([0.5, 0.52, 0.54], 0.05), rule))
    assert.isFalse(Selection.stops(after([0.5, 0.53, 0.56], 0.05), rule))
    assert.strictEqual(after([0.5, 0.52, 0.54], 0.05).best?.epoch, 2)
  })
})
