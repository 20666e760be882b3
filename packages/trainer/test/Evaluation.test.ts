import { assert, describe, it } from "@effect/vitest"
import { Network } from "@uninet/network"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { Evaluation, Initialise, Trainer } from "@uninet/trainer"
import { architecture, layer } from "./support/tiny.ts"

const of = (classes: number, rows: ReadonlyArray<readonly [label: number, logits: ReadonlyArray<number>]>) => {
  const tally = Evaluation.tally(classes)
  tally.add(
    rows.flatMap(([, logits]) => logits),
    Int32Array.from(rows, ([label]) => label)
  )
  return tally.evaluation()
}

describe("an evaluation", () => {
  it("counts top-1, top-5 and who was taken for whom", () => {
    const rows = [
      [0, [9, 1, 2, 3, 4, 5, 6]],
      [1, [9, 1, 2, 3, 4, 5, 6]],
      [3, [9, 1, 2, 3, 4, 5, 6]],
      [6, [9, 1, 2, 3, 4, 5, 9.5]]
    ] as const
    const { confusion, images, top1, top5 } = of(7, rows)
    assert.deepStrictEqual({ images, top1, top5 }, { images: 4, top1: 0.5, top5: 0.75 })
    assert.deepStrictEqual(
      confusion.flatMap((row, c) => row.flatMap((n, k) => (n === 0 ? [] : [[c, k, n]]))),
      [
        [0, 0, 1],
        [1, 0, 1],
        [3, 0, 1],
        [6, 6, 1]
      ]
    )
    assert.deepStrictEqual(
      Evaluation.correct(
        rows.flatMap(([, row]) => row),
        Int32Array.from(rows, ([label]) => label),
        7
      ),
      { top1: 2, top5: 3 }
    )
  })

  it("gives a tie to the first class", () => {
    assert.strictEqual(of(3, [[0, [1, 1, 1]]]).top1, 1)
    assert.strictEqual(of(3, [[1, [1, 1, 1]]]).top1, 0)
  })

  it("has the cross entropy as its loss", () => {
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

  it("is calibrated where probabilities are the shares that are right", () => {
    const logits = [Math.log(3), 0]
    const rows = (right: number) => Array.from({ length: 8 }, (_, i) => [i < right ? 0 : 1, logits] as const)
    // Says 75%.
    assert.closeTo(of(2, rows(6)).calibrationError, 0, 1e-12)
    assert.closeTo(of(2, rows(8)).calibrationError, 0.25, 1e-12)
    assert.closeTo(of(2, rows(0)).calibrationError, 0.75, 1e-12)
  })

  it("of nothing is nothing", () => {
    assert.deepStrictEqual(Evaluation.tally(2).evaluation(), {
      top1: 0,
      top5: 0,
      loss: 0,
      images: 0,
      confusion: [
        [0, 0],
        [0, 0]
      ],
      calibrationError: 0
    })
  })

  it("is the same however the images are dealt into batches", () => {
    const images = fc.array(
      fc.tuple(fc.nat(3), fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: 4, maxLength: 4 })),
      {
        minLength: 1,
        maxLength: 30
      }
    )
    fc.assert(
      fc.property(images, fc.integer({ min: 1, max: 30 }), (rows, batch) => {
        const tally = Evaluation.tally(4)
        for (let from = 0; from < rows.length; from += batch) {
          const part = rows.slice(from, from + batch)
          tally.add(
            part.flatMap(([, logits]) => logits),
            Int32Array.from(part, ([label]) => label)
          )
        }
        assert.deepStrictEqual(tally.evaluation(), of(4, rows))
      })
    )
  })

  it.effect("of a network is the same at any batch size", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const { variables } = Result.getOrThrow(Result.flatMap(Network.make(architecture), Network.evaluation))
      const prng = Prng.fromSeed("evaluate")
      const weights = Initialise.values(variables, prng)
      for (const data of weights.values()) for (let i = 0; i < data.length; i++) data[i] += 0.1 * prng.nextFloat()
      const reference = yield* trainer.evaluate(architecture, weights, "test")
      assert.strictEqual(reference.images, 200)
      for (const batch of [1, 7, 16, 200, 256]) {
        const found = yield* trainer.evaluate(architecture, weights, "test", { batch })
        assert.deepStrictEqual(found.confusion, reference.confusion)
        assert.deepStrictEqual([found.top1, found.top5], [reference.top1, reference.top5])
        assert.closeTo(found.loss, reference.loss, 1e-6)
        assert.closeTo(found.calibrationError, reference.calibrationError, 1e-6)
      }
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )
})
