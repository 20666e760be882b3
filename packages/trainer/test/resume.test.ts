import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { OnnxRuntime } from "@uninet/runtime"
import { type Checkpoint, Checkpoints, type Recipe, Trainer, type TrainEvent } from "@uninet/trainer"
import { layer, network, recipe, relabelled } from "./support/tiny.ts"

const seed = "resume"
/** 88 examples in batches of 16. */
const stepsPerEpoch = 5

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

/** The last event, and everything that was reported. */
const collect = <E, R>(events: Stream.Stream<TrainEvent.TrainEvent, E, R>) =>
  Effect.map(Stream.runCollect(events), (all) => {
    const last = all.at(-1)
    if (last?._tag !== "Finished") throw new Error("the training did not finish")
    return { all, finished: last }
  })

const uninterrupted = (recipe: Recipe.Recipe) =>
  Effect.flatMap(Trainer, (trainer) => collect(trainer.fit(network, { recipe, seed, validateEveryEpoch: true })))

const bits = (x: Float32Array | undefined) => x && [...new Int32Array(x.buffer, x.byteOffset, x.length)]

const same = (a: TrainEvent.Weights, b: TrainEvent.Weights, what: string) => {
  assert.deepStrictEqual([...a.keys()], [...b.keys()], what)
  for (const [name, data] of a) {
    assert.deepStrictEqual(bits(data), bits(b.get(name)), `${what}: ${name}`)
  }
}

/** Ends like one that was never interrupted. */
const likeUninterrupted = (found: TrainEvent.Finished, reference: TrainEvent.Finished) => {
  same(found.weights, reference.weights, "weights")
  same(found.averaged?.weights ?? new Map(), reference.averaged?.weights ?? new Map(), "averages")
  same(found.best.weights, reference.best.weights, "best")
  const { weights: _a, ...best } = found.best
  const { weights: _b, ...referenceBest } = reference.best
  assert.deepStrictEqual(best, referenceBest)
  assert.deepStrictEqual(found.validation, reference.validation)
}

/** An equal recipe with its fields in reverse order. */
const turned = (recipe: Recipe.Recipe): Recipe.Recipe => ({
  ...Object.fromEntries(Object.entries(recipe).toReversed()),
  ...recipe,
  average: { warmup: true, decay: 0.9 }
})

/** What a step reports that does not depend on the machine. */
const said = (events: ReadonlyArray<TrainEvent.TrainEvent>) =>
  events.flatMap((event) =>
    event._tag === "Step"
      ? [[event.step, event.epoch, event.loss, event.measures, event.learningRate, event.gradientNorm]]
      : event._tag === "Epoch"
        ? [[event.epoch, event.loss, event.measures, event.validation, event.averaged, event.isBest]]
        : []
  )

const withFiles = Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer))

describe("a training that is resumed", () => {
  const points: ReadonlyArray<readonly [string, number, number]> = [
    // Its description, the step after which it is killed, and how often it had saved a checkpoint.
    ["in the middle of an epoch", stepsPerEpoch + 3, 1],
    ["between two checkpoints", stepsPerEpoch + 4, 3],
    ["in the first epoch", 2, 1],
    ["at the end of an epoch", 2 * stepsPerEpoch, 100],
    ["before its last step", 3 * stepsPerEpoch - 1, 1]
  ]
  it.effect.each(points)("%s ends with the same bits as one without a break", ([, killedAfter, everySteps]) =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const reference = yield* uninterrupted(recipe)
      const store = yield* Checkpoints.make(yield* folder)
      // Killed: what happens after this step leaves nothing behind.
      const before = yield* trainer
        .fit(network, { recipe, seed, checkpoints: { store: frozenAfter(store, killedAfter), everySteps } })
        .pipe(
          Stream.takeUntil((event) => event._tag === "Step" && event.step + 1 === killedAfter + 1),
          Stream.runCollect
        )
      const { checkpoint } = yield* store.latest
      assert.isAtMost(killedAfter - checkpoint.state.step, Math.min(everySteps, stepsPerEpoch))
      const { all, finished } = yield* collect(
        trainer.fit(network, { recipe, seed, resume: checkpoint, checkpoints: { store } })
      )
      likeUninterrupted(finished, reference.finished)
      // Every step from the checkpoint on is reported as before, and the steps that were reported twice are equal.
      assert.deepStrictEqual(said(all), said(reference.all).slice(-said(all).length))
      assert.deepStrictEqual(said(before), said(reference.all).slice(0, said(before).length))
    }).pipe(Effect.scoped, Effect.provide(layer()), withFiles)
  )

  it.effect("after Ctrl-C goes on from the very step", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const reference = yield* uninterrupted(recipe)
      const store = yield* Checkpoints.make(yield* folder)
      yield* trainer.fit(network, { recipe, seed, checkpoints: { store } }).pipe(
        Stream.takeUntil((event) => event._tag === "Step" && event.step === 6),
        Stream.runDrain
      )
      const { checkpoint } = yield* store.latest
      assert.isAtLeast(checkpoint.state.step, 7)
      const { finished } = yield* collect(trainer.fit(network, { recipe, seed, resume: checkpoint }))
      likeUninterrupted(finished, reference.finished)
    }).pipe(Effect.scoped, Effect.provide(layer()), withFiles)
  )

  it.effect("in short epochs goes on in the middle of one, and knows a part that is left out", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const short = { ...recipe, epochs: 2, examples: 50 }
      const reference = yield* uninterrupted(short)
      assert.strictEqual(reference.finished.steps, 2 * 3)
      const store = yield* Checkpoints.make(yield* folder)
      yield* trainer.fit(network, { recipe: short, seed, checkpoints: { store } }).pipe(
        Stream.takeUntil((event) => event._tag === "Step" && event.step === 3),
        Stream.runDrain
      )
      const { checkpoint } = yield* store.latest
      const { finished } = yield* collect(trainer.fit(network, { recipe: short, seed, resume: checkpoint }))
      likeUninterrupted(finished, reference.finished)
      const { examples: _, ...whole } = short
      const refused = yield* Effect.flip(collect(trainer.fit(network, { recipe: whole, seed, resume: checkpoint })))
      assert.match(refused.message, /its recipe's examples is 50, not null/)
    }).pipe(Effect.scoped, Effect.provide(layer()), withFiles)
  )

  it.effect("does not mind the order in which a recipe's fields stand", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const store = yield* Checkpoints.make(yield* folder)
      const short = { ...recipe, epochs: 1 }
      yield* trainer.fit(network, { recipe: short, seed, checkpoints: { store } }).pipe(Stream.runDrain)
      const { checkpoint } = yield* store.latest
      yield* collect(trainer.fit(network, { recipe: turned(short), seed, resume: checkpoint }))
    }).pipe(Effect.scoped, Effect.provide(layer()), withFiles)
  )

  it.effect("twice over, and when it had ended already, gives the same again", () =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const short = { ...recipe, epochs: 2, average: null }
      const reference = yield* uninterrupted(short)
      const store = yield* Checkpoints.make(yield* folder, { keep: 1 })
      yield* trainer.fit(network, { recipe: short, seed, checkpoints: { store, everySteps: 2 } }).pipe(Stream.runDrain)
      const ended = yield* store.latest
      assert.strictEqual(ended.checkpoint.state.epoch, 2)
      const { all, finished } = yield* collect(trainer.fit(network, { recipe: short, seed, resume: ended.checkpoint }))
      likeUninterrupted(finished, reference.finished)
      assert.deepStrictEqual(said(all), [])
    }).pipe(Effect.scoped, Effect.provide(layer()), withFiles)
  )
})

