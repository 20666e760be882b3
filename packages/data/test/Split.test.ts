import { assert, describe, it } from "@effect/vitest"
import { Augmentation, Dataset, type DataError } from "@uninet/data"
import { Effect, Stream } from "effect"
import fc from "fast-check"
import { samples, small } from "./fixtures.ts"

const collect = (split: Dataset.Split, options: Dataset.BatchOptions) => Stream.runCollect(split.batches(options))

const run = <A>(effect: Effect.Effect<A, DataError.DataError>) => Effect.runPromise(effect)

const everything: Augmentation.Augmentation = [
  Augmentation.randomResizedCrop(),
  Augmentation.randomCrop(1),
  Augmentation.horizontalFlip(),
  Augmentation.colorJitter(),
  Augmentation.randAugment({ probability: 1 }),
  Augmentation.randomErasing({ probability: 1, fill: "noise" })
]

describe("Split", () => {
  it.effect("normalises each channel by the training split's mean and deviation", () =>
    Effect.gen(function* () {
      const { deviation, mean, train } = yield* small
      const { image: images } = (yield* train.all).inputs
      const bytes = samples(30, 3, 2).images
      for (let i = 0; i < images.length; i++) {
        const channel = Math.floor(i / 16) % 2
        assert.strictEqual(images[i], Math.fround((bytes[i]! / 255 - mean[channel]!) / deviation[channel]!))
      }
      for (const channel of [0, 1]) {
        const own = Array.from(images.filter((_, i) => Math.floor(i / 16) % 2 === channel))
        const average = own.reduce((a, b) => a + b, 0) / own.length
        assert.closeTo(average, 0, 1e-6)
        assert.closeTo(own.reduce((a, b) => a + (b - average) ** 2, 0) / own.length, 1, 1e-5)
      }
    })
  )

  it("an epoch holds every sample once, with its own image and label", () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.string(), fc.nat(5), async (batch, seed, epoch) => {
        const { train } = await run(small)
        const batches = await run(collect(train, { batch, shuffle: { seed, epoch } }))
        const indexes = batches.flatMap((made) => Array.from(made.indexes))
        assert.deepStrictEqual(
          indexes.toSorted((a, b) => a - b),
          Array.from({ length: 30 }, (_, i) => i)
        )
        for (const made of batches) {
          const plain = await run(train.read(made.indexes))
          assert.deepStrictEqual(made.inputs, plain.inputs)
          assert.deepStrictEqual(made.targets, plain.targets)
        }
      }),
      { numRuns: 30 }
    ))

  it("a resumed epoch is the rest of the uninterrupted one, whatever is made ahead", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.nat(4),
        fc.nat(3),
        fc.boolean(),
        async (batch, startAt, prefetch, dropLast) => {
          const { train } = await run(small)
          const options = { batch, dropLast, shuffle: { seed: "resume", epoch: 2 }, augment: everything }
          const whole = await run(collect(train, options))
          const rest = await run(collect(train, { ...options, startAt, prefetch }))
          assert.deepStrictEqual(rest, whole.slice(startAt))
        }
      ),
      { numRuns: 30 }
    ))

  it("an epoch in memory that is used again has the same batches, each until the next is asked for", () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 12 }), fc.nat(3), fc.boolean(), async (batch, prefetch, augmented) => {
        const { train } = await run(small)
        const options = { batch, shuffle: { seed: 3, epoch: 1 }, augment: augmented ? everything : [] }
        const whole = await run(collect(train, options))
        const memory = new Set<ArrayBufferLike>()
        await run(
          train.batches({ ...options, prefetch, reuse: true }).pipe(
            Stream.runForEach((made) =>
              // The batches that are made ahead continue before this one is looked at.
              Effect.sync(() => {
                assert.deepStrictEqual(made, whole[made.index])
                memory.add(made.inputs.image.buffer)
              }).pipe(Effect.delay("1 millis"))
            )
          )
        )
        assert.isAtMost(memory.size, prefetch + 3)
      }),
      { numRuns: 20 }
    ))

  it.effect("a sample's augmentation is the same whatever the batch size", () =>
    Effect.gen(function* () {
      const { train } = yield* small
      const options = { shuffle: { seed: 1, epoch: 1 }, augment: everything }
      const one = yield* collect(train, { ...options, batch: 30 })
      const many = yield* collect(train, { ...options, batch: 7 })
      assert.deepStrictEqual(
        many.flatMap((made) => Array.from(made.inputs.image)),
        Array.from(one[0]!.inputs.image)
      )
    })
  )

  it.effect("another seed or another epoch gives another order and other augmentation", () =>
    Effect.gen(function* () {
      const { train } = yield* small
      const draw = (seed: string, epoch: number) =>
        Effect.map(
          collect(train, { batch: 30, shuffle: { seed, epoch }, augment: everything }),
          ([made]) => [made!.indexes.join(), made!.inputs.image.join()] as const
        )
      const [a, b, c] = [yield* draw("a", 0), yield* draw("b", 0), yield* draw("a", 1)]
      assert.strictEqual(new Set([a[0], b[0], c[0]]).size, 3)
      assert.strictEqual(new Set([a[1], b[1], c[1]]).size, 3)
    })
  )

  it.effect("keeps its own order without a shuffle; the last batch is smaller, or left out", () =>
    Effect.gen(function* () {
      const { train } = yield* small
      const kept = yield* collect(train, { batch: 8 })
      assert.deepStrictEqual(
        kept.map((made) => [made.index, made.size]),
        [
          [0, 8],
          [1, 8],
          [2, 8],
          [3, 6]
        ]
      )
      assert.deepStrictEqual(Array.from(kept[1]!.indexes), [8, 9, 10, 11, 12, 13, 14, 15])
      const dropped = yield* collect(train, { batch: 8, dropLast: true })
      assert.deepStrictEqual(
        dropped.map((made) => made.size),
        [8, 8, 8]
      )
    })
  )

  it("batchCount is the number of batches", () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.boolean(), async (batch, dropLast) => {
        const { train } = await run(small)
        const options = { batch, dropLast }
        assert.strictEqual(Dataset.batchCount(options)(train), (await run(collect(train, options))).length)
      })
    ))

  it.effect.each([
    ["batch", { batch: 0 }],
    ["batch", { batch: 1.5 }],
    ["startAt", { batch: 1, startAt: -1 }],
    ["prefetch", { batch: 1, prefetch: -1 }],
    ["epoch", { batch: 1, shuffle: { seed: 0, epoch: 0.5 } }]
  ] as const)("refuses %s outside its range", ([option, options]) =>
    Effect.gen(function* () {
      const { train } = yield* small
      const error = yield* Effect.flip(collect(train, options))
      assert.strictEqual(error._tag === "InvalidOption" ? error.option : error._tag, option)
    })
  )

  it.effect("refuses an index that names no sample", () =>
    Effect.gen(function* () {
      const { test } = yield* small
      const error = yield* Effect.flip(test.read([0, 7]))
      assert.strictEqual(error.message, "sample index of the test split is 7. Give it a whole number from 0 to 6.")
    })
  )
})
