import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import { Augmentation, Dataset, Examples } from "@uninet/data"
import { Op } from "@uninet/graph"
import { Classification, type ModelSpace, Task } from "@uninet/model-space"
import { Model, Nn, Scope } from "@uninet/nn"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { Checkpoints, Recipe, Schedule, Trainer, type TrainEvent, TrainingProgram } from "@uninet/trainer"
import { distances } from "../../model-space/test/support/rows.ts"

const line = "a hidden layer of 16"

/** Rows of three numbers, to one number. */
const rows: ModelSpace.Trainable = {
  model: Model.make({
    inputs: { row: Model.input([3]) },
    forward: (scope, { row }) => {
      const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: 16 })(row))
      return { y: Op.reshape(Nn.linear(Scope.at("out")(scope), { out: 1 })(hidden), [row.shape[0]]) }
    }
  }),
  task: distances,
  line,
  about: { width: 16 }
}

const samples = (n: number, seed: string) => {
  const prng = Prng.fromSeed(seed)
  const row = Array.from({ length: 3 * n }, () => prng.nextNormal())
  return {
    inputs: { row },
    targets: Array.from({ length: n }, (_, i) => row[3 * i] - 2 * row[3 * i + 1] + Math.abs(row[3 * i + 2]))
  }
}

const data = Examples.layer({
  name: "sums",
  inputs: { row: Dataset.float32(3) },
  targets: Dataset.float32(),
  train: samples(320, "train"),
  validation: samples(50, "validation"),
  test: samples(100, "test")
})

const layer = Trainer.layer.pipe(Layer.provide([data, OnnxRuntime.cpu()]))

const recipe: Recipe.Recipe = {
  ...Recipe.proxy,
  epochs: 8,
  batch: 16,
  learningRate: 0.02,
  labelSmoothing: 0
}

const events = Effect.fnUntraced(function* (network: ModelSpace.Trainable, changed: Partial<Recipe.Recipe> = {}) {
  const trainer = yield* Trainer
  const options = { recipe: { ...recipe, ...changed }, seed: "own", validateEveryEpoch: true }
  return yield* Stream.runCollect(trainer.fit(network, options))
})

const finished = (all: ReadonlyArray<TrainEvent.TrainEvent>): TrainEvent.Finished => {
  const last = all.at(-1)
  return last?._tag === "Finished" ? last : assert.fail("it did not finish")
}

/** Why a training is refused, before anything is compiled. */
const refusal = (network: ModelSpace.Trainable, changed: Partial<Recipe.Recipe> = {}) =>
  Effect.map(Effect.flip(events(network, changed)), ({ message }) => message)

describe("a custom network and task", () => {
  it.effect("are trained, and the best epoch is that of the lowest distance", () =>
    Effect.gen(function* () {
      const all = yield* events(rows, { average: { decay: 0.9, warmup: true } })
      const epochs = all.filter((event) => event._tag === "Epoch")
      const found = epochs.map(({ validation }) => validation.measures["distance"])
      assert.isBelow(found[7], 0.3)
      assert.isBelow(found[7], found[0] / 2)
      const { averaged, best } = finished(all)
      const both = epochs.flatMap(({ averaged, validation }) =>
        [validation, averaged].map((score) => score?.measures["distance"] ?? Number.NaN)
      )
      assert.strictEqual(best.validation.measures["distance"], Math.min(...both))
      assert.strictEqual(averaged?.validation.examples, 50)
      const trainer = yield* Trainer
      const test = yield* trainer.evaluate(rows, best.weights, "test")
      assert.deepStrictEqual([test.examples, test.details], [100, null])
      assert.isBelow(test.measures["distance"], 0.3)
    }).pipe(Effect.provide(layer))
  )

  it.effect("say of a step what the task says of it: here nothing but the loss", () =>
    Effect.gen(function* () {
      const all = yield* events(rows, { epochs: 1 })
      for (const event of all) if (event._tag === "Step") assert.deepStrictEqual(event.measures, {})
    }).pipe(Effect.provide(layer))
  )

  it.effect("stop early when the distance no longer falls", () =>
    Effect.gen(function* () {
      const still = { learningRate: 0, schedule: Schedule.Schedule.cases.Constant.make({ warmup: 0 }) }
      const all = yield* events(rows, { ...still, earlyStopping: { patience: 2, improvement: 0.01 } })
      assert.deepStrictEqual([finished(all).stoppedEarly, finished(all).epochs], [true, 3])
    }).pipe(Effect.provide(layer))
  )

  it.effect("are known again by their checkpoints", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const folder = yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
      const store = yield* Checkpoints.make(folder)
      const fit = (network: ModelSpace.Trainable, epochs: number, from = {}) =>
        trainer.fit(network, { recipe: { ...recipe, epochs }, seed: 1, checkpoints: { store }, ...from })
      yield* Stream.runDrain(fit(rows, 1))
      const { checkpoint } = yield* store.latest
      assert.deepInclude(checkpoint.identity.network, { line, about: { width: 16 } })
      assert.deepStrictEqual(checkpoint.identity.dataset, { name: "sums", classes: null, examples: 320 })
      const twice = { ...distances, loss: (...given: Parameters<typeof distances.loss>) => doubled(given) }
      const error = yield* fit({ ...rows, task: twice }, 1, { resume: checkpoint }).pipe(Stream.runDrain, Effect.flip)
      assert.strictEqual(error._tag, "CheckpointMismatch")
      assert.include(error.message, `its network is ${checkpoint.identity.network.digest} (${line})`)
    }).pipe(Effect.scoped, Effect.provide(layer), Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)))
  )
})

