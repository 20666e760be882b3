import { assert, describe, it } from "@effect/vitest"
import { Dataset, Image, Memory, Resized } from "@uninet/data"
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
const collect = (batches: Stream.Stream<{ readonly indexes: Uint32Array; readonly targets: Int32Array }, unknown>) =>
  Stream.runCollect(Stream.map(batches, ({ indexes, targets }) => [[...indexes], [...targets]]))

describe("a resized data set", () => {
  it.effect.each([
    ["larger", 9, 12],
    ["smaller, antialiased", 3, 2],
    ["higher and narrower", 11, 4]
  ] as const)("has the images that resizing the bytes gives, but for what overshoots them: %s", ([, height, width]) =>
    Effect.gen(function* () {
      const given = yield* data
      const made = Resized.to({ height, width })(given)
      assert.deepStrictEqual(made.image, { channels: 2, height, width })
      assert.deepStrictEqual(made.inputs.image.shape, [2, height, width])
      assert.isTrue(Dataset.isImages(made))
      const { image: images } = (yield* made.train.all).inputs
      for (let i = 0; i < 6; i++) {
        const bytes = own.images.subarray(i * 2 * area, (i + 1) * 2 * area)
        const resized = Image.resize(height, width)({ ...image, bytes })
        for (let k = 0; k < 2 * height * width; k++) {
          const c = Math.floor(k / (height * width))
          const plane = bytes.subarray(c * area, (c + 1) * area)
          const [least, most] = [Math.min(...plane), Math.max(...plane)]
          const byte = 255 * (images[i * 2 * height * width + k]! * given.deviation[c]! + given.mean[c]!)
          assert.closeTo(byte, Math.min(most, Math.max(least, resized.bytes[k]!)), 1.01)
        }
      }
    })
  )

  it.effect("keeps order, labels and indexes, and batches as its whole", () =>
    Effect.gen(function* () {
      const small = yield* data
      const large = Resized.to({ height: 10, width: 14 })(small)
      const options = { batch: 4, shuffle: { seed: "s", epoch: 1 }, reuse: true }
      assert.deepStrictEqual(yield* collect(large.train.batches(options)), yield* collect(small.train.batches(options)))
      const whole = yield* large.train.all
      const one = yield* large.train.read([3])
      assert.deepStrictEqual(one.inputs.image, whole.inputs.image.subarray(3 * 2 * 140, 4 * 2 * 140))
    })
  )

  it.effect("of the same size is the data set itself; whether another enlarges it, sides and channels say", () =>
    Effect.gen(function* () {
      const small = yield* data
      assert.strictEqual(Resized.to(image)(small), small)
      assert.isTrue(Resized.enlarges(image, { ...image, height: 8 }))
      assert.isFalse(Resized.enlarges(image, { ...image, height: 8, width: 6 }))
      assert.isFalse(Resized.enlarges(image, { ...image, channels: 3 }))
    })
  )
})