/** The store as left by a process that is killed after a step: later checkpoints are not written. */
const frozenAfter = (store: Checkpoints.Checkpoints, step: number): Checkpoints.Checkpoints => ({
  ...store,
  save: (checkpoint) => (checkpoint.state.step > step ? Effect.succeed("lost") : store.save(checkpoint)),
  saveBest: () => Effect.succeed("lost")
})

/** Saves a checkpoint after its first step, and is stopped there. */
const begun = (store: Checkpoints.Checkpoints) =>
  Effect.gen(function* () {
    yield* (yield* Trainer).fit(network, { recipe, seed, checkpoints: { store, everySteps: 1 } }).pipe(
      Stream.takeUntil(({ _tag }) => _tag === "Saved"),
      Stream.runDrain
    )
    return (yield* store.latest).checkpoint
  })
const goingOn = (resume: Checkpoint.Checkpoint, store: Checkpoints.Checkpoints, allowMixed: boolean) =>
  Effect.flatMap(Trainer, (trainer) =>
    trainer.fit(network, { recipe, seed, resume, allowMixed, checkpoints: { store } }).pipe(
      Stream.takeUntil(({ _tag }) => _tag === "Saved"),
      Stream.runDrain
    )
  )

describe("a training that is gone on with under others than it began with", () => {
  it.effect("is refused in a sentence, or marked where that is allowed; one of before that was kept goes on", () =>
    Effect.gen(function* () {
      const store = yield* Checkpoints.make(yield* folder)
      const checkpoint = yield* begun(store)
      const [ours] = checkpoint.identity.surroundings ?? []
      assert.match(JSON.stringify(ours), /"software":"uninet \S+","engine":"onnxruntime \S+ cpu.*","host":"\w+ \w+"/)
      const { surroundings: _, ...identity } = checkpoint.identity
      yield* goingOn({ ...checkpoint, identity }, store, false)
      assert.deepStrictEqual((yield* store.latest).checkpoint.identity.surroundings, [ours])

      // The same number of examples, with one pixel changed.
      const other = Layer.mergeAll(relabelled, OnnxRuntime.cpu())
      const elsewhere = Effect.provide(Trainer.layer.pipe(Layer.provide(other)), { local: true })
      const error = yield* Effect.flip(elsewhere(goingOn(checkpoint, store, false)))
      assert.match(
        error.message,
        /^the training was started under different conditions: the data's content was [0-9a-f]{16} and is now [0-9a-f]{16}; restore what it was, train again in another folder, or allow a mixture with --allow-mixed/
      )
      yield* elsewhere(goingOn(checkpoint, store, true))
      const both = (yield* store.latest).checkpoint.identity.surroundings ?? []
      assert.strictEqual(both.length, 2)
      assert.deepStrictEqual(both[0], ours)
    }).pipe(Effect.provide(layer()), withFiles)
  )
})
