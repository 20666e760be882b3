/** Additional measures of a trained network, besides its task's. */
import { assert, describe, it } from "@effect/vitest"
import { ModelSpace, Recipe } from "@uninet/model-space"
import { OnnxRuntime } from "@uninet/runtime"
import { Evaluator, TrainingEvaluator, type Trial } from "@uninet/search"
import { Space } from "@uninet/search-space"
import { Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { data, rows } from "./support/rows.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-beside-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
const recipe = { ...Recipe.proxy, epochs: 2, batch: 32, augmentation: [], labelSmoothing: 0 }
const point = ModelSpace.write(Space.seedPoint(rows.space))(rows)

const sumOf = (weights: Trial.Weights) =>
  [...weights.values()].reduce((sum, values) => sum + values.reduce((a, b) => a + b, 0), 0)

const also: TrainingEvaluator.Also = ({ network, recipe, weights }) =>
  Effect.succeed({ sum: sumOf(weights), batch: recipe.batch, task: network.task.name.length })

const train = (more: Partial<Trial.Trial>, checkpoints?: string) =>
  Evaluator.Evaluator.use(({ evaluate }) => evaluate({ index: 0, point, seed: "s", ...more }, () => Effect.void)).pipe(
    Effect.provide(
      TrainingEvaluator.layer(rows, { recipe, also, ...(checkpoints === undefined ? {} : { checkpoints }) }).pipe(
        Layer.provide(Trainer.layer),
        Layer.provide([data, OnnxRuntime.cpu()])
      ),
      { local: true }
    )
  )

describe("a measure beside the task's", () => {
  it.live("is of the weights of the best validation, on a rung of those that are kept there", () =>
    Effect.gen(function* () {
      const { measures, weights = new Map() } = yield* train({ keepWeights: true })
      assert.containsAllKeys(measures, ["mae", "mse"])
      assert.strictEqual(measures["sum"], sumOf(weights))
      assert.deepStrictEqual([measures["batch"], measures["task"]], [32, "nearness".length])
      const rung = yield* train({ until: 1, keep: "trial-0" }, yield* folder)
      assert.strictEqual(rung.epochs, 1)
      assert.notStrictEqual(rung.measures["sum"] ?? measures["sum"], measures["sum"])
      assert.match(
        (yield* Effect.flip(train({ until: 1 }))).message,
        /its weights are not kept on a rung, so it cannot be measured there; give /
      )
    })
  )

  it.live("is not taken of a network that has learned the validation examples", () =>
    Effect.gen(function* () {
      assert.notProperty((yield* train({ trainOn: "train+validation" })).measures, "sum")
    })
  )
})
