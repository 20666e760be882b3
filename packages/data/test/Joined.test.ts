import { assert, describe, it } from "@effect/vitest"
import { Augmentation, Joined } from "@uninet/data"
import { Effect, Stream } from "effect"
import { small } from "./fixtures.ts"

describe("training and validation as one", () => {
  it.effect("an epoch holds every sample of both once, as its own split has it", () =>
    Effect.gen(function* () {
      const data = yield* small
      const both = Joined.withValidation(data)
      const [a, b] = [yield* data.train.all, yield* data.validation.all]
      assert.strictEqual(both.train.size, a.size + b.size)
      assert.strictEqual(both.validation.size, 0)
      assert.strictEqual((yield* both.validation.all).size, 0)
      assert.deepStrictEqual([...(yield* both.train.targets)], [...a.targets, ...b.targets])
      const batches = yield* Stream.runCollect(both.train.batches({ batch: 7, shuffle: { seed: "both" } }))
      const indexes = batches.flatMap((batch) => Array.from(batch.indexes))
      assert.deepStrictEqual(
        indexes.toSorted((x, y) => x - y),
        Array.from({ length: both.train.size }, (_, i) => i)
      )
      assert.isTrue(indexes.slice(0, a.size).some((i) => i >= a.size))
      const volume = a.inputs.image.length / a.size
      for (const batch of batches)
        batch.indexes.forEach((index, place) => {
          const [from, at] = index < a.size ? [a, index] : [b, index - a.size]
          assert.deepStrictEqual(
            batch.inputs.image.slice(place * volume, (place + 1) * volume),
            from.inputs.image.slice(at * volume, (at + 1) * volume)
          )
          assert.strictEqual(batch.targets[place], from.targets[at])
        })
    })
  )

  it.effect("is augmented, and goes on in the middle of an epoch", () =>
    Effect.gen(function* () {
      const { train } = Joined.withValidation(yield* small)
      const options = { batch: 4, shuffle: { seed: 3 }, augment: [Augmentation.horizontalFlip(1)] }
      const whole = yield* Stream.runCollect(train.batches(options))
      const rest = yield* Stream.runCollect(train.batches({ ...options, startAt: 3 }))
      assert.deepStrictEqual(rest, whole.slice(3))
      const [plain] = yield* Stream.runCollect(train.batches({ ...options, augment: [] }))
      assert.notDeepEqual(whole[0]!.inputs.image, plain!.inputs.image)
    })
  )

  it.effect("of custom splits is one after the other", () =>
    Effect.gen(function* () {
      const data = yield* small
      const both = Joined.withValidation({ ...data, train: { ...data.train } })
      const batches = yield* Stream.runCollect(both.train.batches({ batch: 8 }))
      assert.strictEqual(
        batches.reduce((sum, { size }) => sum + size, 0),
        data.train.size + data.validation.size
      )
      assert.deepStrictEqual(
        batches.map(({ index }) => index),
        batches.map((_, i) => i)
      )
      const rest = yield* Stream.runCollect(both.train.batches({ batch: 8, startAt: batches.length - 1 }))
      assert.deepStrictEqual(rest, batches.slice(-1))
      // An index refers to the same sample in a batch, in a read and in the whole.
      const all = yield* both.train.all
      assert.deepStrictEqual(
        batches.flatMap(({ indexes }) => Array.from(indexes)),
        Array.from(all.indexes)
      )
      const picked = [all.size - 1, 0, data.train.size, 3]
      const read = yield* both.train.read(picked)
      const volume = all.inputs.image.length / all.size
      picked.forEach((index, place) => {
        assert.strictEqual(read.targets[place], all.targets[index])
        assert.deepStrictEqual(
          read.inputs.image.slice(place * volume, (place + 1) * volume),
          all.inputs.image.slice(index * volume, (index + 1) * volume)
        )
      })
      assert.deepStrictEqual([...read.indexes], picked)
      assert.deepInclude(yield* Effect.flip(both.train.read([all.size])), { _tag: "InvalidOption", value: all.size })
    })
  )
})
