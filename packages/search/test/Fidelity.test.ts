import { assert, describe, it } from "@effect/vitest"
import { Memory } from "@uninet/data"
import { OnnxRuntime } from "@uninet/runtime"
import { ModelSpace } from "@uninet/model-space"
import { Space } from "@uninet/search-space"
import { Evaluator, Fidelity, Journal, Search, Training, TrainingEvaluator, type Trial } from "@uninet/search"
import { Recipe, Trainer } from "@uninet/trainer"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { accuracyOf, measuresOf, type Options, setting, uninet } from "./support/search.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-fidelity-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

interface Asked {
  readonly trial: number
  readonly until: number | undefined
}

/** Accuracies that rise with the epochs, and trade places on the way. */
const rising = (asked: Array<Asked> = [], concurrency = 3) =>
  Evaluator.make(
    uninet,
    (architecture, { index, until }) =>
      Effect.gen(function* () {
        asked.push({ trial: index, until })
        yield* Effect.sleep((index * 7) % 5)
        const epochs = until ?? 9
        const late = (index * 5) % 7
        return { measures: measuresOf(accuracyOf(architecture) + late * epochs * 0.01), epochs }
      }),
    { concurrency }
  )

const run = (options: Partial<Options> = {}) => Search.run(uninet, { trials: 13, seed: "rungs", ...options })
const entries = Effect.map(
  Journal.Journal.use((j) => j.entries),
  (stored) => stored.map(({ entry }) => entry)
)
const searched = (options: Partial<Options>, concurrency = 3) => {
  const asked: Array<Asked> = []
  return Effect.gen(function* () {
    const found = yield* run(options)
    return { found, asked, entries: yield* entries }
  }).pipe(Effect.provide([setting, rising(asked, concurrency), Journal.memory]))
}

/** Trials by the epochs of their results. */
const byEpochs = (all: ReadonlyArray<Journal.Entry>) => {
  const out = new Map<number | null, Array<number>>()
  for (const entry of all)
    if (entry._tag === "Finished")
      out.set(entry.evaluation.epochs, [...(out.get(entry.evaluation.epochs) ?? []), entry.trial])
  return out
}

const entrant = (trial: number, ...objectives: ReadonlyArray<number>) => ({ trial, objectives })

const kinds = {
  halving: Fidelity.halving({ epochs: 9 }),
  asha: Fidelity.asha({ epochs: 9 }),
  median: Fidelity.median({ epochs: 4, grace: 2 })
}

describe("rungs", () => {
  it("are the factor apart and end with all epochs", () => {
    assert.deepStrictEqual(Fidelity.rungsOf(Fidelity.asha({ epochs: 9 })), [1, 3, 9])
    assert.deepStrictEqual(Fidelity.rungsOf(Fidelity.halving({ epochs: 20, from: 2, factor: 2 })), [2, 4, 8, 16, 20])
    assert.deepStrictEqual(Fidelity.rungsOf(Fidelity.asha({ epochs: 1 })), [1])
    assert.deepStrictEqual(Fidelity.rungsOf(Fidelity.median({ epochs: 4, from: 2 })), [2, 3, 4])
  })

  it("compare only scores of the same epochs", () => {
    assert.strictEqual(Fidelity.compare({ epochs: 1, reward: 0.9 }, { epochs: 20, reward: 0.5 }), undefined)
    assert.isAbove(Fidelity.compare({ epochs: 1, reward: 0.9 }, { epochs: 1, reward: 0.5 }) ?? 0, 0)
  })

  it("are ranked by fronts where there are several objectives", () => {
    const inside = entrant(0, 0.5, -5)
    const ordered = Fidelity.order([inside, entrant(1, 0.9, -9), entrant(2, 0.6, -1), entrant(3, 0.7, -4)])
    assert.strictEqual(ordered.at(-1), inside)
    assert.deepStrictEqual(ordered.map(({ trial }) => trial).slice(0, 2), [1, 2])
  })

  it("of a ladder let no trial on twice, and none on that was not told", () =>
    fc.assert(
      fc.property(
        fc.constantFrom(kinds.halving, kinds.asha, kinds.median),
        fc.array(fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }), { minLength: 1, maxLength: 40 }),
        (fidelity, rewards) => {
          const ladder = Fidelity.ladder(fidelity)
          const last = Fidelity.rungsOf(fidelity).length - 1
          const reached = new Map<number, number>()
          const pending: Array<Fidelity.Promotion> = rewards.map((_, trial) => ({ trial, rung: 0 }))
          pending.forEach(() => ladder.enter(0))
          for (let job = pending.shift(); job !== undefined; job = pending.shift()) {
            const reward = rewards[job.trial]
            reached.set(job.trial, job.rung)
            ladder.told(job.rung, reward === undefined ? undefined : { trial: job.trial, objectives: [reward] })
            for (;;) {
              const next = ladder.next({ closed: true, idle: pending.length === 0 })
              if (next === undefined) break
              assert.strictEqual(reached.get(next.trial), next.rung - 1)
              assert.isAtMost(next.rung, last)
              assert.isDefined(rewards[next.trial])
              ladder.enter(next.rung)
              reached.set(next.trial, next.rung)
              pending.push(next)
            }
          }
          // Some trial reaches the top, if any has a result.
          if (rewards.some((reward) => reward !== undefined)) assert.strictEqual(Math.max(...reached.values()), last)
        }
      )
    ))
})

