/**
 * A folder of checkpoints: `step-00001200.safetensors` for each of the last few, and `best.safetensors` with the weights of the best epoch.
 *
 * A file appears whole or not at all: it is written under another name, flushed to disk, and renamed. Whenever the process is killed, the
 * folder holds every checkpoint that was completed before.
 */
import { Safetensors } from "@uninet/nn"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Checkpoint from "./Checkpoint.ts"
import { CheckpointNotWritten, CheckpointUnreadable, type CheckpointVersion, NoCheckpoint } from "./CheckpointError.ts"
import * as WholeFile from "./WholeFile.ts"
import * as Span from "./Span.ts"

/** A checkpoint that was read, and its file. */
export interface Found {
  readonly file: string
  readonly checkpoint: Checkpoint.Checkpoint
}

/** Where a training stores its checkpoints. */
export interface Checkpoints {
  readonly folder: string
  /** The file of the checkpoint after this many steps, whether or not it exists. */
  readonly fileOf: (step: number) => string
  /** Writes a checkpoint, then removes the oldest ones beyond the limit. Returns the file. */
  readonly save: (checkpoint: Checkpoint.Checkpoint) => Effect.Effect<string, CheckpointNotWritten>
  /** Writes the best weights so far as a plain safetensors file with a description, `best.safetensors`. */
  readonly saveBest: (
    weights: ReadonlyMap<string, Checkpoint.Value>,
    metadata: Readonly<Record<string, string>>
  ) => Effect.Effect<string, CheckpointNotWritten>
  /** The latest checkpoint that can be read; damaged ones after it are skipped. */
  readonly latest: Effect.Effect<Found, NoCheckpoint | CheckpointUnreadable | CheckpointVersion>
}

/** How many checkpoints a folder keeps. */
export interface Options {
  /** How many of the latest checkpoints are kept. Default 3. */
  readonly keep?: number
}

/** The file of the best weights. */
export const bestFile = "best.safetensors"

const nameOf = (step: number) => `step-${String(step).padStart(8, "0")}.safetensors`
const isCheckpoint = (name: string) => /^step-\d{8,}\.safetensors$/.test(name)

/** The system's message: "ENOSPC: no space left on device, write". */
const reasonOf = ({ message, reason: { cause } }: PlatformError) => (cause instanceof Error ? cause.message : message)
const notWritten = (file: string) => (error: PlatformError) =>
  new CheckpointNotWritten({ file, reason: reasonOf(error) })

/** Reads a checkpoint's file. Fails with `CheckpointUnreadable` if it is damaged or missing, and with `CheckpointVersion` if another version wrote it. */
export const read = Effect.fnUntraced(function* (
  file: string
): Effect.fn.Return<Checkpoint.Checkpoint, CheckpointUnreadable | CheckpointVersion, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const bytes = yield* Effect.mapError(
    fs.readFile(file),
    (error) => new CheckpointUnreadable({ file, reason: reasonOf(error) })
  )
  return yield* Effect.fromResult(Checkpoint.decode(file)(bytes))
}, Span.within("Checkpoints.read"))

