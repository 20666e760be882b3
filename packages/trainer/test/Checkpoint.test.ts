import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import { Safetensors } from "@uninet/nn"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { systemError } from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Checkpoint, Checkpoints, Selection, Trainer } from "@uninet/trainer"
import { architecture, layer, network, networkOf, recipe } from "./support/tiny.ts"

const variables = (seed: string, names: ReadonlyArray<string>) => {
  const prng = Prng.fromSeed(seed)
  return new Map(
    names.map((name) => [name, { shape: [2, 3], data: Float32Array.from({ length: 6 }, () => prng.nextNormal()) }])
  )
}

const sample = (step = 7): Checkpoint.Checkpoint => ({
  identity: {
    network: { line: network.line, about: network.about, digest: "0123456789abcdef" },
    recipe,
    seed: "s",
    dataset: { name: "quarters", classes: ["a", "b"], examples: 88 }
  },
  state: {
    step,
    epoch: 1,
    loss: 1 / 3,
    measures: { accuracy: 5 / 7, top5: 2 },
    selection: Selection.next(network.task, 0, [
      { averaged: true, validation: { measures: { accuracy: 0.7, top5: 1, loss: Math.PI }, examples: 40 } }
    ])(Selection.initial),
    seconds: 0.1 + 0.2
  },
  variables: variables(`variables ${step}`, ["w", "moment1/w", "ema.w"]),
  best: variables("best", ["w"])
})

const files = Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer))
const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
const failureOf = <A, E>(result: Result.Result<A, E>): E => Result.getOrThrow(Result.flip(result))

/** Every number of a checkpoint's variables. */
const numbers = (checkpoint: Checkpoint.Checkpoint) =>
  [...checkpoint.variables.values(), ...checkpoint.best.values()].map(({ data }) => [...data]).sort()

describe("a checkpoint's file", () => {
  const bytes = Checkpoint.encode(sample())

  it("gives back what was written, to the bit, and is the same each time", () => {
    assert.deepStrictEqual(Result.getOrThrow(Checkpoint.decode("x")(bytes)), sample())
    assert.deepStrictEqual(Checkpoint.encode(sample()), bytes)
  })

  it("is a safetensors file that says what it is", () => {
    const { metadata, tensors } = Result.getOrThrow(Safetensors.decode(bytes))
    assert.strictEqual(metadata["format"], "uninet checkpoint")
    assert.deepStrictEqual([...tensors.keys()], ["w", "moment1/w", "ema.w", "best/w"])
  })

  it("with any byte changed is refused or says the same", () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = bytes.slice()
        damaged[at] ^= change
        const result = Checkpoint.decode("x")(damaged)
        if (Result.isFailure(result)) {
          assert.include(["CheckpointUnreadable", "CheckpointVersion"], result.failure._tag)
          return
        }
        // Anything outside the tensors: the name of a variable, a digit of the description. The numbers are unchanged.
        assert.deepStrictEqual(numbers(result.success), numbers(sample()))
      }),
      { numRuns: 300 }
    )
  })

  it("that is cut short anywhere is refused", () => {
    for (let length = 0; length < bytes.length; length += 13) {
      const error = failureOf(Checkpoint.decode("runs/x.safetensors")(bytes.slice(0, length)))
      assert.strictEqual(error._tag, "CheckpointUnreadable")
      assert.include(error.message, "runs/x.safetensors")
    }
  })

  it("of another version, or of something else, is refused by name", () => {
    const { metadata, tensors } = Result.getOrThrow(Safetensors.decode(bytes))
    for (const version of ["1", "3"]) {
      const other = Safetensors.encode({ tensors, metadata: { ...metadata, version } })
      const error = failureOf(Checkpoint.decode("x")(other))
      assert.strictEqual(error._tag, "CheckpointVersion")
      assert.include(error.message, `version ${version}`)
    }
    const weights = failureOf(Checkpoint.decode("x")(Safetensors.encode({ tensors, metadata: {} })))
    assert.include(weights.message, "it is not a training checkpoint")
  })
})

