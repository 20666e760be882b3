import { assert, describe, it } from "@effect/vitest"
import { Augmentation, Dataset, Examples, Joined, Report } from "@uninet/data"
import { Prng } from "@uninet/search-space"
import { Effect, Stream } from "effect"
import fc from "fast-check"

/** Rows of three numbers whose target is their sum; row i begins with i, so that a row can be identified. */
const rows = (size: number, seed = "rows") => {
  const prng = Prng.fromSeed(seed)
  const row = Float32Array.from({ length: 3 * size }, (_, k) => (k % 3 === 0 ? k / 3 : prng.nextNormal() * 5 + 2))
  const targets = Float32Array.from({ length: size }, (_, i) => row[3 * i]! + row[3 * i + 1]! + row[3 * i + 2]!)
  return { inputs: { row }, targets }
}

const sums = {
  name: "sums",
  inputs: { row: Dataset.float32(3) },
  targets: Dataset.float32(),
  train: rows(40),
  validation: rows(6, "validation"),
  test: rows(5, "test")
}

/** 2×3 images with two channels and a mask each, and an integer input. */
const scenes = (size: number) => ({
  inputs: {
    image: Array.from({ length: 12 * size }, (_, i) => i / 7),
    place: Array.from({ length: size }, (_, i) => i)
  },
  targets: Array.from({ length: 6 * size }, (_, i) => i % 3)
})

const segmented = {
  name: "scenes",
  inputs: { image: Dataset.float32(2, 2, 3), place: Dataset.int32() },
  targets: Dataset.int32(2, 3),
  classes: ["sky", "tree", "road"],
  train: scenes(8),
  validation: scenes(2),
  test: scenes(2)
}

const failure = <E extends { readonly message: string }>(made: Effect.Effect<unknown, E>) =>
  Effect.map(Effect.flip(made), ({ message }) => message)