/**
 * The checkpoints of a folder, which is created if it is missing. Unfinished files of a process that was killed are removed.
 *
 * @example
 * ```ts
 * import { NodeServices } from "@effect/platform-node"
 * import { Dataset, Examples } from "@uninet/data"
 * import { Loops } from "@uninet/loops"
 * import { Regression } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Checkpoint, Checkpoints, Recipe, Trainer, TrainLog } from "@uninet/trainer"
 * import { Console, Effect, Layer, Stream } from "effect"
 *
 * const rows = (from: number, count: number) => {
 *   const row = Array.from({ length: 2 * count }, (_, i) => Math.sin(from + i))
 *   return { inputs: { row }, targets: Array.from({ length: count }, (_, i) => (row[2 * i] ?? 0) - (row[2 * i + 1] ?? 0)) }
 * }
 * const waves = Examples.layer({
 *   name: "waves",
 *   inputs: { row: Dataset.float32(2) },
 *   targets: Dataset.float32(),
 *   train: rows(0, 64),
 *   validation: rows(200, 16),
 *   test: rows(300, 16)
 * })
 * const network = {
 *   model: Model.make({
 *     inputs: { row: Model.input([2]) },
 *     forward: (scope, { row }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(row) })
 *   }),
 *   task: Regression.make(),
 *   line: "one linear layer",
 *   about: null
 * }
 * const recipe = Recipe.forTask(network.task)({ ...Recipe.proxy, epochs: 3, batch: 16 })
 *
 * const program = Effect.gen(function* () {
 *   const trainer = yield* Trainer
 *   // Two checkpoints are kept, and every event goes into a log, a line of JSON each.
 *   const store = yield* Checkpoints.make("waves", { keep: 2 })
 *   const onEvent = yield* TrainLog.open("waves/metrics.jsonl")
 *   yield* Stream.runDrain(trainer.fit(network, { recipe, seed: 1, checkpoints: { store, everySteps: 4 }, onEvent }))
 *
 *   // As another process finds them, and goes on from the last.
 *   const { checkpoint, file } = yield* store.latest
 *   yield* Console.log(file, checkpoint.state.epoch, Checkpoints.bestFile)
 *   const read = yield* Checkpoints.read(file)
 *   const again = Checkpoint.decode("a copy")(Checkpoint.encode(read))
 *   yield* Console.log(read.identity.network.line, again._tag, Checkpoint.version)
 *   const events = trainer.fit(network, { recipe, seed: 1, checkpoints: { store }, resume: checkpoint })
 *   yield* Stream.runForEach(events, ({ _tag }) => Console.log(_tag)) // Resumed, Finished: there was nothing left to do
 * })
 * const engine = Trainer.layer.pipe(Layer.provide([waves, Loops.portable()]))
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide([engine, NodeServices.layer])))
 * ```
 */
export const make = Effect.fnUntraced(function* (
  folder: string,
  { keep = 3 }: Options = {}
): Effect.fn.Return<Checkpoints, CheckpointNotWritten, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), notWritten(folder))
  const services = yield* Effect.context<FileSystem.FileSystem | Path.Path>()

  /** Oldest first. */
  const list = Effect.map(fs.readDirectory(folder), (names) => names.filter(isCheckpoint).sort())
  const remove = (names: ReadonlyArray<string>) =>
    Effect.forEach(names, (name) => Effect.ignore(fs.remove(path.join(folder, name))), { discard: true })
  const entries = yield* Effect.mapError(fs.readDirectory(folder), notWritten(folder))
  yield* remove(entries.filter((name) => name.endsWith(`.safetensors${WholeFile.unfinished}`)))

  const write = (name: string, content: Uint8Array) => {
    const file = path.join(folder, name)
    return WholeFile.write(file, content).pipe(
      Effect.provideContext(services),
      Effect.mapError(notWritten(file)),
      Effect.as(file)
    )
  }

  return {
    folder,
    fileOf: (step) => path.join(folder, nameOf(step)),
    save: (checkpoint) =>
      write(nameOf(checkpoint.state.step), Checkpoint.encode(checkpoint)).pipe(
        Effect.tap(() => Effect.ignore(Effect.flatMap(list, (names) => remove(names.slice(0, -keep)))))
      ),
    saveBest: (weights, metadata) =>
      write(
        bestFile,
        Safetensors.encode({
          tensors: new Map(
            [...weights].map(([name, { data, shape }]) => [name, Safetensors.fromFloat32(data, shape)] as const)
          ),
          metadata
        })
      ),
    latest: Effect.gen(function* () {
      const names = yield* Effect.orElseSucceed(list, () => [])
      let failure: CheckpointUnreadable | undefined
      for (const name of names.toReversed()) {
        const file = path.join(folder, name)
        const found = yield* Effect.result(Effect.provideContext(read(file), services))
        if (Result.isSuccess(found)) return { file, checkpoint: found.success }
        if (found.failure._tag === "CheckpointVersion") return yield* found.failure
        failure ??= found.failure
      }
      return yield* failure ?? new NoCheckpoint({ folder })
    })
  }
}, Span.within("Checkpoints.make"))
