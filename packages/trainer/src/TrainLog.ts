/** A training's events as JSON lines in a file, in the order in which they happen. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { toJson, type TrainEvent } from "./TrainEvent.ts"
import * as WholeFile from "./WholeFile.ts"
import * as Span from "./Span.ts"

const Line = Schema.fromJsonString(
  Schema.Struct({
    _tag: Schema.String,
    step: Schema.optionalKey(Schema.Finite),
    epoch: Schema.optionalKey(Schema.Finite)
  })
)

/** Whether a line is from before the checkpoint from which a training resumes. Its end and truncated lines are not. */
const isBefore = (line: string, step: number, epoch: number): boolean => {
  const decoded = Schema.decodeUnknownResult(Line)(line)
  if (Result.isFailure(decoded)) return false
  const event = decoded.success
  switch (event._tag) {
    case "Step":
      return event.step !== undefined && event.step < step
    case "Epoch":
      return event.epoch !== undefined && event.epoch < epoch
    case "Saved":
    case "Resumed":
      return event.step !== undefined && event.step <= step
    default:
      return false
  }
}

/**
 * Opens the file and returns a function that appends an event to it. With `from` (the steps and completed epochs of a checkpoint), lines
 * for work that will be repeated are removed first, so that every step appears once; without it, the file starts empty. Used as `onEvent`,
 * a step is in the log before it is in a checkpoint.
 *
 * @example
 * ```ts
 * import { NodeServices } from "@effect/platform-node"
 * import { TrainLog } from "@uninet/trainer"
 * import { Console, Effect, FileSystem } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const append = yield* TrainLog.open("metrics.jsonl")
 *   for (const step of [200, 400]) yield* append({ _tag: "Saved", step, file: `step-${step}.safetensors` })
 *   // Given to `trainer.fit` as `onEvent`, it has every step before a checkpoint has it.
 *   yield* Console.log(yield* (yield* FileSystem.FileSystem).readFileString("metrics.jsonl"))
 * })
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
 * ```
 */
export const open = Effect.fnUntraced(function* (
  file: string,
  from?: { readonly step: number; readonly epoch: number }
): Effect.fn.Return<
  (event: TrainEvent) => Effect.Effect<void, PlatformError>,
  PlatformError,
  FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const fs = yield* FileSystem.FileSystem
  const before =
    from === undefined
      ? []
      : (yield* Effect.orElseSucceed(fs.readFileString(file), () => ""))
          .split("\n")
          .filter((line) => isBefore(line, from.step, from.epoch))
  const encoder = new TextEncoder()
  yield* WholeFile.write(file, before.map((line) => `${line}\n`).join(""))
  const opened = yield* fs.open(file, { flag: "a" })
  return (event) => opened.writeAll(encoder.encode(`${JSON.stringify(toJson(event))}\n`))
}, Span.within("TrainLog.open"))
