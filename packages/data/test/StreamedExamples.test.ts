import { assert, describe, it } from "@effect/vitest"
import { Augmentation, Dataset, Examples, StreamedExamples } from "@uninet/data"
import { Prng } from "@uninet/search-space"
import { Effect, Stream } from "effect"
import fc from "fast-check"

const rows = (size: number, seed: string) => {
  const prng = Prng.fromSeed(seed)
  return {
    inputs: {
      row: Array.from({ length: 3 * size }, () => prng.nextNormal() * 7 - 3),
      token: Array.from({ length: 2 * size }, () => prng.nextInt(9))
    },
    targets: Array.from({ length: 2 * size }, () => prng.nextFloat())
  }
}

const arrays = { train: rows(30, "train"), validation: rows(9, "validation"), test: rows(7, "test") }

const streamOf = ({ inputs: { row, token }, targets }: ReturnType<typeof rows>) => {
  const size = targets.length / 2
  const samples = Array.from({ length: size }, (_, i) => ({
    inputs: { row: row.slice(3 * i, 3 * i + 3), token: token.slice(2 * i, 2 * i + 2) },
    target: targets.slice(2 * i, 2 * i + 2)
  }))
  return { size, samples: Stream.fromIterable(samples) }
}

const kind = {
  name: "rows",
  inputs: { row: Dataset.float32(3), token: Dataset.int32(2) },
  targets: Dataset.float32(2),
  standardise: ["row"] as const
}

const options = {
  ...kind,
  train: streamOf(arrays.train),
  validation: streamOf(arrays.validation),
  test: streamOf(arrays.test),
  shuffleBuffer: 8
}

/** The training stream with one more example. */
const and = (sample: {
  readonly inputs: { row: Array<number>; token: Array<number> }
  readonly target: Array<number>
}) => ({
  ...options,
  train: { size: 31, samples: Stream.concat(options.train.samples, Stream.succeed(sample)) }
})

const good = { inputs: { row: [1, 2, 3], token: [1, 2] }, target: [0, 1] }

describe("StreamedExamples", () => {
  it.effect("are, in order, the data set of the same examples in memory", () =>
    Effect.gen(function* () {
      const streamed = yield* StreamedExamples.make(options)
      const memory = yield* Examples.make({ ...kind, ...arrays })
      assert.deepStrictEqual(streamed.standardised, memory.standardised)
      assert.deepStrictEqual([streamed.inputs, streamed.targets], [memory.inputs, memory.targets])
      assert.deepStrictEqual(yield* streamed.train.all, yield* memory.train.all)
      assert.deepStrictEqual(yield* streamed.test.targets, yield* memory.test.targets)
      assert.deepStrictEqual(yield* streamed.test.read([5, 0, 5]), yield* memory.test.read([5, 0, 5]))
      const batches = (split: typeof memory.train) => Stream.runCollect(split.batches({ batch: 7 }))
      assert.deepStrictEqual(yield* batches(streamed.train), yield* batches(memory.train))
    })
  )

  it("shuffle every example in once, and resume where they were", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.nat(4),
        fc.nat(2),
        fc.boolean(),
        async (batch, startAt, prefetch, dropLast) => {
          const { train } = await Effect.runPromise(StreamedExamples.make(options))
          const settings = { batch, dropLast, shuffle: { seed: 3, epoch: 1 } }
          const whole = await Effect.runPromise(Stream.runCollect(train.batches(settings)))
          const rest = await Effect.runPromise(Stream.runCollect(train.batches({ ...settings, startAt, prefetch })))
          assert.deepStrictEqual(rest, whole.slice(startAt))
          const seen = whole.flatMap((made) => Array.from(made.indexes))
          assert.strictEqual(new Set(seen).size, dropLast ? Math.floor(30 / batch) * batch : 30)
        }
      ),
      { numRuns: 25, seed: 11 }
    ))

  it.effect("take a single number for a target, and a normalisation that is known without a pass", () =>
    Effect.gen(function* () {
      let passes = 0
      const stream = {
        size: 2,
        samples: Stream.suspend(() => {
          passes++
          return Stream.make({ inputs: { row: [1, 2] }, target: 5 }, { inputs: { row: [3, 4] }, target: 6 })
        })
      }
      const data = yield* StreamedExamples.make({
        name: "known",
        inputs: { row: Dataset.float32(2) },
        targets: Dataset.int32(),
        standardise: ["row"],
        standardised: { row: { mean: [1, 2], deviation: [2, 4] } },
        train: stream,
        validation: stream,
        test: stream
      })
      assert.strictEqual(passes, 0)
      const { inputs, targets } = yield* data.train.all
      assert.deepStrictEqual([inputs.row, targets], [Float32Array.of(0, 0, 1, 0.5), Int32Array.of(5, 6)])
    })
  )

  const wrong = {
    "ends after 30 of 31 samples": { ...options, train: { ...options.train, size: 31 } },
    "yields more than 29 samples": { ...options, train: { ...options.train, size: 29 } },
    "2 numbers for input row do not make example 30 of shape [3]": and({
      ...good,
      inputs: { ...good.inputs, row: [1, 2] }
    }),
    "3 numbers for target do not make example 30 of shape [2]": and({ ...good, target: [1, 2, 3] }),
    "rows, train split: the input row of example 30 is NaN at position 1": and({
      ...good,
      inputs: { ...good.inputs, row: [1, Number.NaN, 3] }
    }),
    "the input token of example 30 is 0.5 at position 0; give a 32-bit integer": and({
      ...good,
      inputs: { ...good.inputs, token: [0.5, 2] }
    }),
    "the target of example 30 is -Infinity at position 1": and({ ...good, target: [0, -Infinity] }),
    "its stream failed: no more network": {
      ...options,
      train: { size: 31, samples: Stream.concat(options.train.samples, Stream.fail("no more network")) }
    }
  }

  it.effect.each(Object.entries(wrong))("say that %s, when measured and when read", ([message, given]) =>
    Effect.gen(function* () {
      assert.include((yield* Effect.flip(StreamedExamples.make<"row" | "token", string>(given))).message, message)
      const standardised = { row: { mean: [0, 0, 0], deviation: [1, 1, 1] } }
      const dataset = yield* StreamedExamples.make<"row" | "token", string>({ ...given, standardised })
      const read = yield* Effect.flip(Stream.runDrain(dataset.train.batches({ batch: 4 })))
      assert.include(read.message, message)
    })
  )

  it.effect("refuse augmentation, an empty split and a normalisation that does not fit", () =>
    Effect.gen(function* () {
      const data = yield* StreamedExamples.make(options)
      const augment = [Augmentation.randomCrop(1)]
      const error = yield* Effect.flip(Stream.runDrain(data.train.batches({ batch: 2, augment })))
      assert.strictEqual(error._tag, "CannotAugment")
      const said = (given: Partial<typeof options> & { standardised?: Record<string, Dataset.Normalisation> }) =>
        Effect.map(Effect.flip(StreamedExamples.make({ ...options, ...given })), ({ message }) => message)
      assert.include(yield* said({ test: { ...options.test, size: 0 } }), "test.size is 0")
      const short = { row: { mean: [0], deviation: [1] } }
      assert.include(yield* said({ standardised: short }), "Give it 3 numbers for each, with every deviation above 0.")
      const other = { token: { mean: [0, 0], deviation: [1, 1] } }
      assert.include(yield* said({ standardised: other }), "Give it only for inputs that standardise lists.")
    })
  )
})
