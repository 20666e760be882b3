/** A figure was measured on what it claims: after this many epochs, among all the trials there are, on examples by which nothing was chosen. */
import { assert, describe, it } from "@effect/vitest"
import { Memory } from "@uninet/data"
import { type Classification, ModelSpace } from "@uninet/model-space"
import { OnnxRuntime } from "@uninet/runtime"
import { Evaluator, Fidelity, Finals, Journal, Search, Trial, TrainingEvaluator } from "@uninet/search"
import { Prng, Space } from "@uninet/search-space"
import { Recipe, Trainer } from "@uninet/trainer"
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { accuracyOf, formula, measuresOf, type Options, setting, uninet } from "./support/search.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-figures-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
const entries = Effect.map(
  Journal.Journal.use((journal) => journal.entries),
  (stored) => stored.map(({ entry }) => entry)
)
/** A journal that outlives the searches on it. */
const shared = Effect.map(Layer.build(Journal.memory), (context) => Layer.succeedContext(context))

type FinalsOptions = Finals.Options<Architecture.Architecture, UniNetSpace.Costs, Classification.Measure>

const kinds = [
  Fidelity.halving({ epochs: 9 }),
  Fidelity.asha({ epochs: 9 }),
  Fidelity.median({ epochs: 9, grace: 2 })
] as const

/** Continues training; every second trial stops early after two epochs, and is the best by then. */
const stopping = Evaluator.make(uninet, (point, { epochs = 9, index, until = epochs }) => {
  const stops = index % 2 === 0 && until > 1
  const accuracy = accuracyOf(point) + (stops ? 0.5 : 0)
  return Effect.succeed({ measures: measuresOf(accuracy), epochs: until, ...(stops ? { stoppedAfter: 2 } : {}) })
})

describe("a trial that stopped early", () => {
  it.live.each(kinds)("counts on rungs for the epochs that it was trained for, by $_tag", (fidelity) =>
    Effect.gen(function* () {
      const { best, records } = yield* Search.run(uninet, { trials: 27, seed: "stops", fidelity })
      for (const entry of yield* entries)
        if (entry._tag === "Finished") {
          const { epochs, stoppedAfter = epochs } = entry.evaluation
          assert.strictEqual(epochs, stoppedAfter)
          // It has nothing to continue from.
          if (entry.evaluation.stoppedAfter !== undefined)
            assert.deepStrictEqual(
              (yield* entries).filter(({ _tag, trial }) => _tag === "Finished" && trial === entry.trial).at(-1),
              entry
            )
        }
      assert.strictEqual(best.outcome.evaluation.epochs, 9)
      assert.isUndefined(best.outcome.evaluation.stoppedAfter)
      const ranked = Search.ranking(uninet)(records).map(({ outcome }) => outcome.evaluation.epochs ?? 0)
      assert.deepStrictEqual(
        ranked,
        ranked.toSorted((a, b) => b - a)
      )
    }).pipe(Effect.provide([setting, stopping, Journal.memory]))
  )

  it.live("is a whole training by its recipe where all are trained to the end", () =>
    Effect.gen(function* () {
      const { best } = yield* Search.run(uninet, { trials: 7, seed: "stops" })
      assert.deepInclude(best.outcome.evaluation, { epochs: 9, stoppedAfter: 2 })
    }).pipe(Effect.provide([setting, stopping, Journal.memory]))
  )

  it("counts so too where an earlier version's journal has it with a rung's epochs", () => {
    const [, asha] = kinds
    const old = { measures: measuresOf(0.5), epochs: 9, stoppedAfter: 2 }
    assert.strictEqual(Fidelity.trained(old)(asha).epochs, 2)
    assert.strictEqual(Fidelity.trained(old)(Fidelity.full).epochs, 9)
  })
})

const run = (options: Partial<Options> = {}) => Search.run(uninet, { trials: 8, seed: "on", ...options })

