import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import { Dataset, Examples } from "@uninet/data"
import { OnnxRuntime } from "@uninet/runtime"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import {
  Average,
  Checkpoints,
  type FitOptions,
  Optimiser,
  Recipe,
  Schedule,
  Trainer,
  TrainEvent,
  TrainLog
} from "@uninet/trainer"
import { architecture, layer, network, networkOf, recipe } from "./support/tiny.ts"

const files = Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer))
const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

/** Learns the quarters. */
const learning: Recipe.Recipe = {
  ...Recipe.proxy,
  epochs: 12,
  batch: 16,
  learningRate: 0.01,
  average: Average.Average.make({ decay: 0.9 })
}

const events = Effect.fnUntraced(function* (options: Partial<FitOptions> & { readonly recipe: Recipe.Recipe }) {
  const trainer = yield* Trainer
  return yield* Stream.runCollect(trainer.fit(network, { seed: 1, ...options }))
})

const only = <Tag extends TrainEvent.TrainEvent["_tag"]>(all: ReadonlyArray<TrainEvent.TrainEvent>, tag: Tag) =>
  all.filter((event): event is Extract<TrainEvent.TrainEvent, { _tag: Tag }> => event._tag === tag)

describe("a training", () => {
  it.effect.each([
    ["AdamW", learning],
    ["SGD with momentum", { ...learning, learningRate: 0.1, optimiser: Optimiser.sgd({ nesterov: true }) }]
  ] as const)("by %s learns, and so do its averages", ([, recipe]) =>
    Effect.gen(function* () {
      const [finished] = only(yield* events({ recipe }), "Finished")
      // A quarter is chance.
      assert.isAbove(finished.validation.measures["accuracy"], 0.75)
      assert.isAbove(finished.averaged?.validation.measures["accuracy"] ?? 0, 0.75)
      const trainer = yield* Trainer
      const test = yield* trainer.evaluate(network, finished.best.weights, "test")
      assert.isAbove(test.measures["accuracy"], 0.75)
      assert.strictEqual(test.examples, 200)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("on training and validation has more steps, and its last weights are the best", () =>
    Effect.gen(function* () {
      const [finished] = only(yield* events({ recipe, trainOn: "train+validation" }), "Finished")
      assert.isAbove(finished.steps, 15)
      assert.strictEqual(finished.validation.examples, 0)
      assert.deepStrictEqual([...finished.best.weights], [...(finished.averaged ?? finished).weights])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("with nothing to validate on is not ended early", () =>
    Effect.gen(function* () {
      const earlyStopping = { patience: 1, improvement: 0 }
      const [finished] = only(
        yield* events({ recipe: { ...recipe, earlyStopping }, trainOn: "train+validation" }),
        "Finished"
      )
      assert.deepStrictEqual([finished.stoppedEarly, finished.epochs], [false, 3])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("tells every step and every epoch, and then its end", () =>
    Effect.gen(function* () {
      const all = yield* events({ recipe, gradientNorm: true, validateEveryEpoch: true })
      const steps = only(all, "Step")
      assert.deepStrictEqual(
        steps.map(({ epoch, step, steps }) => [step, epoch, steps]),
        Array.from({ length: 15 }, (_, step) => [step, Math.floor(step / 5), 15])
      )
      for (const event of steps) {
        assert.isAbove(event.gradientNorm ?? 0, 0)
        assert.isAbove(event.memory, 1e6)
        assert.isAbove(event.examplesPerSecond, 0)
        assert.isAtMost(event.measures["accuracy"], event.measures["top5"])
        const position = { step: event.step, stepsPerEpoch: 5, epochs: 3 }
        assert.strictEqual(event.learningRate, Schedule.rate(recipe.learningRate, position)(recipe.schedule))
      }
      const epochs = only(all, "Epoch")
      assert.deepStrictEqual(
        epochs.map(({ epoch, epochs }) => [epoch, epochs]),
        [
          [0, 3],
          [1, 3],
          [2, 3]
        ]
      )
      epochs.forEach(({ loss, measures }, epoch) => {
        const own = steps.filter((step) => step.epoch === epoch)
        const mean = (f: (step: TrainEvent.Step) => number) => own.reduce((sum, step) => sum + f(step), 0) / own.length
        assert.closeTo(
          loss,
          mean((step) => step.loss),
          1e-9
        )
        assert.deepStrictEqual(Object.keys(measures), ["accuracy", "top5"])
        for (const [name, found] of Object.entries(measures))
          assert.closeTo(
            found,
            mean((step) => step.measures[name]),
            1e-9
          )
      })
      assert.strictEqual(all.at(-1)?._tag, "Finished")
      assert.strictEqual(only(all, "Finished").length, 1)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("gives the same network for the same seed, another for another", () =>
    Effect.gen(function* () {
      const short = { ...recipe, epochs: 1 }
      const weights = Effect.fnUntraced(function* (seed: string) {
        const [finished] = only(yield* events({ recipe: short, seed }), "Finished")
        return [...(finished.weights.get("classifier.weight") ?? [])]
      })
      const first = yield* weights("a")
      assert.deepStrictEqual(yield* weights("a"), first)
      assert.notDeepEqual(yield* weights("b"), first)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("ends early where the recipe says so", () =>
    Effect.gen(function* () {
      // Nothing is learned at a rate of 0: the first epoch stays the best.
      const still = {
        ...learning,
        learningRate: 0,
        average: null,
        schedule: Schedule.Schedule.cases.Constant.make({ warmup: 0 })
      }
      const all = yield* events({ recipe: { ...still, earlyStopping: { patience: 2, improvement: 0.5 } } })
      const [finished] = only(all, "Finished")
      assert.deepStrictEqual([finished.stoppedEarly, finished.steps, only(all, "Epoch").length], [true, 15, 3])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("that diverges says where, from which checkpoint it may be looked at, and how", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const store = yield* Checkpoints.make(yield* folder)
      const wild = {
        ...learning,
        learningRate: 1e6,
        optimiser: Optimiser.sgd(),
        // Harmless at first: the warm-up starts at 0.
        schedule: Schedule.Schedule.cases.Cosine.make({ warmup: 2, from: 0, to: 0 })
      }
      const failing = trainer.fit(network, {
        recipe: wild,
        seed: 1,
        checkpoints: { store, everySteps: 1 },
        replay: "uninet train --resume here"
      })
      const error = yield* Effect.flip(Stream.runDrain(failing))
      if (error._tag !== "Diverged") throw error
      assert.isAtLeast(error.step, 1)
      const { checkpoint, file } = yield* store.latest
      assert.strictEqual(error.checkpoint, file)
      // What was saved is sound, and no later than the step that spoiled it.
      assert.isAtMost(checkpoint.state.step, error.step)
      for (const { data } of checkpoint.variables.values()) assert.isTrue(data.every(Number.isFinite))
      assert.include(error.message, "uninet train --resume here")
      // The replay ends at the same step.
      const again = yield* Effect.flip(
        Stream.runDrain(trainer.fit(network, { recipe: wild, seed: 1, resume: checkpoint, checkpoints: { store } }))
      )
      if (again._tag !== "Diverged") throw again
      assert.deepStrictEqual([again.step, again.checkpoint], [error.step, file])
    }).pipe(Effect.scoped, Effect.provide(layer()), files)
  )

  it.effect("on a data set of another shape or size is refused before anything is made", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const errorOf = (changed: typeof architecture, batch = 16) =>
        trainer.fit(networkOf(changed), { recipe: { ...learning, batch }, seed: 1 }).pipe(Stream.runDrain, Effect.flip)
      const narrow = yield* errorOf({ ...architecture, image: { ...architecture.image, width: 7 } })
      assert.deepInclude(narrow, {
        _tag: "DatasetMismatch",
        what: "inputs",
        takes: "image [1×8×7]",
        has: "image [1×8×8]"
      })
      const coloured = yield* errorOf({ ...architecture, image: { channels: 3, height: 9, width: 9 } })
      assert.deepInclude(coloured, {
        _tag: "DatasetMismatch",
        what: "inputs",
        takes: "image [3×9×9]",
        has: "image [1×8×8]"
      })
      const classes = yield* errorOf({ ...architecture, classes: 5 })
      assert.deepInclude(classes, { _tag: "DatasetMismatch", what: "classes", takes: "5", has: "4" })
      assert.include(
        classes.message,
        "the network takes 5 classes, but quarters has 4; give a data set that it takes, or a network made for this one"
      )
      const few = yield* errorOf(architecture, 89)
      assert.deepInclude(few, { _tag: "TooFewExamples", examples: 88, batch: 89 })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("on examples that are no labelled images is refused before anything is made", () => {
    const rows = { inputs: { row: [1, 2, 3, 4] }, targets: [1, 2] }
    const data = Examples.layer({
      name: "rows",
      inputs: { row: Dataset.float32(2) },
      targets: Dataset.float32(),
      train: rows,
      validation: rows,
      test: rows
    })
    return Effect.gen(function* () {
      const trainer = yield* Trainer
      const error = yield* trainer.fit(network, { recipe: learning, seed: 1 }).pipe(Stream.runDrain, Effect.flip)
      assert.strictEqual(error._tag, "DatasetMismatch")
      assert.include(error.message, "the network takes the inputs image [1×8×8], but rows has row [2]")
    }).pipe(Effect.provide(Trainer.layer.pipe(Layer.provide([data, OnnxRuntime.cpu()]))))
  })

  it.effect("is followed by Effect's metrics", () =>
    Effect.gen(function* () {
      const all = yield* events({ recipe: { ...recipe, epochs: 1 } })
      const snapshot = yield* Metric.snapshot
      const value = (id: string) => snapshot.find((metric) => metric.id === id)?.state
      const last = only(all, "Step").at(-1)
      assert.deepInclude(value("uninet.train.loss"), { value: last?.loss ?? Number.NaN })
      assert.deepInclude(value("uninet.validation.accuracy"), {
        value: only(all, "Epoch")[0].validation.measures["accuracy"]
      })
    }).pipe(Effect.provide(layer()))
  )
})

describe("the log of a training", () => {
  it.effect("has a line of JSON for every event, and every step once after a resume", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const path = yield* folder
      const file = join(path, "metrics.jsonl")
      const store = yield* Checkpoints.make(path)
      const checkpoints = { store, everySteps: 2 }
      const lines = () =>
        readFileSync(file, "utf8")
          .split("\n")
          .filter((line) => line !== "")
          .map((line): { _tag: string; step?: number; epoch?: number } => JSON.parse(line))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const append = yield* TrainLog.open(file)
          // Killed: nothing is saved on the way out.
          const killed = {
            ...store,
            save: (c: Parameters<typeof store.save>[0]) => {
              const logged = lines().filter(({ _tag }) => _tag === "Step")
              assert.strictEqual(logged.length, c.state.step, "steps in the log before a checkpoint has them")
              return c.state.step <= 6 ? store.save(c) : Effect.succeed("")
            }
          }
          yield* trainer
            .fit(network, { recipe, seed: 1, checkpoints: { ...checkpoints, store: killed }, onEvent: append })
            .pipe(
              Stream.takeUntil((event) => event._tag === "Step" && event.step === 7),
              Stream.runDrain
            )
        })
      )
      assert.isTrue(lines().some(({ _tag, step }) => _tag === "Step" && step === 7))
      // The last line was cut short.
      writeFileSync(file, `${readFileSync(file, "utf8")}{"_tag":"St`)
      const { checkpoint } = yield* store.latest
      yield* Effect.scoped(
        Effect.gen(function* () {
          const append = yield* TrainLog.open(file, checkpoint.state)
          yield* trainer
            .fit(network, { recipe, seed: 1, checkpoints, resume: checkpoint, onEvent: append })
            .pipe(Stream.runDrain)
        })
      )
      const of = (tag: string) => lines().filter(({ _tag }) => _tag === tag)
      assert.deepStrictEqual(
        of("Step").map(({ step }) => step),
        Array.from({ length: 15 }, (_, step) => step)
      )
      assert.deepStrictEqual(
        of("Epoch").map(({ epoch }) => epoch),
        [0, 1, 2]
      )
      assert.strictEqual(lines().at(-1)?._tag, "Finished")
      assert.strictEqual(of("Resumed").length, 1)
    }).pipe(Effect.scoped, Effect.provide(layer()), files)
  )
})
