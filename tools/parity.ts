/**
 * `pnpm parity <file>`: compares this project's engine with the network in a file of reference vectors, and prints the worst errors as
 * JSON.
 *
 * See `src/Parity.ts` for the file's format.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Safetensors } from "@uninet/nn"
import { OnnxRuntime } from "@uninet/runtime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Parity from "./src/Parity.ts"

const main = Effect.gen(function* () {
  const [path] = process.argv.slice(2)
  if (path === undefined) {
    yield* Console.error("usage: pnpm parity <file.safetensors>")
    return yield* Effect.sync(() => {
      process.exitCode = 2
    })
  }
  const fs = yield* FileSystem.FileSystem
  const file = yield* Effect.fromResult(Safetensors.decode(yield* fs.readFile(path)))
  const report = yield* Parity.run(file, path)
  yield* Console.log(JSON.stringify(report, null, 2))
}).pipe(
  // One sentence on what went wrong, without a stack trace.
  Effect.catch((error) =>
    Effect.andThen(
      Console.error(error.message),
      Effect.sync(() => {
        process.exitCode = 1
      })
    )
  )
)

NodeRuntime.runMain(main.pipe(Effect.provide(Layer.merge(NodeServices.layer, OnnxRuntime.cpu()))))
