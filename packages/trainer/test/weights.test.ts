import { assert, describe, it } from "@effect/vitest"
import { Dataset, Resized } from "@uninet/data"
import { UniNet } from "@uninet/uninet"
import { type FitOptions, Recipe, type TrainEvent, Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { architecture, layer, networkOf } from "./support/tiny.ts"

const finished = Effect.fnUntraced(function* (options: Partial<FitOptions> = {}, of = architecture) {
  const trainer = yield* Trainer
  const recipe = { ...Recipe.proxy, epochs: 1, batch: 16 }
  const last = yield* Stream.runLast(trainer.fit(networkOf(of), { recipe, seed: "w", ...options }))
  return last._tag === "Some" && last.value._tag === "Finished" ? last.value : yield* Effect.die("not finished")
})

describe("a training", () => {
  it.live("goes on from the weights that it is given", () =>
    Effect.gen(function* () {
      const first: TrainEvent.Finished = yield* finished()
      const still = {
        ...Recipe.proxy,
        epochs: 1,
        batch: 16,
        learningRate: 0,
        schedule: { ...Recipe.proxy.schedule, from: 0, to: 0 }
      }
      const second = yield* finished({ weights: first.weights, recipe: still, seed: "other" })
      for (const [name, value] of first.weights)
        if (!name.includes("running")) assert.deepStrictEqual(second.weights.get(name), value, name)
      const fresh = yield* finished({ recipe: still, seed: "other" })
      assert.notDeepEqual(fresh.weights.get("classifier.weight"), first.weights.get("classifier.weight"))
    }).pipe(Effect.provide(layer()))
  )

  it.live("refuses another network's weights by their names", () =>
    Effect.gen(function* () {
      const { weights } = yield* finished()
      const fewer = new Map([...weights].filter(([name]) => name !== "stem.0.weight"))
      const error = yield* Effect.flip(finished({ weights: fewer }))
      assert.strictEqual(error._tag, "WeightsMismatch")
      assert.include(error.message, "missing: stem.0.weight")
    }).pipe(Effect.provide(layer()))
  )

  it.live("enlarges images that are smaller than the network takes, in evaluation too", () =>
    Effect.gen(function* () {
      const larger = UniNet.withImage({ height: 11, width: 10 })(architecture)
      const { validation, weights } = yield* finished({}, larger)
      const found = yield* (yield* Trainer).evaluate(networkOf(larger), weights, "validation")
      assert.deepStrictEqual([found.measures["accuracy"], found.examples], [validation.measures["accuracy"], 40])
      const data = yield* Dataset.images(yield* Dataset.Dataset)
      assert.strictEqual(Resized.to(larger.image)(data).image.height, 11)
      const error = yield* Effect.flip(finished({}, UniNet.withImage({ height: 7 })(architecture)))
      assert.strictEqual(error._tag, "DatasetMismatch")
    }).pipe(Effect.provide(layer()))
  )

  it.live("makes images smaller where the recipe says so, and in an evaluation where it is told", () =>
    Effect.gen(function* () {
      const smaller = UniNet.withImage({ height: 6, width: 6 })(architecture)
      const recipe = { ...Recipe.proxy, epochs: 1, batch: 16, imageSize: 6 }
      const { validation, weights } = yield* finished({ recipe }, smaller)
      const trainer = yield* Trainer
      const found = yield* trainer.evaluate(networkOf(smaller), weights, "validation", { imageSize: 6 })
      assert.deepStrictEqual(found.measures["accuracy"], validation.measures["accuracy"])
      const error = yield* Effect.flip(trainer.evaluate(networkOf(smaller), weights, "validation"))
      assert.deepInclude(error, { _tag: "DatasetMismatch", takes: "image [1×6×6]", has: "image [1×8×8]" })
    }).pipe(Effect.provide(layer()))
  )
})