describe("a search on rungs", () => {
  it.live.each(Object.entries(kinds))("by %s is the same at any number of workers", ([, fidelity]) =>
    Effect.gen(function* () {
      const alone = yield* searched({ fidelity }, 1)
      for (const workers of [2, 4])
        assert.deepStrictEqual((yield* searched({ fidelity }, workers)).entries, alone.entries)
      const levels = byEpochs(alone.entries)
      assert.strictEqual(levels.get(Fidelity.rungsOf(fidelity)[0] ?? 0)?.length, 13)
      const longest = levels.get(Fidelity.rungsOf(fidelity).at(-1) ?? 0) ?? []
      assert.isAbove(longest.length, 0)
      assert.isBelow(longest.length, 13)
      // Its best is one of those trained to the end, whatever others reached with less.
      assert.include(longest, alone.found.best.trial)
      assert.deepStrictEqual(
        Search.ranking(uninet)(alone.found.records)
          .slice(0, longest.length)
          .map(({ trial }) => trial)
          .toSorted((a, b) => a - b),
        longest
      )
    })
  )

  it.live("by halving lets a third of a complete rung on", () =>
    Effect.gen(function* () {
      const { entries } = yield* searched({ fidelity: kinds.halving })
      const finished = entries.filter((entry) => entry._tag === "Finished")
      const first = finished.filter(({ evaluation }) => evaluation.epochs === 1)
      const best = first.toSorted((a, b) => b.reward - a.reward || a.trial - b.trial).slice(0, 4)
      assert.deepStrictEqual(
        byEpochs(entries).get(3),
        best.map(({ trial }) => trial).toSorted((a, b) => a - b)
      )
      assert.strictEqual(byEpochs(entries).get(9)?.length, 1)
    })
  )

  it.live("is resumed to the same end, without a rung trained twice", () =>
    Effect.gen(function* () {
      const whole = yield* searched({ fidelity: kinds.asha })
      const journal = Layer.succeed(Journal.Journal, yield* Journal.Journal.pipe(Effect.provide(Journal.memory)))
      const asked: Array<Asked> = []
      const layers = Layer.mergeAll(setting, rising(asked), journal)
      yield* Effect.ignore(
        run({
          fidelity: kinds.asha,
          onEvent: (event) => (event._tag === "Finished" && event.rung === 1 ? Effect.interrupt : Effect.void)
        }).pipe(Effect.provide(layers))
      ).pipe(Effect.exit)
      const before = yield* Effect.provide(entries, journal)
      const known = before.flatMap((entry) => (entry._tag === "Finished" ? [`${entry.trial} ${entry.rung ?? 0}`] : []))
      assert.isAbove(known.length, 0)
      asked.length = 0
      yield* run({ fidelity: kinds.asha }).pipe(Effect.provide(layers))
      const rungOf = (until = 0) => Fidelity.rungsOf(kinds.asha).indexOf(until)
      assert.deepStrictEqual(
        asked.map(({ trial, until }) => `${trial} ${rungOf(until)}`).filter((job) => known.includes(job)),
        []
      )
      assert.deepStrictEqual(yield* Effect.provide(entries, journal), whole.entries)
    })
  )

  it.live("for several objectives keeps a front", () =>
    Effect.gen(function* () {
      const objectives = ["accuracy", "macs"] as const
      const { found } = yield* searched({ fidelity: kinds.halving, objectives, trials: 27 })
      const front = Search.front(uninet, objectives)(found.records)
      assert.isAbove(front.length, 0)
      for (const { outcome } of front) assert.strictEqual(outcome.evaluation.epochs, 9)
      const worth = front.map(({ costs, outcome }) => [outcome.evaluation.measures.accuracy, -costs.macs])
      for (const a of worth)
        for (const b of worth) assert.isFalse(a !== b && a[0] >= b[0] && a[1] >= b[1] && (a[0] > b[0] || a[1] > b[1]))
    })
  )
})

