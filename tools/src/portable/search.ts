/** A whole search on portable loops that runs anywhere: `uninet search --device portable` on digits, without the command line around it. */
import { Strategies } from "@uninet/controller"
import { Dataset, Memory } from "@uninet/data"
import { Loops } from "@uninet/loops"
import { Facts, Recipe } from "@uninet/model-space"
import { Journal, Reward, Search, TrainingEvaluator } from "@uninet/search"
import { Space } from "@uninet/search-space"
import { Trainer } from "@uninet/trainer"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export interface Options {
  readonly trials: number
  readonly epochs: number
  readonly seed: string
}

const side = 28

/** Digits, preceded by all their labels, one byte each. */
export const pack = (images: Uint8Array, labels: ArrayLike<number>): Uint8Array =>
  Uint8Array.from([...Array.from(labels), ...images])

/** A data set of packed digits, a tenth of them for validation and a tenth for testing. */
const digits = (packed: Uint8Array) => {
  const count = packed.length / (1 + side * side)
  const holdout = { size: count / 10, seed: "mnist" }
  return Memory.layer({
    name: "mnist",
    classes: Array.from({ length: 10 }, (_, digit) => String(digit)),
    image: { channels: 1, height: side, width: side },
    train: { images: packed.subarray(count), labels: packed.subarray(0, count) },
    validation: holdout,
    test: holdout
  })
}

/** What the journal holds after this many networks have been trained on the digits. */
export const searched = (
  packed: Uint8Array,
  { epochs, seed, trials }: Options
): Effect.Effect<ReadonlyArray<Journal.Entry>, { readonly message: string }> =>
  Effect.gen(function* () {
    const of = yield* Effect.fromResult(UniNetSpace.forData()(Facts.of(yield* Dataset.Dataset)))
    const target = of.costs.macs(Space.seedPoint(of.space))
    // the command line's, for UniNet's space
    const recipe = Recipe.forTask(of.task)({ ...Recipe.proxy, learningRate: 0.01, epochs })
    yield* Search.run(of, {
      trials,
      seed,
      reward: Reward.mnas({ target }),
      within: { macs: { max: Math.round(1.5 * target) } }
    }).pipe(Effect.provide(Layer.provide(TrainingEvaluator.layer(of, { recipe }), Trainer.layer)))
    const entries = yield* (yield* Journal.Journal).entries
    return entries.map(({ entry }) => entry)
  }).pipe(
    Effect.provide(Layer.mergeAll(Layer.provide(Strategies.layer("ppo"), Loops.portable()), Journal.memory)),
    Effect.provide([digits(packed), Loops.portable()])
  )
