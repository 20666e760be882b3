/** `uninet calibrate`: measures how fast this machine's operators are, and writes a file from which `uninet explain` predicts times. */
import { CostModel } from "@uninet/onnx"
import { Calibrate } from "@uninet/runtime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { Command, Flag } from "effect/cli"
import { at, fault, said } from "../internal/CliFault.ts"
import * as counting from "../internal/counting.ts"
import * as runFolder from "../internal/runFolder.ts"

export const calibrate = Command.make(
  "calibrate",
  {
    out: Flag.Path("out").pipe(
      Flag.withMetavar("file"),
      Flag.optional,
      Flag.withDescription("Where the cost model goes (default standard output)")
    )
  },
  ({ out }) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      if (Option.isSome(out)) {
        // A bad name should not cost a minute of measuring.
        const folder = path.dirname(path.resolve(out.value))
        yield* fs.makeDirectory(folder, { recursive: true }).pipe(
          Effect.andThen(fs.access(folder, { writable: true })),
          Effect.mapError((error) =>
            fault(`${out.value} cannot be written: ${runFolder.reasonOf(error)}. Give another place with --out.`)
          )
        )
      }
      const text = CostModel.print(yield* Calibrate.measure(yield* counting.make("operators")))
      if (Option.isNone(out)) return yield* Console.log(text.trimEnd())
      yield* Effect.mapError(fs.writeFileString(out.value, text), at("--out"))
      yield* Console.log(`${out.value}: use it with: uninet explain … --device cpu --cost-model ${out.value}`)
    }).pipe(Effect.scoped, Effect.mapError(said))
).pipe(
  Command.withDescription(
    "Measure how fast this machine's operators are, in less than a minute, as a cost model for uninet explain"
  ),
  Command.withExamples([
    { command: "uninet calibrate --out costs.json", description: "A cost model of this machine" },
    {
      command: "uninet explain B0 --batch 8 --device cpu --cost-model costs.json",
      description: "What was chosen, with times predicted for this machine"
    }
  ])
)
