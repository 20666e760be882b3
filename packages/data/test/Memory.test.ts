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

const labelled = (
  labels: ReadonlyArray<number>,
  validation: number | "one per class",
  test: number,
  seed: string | number = 0
) =>
  Memory.make({
    ...options,
    classes: Array.from({ length: Math.max(...labels) + 1 }, (_, i) => String(i)),
    train: { images: new Uint8Array(16 * labels.length), labels },
    validation: { size: validation, seed },
    test: { size: test, seed }
  })
const countsIn = (split: Dataset.Split) =>
  Effect.map(split.targets, (labels) => {
    const counts: Record<number, number> = {}
    for (const label of labels) counts[label] = (counts[label] ?? 0) + 1
    return counts
  })

describe("Memory", () => {
  it("a holdout takes each class in proportion and parts the samples without loss or overlap", () =>
    fc.assert(
      fc.asyncProperty(fc.nat(13), fc.nat(14), fc.string(), async (validation, test, seed) => {
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
      // The first is white, the other two are black; one of the two in the same class is held out.
      const images = new Uint8Array(48).fill(255, 0, 16)
      const dataset = yield* Memory.make({
        ...options,
        train: { images, labels: [0, 0, 1] },
        validation: { size: 1 }
      })
      const { image } = (yield* dataset.validation.all).inputs
      assert.deepStrictEqual(dataset.mean, [image[0]! > 0 ? 0 : 0.5])
      assert.deepStrictEqual(dataset.deviation, [image[0]! > 0 ? 1 : 0.5])
    })
  )

  it("every class keeps a training example, whatever is held out, and nothing is lost", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.string(),
        async (sizes, some, more, seed) => {
          const labels = sizes.flatMap((size, label) => Array.from({ length: size }, () => label))
          const most = labels.length - sizes.length
          const validation = Math.floor(most * some)
          const test = Math.floor((most - validation) * more)
          const data = await Effect.runPromise(labelled(labels, validation, test, seed))
          const [train, ...held] = await Effect.runPromise(Effect.forEach(Dataset.splits(data), countsIn))
          for (const [label, size] of sizes.entries()) {
            assert.isAtLeast(train?.[label] ?? 0, 1)
            assert.strictEqual(
              [train, ...held].reduce((sum, counts) => sum + (counts?.[label] ?? 0), 0),
              size
            )
          }
          assert.deepStrictEqual([data.validation.size, data.test.size], [validation, test])
        }
      ),
      { numRuns: 60, seed: 3 }
    ))

  it.effect("a holdout that would take a class's last example is refused, with what is possible", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(labelled([0, 0, 0, 1, 1], 2, 2))
      assert.strictEqual(
        error.message,
        "held-out samples is 4. Give it from 0 to 3 of the 5 training samples, so that every class keeps one."
      )
      // The second class's share of 0.8 would round to its only example: the first class gives another one instead.
      assert.deepStrictEqual(yield* countsIn((yield* labelled([0, 0, 0, 0, 0, 1], 4, 0)).validation), { 0: 4 })
    })
  )

  it.effect("takes one of every class that has two where that is asked for", () =>
    Effect.gen(function* () {
      const data = yield* labelled([0, 0, 0, 0, 0, 0, 0, 1, 1, 2], "one per class", 0)
      assert.deepStrictEqual(yield* countsIn(data.validation), { 0: 1, 1: 1 })
      assert.strictEqual((yield* Effect.flip(labelled([0, 1], "one per class", 0)))._tag, "InvalidOption")
    })
  )

  it.effect("of fewer examples than classes, the seed deals who gives one, not the order of the classes", () =>
    Effect.gen(function* () {
      const labels = Array.from({ length: 60 }, (_, i) => i % 20)
      const given = yield* Effect.forEach(
        Array.from({ length: 40 }, (_, seed) => seed),
        (seed) => Effect.flatMap(labelled(labels, 5, 0, seed), ({ validation }) => countsIn(validation))
      )
      const seen = new Set(given.flatMap((counts) => Object.keys(counts)))
      assert.strictEqual(seen.size, 20)
      for (const counts of given) assert.deepStrictEqual(Object.values(counts), [1, 1, 1, 1, 1])
      const [again] = yield* Effect.forEach([0], (seed) =>
        Effect.flatMap(labelled(labels, 5, 0, seed), ({ validation }) => countsIn(validation))
      )
      assert.deepStrictEqual(again, given[0])
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
      // Those of all 60,000 training digits, as commonly quoted.
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