describe("a search that is gone on with", () => {
  it.live("is not the best of fewer trials than there are", () =>
    Effect.gen(function* () {
      const journal = yield* shared
      const layers = Layer.mergeAll(setting, formula(), journal)
      const whole = yield* Effect.provide(run(), layers)
      const error = yield* Effect.flip(Effect.provide(run({ trials: 3 }), layers))
      assert.strictEqual(
        error.message,
        "trials is 3, fewer than the journal holds. Give 8 or more: trials in the journal stay, and count."
      )
      assert.deepStrictEqual((yield* Effect.provide(run({ trials: 8 }), layers)).best, whole.best)
    })
  )

  it.live.each([
    ["time that is over", { until: Effect.succeed(true) }],
    ["a budget that is used up", { budget: { most: 1, of: () => 100 } }]
  ] as const)("has all that the journal holds, with %s", ([, options]) =>
    Effect.gen(function* () {
      const journal = yield* shared
      const layers = Layer.mergeAll(setting, formula(), journal)
      for (const fidelity of [Fidelity.full, ...kinds]) {
        const seed = fidelity._tag
        const own = Layer.mergeAll(setting, formula(), yield* shared)
        const whole = yield* Effect.provide(run({ seed, fidelity }), own)
        const before = yield* Effect.provide(entries, own)
        const again = yield* Effect.provide(run({ seed, fidelity, trials: 20, ...options }), own)
        assert.deepStrictEqual(again.records, whole.records)
        assert.isTrue(again.over)
        assert.deepStrictEqual(yield* Effect.provide(entries, own), before)
      }
      // All trials are there: nothing was cut short.
      yield* Effect.provide(run(), layers)
      assert.isFalse((yield* Effect.provide(run(options), layers)).over)
    })
  )
})

describe("finals that are gone on with", () => {
  const prng = Prng.fromSeed("finals")
  const ranked = [4, 7, 1, 9].map((trial) => ({
    trial,
    hash: `hash ${trial}`,
    point: Space.sample(prng)(uninet.space),
    line: `network ${trial}`,
    costs: { macs: 1e6, parameters: 1e4, activationBytes: 1, trainingActivationBytes: 1, flops: 1, fvcoreCount: 1 },
    outcome: { _tag: "Scored" as const, evaluation: { measures: measuresOf(0.9), epochs: 1 }, reward: 0.9 }
  }))
  const accuracies: Readonly<Record<number, number>> = { 1: 0.9, 4: 0.95, 7: 0.97, 9: 0.99 }

  /** Finals with this many from the ranking on a journal, and what was trained and tested for them. */
  const finals = (
    journal: Layer.Layer<Journal.Journal>,
    count: number,
    options: Partial<FinalsOptions> & { readonly drift?: number } = {}
  ) => {
    const trained: Array<unknown> = []
    let tests = 0
    const evaluator = Evaluator.make(uninet, (_, { epochs = 1, index, seed }) => {
      trained.push(seed)
      const accuracy = accuracies[index] ?? 0
      return Effect.succeed({
        measures: measuresOf(accuracy),
        epochs,
        weights: new Map([["w", Float32Array.of(accuracy + (options.drift ?? 0))]])
      })
    })
    const trainer = Layer.mock(Trainer, {
      evaluate: (_, weights) =>
        Effect.sync(() => {
          tests++
          return { measures: { accuracy: weights.get("w")?.[0] ?? 0 }, examples: 1, details: null }
        })
    })
    return Effect.gen(function* () {
      const candidates = yield* Finals.candidates(count)(ranked)
      const finished = yield* Finals.run(uninet, { epochs: 4, seed: "s", ...options, candidates })
      return { winner: finished.winner.trial, test: finished.test, trained, tests: () => tests }
    }).pipe(
      Effect.provide([evaluator, trainer, journal]),
      Effect.map((found) => ({ ...found, tests }))
    )
  }
  const weights = new Map([["w", Float32Array.of(0.97)]])

  it.effect("train only what was not compared, and neither train nor test their winner again", () =>
    Effect.gen(function* () {
      const journal = yield* shared
      const first = yield* finals(journal, 2)
      assert.deepStrictEqual([first.winner, first.tests], [7, 1])
      const before = yield* Effect.provide(entries, journal)
      const again = yield* finals(journal, 2, { kept: () => Effect.succeed(weights) })
      assert.deepStrictEqual([again.winner, again.tests, again.trained], [7, 0, []])
      assert.deepStrictEqual(again.test.measures, first.test.measures)
      assert.deepStrictEqual(yield* Effect.provide(entries, journal), before)
    })
  )

  it.effect("keep a winner that nothing new is better than, whatever the ranking has become", () =>
    Effect.gen(function* () {
      const journal = yield* shared
      yield* finals(journal, 2)
      const fewer = yield* finals(journal, 1, { kept: () => Effect.succeed(weights) })
      assert.deepStrictEqual([fewer.winner, fewer.tests], [7, 0])
    })
  )

  it.effect("test another winner, once", () =>
    Effect.gen(function* () {
      const journal = yield* shared
      yield* finals(journal, 2)
      const more = yield* finals(journal, 4, { kept: ({ trial }) => Effect.succeed(trial === 7 ? weights : undefined) })
      assert.deepStrictEqual([more.winner, more.tests], [9, 1])
      assert.notInclude(more.trained, "s/final/4")
      const tested = (yield* Effect.provide(entries, journal)).filter(({ _tag }) => _tag === "Tested")
      assert.deepStrictEqual(
        tested.map(({ trial }) => trial),
        [7, 9]
      )
    })
  )

  it.effect("are not those of other epochs", () =>
    Effect.gen(function* () {
      const journal = yield* shared
      yield* finals(journal, 2)
      const error = yield* Effect.flip(finals(journal, 2, { epochs: 8 }))
      assert.strictEqual(
        error.message,
        "epochs of the finals is 8. Give 4, the number with which the journal's finalists were compared."
      )
    })
  )

  it.effect("whose files are gone make them again, or say that they are others now", () =>
    Effect.gen(function* () {
      const journal = yield* shared
      const first = yield* finals(journal, 2)
      const again = yield* finals(journal, 2)
      assert.deepStrictEqual([again.trained, again.test.measures], [["s/retrain/7"], first.test.measures])
      const error = yield* Effect.flip(finals(journal, 2, { drift: 0.5 }))
      assert.match(
        error.message,
        /^The network of trial 7 is not the one that was tested: its accuracy on the test split is 1\.47\d*, but the journal has 0\.97\d*\. Continue with the data, /
      )
    })
  )
})

