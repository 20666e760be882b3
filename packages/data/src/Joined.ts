/** Training and validation as one training split: for a last training, once everything has been chosen. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { batchCount, type DatasetShape, type Split } from "./Dataset.ts"
import * as split from "./internal/split.ts"

/** Splits of one's own making: the batches of one after those of the other. */
const inTurn = (a: Split, b: Split): Split => ({
  ...a,
  size: a.size + b.size,
  labels: Effect.zipWith(a.labels, b.labels, (one, other) => Int32Array.from([...one, ...other])),
  batches: (options) => {
    const { startAt = 0 } = options
    const before = batchCount(a, options)
    return Stream.concat(
      startAt < before ? a.batches(options) : Stream.empty,
      b
        .batches({ ...options, startAt: Math.max(0, startAt - before) })
        .pipe(Stream.map((batch) => ({ ...batch, index: batch.index + before })))
    )
  }
})

/**
 * The data set whose training split has the validation split's samples too, and whose validation split is empty. Normalised as before.
 *
 * @example
 * const all = Joined.withValidation(yield* Dataset.Dataset)
 * all.train.size // that of training and validation
 */
export const withValidation = (data: DatasetShape): DatasetShape => {
  const { train, validation } = data
  if (validation.size === 0) return data
  return {
    ...data,
    train: split.join(train, validation) ?? inTurn(train, validation),
    validation: {
      ...validation,
      size: 0,
      labels: Effect.succeed(new Int32Array()),
      read: () => validation.read([]),
      all: validation.read([]),
      batches: () => Stream.empty
    }
  }
}
