import { assert, describe, it } from "@effect/vitest"
import { Dataset, Memory, Mnist } from "@uninet/data"
import { Effect } from "effect"
import fc from "fast-check"
import { samples } from "./fixtures.ts"

const options = {
  name: "made up",
  classes: ["a", "b", "c"],
  image: { channels: 1, height: 4, width: 4 },
  train: samples(30, 3),
  validation: samples(3, 3),
  test: samples(3, 3)
}

const bytesOf = (dataset: Dataset.ImageDataset) =>
  Effect.forEach(Dataset.splits(dataset), (split) =>
    Effect.map(split.all, ({ inputs, size }) =>
      Array.from({ length: size }, (_, i) =>
        Array.from(inputs.image.subarray(i * 16, i * 16 + 16), (value) =>
          Math.round((value * dataset.deviation[0]! + dataset.mean[0]!) * 255)
        ).join()
      )
    )
  )

describe("Memory", () => {
  it("a holdout takes each class in proportion and parts the samples without loss or overlap", () =>
    fc.assert(
      fc.asyncProperty(fc.nat(14), fc.nat(14), fc.string(), async (validation, test, seed) => {
        const dataset = await Effect.runPromise(
          Memory.make({ ...options, validation: { size: validation, seed }, test: { size: test, seed } })
        )
        const parts = await Effect.runPromise(bytesOf(dataset))
        assert.deepStrictEqual(
          parts.map((part) => part.length),
          [30 - validation - test, validation, test]
        )
        assert.strictEqual(new Set(parts.flat()).size, 30)
        for (const split of Dataset.splits(dataset)) {
          const labels = await Effect.runPromise(split.targets)
          const counts = [0, 1, 2].map((label) => labels.filter((other) => other === label).length)
          assert.isAtMost(Math.max(...counts) - Math.min(...counts), 2)
        }
      }),
      { numRuns: 40 }
    ))

  it.effect("the mean leaves held-out samples out", () =>
    Effect.gen(function* () {
      const images = new Uint8Array(32).fill(255, 16)
      const dataset = yield* Memory.make({
        ...options,
        train: { images, labels: [0, 1] },
        validation: { size: 1 }
      })
      const [held] = yield* dataset.validation.targets
      assert.deepStrictEqual(dataset.mean, [held === 0 ? 1 : 0])
      assert.deepStrictEqual(dataset.deviation, [1])
    })
  )

  it.effect("names the sample whose label is no class", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Memory.make({ ...options, test: { ...samples(3, 3), labels: [0, 3, 1] } }))
      assert.strictEqual(
        error.message,
        "made up, test split: sample 1 has label 3, outside 0…2. Correct the label, or give the data set its true list of classes."
      )
    })
  )

  it.effect("refuses images that are not as many as the labels, an empty split and a holdout of everything", () =>
    Effect.gen(function* () {
      const wrong = [
        { ...options, train: { images: new Uint8Array(17), labels: [0] } },
        { ...options, validation: { images: new Uint8Array(0), labels: [] } },
        { ...options, validation: { size: 30 } },
        { ...options, validation: { size: -1 } }
      ]
      const tags = yield* Effect.forEach(wrong, (each) => Effect.map(Effect.flip(Memory.make(each)), (e) => e._tag))
      assert.deepStrictEqual(tags, ["InvalidSamples", "InvalidSamples", "InvalidOption", "InvalidOption"])
    })
  )
})

describe("Mnist", () => {
  it.effect("splits its ten thousand digits 8000 / 1000 / 1000, every digit in proportion, alike every time", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* Mnist.make(), yield* Mnist.make()]
      assert.deepStrictEqual(
        Dataset.splits(first).map((split) => split.size),
        [8000, 1000, 1000]
      )
      const labels = yield* first.test.targets
      for (let digit = 0; digit < 10; digit++) {
        assert.closeTo(labels.filter((label) => label === digit).length, 100, 15)
      }
      assert.deepStrictEqual(yield* first.test.all, yield* second.test.all)
      // Those of all 60,000 training digits, as everybody quotes them.
      assert.closeTo(first.mean[0]!, 0.1307, 0.002)
      assert.closeTo(first.deviation[0]!, 0.3081, 0.002)
    })
  )

  it.effect("every pixel is one of the 256 bytes that the package rounded", () =>
    Effect.gen(function* () {
      const dataset = yield* Mnist.make()
      const { image } = (yield* dataset.validation.all).inputs
      const bytes = image.map((value) => (value * dataset.deviation[0]! + dataset.mean[0]!) * 255)
      for (const byte of bytes) if (Math.abs(byte - Math.round(byte)) > 1e-3) assert.fail(`${byte} is no byte`)
      assert.strictEqual(Math.round(Math.max(...bytes.subarray(0, 78400))), 255)
    })
  )

  it.effect("its layer provides the service", () =>
    Effect.gen(function* () {
      const { image, name } = yield* Dataset.Dataset
      assert.deepStrictEqual({ image, name }, { image: { channels: 1, height: 28, width: 28 }, name: "mnist" })
    }).pipe(Effect.provide(Mnist.layer))
  )
})