describe("a training that was kept", () => {
  const labels = Array.from({ length: 64 }, (_, i) => i % 2)
  const images = Uint8Array.from({ length: 64 * 144 }, (_, i) => ((Math.floor(i / 144) % 2) * 90 + i * 37) % 251)
  const data = Memory.layer({
    name: "halves",
    classes: ["dark", "bright"],
    image: { channels: 1, height: 12, width: 12 },
    train: { images, labels },
    validation: { images, labels },
    test: { images, labels }
  })
  const of = Result.getOrThrow(UniNetSpace.models({ image: 12, channels: 1, classes: 2 }))
  const trial: Trial.Trial = {
    index: 0,
    point: ModelSpace.write(Space.seedPoint(of.space))(of),
    seed: "s",
    epochs: 2,
    until: 1,
    keep: "trial-0"
  }
  /** The results; when they were found differs each time. */
  const trained = (learningRate: number, checkpoints?: string) =>
    Evaluator.Evaluator.use(({ evaluate }) => evaluate(trial, () => Effect.void)).pipe(
      Effect.map(({ epochs, measures }) => ({ epochs, measures })),
      Effect.provide(
        TrainingEvaluator.layer(of, {
          recipe: { ...Recipe.proxy, batch: 16, learningRate },
          ...(checkpoints === undefined ? {} : { checkpoints })
        }).pipe(Layer.provide(Trainer.layer), Layer.provide([data, OnnxRuntime.cpu()])),
        { local: true }
      )
    )

  it.live("is not taken for the result of another recipe", () =>
    Effect.gen(function* () {
      const checkpoints = yield* folder
      const slow = yield* trained(1e-4, checkpoints)
      assert.deepStrictEqual(yield* trained(1e-4, checkpoints), slow)
      const fast = yield* trained(3e-2, checkpoints)
      assert.notDeepEqual(fast, slow)
      assert.deepStrictEqual(fast, yield* trained(3e-2))
    })
  )
})
