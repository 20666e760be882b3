import { assert, describe, it } from "@effect/vitest"
import { Evaluator, Finals, Journal, type Search, Trial, TrainingEvaluator } from "@uninet/search"
import { type Classification, ModelSpace } from "@uninet/model-space"
import { Prng, Space } from "@uninet/search-space"
import { Diverged, Recipe, Trainer } from "@uninet/trainer"
import { type Architecture, type UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { measuresOf, uninet } from "./support/search.ts"

const prng = Prng.fromSeed("finals")

type Candidate = Search.Scored<Architecture.Architecture, UniNetSpace.Costs, Classification.Measure>
type Options = Finals.Options<Architecture.Architecture, UniNetSpace.Costs, Classification.Measure>

const candidate = (trial: number): Candidate => ({
  trial,
  hash: `hash ${trial}`,
  point: Space.sample(prng)(uninet.space),
  line: `network ${trial}`,
  costs: { macs: 1e6, parameters: 1e4, activationBytes: 1, trainingActivationBytes: 1, flops: 1, fvcoreCount: 1 },
  outcome: { _tag: "Scored", evaluation: { measures: measuresOf(0.9), epochs: 1 }, reward: 0.9 }
})

const run = (options: Pick<Options, "candidates"> & Partial<Options>) =>
  Finals.run(uninet, { epochs: 1, seed: "s", ...options })

/** A trainer whose test accuracy is the first weight, and a record of its tests. */
const testing = (tested: Array<string>) =>
  Layer.mock(Trainer, {
    evaluate: (_, weights, split) =>
      Effect.sync(() => {
        tested.push(split)
        return { measures: measuresOf(weights.get("w")?.[0] ?? 0, 0.5), examples: 100, details: { confusion: [] } }
      })
  })

/** Trains to a given accuracy; fails if none is given. */
const trainingTo = (accuracies: Readonly<Record<number, number>>, asked: Array<Trial.Trial> = []) =>
  Evaluator.make(uninet, (_, trial) => {
    asked.push(trial)
    const accuracy = accuracies[trial.index]
    return accuracy === undefined
      ? Effect.fail(new Error("no luck"))
      : Effect.succeed({
          measures: measuresOf(accuracy),
          epochs: trial.epochs ?? 0,
          weights: new Map([["w", Float32Array.of(accuracy)]])
        })
  })

const entries = Journal.Journal.use((journal) => journal.entries).pipe(
  Effect.map((stored) => stored.map(({ entry }) => `${entry._tag} ${entry.trial}`))
)

describe("the finals of a search", () => {
  it.effect("train every candidate again, keep the best by validation, and test it alone, once", () => {
    const tested: Array<string> = []
    const asked: Array<Trial.Trial> = []
    return Effect.gen(function* () {
      const candidates = [candidate(4), candidate(7), candidate(1)]
      const { finalists, test, winner } = yield* run({ candidates, epochs: 5 })
      assert.deepStrictEqual(
        finalists.map(({ trial }) => trial),
        [7, 4, 1]
      )
      assert.strictEqual(winner.trial, 7)
      assert.closeTo(test.measures["accuracy"], 0.97, 1e-6)
      assert.deepStrictEqual(tested, ["test"])
      assert.deepStrictEqual(
        asked.map(({ epochs, keepWeights, seed, trainOn }) => [seed, epochs, keepWeights, trainOn]),
        [
          ...[4, 7, 1].map((trial) => [`s/final/${trial}`, 5, true, undefined]),
          ["s/retrain/7", 5, true, "train+validation"]
        ]
      )
      assert.deepStrictEqual(yield* entries, ["Compared 1", "Compared 4", "Compared 7", "Retrained 7", "Tested 7"])
    }).pipe(Effect.provide([trainingTo({ 1: 0.9, 4: 0.95, 7: 0.97 }, asked), testing(tested), Journal.memory]))
  })

  it.effect("test what was compared where nothing is to be trained once more", () => {
    const asked: Array<Trial.Trial> = []
    return Effect.gen(function* () {
      const { trainedOn } = yield* run({ candidates: [candidate(0)], retrain: false })
      assert.strictEqual(trainedOn, "train")
      assert.strictEqual(asked.length, 1)
      assert.deepStrictEqual(yield* entries, ["Compared 0", "Tested 0"])
    }).pipe(Effect.provide([trainingTo({ 0: 0.5 }, asked), testing([]), Journal.memory]))
  })

  it.effect("do without a candidate that cannot be trained", () =>
    Effect.gen(function* () {
      const { finalists } = yield* run({ candidates: [candidate(0), candidate(1)] })
      assert.deepStrictEqual(
        finalists.map(({ trial }) => trial),
        [1]
      )
    }).pipe(Effect.provide([trainingTo({ 1: 0.5 }), testing([]), Journal.memory]))
  )

  it.effect("say why where none can", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run({ candidates: [candidate(0)] }))
      assert.strictEqual(error._tag, "NothingFound")
      assert.include(error.message, "no luck")
    }).pipe(Effect.provide([trainingTo({}), testing([]), Journal.memory]))
  )

  it.effect.each([
    ["gives no weights", { measures: measuresOf(0.5), epochs: 1 }, "the evaluator returned no weights"],
    [
      "gives no number",
      { measures: measuresOf(0.5, Number.NaN), epochs: 1, weights: new Map<string, Float32Array>() },
      "its loss is NaN"
    ],
    [
      "gives too few measures",
      { measures: { accuracy: 0.5 }, epochs: 1, weights: new Map<string, Float32Array>() },
      "its evaluator returned no top5"
    ]
  ] as const)("say why where an evaluator %s, and keep nothing of it", ([, found, cause]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run({ candidates: [candidate(0)] }))
      assert.strictEqual(error._tag === "NothingFound" && error.cause, cause)
      assert.deepStrictEqual(yield* entries, [])
    }).pipe(
      Effect.provide([
        Layer.succeed(Evaluator.Evaluator, { concurrency: 1, evaluate: () => Effect.succeed(found) }),
        testing([]),
        Journal.memory
      ])
    )
  )

  it.effect("can be run again without a second entry", () =>
    Effect.gen(function* () {
      const options = { candidates: [candidate(0)] }
      yield* run(options)
      yield* run(options)
      assert.deepStrictEqual(yield* entries, ["Compared 0", "Retrained 0", "Tested 0"])
    }).pipe(Effect.provide([trainingTo({ 0: 0.5 }), testing([]), Journal.memory]))
  )
})

