import { assert, describe, it } from "@effect/vitest"
import { Augmentation, Memory, Streamed } from "@uninet/data"
import { Effect, Stream } from "effect"
import fc from "fast-check"
import { samples } from "./fixtures.ts"

const image = { channels: 2, height: 4, width: 4 }
const arrays = { train: samples(30, 3, 2), validation: samples(9, 3, 2, 4, 1), test: samples(7, 3, 2, 4, 2) }

const streamOf = ({ images, labels }: { readonly images: Uint8Array; readonly labels: ReadonlyArray<number> }) => ({
  size: labels.length,
  samples: Stream.fromIterable(
    labels.map((label, i): Streamed.Sample => ({ image: images.subarray(i * 32, i * 32 + 32), label }))
  )
})

const options = {
  name: "streams",
  classes: ["a", "b", "c"],
  image,
  train: streamOf(arrays.train),
  validation: streamOf(arrays.validation),
  test: streamOf(arrays.test),
  shuffleBuffer: 8
}

const augment = [Augmentation.randomCrop(1), Augmentation.randomErasing({ probability: 1 })]

describe("Streamed", () => {
  it.effect("is, in order, the data set of the same samples in memory", () =>
    Effect.gen(function* () {
      const streamed = yield* Streamed.make(options)
      const memory = yield* Memory.make({ ...options, ...arrays })
      assert.deepStrictEqual([streamed.mean, streamed.deviation], [memory.mean, memory.deviation])
      assert.deepStrictEqual(yield* streamed.train.all, yield* memory.train.all)
      assert.deepStrictEqual(yield* streamed.test.targets, yield* memory.test.targets)
      assert.deepStrictEqual(yield* streamed.test.read([5, 0, 5]), yield* memory.test.read([5, 0, 5]))
      const batches = (split: typeof memory.train) => Stream.runCollect(split.batches({ batch: 7, augment }))
      assert.deepStrictEqual(yield* batches(streamed.train), yield* batches(memory.train))
    })
  )

  it("shuffles every sample in once, and resumes where it was", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.nat(4),
        fc.nat(2),
        fc.boolean(),
        async (batch, startAt, prefetch, dropLast) => {
          const { train } = await Effect.runPromise(Streamed.make(options))
          const settings = { batch, dropLast, augment, shuffle: { seed: 3, epoch: 1 } }
          const whole = await Effect.runPromise(Stream.runCollect(train.batches(settings)))
          const rest = await Effect.runPromise(Stream.runCollect(train.batches({ ...settings, startAt, prefetch })))
          assert.deepStrictEqual(rest, whole.slice(startAt))
          const seen = whole.flatMap((made) => Array.from(made.indexes))
          assert.strictEqual(new Set(seen).size, dropLast ? Math.floor(30 / batch) * batch : 30)
        }
      ),
      { numRuns: 25 }
    ))

  it.effect("shuffles differently by seed and epoch", () =>
    Effect.gen(function* () {
      const { train } = yield* Streamed.make(options)
      const orders = yield* Effect.forEach(
        [
          [0, 0],
          [0, 1],
          [1, 0]
        ] as const,
        ([seed, epoch]) =>
          Effect.map(Stream.runCollect(train.batches({ batch: 30, shuffle: { seed, epoch } })), ([made]) =>
            made!.indexes.join()
          )
      )
      assert.strictEqual(new Set(orders).size, 3)
    })
  )

  it.effect("holds no more than its buffer: the first sample out is one of the first that went in", () =>
    Effect.gen(function* () {
      const { train } = yield* Streamed.make(options)
      const [first] = yield* Stream.runCollect(train.batches({ batch: 1, shuffle: { seed: 5 } }).pipe(Stream.take(1)))
      assert.isBelow(first!.indexes[0]!, 9)
    })
  )

  const wrong = {
    "ends after 30 of 31 samples": { ...options, train: { ...options.train, size: 31 } },
    "yields more than 29 samples": { ...options, train: { ...options.train, size: 29 } },
    "sample 30 has 3 bytes, not 2×4×4": {
      ...options,
      train: {
        size: 31,
        samples: Stream.concat(options.train.samples, Stream.succeed({ image: new Uint8Array(3), label: 0 }))
      }
    },
    "sample 30 has label 3, outside 0…2": {
      ...options,
      train: {
        size: 31,
        samples: Stream.concat(options.train.samples, Stream.succeed({ image: new Uint8Array(32), label: 3 }))
      }
    },
    "its stream failed: no more network": {
      ...options,
      train: { size: 31, samples: Stream.concat(options.train.samples, Stream.fail("no more network")) }
    }
  }

  it.effect.each(Object.entries(wrong))("says that %s, when measured and when read", ([message, given]) =>
    Effect.gen(function* () {
      assert.include((yield* Effect.flip(Streamed.make<string>(given))).message, message)
      const dataset = yield* Streamed.make<string>({ ...given, mean: [0, 0], deviation: [1, 1] })
      const read = yield* Effect.flip(Stream.runDrain(dataset.train.batches({ batch: 4 })))
      assert.include(read.message, message)
    })
  )
})