const doubled = (given: Parameters<typeof distances.loss>) => Op.scale(distances.loss(...given), 2)

describe("a recipe that cannot be followed is refused in a sentence", () => {
  it.effect.each<readonly [string, Partial<Recipe.Recipe>, string]>([
    [
      "label smoothing without classes",
      { labelSmoothing: 0.1 },
      "the recipe's labelSmoothing cannot be used for distances: its targets cannot be smoothed; set labelSmoothing to 0"
    ],
    [
      "mixing of what cannot be mixed",
      { mix: Recipe.Mixing.make({ mixup: 0.4 }) },
      "the recipe's mix cannot be used for distances: its examples cannot be mixed; set mixup and cutmix to 0"
    ],
    [
      "augmentation that targets do not follow",
      { augmentation: [Augmentation.randomCrop(1)] },
      "the recipe's augmentation cannot be used for distances: its targets would not be transformed with the pictures by RandomCrop; leave the step out"
    ],
    [
      "dropout where there is none",
      { dropout: 0.1 },
      "the recipe's dropout cannot be used for distances: the model has no random operations; set dropout to 0"
    ],
    [
      "stochastic depth where there is none",
      { stochasticDepth: 0.1 },
      "the recipe's stochasticDepth cannot be used for distances: the model has no random operations; set stochasticDepth to 0"
    ]
  ])("%s", ([, changed, message]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* refusal(rows, changed), message)
    }).pipe(Effect.provide(layer))
  )

  it.effect.each<readonly [string, Partial<Recipe.Recipe>]>([
    ["learningRate", { learningRate: -1 }],
    ["epochs", { epochs: 0 }],
    ["batch", { batch: 1.5 }],
    ["schedule.warmup", { schedule: { ...Recipe.proxy.schedule, warmup: -1 } }],
    ["groups.0.learningRate", { groups: [{ prefix: "out", learningRate: Number.NaN, weightDecay: 1 }] }]
  ])("a wrong %s", ([field, changed]) =>
    Effect.gen(function* () {
      const message = yield* refusal(rows, changed)
      assert.match(message, new RegExp(`^the recipe's ${field} is wrong: .+; correct it$`))
    }).pipe(Effect.provide(layer))
  )

  it.each<readonly [string, Task.Task["loss"], string]>([
    [
      "that throws",
      () => {
        throw new Error("no idea")
      },
      "failed: no idea"
    ],
    ["that is no number but several", ({ y }, targets) => Op.sub(y, targets), "is [16]"],
    ["that is nothing", () => JSON.parse("null"), "failed: it returned no tensor"]
  ])("a loss %s", (_, loss, problem) => {
    const { message } = Result.getOrThrow(
      Result.flip(TrainingProgram.make(rows.model, { ...distances, loss }, { ...recipe, batch: 16 }))
    )
    assert.strictEqual(
      message,
      `the loss of the task distances ${problem}; make it return the batch's mean, a single number, for the outputs that the task takes`
    )
  })

  it("an input or output with a name of the training's own", () => {
    const model = Model.make({
      inputs: { row: Model.input([3]), step: Model.input([]) },
      forward: (scope, { row }) => rows.model.forward(scope, { row })
    })
    const { message } = Result.getOrThrow(Result.flip(TrainingProgram.make(model, distances, recipe)))
    assert.strictEqual(
      message,
      "the recipe's inputs cannot be used for distances: the model's input step has a name that is reserved for training; rename the input"
    )
    const task = Classification.make({ classes: 2, output: "loss" })
    const refused = TrainingProgram.make(rows.model, task, recipe)
    assert.include(
      Result.getOrThrow(Result.flip(refused)).message,
      "the model's output loss has a name that is reserved for training; rename the output"
    )
  })
})

describe("a data set that does not fit is refused in a sentence", () => {
  it.effect("when its targets are others", () =>
    Effect.gen(function* () {
      const task = Classification.make({ classes: 2, output: "y" })
      assert.strictEqual(
        yield* refusal({ ...rows, task }),
        "the network takes the targets [] int32, but sums has []; give a data set that it takes, or a network made for this one"
      )
    }).pipe(Effect.provide(layer))
  )

  it.effect("when it lacks an input", () =>
    Effect.gen(function* () {
      const model = Model.make({
        inputs: { row: Model.input([3]), kind: Model.input([], "int32") },
        forward: (scope, { row }) => rows.model.forward(scope, { row })
      })
      assert.strictEqual(
        yield* refusal({ ...rows, model }),
        "the network takes the inputs kind [] int32, but sums has row [3]; give a data set that it takes, or a network made for this one"
      )
    }).pipe(Effect.provide(layer))
  )
})