/** Two workers whose evaluations take the given time by seed, and a log of what they did. */
const workers = (accuracies: Readonly<Record<number, number>>, seconds: Readonly<Record<string, number>>) => {
  const log: Array<string> = []
  const layer = Layer.succeed(Evaluator.Evaluator, {
    concurrency: 2,
    evaluate: ({ index, seed }, report) =>
      Effect.gen(function* () {
        log.push(`begin ${seed}`)
        yield* report({ done: 0.5 })
        yield* Effect.sleep(`${seconds[String(seed)] ?? 1} seconds`)
        yield* report({ done: 1 })
        log.push(`end ${seed}`)
        const accuracy = accuracies[index] ?? 0
        return { measures: measuresOf(accuracy), epochs: 1, weights: new Map([["w", Float32Array.of(accuracy)]]) }
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => void log.push(`stop ${seed}`))))
  })
  return { layer, log }
}

/** Runs finals with three candidates on such workers: the log, the events, and the outcome. */
const withTwo = (
  accuracies: Readonly<Record<number, number>>,
  seconds: Readonly<Record<string, number>> = {},
  more: Partial<Options> = {}
) => {
  const { layer, log } = workers(accuracies, seconds)
  const told: Array<string> = []
  return Effect.gen(function* () {
    const running = yield* Effect.forkChild(
      run({
        candidates: [candidate(0), candidate(1), candidate(2)],
        onProgress: ({ trial }, { done }, what) =>
          Effect.sync(() => void (what === "retrain" && told.push(`${trial} ${done}`))),
        onStopped: ({ trial }) => Effect.sync(() => void told.push(`${trial} stopped`)),
        ...more
      })
    )
    yield* TestClock.adjust("1 minute")
    const { winner } = yield* Fiber.join(running)
    return { log, told, winner: winner.trial, entries: yield* entries }
  }).pipe(Effect.provide([layer, testing([]), Journal.memory]))
}