describe("Examples", () => {
  it.effect("are the numbers given, by name, in 32 bits", () =>
    Effect.gen(function* () {
      const data = yield* Examples.make(sums)
      const { inputs, size, targets } = yield* data.train.all
      assert.strictEqual(size, 40)
      assert.deepStrictEqual(inputs.row, sums.train.inputs.row)
      assert.deepStrictEqual(targets, sums.train.targets)
      assert.isFalse(Dataset.isImages(data))
      assert.deepStrictEqual([data.inputs, data.targets], [sums.inputs, sums.targets])
      const some = yield* data.test.read([4, 0])
      const { row } = sums.test.inputs
      assert.deepStrictEqual([...(some.inputs.row ?? [])], [...row.subarray(12, 15), ...row.subarray(0, 3)])
      assert.deepStrictEqual([...some.indexes], [4, 0])
    })
  )

  it.effect("have inputs and targets of any shape and of whole numbers: images with masks", () =>
    Effect.gen(function* () {
      const data = yield* Examples.make(segmented)
      const batch = yield* data.train.read([3, 1])
      assert.deepStrictEqual(batch.inputs.place, Int32Array.of(3, 1))
      assert.deepStrictEqual(
        batch.inputs.image,
        Float32Array.from([36, 12].flatMap((from) => Array.from({ length: 12 }, (_, i) => (from + i) / 7)))
      )
      assert.deepStrictEqual(
        batch.targets,
        Int32Array.from({ length: 12 }, (_, i) => i % 3)
      )
      const about = yield* Report.describe(data)
      assert.deepStrictEqual(about.splits[0], { name: "train", size: 8, counts: [16, 16, 16] })
      assert.isUndefined((yield* Report.describe(yield* Examples.make(sums))).splits[0]?.counts)
    })
  )

  it("come in a seeded order that any batch size, prefetching and resumption leave as it is", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 13 }),
        fc.nat(3),
        fc.nat(3),
        fc.boolean(),
        fc.boolean(),
        async (batch, startAt, prefetch, dropLast, reuse) => {
          const { train } = await Effect.runPromise(Examples.make(sums))
          const shuffle = { seed: "order", epoch: 2 }
          const seen = async (options: Partial<Dataset.BatchOptions>) =>
            Effect.runPromise(
              Stream.runCollect(
                // Copied on arrival, because the memory may be reused.
                Stream.map(train.batches({ batch, shuffle, dropLast, ...options }), (made) => [
                  made.index,
                  [...made.indexes],
                  [...(made.inputs.row ?? [])],
                  [...made.targets]
                ])
              )
            )
          const whole = await seen({})
          assert.deepStrictEqual(await seen({ startAt, prefetch, reuse }), whole.slice(startAt))
          const [one] = await Effect.runPromise(Stream.runCollect(train.batches({ batch: 40, shuffle })))
          const order = [...one!.indexes]
          assert.deepStrictEqual(
            whole.flatMap(([, indexes]) => indexes),
            dropLast ? order.slice(0, Math.floor(40 / batch) * batch) : order
          )
        }
      ),
      { numRuns: 30, seed: 7 }
    ))

  it.effect("are standardised by the training split's mean and deviation, column by column, and say by what", () =>
    Effect.gen(function* () {
      const data = yield* Examples.make({ ...sums, standardise: ["row"] })
      const { row } = (yield* data.train.all).inputs
      for (const column of [0, 1, 2]) {
        const own = Array.from({ length: 40 }, (_, i) => row?.[3 * i + column] ?? Number.NaN)
        const mean = own.reduce((a, b) => a + b, 0) / 40
        assert.closeTo(mean, 0, 1e-6)
        assert.closeTo(own.reduce((a, b) => a + b * b, 0) / 40, 1, 1e-5)
      }
      const { deviation = [], mean = [] } = data.standardised?.["row"] ?? {}
      assert.closeTo(mean[0]!, 19.5, 1e-9)
      const first = (yield* data.test.read([0])).inputs.row?.[1]
      assert.strictEqual(first, Math.fround((sums.test.inputs.row[1]! - mean[1]!) / deviation[1]!))
      assert.deepStrictEqual((yield* data.train.all).targets, sums.train.targets)
    })
  )

  it.effect("are standardised per channel where they are images, and become 0 where nothing varies", () =>
    Effect.gen(function* () {
      const image = Float32Array.from({ length: 48 }, (_, i) => (i % 12 < 6 ? 4 : i))
      const flat = { inputs: { image }, targets: [0, 1, 0, 1] }
      const data = yield* Examples.make({
        name: "flat",
        inputs: { image: Dataset.float32(2, 2, 3) },
        targets: Dataset.int32(),
        standardise: ["image"],
        train: flat,
        validation: flat,
        test: flat
      })
      const by = data.standardised?.["image"]
      assert.deepStrictEqual([by?.mean[0], by?.deviation[0], by?.mean.length], [4, 1, 2])
      const made = (yield* data.train.all).inputs.image ?? []
      assert.isTrue(Array.from({ length: 6 }, (_, i) => made[i]).every((value) => value === 0))
    })
  )

  it.effect("are held out of training by seed: whole, without overlap, and each class in proportion", () =>
    Effect.gen(function* () {
      const held = { validation: { size: 9, seed: "h" }, test: { size: 6 } }
      const data = yield* Examples.make({ ...sums, ...held, standardise: ["row"] })
      const parts = yield* Effect.forEach(Dataset.splits(data), ({ targets }) => targets)
      assert.deepStrictEqual(
        parts.map(({ length }) => length),
        [25, 9, 6]
      )
      assert.deepStrictEqual(
        parts.flatMap((part) => [...part]).sort((a, b) => a - b),
        [...sums.train.targets].sort((a, b) => a - b)
      )
      const { row } = (yield* data.train.all).inputs
      const first = Array.from({ length: 25 }, (_, i) => row?.[3 * i] ?? Number.NaN)
      assert.closeTo(first.reduce((a, b) => a + b, 0) / 25, 0, 1e-5)

      const labelled = yield* Examples.make({
        ...sums,
        ...held,
        targets: Dataset.int32(),
        classes: ["a", "b", "c", "d"],
        train: { ...sums.train, targets: Array.from({ length: 40 }, (_, i) => i % 4) },
        validation: { size: 8 }
      })
      const labels = yield* labelled.validation.targets
      assert.deepStrictEqual([...labels].sort(), [0, 0, 1, 1, 2, 2, 3, 3])
    })
  )

  it.effect("join training and validation as images do", () =>
    Effect.gen(function* () {
      const data = yield* Examples.make(segmented)
      const both = Joined.withValidation(data)
      assert.strictEqual(both.train.size, 10)
      const of = (split: typeof data.train) => Stream.runCollect(split.batches({ batch: 4, shuffle: { seed: 1 } }))
      const quick = yield* of(both.train)
      assert.strictEqual(new Set(quick.flatMap(({ indexes }) => [...indexes])).size, 10)
      for (const { indexes, inputs, targets } of quick)
        for (const [i, index] of [...indexes].entries()) {
          const [from, at] = index < 8 ? [segmented.train, index] : [segmented.validation, index - 8]
          assert.strictEqual(inputs.place?.[i], from.inputs.place[at])
          assert.deepStrictEqual(Array.from(targets.subarray(6 * i, 6 * i + 6)), from.targets.slice(6 * at, 6 * at + 6))
        }
      // A custom split: one after the other.
      const own = Joined.withValidation({ ...data, train: { ...data.train } })
      const read = yield* own.train.read([9, 0])
      assert.deepStrictEqual(read.inputs.place, Int32Array.of(1, 0))
      assert.deepStrictEqual([read.targets.length, yield* own.validation.targets], [12, new Int32Array()])
    })
  )

  it.effect("refuse augmentation, which is for images of bytes, and ignore none of its steps", () =>
    Effect.gen(function* () {
      const data = yield* Examples.make(segmented)
      const augment = [Augmentation.horizontalFlip(), Augmentation.randomErasing()]
      const error = yield* Effect.flip(Stream.runDrain(data.train.batches({ batch: 2, augment })))
      assert.strictEqual(error._tag, "CannotAugment")
      assert.match(
        error.message,
        /^scenes: HorizontalFlip, RandomErasing need 8-bit images.*leave the augmentation out/
      )
      yield* Stream.runDrain(data.train.batches({ batch: 2, augment: [] }))
    })
  )

  const nothing = { inputs: { row: [] }, targets: [] }
  const withTrain = (train: {
    readonly inputs: { readonly row: ArrayLike<number> }
    readonly targets: ArrayLike<number>
  }) => ({
    ...sums,
    train
  })
  const at = (place: number, value: number) => {
    const { inputs, targets } = rows(3)
    const row = Array.from(inputs.row)
    row[place] = value
    return { inputs: { row }, targets }
  }
  const wrong = {
    "sums, train split: it holds no examples": withTrain(nothing),
    "8 numbers for input row do not make 3 examples of shape [3]": withTrain({
      inputs: { row: [1, 2, 3, 4, 5, 6, 7, 8] },
      targets: [1, 2, 3]
    }),
    "the input row of example 1 is NaN at position 2; give a finite number": withTrain(at(5, Number.NaN)),
    "the input row of example 0 is Infinity at position 1": withTrain(at(1, Infinity)),
    "the input row of example 2 is 1e+300 at position 0": withTrain(at(6, 1e300)),
    "sums, train split: the target of example 1 is NaN at position 0": withTrain({
      ...rows(2),
      targets: [1, Number.NaN]
    }),
    "the shape of row is [0]": { ...sums, inputs: { row: Dataset.float32(0) } },
    "the shape of targets is [1.5]": { ...sums, targets: Dataset.float32(1.5) },
    "the shape of targets is []. Give it […, 2]": { ...sums, classes: ["a", "b"] },
    "held-out samples is 40": { ...sums, validation: { size: 40 } }
  }

  it.effect.each(Object.entries(wrong))("say: %s", ([message, options]) =>
    Effect.map(failure(Examples.make(options)), (said) => assert.include(said, message))
  )

  it.effect("say which whole number is none, and which label is no class", () =>
    Effect.gen(function* () {
      const { test } = segmented
      const place = yield* failure(
        Examples.make({ ...segmented, test: { ...test, inputs: { ...test.inputs, place: [0, 0.5] } } })
      )
      assert.include(place, "test split: the input place of example 1 is 0.5 at position 0; give a 32-bit integer")
      const label = yield* failure(Examples.make({ ...segmented, test: { ...test, targets: test.targets.with(8, 3) } }))
      assert.include(label, "scenes, test split: sample 1 has label 3, outside 0…2")
      const { classes: _, ...unnamed } = segmented
      yield* Examples.make({ ...unnamed, test: { ...test, targets: test.targets.with(8, 255) } })
      const option = yield* failure(Examples.make({ ...segmented, standardise: ["place"] }))
      assert.include(option, "standardise is place. Give it names of float32 inputs.")
    })
  )

  it.effect("its layer provides the service, which knows them from images", () =>
    Effect.gen(function* () {
      const message = yield* failure(Dataset.images(yield* Dataset.Dataset))
      assert.include(message, "sums holds row [3] (float32) with targets [] (float32), which are not labelled images")
    }).pipe(Effect.provide(Examples.layer(sums)))
  )
})
