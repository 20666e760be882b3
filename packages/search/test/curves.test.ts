import { assert, describe, it } from "@effect/vitest"
import { Evaluator, Journal, Search, Training, Trial, WorkerEvaluator } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fc from "fast-check"
import { copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { accuracyOf, measuresOf, setting, uninet } from "./support/search.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-curves-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)
const file = Effect.map(folder, (path) => join(path, "journal.db"))

const place: Training.Place = {
  host: "rack-3",
  process: 17,
  engine: "onnxruntime 1.30.0 cpu",
  device: "cpu",
  formulation: "blocks of 16"
}
const curveTo = (epochs: number): Training.Curve => ({
  epochs: Array.from({ length: epochs }, (_, i) => i + 1),
  loss: Array.from({ length: epochs }, (_, i) => 1 / (i + 1)),
  measures: { accuracy: Array.from({ length: epochs }, (_, i) => (i % 2 === 0 ? null : i / 8)) }
})

/** Returns a curve of two epochs with every result, and how far it got with every failure. */
const told = Evaluator.make(uninet, (point, { index }) => {
  const training = { place, begun: 1000 + index, ended: 2000 + index, curve: curveTo(2) }
  return index === 1
    ? Effect.fail(new Error("told to fail"))
    : Effect.succeed({ measures: measuresOf(accuracyOf(point)), epochs: 2, training })
})

const searched = (
  evaluator: Layer.Layer<Evaluator.Evaluator, WorkerEvaluator.WorkerFailed>,
  path: string,
  trials = 3
) =>
  Search.run(uninet, { trials, seed: "curves" }).pipe(
    Effect.provide([setting, evaluator, Journal.sqlite(path)], { local: true })
  )

/** To seven digits. */
const plain = (of: Training.Curve | undefined) =>
  JSON.stringify(of, (_, each: unknown) => (typeof each === "number" ? Number(each.toPrecision(7)) : each))

const asked = (seed: string) =>
  Evaluator.Evaluator.use(({ evaluate }) =>
    evaluate({ index: 0, point: Trial.Trial.fields.point.make(null), seed }, () => Effect.void)
  )

/** What a reader of the file gets, by trial. */
const trainingsIn = (path: string, trials?: Iterable<number>) =>
  Effect.scoped(Effect.flatMap(Journal.reader(path), (reader) => reader.trainings(trials)))

describe("a curve", () => {
  it("has a loss for every epoch that was stepped through, and measures where it was validated", () => {
    const recorder = Training.recorder()
    recorder.step(0, 4)
    recorder.step(0, 2)
    recorder.step(1, 1)
    recorder.epoch(1, 1.5, { accuracy: 0.5 })
    assert.deepStrictEqual(recorder.curve(), {
      epochs: [1, 2],
      loss: [3, 1.5],
      measures: { accuracy: [null, 0.5] }
    })
  })

  it("leaves out what is no number", () => {
    const recorder = Training.recorder()
    recorder.step(0, Number.NaN)
    recorder.epoch(1, Number.POSITIVE_INFINITY, { accuracy: Number.NaN })
    assert.deepStrictEqual(recorder.curve(), {
      epochs: [1, 2],
      loss: [null, null],
      measures: { accuracy: [null, null] }
    })
  })

  it("of a training that was gone on with is one curve, of the later values", () => {
    const again: Training.Curve = { epochs: [2, 3], loss: [9, 8], measures: { accuracy: [0.5, 0.75] } }
    assert.deepStrictEqual(Training.joined([curveTo(2), again]), {
      epochs: [1, 2, 3],
      loss: [1, 9, 8],
      measures: { accuracy: [null, 0.5, 0.75] }
    })
  })
})

describe("a journal", () => {
  it.live("keeps any curve to seven digits, and who trained, beside the entries", () =>
    Effect.gen(function* () {
      const path = yield* file
      const value = fc.option(fc.float({ noNaN: true, noDefaultInfinity: true }), { nil: null })
      const arbitrary = fc.integer({ min: 1, max: 20 }).chain((length) => {
        const series = fc.array(value, { minLength: length, maxLength: length })
        return fc.record({
          epochs: fc.constant(Array.from({ length }, (_, i) => i + 1)),
          loss: series,
          measures: fc.dictionary(fc.string({ unit: "binary" }), series, { maxKeys: 3 })
        })
      })
      const curves = fc.sample(arbitrary, 30)
      yield* Effect.provide(
        Journal.Journal.use((journal) =>
          Effect.andThen(
            journal.open({ space: "s", seed: "1", settings: {} }),
            Effect.forEach(curves, (curve, trial) =>
              journal.append(
                { _tag: "Failed", trial, reason: "Failed", detail: "" },
                { place: { ...place, process: trial % 2 }, begun: trial, ended: trial + 0.5, curve }
              )
            )
          )
        ),
        Journal.sqlite(path)
      )
      const back = yield* trainingsIn(path)
      assert.strictEqual(back.length, curves.length)
      for (const [trial, curve] of curves.entries()) {
        const found = back[trial]
        assert.deepStrictEqual(found?.place, { ...place, process: trial % 2 })
        assert.deepStrictEqual([found.begun, found.ended], [trial, trial + 0.5])
        assert.strictEqual(plain(found.curve), plain(curve))
      }
      const db = new DatabaseSync(path)
      assert.throws(() => db.exec("delete from training"), "append-only")
      assert.deepStrictEqual(db.prepare("select count(*) as n from place").get()?.["n"], 2)
      db.close()
    })
  )

  it.live("gives the curves of the trials that are asked for, and reads new entries alone", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* searched(told, path)
      yield* Effect.gen(function* () {
        const reader = yield* Journal.reader(path)
        const found = yield* reader.trainings([2])
        assert.deepStrictEqual(found, [
          { trial: 2, step: 1, place, begun: 1002, ended: 2002, curve: { ...curveTo(2), loss: [1, 0.5] } }
        ])
        assert.deepStrictEqual(Journal.curveOf(found), curveTo(2))
        assert.isUndefined(Journal.curveOf(yield* reader.trainings([1])))
        const all = yield* reader.entries()
        assert.strictEqual(yield* reader.count, all.length)
        const last = Math.max(...all.map(({ at }) => at))
        assert.deepStrictEqual(yield* reader.entries(last + 1), [])
        assert.deepStrictEqual(
          yield* reader.entries(last),
          all.filter(({ at }) => at === last)
        )
      }).pipe(Effect.scoped)
    })
  )

  it.live("of before is read and gone on with, without curves", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* searched(told, path)
      const old = `${path}.old`
      copyFileSync(path, old)
      const db = new DatabaseSync(old)
      db.exec("drop trigger training_kept; drop trigger training_fixed; drop table training; drop table place")
      db.close()
      assert.deepStrictEqual(yield* trainingsIn(old), [])
      const before = yield* Journal.read(old)
      assert.strictEqual(before.entries.length, 6)
      yield* Search.run(uninet, { trials: 5, seed: "curves" }).pipe(
        Effect.provide([setting, told, Journal.sqlite(old, { existing: "resume" })])
      )
      assert.deepStrictEqual(
        (yield* trainingsIn(old)).map(({ trial }) => trial),
        [3, 4]
      )
    })
  )

  it.live("goes without what an evaluator gives that is no training", () =>
    Effect.gen(function* () {
      const path = yield* file
      const wrong: unknown = { place: "here", begun: "now" }
      yield* searched(
        Evaluator.make(uninet, (point) =>
          Effect.succeed({
            measures: measuresOf(accuracyOf(point)),
            epochs: null,
            // someone without a type checker may return anything
            training: wrong as Training.Training
          })
        ),
        path
      )
      assert.deepStrictEqual(yield* trainingsIn(path), [])
    })
  )

  it.live("knows the process that evaluated, whether it gave a result, failed or was lost", () =>
    Effect.gen(function* () {
      const evaluator = WorkerEvaluator.layer({
        module: new URL("./support/evaluator.ts", import.meta.url),
        workers: 1
      })
      const failed = yield* Effect.flip(asked("any")).pipe(Effect.provide(evaluator))
      assert.strictEqual(failed._tag, "TrialFailed")
      const { training } = failed._tag === "TrialFailed" ? failed : { training: undefined }
      assert.strictEqual(training?.place.host, hostname())
      assert.notStrictEqual(training?.place.process, process.pid)
      assert.isAtMost(training?.begun ?? Infinity, training?.ended ?? 0)
    })
  )
})
