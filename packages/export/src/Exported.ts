/**
 * Writes a network's files, and checks them against the network itself before they appear under their names: the files are loaded with
 * their own runtime, and its outputs for real examples are compared with the network's.
 */
import type { GraphError } from "@uninet/graph"
import { Safetensors, Weights } from "@uninet/nn"
import type { Runtime, RuntimeError } from "@uninet/engine"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import type { ChildProcessSpawner } from "effect/process"
import type { Card } from "./Card.ts"
import * as Comparison from "./Comparison.ts"
import type * as Examples from "./Examples.ts"
import * as Format from "./Format.ts"
import * as Int8 from "./Int8.ts"
import * as OnnxModel from "./OnnxModel.ts"
import * as Python from "./Python.ts"
import * as Trained from "./Trained.ts"

/** How far outputs may be from the network's, relative to the largest output. */
export const tolerance: Readonly<Record<Format.Format, number>> = { onnx: 1e-5, safetensors: 0, pytorch: 1e-4 }

/** The same for a file in eight bits, which rounds every value to one of 256: a larger difference is not rounding. */
export const toleranceInt8 = 0.5

/** The result of loading the written files again. */
export interface Check extends Comparison.Comparison {
  /** What loaded and ran them: `ONNX Runtime`, `python3`, … */
  readonly runtime: string
  /** The largest `worst` at which a file is kept. */
  readonly tolerance: number
}

/** What was written, and the result of its check. */
export interface Exported {
  /** The files; the one to open comes first. */
  readonly files: ReadonlyArray<string>
  /** The size of all files together. */
  readonly bytes: number
  /** `undefined` if their runtime is not available; `unchecked` then says what is missing. */
  readonly check: Check | undefined
  readonly unchecked: string | undefined
  /**
   * For a file in eight bits: which operators are computed in eight bits and which were left in floating point, with their numbers; `null`
   * for any other file.
   */
  readonly int8: Pick<Int8.Int8, "taken" | "left"> | null
}

/** A file with that name already exists. */
export class FileExists extends Schema.TaggedError<FileExists>()("FileExists", { file: Schema.String }) {
  override get message() {
    return `${this.file} already exists and was left unchanged; give another name or remove it`
  }
}

/** The file cannot be written. */
export class NotWritten extends Schema.TaggedError<NotWritten>()("NotWritten", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.file} cannot be written: ${this.reason}; give a path in a folder that you can write to`
  }
}

/** The file's outputs differ from the network's. It was not kept. */
export class ExportDiffers extends Schema.TaggedError<ExportDiffers>()("ExportDiffers", {
  file: Schema.String,
  runtime: Schema.String,
  worst: Schema.Number,
  tolerance: Schema.Number
}) {
  override get message() {
    return `${this.file} was not kept: in ${this.runtime} its outputs differ from the network's by ${this.worst.toExponential(1)}, and ${this.tolerance} is allowed; export in another format, and report this`
  }
}

/** The errors of `write`. */
export type WriteError =
  | Format.FormatError
  | RuntimeError
  | FileExists
  | NotWritten
  | ExportDiffers
  | Examples.ExamplesMismatch
  | OnnxModel.ModelUnusable
  | Python.PythonFailed
  | Safetensors.SafetensorsError

/** What is written, where to, and the examples to check it with. */
export interface Options {
  readonly format: Format.Format
  /** The file to write; its extension is that of the format. Companion files have their own extensions. */
  readonly file: string
  /** Real examples, in the form that the network takes. */
  readonly examples: Examples.Examples
  /** Writes an ONNX file in eight bits, calibrated on these examples, which should be ones it was trained on. Default: floating point. */
  readonly int8?: Examples.Examples
  /** Python commands to try when looking for PyTorch. */
  readonly pythons?: ReadonlyArray<string>
  /**
   * Called with the number of examples that have been run. Each example runs twice, in the network and in what was written; those that an
   * int8 file is calibrated on run once.
   */
  readonly onExamples?: (count: number) => Effect.Effect<void>
}

/** The output whose rows are the logits of the card's classes. */
const logitsOf = ({ classes, outputs }: Card): string | null =>
  Object.entries(outputs).find(([, { shape }]) => shape.length === 1 && shape[0] === classes?.length)?.[0] ?? null

