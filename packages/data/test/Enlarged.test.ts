import { assert, describe, it } from "@effect/vitest"
import { Enlarged, Image, Memory } from "@uninet/data"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

const image = { channels: 2, height: 5, width: 7 }
const area = image.height * image.width

/** Bytes away from black and white, so that nothing overshoots the range of bytes. */
const samples = (count: number): Memory.Samples => {
  const prng = Prng.fromSeed("enlarged")
  return {
    images: Uint8Array.from({ length: count * 2 * area }, () => 64 + prng.nextInt(128)),
    labels: Array.from({ length: count }, (_, i) => i % 2)
  }
}

const own = samples(6)
const data = Memory.make({
  name: "noise",
  classes: ["even", "odd"],
  image,
  train: own,
  validation: samples(2),
  test: samples(2)
})

/** Indexes and labels, batch by batch. */
const collect = (batches: Stream.Stream<{ readonly indexes: Uint32Array; readonly labels: Int32Array }, unknown>) =>
  Stream.runCollect(Stream.map(batches, ({ indexes, labels }) => [[...indexes], [...labels]]))

describe("an enlarged data set", () => {
  it.effect("has the images that resizing the bytes gives, but for what overshoots them", () =>
    Effect.gen(function* () {
      const small = yield* data
      const large = Enlarged.to({ height: 9, width: 12 }, small)
      assert.deepStrictEqual(large.image, { channels: 2, height: 9, width: 12 })
      const { images } = yield* large.train.all
      for (let i = 0; i < 6; i++) {
        const bytes = own.images.subarray(i * 2 * area, (i + 1) * 2 * area)
        const resized = Image.resize({ ...image, bytes }, 9, 12)
        for (let k = 0; k < 2 * 9 * 12; k++) {
          const c = Math.floor(k / (9 * 12))
          const plane = bytes.subarray(c * area, (c + 1) * area)
          const [least, most] = [Math.min(...plane), Math.max(...plane)]
          const byte = 255 * (images[i * 2 * 9 * 12 + k]! * small.deviation[c]! + small.mean[c]!)
          assert.closeTo(byte, Math.min(most, Math.max(least, resized.bytes[k]!)), 1.01)
        }
      }
    })
  )

  it.effect("keeps order, labels and indexes, and batches as its whole", () =>
    Effect.gen(function* () {
      const small = yield* data
      const large = Enlarged.to({ height: 10, width: 14 }, small)
      const options = { batch: 4, shuffle: { seed: "s", epoch: 1 }, reuse: true }
      assert.deepStrictEqual(yield* collect(large.train.batches(options)), yield* collect(small.train.batches(options)))
      const whole = yield* large.train.all
      const one = yield* large.train.read([3])
      assert.deepStrictEqual(one.images, whole.images.subarray(3 * 2 * 140, 4 * 2 * 140))
    })
  )

  it.effect("of the same size is the data set itself, and never a smaller one", () =>
    Effect.gen(function* () {
      const small = yield* data
      assert.strictEqual(Enlarged.to(image, small), small)
      assert.isTrue(Enlarged.fits(image, { ...image, height: 8 }))
      assert.isFalse(Enlarged.fits(image, { ...image, height: 8, width: 6 }))
      assert.isFalse(Enlarged.fits(image, { ...image, channels: 3 }))
    })
  )
})
