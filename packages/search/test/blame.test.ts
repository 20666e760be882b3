/** A failure that is not the network's fault never becomes its result: the search ends with what to fix, and continues as if nothing had happened. */
import { assert, describe, it } from "@effect/vitest"
import { Random } from "@uninet/controller"
import { DataError, Dataset } from "@uninet/data"
import { Recipe } from "@uninet/model-space"
import { OnnxRuntime } from "@uninet/runtime"
import { Fidelity, Journal, Search, TrainingEvaluator } from "@uninet/search"
import { Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { data, rows } from "./support/rows.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-blame-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
const entries = Effect.map(
  Journal.Journal.use((journal) => journal.entries),
  (stored) => stored.map(({ entry }) => entry)
)
const recipe = { ...Recipe.proxy, epochs: 4, batch: 32, augmentation: [], labelSmoothing: 0 }
const options = { trials: 4, seed: "blame", fidelity: Fidelity.halving({ epochs: 4 }), ahead: 2 } as const
const search = Search.run(rows, options)

/** Data whose training split is read this often, after which its disk is gone. */
const leaving = (reads: number) => {
  let left = reads
  const gone = new DataError.FileUnavailable({
    path: "/data/rows.bin",
    reason: "no such file or folder",
    remedy: "Mount the disk"
  })
  return Layer.effect(
    Dataset.Dataset,
    Effect.map(Dataset.Dataset, (data): Dataset.DatasetShape => ({
      ...data,
      train: {
        ...data.train,
        batches: (options) => Stream.suspend(() => (left-- > 0 ? data.train.batches(options) : Stream.fail(gone)))
      }
    }))
  ).pipe(Layer.provide(data))
}

const training = (from: Layer.Layer<Dataset.Dataset>, checkpoints: string) =>
  TrainingEvaluator.layer(rows, { recipe, checkpoints }).pipe(
    Layer.provide(Trainer.layer),
    Layer.provide([from, OnnxRuntime.cpu()])
  )

describe("a search", () => {
  it.live("whose data or disk fail in the middle ends saying so, and goes on to the journal of one that had luck", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const quiet = yield* Effect.andThen(search, entries).pipe(
        Effect.provide([Random.layer(), training(data, join(below, "quiet")), Journal.memory], { local: true })
      )
      const journal = Layer.succeedContext(yield* Layer.build(Layer.fresh(Journal.memory)))
      const kept = join(below, "kept")
      const on = (evaluator: ReturnType<typeof training>) =>
        Effect.provide(search, [Random.layer(), evaluator, journal], { local: true })

      const lost = yield* Effect.flip(on(training(leaving(3), kept)))
      assert.match(
        lost.message,
        /^Trial \d could not be trained, which is not the network's fault \(\/data\/rows\.bin: no such file or folder\. Mount the disk\)\. Nothing is lost: fix that, then resume the search\.$/
      )
      // A file where the folder for checkpoints should be.
      const taken = join(below, "taken")
      writeFileSync(taken, "")
      const full = yield* Effect.flip(on(training(data, taken)))
      assert.match(
        full.message,
        /^Trial \d could not be trained, which is not the network's fault \(.*could not be written/
      )
      for (const { _tag } of yield* Effect.provide(entries, journal)) assert.notStrictEqual(_tag, "Failed")

      yield* on(training(data, kept))
      assert.deepStrictEqual(yield* Effect.provide(entries, journal), quiet)
    })
  )
})
