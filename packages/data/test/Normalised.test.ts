import { assert, describe, it } from "@effect/vitest"
import { Normalised } from "@uninet/data"
import { Effect, Stream } from "effect"
import { samples, small } from "./fixtures.ts"

describe("a data set normalised by another's figures", () => {
  it.effect("has the same bytes by that mean and deviation, channel by channel", () =>
    Effect.gen(function* () {
      const data = yield* small
      const [mean, deviation] = [
        [0.25, 0.75],
        [0.5, 0.125]
      ]
      const again = Normalised.by({ mean, deviation })(data)
      assert.deepStrictEqual([again.mean, again.deviation], [mean, deviation])
      const bytes = samples(30, 3, 2).images
      const { image: images } = (yield* again.train.all).inputs
      for (let i = 0; i < images.length; i++) {
        const channel = Math.floor(i / 16) % 2
        assert.closeTo(images[i]!, (bytes[i]! / 255 - mean[channel]!) / deviation[channel]!, 1e-5)
      }
      const [batch] = yield* Stream.runCollect(again.train.batches({ batch: 30 }))
      assert.deepStrictEqual(batch!.inputs.image, images)
    })
  )

  it.effect("is itself where those are its own, or are of other channels", () =>
    Effect.gen(function* () {
      const data = yield* small
      assert.strictEqual(Normalised.by(data)(data), data)
      assert.strictEqual(Normalised.by({ mean: [0], deviation: [1] })(data), data)
    })
  )
})