describe("a folder of checkpoints", () => {
  it.effect("keeps the last few, and gives the last", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const store = yield* Checkpoints.make(join(path, "deep", "down"), { keep: 2 })
      for (const step of [5, 10, 100, 12]) yield* store.save(sample(step))
      yield* store.saveBest(sample().best, { epoch: "3" })
      assert.deepStrictEqual(readdirSync(store.folder).sort(), [
        "best.safetensors",
        "step-00000012.safetensors",
        "step-00000100.safetensors"
      ])
      const { checkpoint, file } = yield* store.latest
      assert.deepStrictEqual(checkpoint, sample(100))
      assert.strictEqual(file, join(store.folder, "step-00000100.safetensors"))
      const best = Result.getOrThrow(Safetensors.decode(readFileSync(join(store.folder, "best.safetensors"))))
      assert.deepStrictEqual([[...best.tensors.keys()], best.metadata], [["w"], { epoch: "3" }])
    }).pipe(Effect.scoped, files)
  )

  it.effect("without one says so", () =>
    Effect.gen(function* () {
      const store = yield* Checkpoints.make(yield* folder)
      const error = yield* Effect.flip(store.latest)
      assert.strictEqual(error._tag, "NoCheckpoint")
    }).pipe(Effect.scoped, files)
  )

  it.effect("goes back over damaged ones, and sweeps away what a killed process left unfinished", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const store = yield* Checkpoints.make(path)
      for (const step of [5, 10]) yield* store.save(sample(step))
      const last = join(path, "step-00000010.safetensors")
      const whole = readFileSync(last)
      writeFileSync(last, whole.subarray(0, whole.length - 1))
      writeFileSync(join(path, "step-00000015.safetensors.part"), whole.subarray(0, 100))
      const again = yield* Checkpoints.make(path)
      assert.deepStrictEqual((yield* again.latest).checkpoint, sample(5))
      assert.deepStrictEqual(readdirSync(path).sort(), ["step-00000005.safetensors", "step-00000010.safetensors"])
      writeFileSync(join(path, "step-00000005.safetensors"), "")
      const error = yield* Effect.flip(again.latest)
      assert.strictEqual(error._tag, "CheckpointUnreadable")
      assert.include(error.message, "step-00000010")
    }).pipe(Effect.scoped, files)
  )

  it.effect("on a disk without room fails by name and keeps what it had", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const store = yield* Checkpoints.make(path, { keep: 1 })
      yield* store.save(sample(5))
      const fs = yield* FileSystem.FileSystem
      const full: FileSystem.FileSystem = {
        ...fs,
        open: (file, options) =>
          Effect.map(fs.open(file, options), (opened) => ({
            ...opened,
            // As much as there is room for, then no more.
            writeAll: (bytes) =>
              Effect.andThen(
                opened.writeAll(bytes.subarray(0, 100)),
                Effect.fail(
                  systemError({
                    _tag: "Unknown",
                    module: "FileSystem",
                    method: "write",
                    cause: new Error("ENOSPC: no space left")
                  })
                )
              )
          }))
      }
      const narrow = yield* Checkpoints.make(path, { keep: 1 }).pipe(Effect.provideService(FileSystem.FileSystem, full))
      for (const failing of [narrow.save(sample(10)), narrow.saveBest(sample().best, {})]) {
        const error = yield* Effect.flip(failing)
        assert.strictEqual(error._tag, "CheckpointNotWritten")
        assert.match(error.message, /ENOSPC: no space left; earlier checkpoints are unchanged/s)
      }
      assert.deepStrictEqual(readdirSync(path), ["step-00000005.safetensors"])
      assert.deepStrictEqual((yield* store.latest).checkpoint, sample(5))
    }).pipe(Effect.scoped, files)
  )
})

describe("going on from a checkpoint of another training", () => {
  const seed = "mismatch"
  const other = networkOf({ ...architecture, head: { channels: 16 } })
  it.effect.each([
    ["network", other, recipe, seed],
    ["recipe's learningRate", network, { ...recipe, learningRate: 1 }, seed],
    ["recipe's average", network, { ...recipe, average: null }, seed],
    ["seed", network, recipe, "another"]
  ] as const)("says that the %s differs", ([what, networkNow, recipeNow, seedNow]) =>
    Effect.gen(function* () {
      const trainer = yield* Trainer
      const store = yield* Checkpoints.make(yield* folder)
      yield* trainer.fit(network, { recipe, seed, checkpoints: { store, everySteps: 1 } }).pipe(
        Stream.takeUntil((event) => event._tag === "Saved"),
        Stream.runDrain
      )
      const { checkpoint } = yield* store.latest
      const error = yield* trainer
        .fit(networkNow, { recipe: recipeNow, seed: seedNow, resume: checkpoint })
        .pipe(Stream.runDrain, Effect.flip)
      assert.strictEqual(error._tag, "CheckpointMismatch")
      assert.include(error.message, what)
    }).pipe(Effect.scoped, Effect.provide(layer()), files)
  )

  it.effect("says that the data set is of another size", () =>
    Effect.gen(function* () {
      const store = yield* Checkpoints.make(yield* folder)
      yield* Effect.flatMap(Trainer, (trainer) =>
        trainer.fit(network, { recipe, seed, checkpoints: { store, everySteps: 1 } }).pipe(
          Stream.takeUntil((event) => event._tag === "Saved"),
          Stream.runDrain
        )
      ).pipe(Effect.provide(layer()))
      const { checkpoint } = yield* store.latest
      const error = yield* Effect.flatMap(Trainer, (trainer) =>
        trainer.fit(network, { recipe, seed, resume: checkpoint }).pipe(Stream.runDrain)
      ).pipe(Effect.provide(layer(96)), Effect.flip)
      assert.include(error.message, "quarters with 96 training examples")
    }).pipe(Effect.scoped, files)
  )
})