describe("a budget", () => {
  it.live("of what trainings cost ends a search after the trial that uses it up", () =>
    Effect.gen(function* () {
      const { found } = yield* searched({ budget: { most: 10, of: () => 3 } })
      assert.strictEqual(found.records.length, 4)
      assert.isTrue(found.over)
      const all = yield* searched({ budget: { most: 1000, of: () => 3 } })
      assert.isFalse(all.found.over)
      assert.deepStrictEqual(all.found.records.slice(0, 4), found.records)
    })
  )

  it.live("of time lets what is running come to its end", () =>
    Effect.gen(function* () {
      let calls = 0
      const { entries, found } = yield* searched({ until: Effect.sync(() => ++calls > 3) })
      assert.isTrue(found.over)
      assert.isBelow(found.records.length, 13)
      const proposed = entries.filter(({ _tag }) => _tag === "Proposed").length
      assert.strictEqual(entries.filter(({ _tag }) => _tag === "Finished").length, proposed)
    })
  )
})

/** The result of an evaluation: when and where it ran differs each time. */
const foundBy = ({ epochs, measures }: Trial.Evaluated) => ({ epochs, measures })

describe("a training on rungs", () => {
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
  const recipe = { ...Recipe.proxy, batch: 16, epochs: 3 }
  const of = Result.getOrThrow(UniNetSpace.models({ image: 12, channels: 1, classes: 2 }))
  const point = ModelSpace.write(Space.seedPoint(of.space))(of)
  const evaluating = (checkpoints?: string) =>
    TrainingEvaluator.layer(of, { recipe, ...(checkpoints === undefined ? {} : { checkpoints }) }).pipe(
      Layer.provide(Trainer.layer),
      Layer.provide([data, OnnxRuntime.cpu()])
    )

  it.live("goes on where it stopped, to the result of a training in one go", () =>
    Effect.gen(function* () {
      const checkpoints = yield* folder
      const done: Array<number> = []
      const train = (until: number | undefined) =>
        Evaluator.Evaluator.use(({ evaluate }) =>
          evaluate(
            {
              index: 0,
              point,
              seed: "s",
              epochs: 3,
              keep: "trial-0",
              ...(until === undefined ? {} : { until })
            },
            (progress) => Effect.sync(() => void done.push(progress.done))
          )
        )
      const [one, again, steps, three] = yield* Effect.gen(function* () {
        const one = yield* train(1)
        const before = done.length
        const again = yield* train(1)
        const steps = [before, done.length - before]
        return [one, again, steps, yield* train(3)] as const
      }).pipe(Effect.provide(evaluating(checkpoints)))
      // Four steps per epoch; asked again, nothing is trained.
      assert.deepStrictEqual(steps, [4, 0])
      assert.deepStrictEqual(foundBy(again), foundBy(one))
      // The curve of a rung has its own epochs; together they form the curve of the whole training.
      const curves = [one, again, three].map(({ training }) => training?.curve?.epochs)
      assert.deepStrictEqual(curves, [[1], [], [2, 3]])
      assert.strictEqual(one.epochs, 1)
      assert.strictEqual(three.epochs, 3)
      assert.isBelow(done.length, 4 + 12)
      assert.isTrue(existsSync(join(checkpoints, "trial-0")))
      assert.isAbove(readdirSync(join(checkpoints, "trial-0")).length, 0)
      const [short, whole] = yield* Effect.all([train(1), train(undefined)]).pipe(Effect.provide(evaluating()))
      assert.deepStrictEqual(foundBy(short), foundBy(one))
      assert.deepStrictEqual(foundBy(whole), foundBy(three))
      const parts = [one, again, three].flatMap(({ training: { curve } = {} }) => (curve === undefined ? [] : [curve]))
      assert.deepStrictEqual(Training.joined(parts), whole.training?.curve)
      assert.strictEqual(whole.training?.curve?.measures["loss"]?.[2], whole.measures["loss"])
      const { device, engine, process: pid } = whole.training?.place ?? {}
      assert.deepStrictEqual([device, pid], ["cpu", process.pid])
      assert.match(engine ?? "", /^onnxruntime [\d.]+ cpu$/)
    })
  )
})