describe("idle workers in the finals", () => {
  it.effect("train the leader on all images while the last comparison runs", () =>
    Effect.gen(function* () {
      const { entries, log, told, winner } = yield* withTwo({ 0: 0.9, 1: 0.8, 2: 0.7 })
      assert.strictEqual(winner, 0)
      assert.isBelow(log.indexOf("begin s/retrain/0"), log.indexOf("end s/final/2"))
      assert.strictEqual(log.filter((line) => line.includes("retrain")).length, 2)
      // The end is reported once it counts.
      assert.deepStrictEqual(told, ["0 0.5", "0 1"])
      assert.deepStrictEqual(entries, ["Compared 0", "Retrained 0", "Tested 0", "Compared 1", "Compared 2"])
    })
  )

  it.effect("stop what the last comparison overtakes, and change nothing of the outcome", () =>
    Effect.gen(function* () {
      const accuracies = { 0: 0.9, 1: 0.8, 2: 0.95 }
      const slow = { "s/retrain/0": 5 }
      const { entries, log, told, winner } = yield* withTwo(accuracies, slow)
      assert.strictEqual(winner, 2)
      assert.deepStrictEqual(
        log.filter((line) => line.includes("retrain")),
        ["begin s/retrain/0", "stop s/retrain/0", "begin s/retrain/2", "end s/retrain/2"]
      )
      assert.deepStrictEqual(told, ["0 0.5", "0 stopped", "2 0.5", "2 1"])
      const without = yield* withTwo(accuracies, slow, { ahead: false })
      assert.deepStrictEqual(
        without.log.filter((line) => line.includes("retrain")),
        ["begin s/retrain/2", "end s/retrain/2"]
      )
      assert.deepStrictEqual([without.winner, without.entries], [winner, entries])
    })
  )
})

const on = <A, E>(
  fit: Trainer["Service"]["fit"],
  use: (evaluator: Evaluator.Evaluator["Service"]) => Effect.Effect<A, E>
) =>
  Evaluator.Evaluator.use(use).pipe(
    Effect.provide(
      TrainingEvaluator.layer(uninet, { recipe: { ...Recipe.proxy, epochs: 2 } }).pipe(
        Layer.provide(Layer.mock(Trainer, { fit }))
      )
    )
  )

describe("the evaluator that trains", () => {
  const trial: Trial.Trial = {
    index: 3,
    point: ModelSpace.write(Space.seedPoint(uninet.space))(uninet),
    seed: "s/trial/3"
  }
  it.effect("calls a diverged training so, and names the trial", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        on(
          () =>
            Stream.fail(
              new Diverged({
                step: 12,
                learningRate: 1,
                what: "the loss",
                value: Number.NaN,
                checkpoint: null,
                replay: null
              })
            ),
          ({ evaluate }) =>
            Effect.catchTag(
              evaluate(trial, () => Effect.void),
              "EvaluatorLost",
              Effect.die
            )
        )
      )
      assert.deepStrictEqual([error.reason, error.trial], ["Diverged", 3])
      assert.include(error.detail, "step 12")
    })
  )

  it.effect("trains with the trial's seed, and for the trial's epochs where it has any", () =>
    Effect.gen(function* () {
      const asked: Array<readonly [unknown, number]> = []
      const fit: Trainer["Service"]["fit"] = (_, { recipe, seed }) => {
        asked.push([seed, recipe.epochs])
        return Stream.empty
      }
      yield* on(fit, ({ evaluate }) =>
        Effect.all([
          Effect.exit(evaluate(trial, () => Effect.void)),
          Effect.exit(evaluate({ ...trial, epochs: 9 }, () => Effect.void))
        ])
      )
      assert.deepStrictEqual(asked, [
        ["s/trial/3", 2],
        ["s/trial/3", 9]
      ])
    })
  )
})