/** The outputs of the written files in their own runtime, and the name of that runtime. */
const again = Effect.fnUntraced(function* (
  file: string,
  { examples, format, onExamples, pythons }: Options,
  trained: Trained.Trained
): Effect.fn.Return<
  { readonly runtime: string; readonly outputs: Examples.Outputs },
  Exclude<WriteError, FileExists | NotWritten | ExportDiffers> | Python.NoPython | Weights.WeightsMismatch | GraphError,
  FileSystem.FileSystem | Runtime | ChildProcessSpawner.ChildProcessSpawner
> {
  if (format === "onnx")
    return yield* Effect.scoped(
      Effect.gen(function* () {
        const model = yield* OnnxModel.open(file)
        return { runtime: "ONNX Runtime", outputs: yield* model.outputs(examples, onExamples) }
      })
    )
  if (format === "pytorch") {
    const { inputs, outputs } = trained.card
    const ran = yield* Python.outputs([{ file, inputs, outputs, examples: examples.inputs }], examples.size, pythons)
    return { runtime: `PyTorch (${ran.python})`, outputs: ran.outputs[0] ?? {} }
  }
  const bytes = yield* Effect.orDie(Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFile(file)))
  const program = yield* Effect.fromResult(Trained.program()(trained))
  const decoded = yield* Effect.fromResult(Safetensors.decode(bytes))
  const weights = yield* Effect.fromResult(Weights.fromSafetensors(program)(decoded))
  return { runtime: "UniNet's engine", outputs: yield* Trained.outputs(examples, onExamples)({ ...trained, weights }) }
})

/**
 * Writes the files of a format, all of them or none, and only if their own runtime gives the network's outputs. It is not a failure if no
 * Python has PyTorch: the files are then written, and `unchecked` says so.
 *
 * @example
 * ```ts
 * import { NodeServices } from "@effect/platform-node"
 * import { Card, Exported, Specimens } from "@uninet/export"
 * import { Loops } from "@uninet/loops"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Prng } from "@uninet/search-space"
 * import { Initialise } from "@uninet/trainer"
 * import { Console, Effect } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
 * })
 * const program = Effect.gen(function* () {
 *   const { variables } = yield* Effect.fromResult(Model.evaluation()(model))
 *   const card = yield* Effect.fromResult(Card.of(model, { line: "one linear layer", task: "regression" }))
 *   const trained = { model, card, weights: Initialise.values(Prng.fromSeed("demo"))(variables), pytorch: null }
 *   const examples = Specimens.drawn(64)(card.inputs)
 *   const options = { format: "safetensors", file: "houses.safetensors", examples } as const
 *   const { bytes, check, files } = yield* Exported.write(options)(trained)
 *   yield* Console.log(files, bytes, check?.worst) // 0: what was read back gives the same numbers
 *   // A file that is there is left as it is.
 *   yield* Exported.write(options)(trained).pipe(Effect.catchTag("FileExists", ({ message }) => Console.log(message)))
 * })
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide([Loops.portable(), NodeServices.layer])))
 * ```
 */
export const write = (options: Options) =>
  Effect.fn("Exported.write")(function* (
    trained: Trained.Trained
  ): Effect.fn.Return<
    Exported,
    WriteError,
    FileSystem.FileSystem | Path.Path | Runtime | ChildProcessSpawner.ChildProcessSpawner
  > {
    const { examples, file, format, onExamples } = options
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const int8 =
      options.int8 === undefined || format !== "onnx" ? null : yield* Int8.onnx(options.int8, onExamples)(trained)
    const files = int8 === null ? yield* Effect.fromResult(Format.files(format)(trained)) : [int8.file]
    const stem = path.join(path.dirname(file), path.basename(file, path.extname(file)))
    const targets = files.map(({ extension }) => `${stem}${extension}`)
    for (const target of targets)
      if (yield* Effect.orElseSucceed(fs.exists(target), () => false)) return yield* new FileExists({ file: target })
    const cannot = ({ message }: { readonly message: string }) => new NotWritten({ file, reason: message })
    return yield* Effect.scoped(
      Effect.gen(function* () {
        // Nothing appears under its final name before it has been checked.
        const folder = yield* Effect.mapError(
          fs.makeTempDirectoryScoped({ directory: path.dirname(file), prefix: ".export-" }),
          cannot
        )
        const parts = targets.map((target) => path.join(folder, path.basename(target)))
        for (const [i, { content }] of files.entries())
          yield* Effect.mapError(fs.writeFile(parts[i] ?? file, content), cannot)
        const reference = yield* Trained.outputs(examples, onExamples)(trained)
        const found = yield* Effect.catchTag(again(parts[0] ?? file, options, trained), "NoPython", Effect.succeed)
        const check: Check | undefined =
          "outputs" in found
            ? {
                ...Comparison.of(trained.card.outputs, found.outputs, reference, {
                  logits: logitsOf(trained.card),
                  size: examples.size
                }),
                runtime: found.runtime,
                tolerance: int8 === null ? tolerance[format] : toleranceInt8
              }
            : undefined
        if (check !== undefined && !(check.worst <= check.tolerance))
          return yield* new ExportDiffers({
            file,
            runtime: check.runtime,
            worst: check.worst,
            tolerance: check.tolerance
          })
        for (const [i, target] of targets.entries()) yield* Effect.mapError(fs.rename(parts[i] ?? file, target), cannot)
        return {
          files: targets,
          bytes: files.reduce((sum, { content }) => sum + content.length, 0),
          check,
          unchecked: "outputs" in found ? undefined : found.message,
          int8: int8 === null ? null : { taken: int8.taken, left: int8.left }
        }
      })
    )
  })
