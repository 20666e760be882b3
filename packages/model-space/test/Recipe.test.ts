import { assert, describe, it } from "@effect/vitest"
import { Augmentation } from "@uninet/data"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Average, Optimiser, Recipe, Schedule } from "@uninet/model-space"

const decode = Schema.decodeUnknownResult(Recipe.Recipe)

describe("a recipe", () => {
  it.each(Object.entries(Recipe.presets))("%s is the same again from a journal", (_, recipe) => {
    const text = JSON.stringify(Recipe.toJson(recipe))
    assert.deepStrictEqual(Result.getOrThrow(decode(JSON.parse(text))), recipe)
  })

  it("with every part is the same again", () => {
    const recipe: Recipe.Recipe = {
      ...Recipe.paper,
      schedule: Schedule.Schedule.cases.Step.make({ warmup: 1, milestones: [3, 5], factor: 0.1 }),
      optimiser: Optimiser.sgd({ nesterov: true }),
      groups: [Optimiser.Group.make({ prefix: "stem", learningRate: 0.1 })],
      gradientClip: 1,
      augmentation: [Augmentation.colorJitter(), Augmentation.randomErasing()],
      imageSize: 32,
      average: Average.Average.make({ decay: 0.99 }),
      earlyStopping: { patience: 3, improvement: 0.001 }
    }
    assert.deepStrictEqual(Result.getOrThrow(decode(Recipe.toJson(recipe))), recipe)
  })

  it("needs only what no default can know", () => {
    const { augmentation, average, optimiser } = Result.getOrThrow(
      decode({ epochs: 2, batch: 8, learningRate: 0.1, schedule: { _tag: "Constant", warmup: 0 } })
    )
    assert.deepStrictEqual({ augmentation, average }, { augmentation: [], average: null })
    assert.deepStrictEqual(optimiser, Optimiser.adamw())
  })

  it.each([
    ["no epochs", { epochs: 0 }],
    ["half a batch", { batch: 1.5 }],
    ["a negative rate", { learningRate: -1 }],
    ["pictures without an edge", { imageSize: 0 }],
    ["certain dropout", { dropout: 1 }],
    ["an unknown optimiser", { optimiser: { _tag: "Adagrad" } }],
    ["an unknown augmentation", { augmentation: [{ _tag: "Swirl" }] }]
  ])("of %s is refused", (_, wrong) => {
    assert.isTrue(Result.isFailure(decode({ ...Recipe.proxy, ...wrong })))
  })

  it("of the paper has the paper's rate for any batch", () => {
    for (const batch of [64, 512, 1024])
      assert.closeTo(Recipe.withBatch(batch)(Recipe.paper).learningRate, (5e-4 * batch) / 512, 1e-12)
  })
})
