/** `uninet profile`: measures how long this machine takes for the networks of a space, and writes a file with which any machine can search for it. */
import { Device, Target } from "@uninet/latency"
import { SpaceSource } from "@uninet/search"
import { WholeFile } from "@uninet/trainer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { Command, Flag } from "effect/cli"
import { at, fault, said, usage } from "../internal/CliFault.ts"
import * as command from "../internal/command.ts"
import * as counting from "../internal/counting.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as plans from "../internal/plan.ts"
import * as ranked from "../internal/ranked.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as spaces from "../internal/spaces.ts"
import * as targets from "../internal/target.ts"
import { loadNote } from "./bench.ts"

const minutes = Flag.String("minutes").pipe(
  Flag.withMetavar("n"),
  Flag.filterMap(
    (text) => {
      const n = Number(text)
      return text.trim() !== "" && n > 0 && n <= 1440 ? Option.some(n) : Option.none()
    },
    () => "minutes above 0, such as 5 or 0.5"
  )
)

export const profile = Command.make(
  "profile",
  {
    space: Flag.String("space").pipe(
      Flag.withMetavar("name|file"),
      Flag.withDefault("uninet"),
      Flag.withDescription(
        `Space whose networks are measured: ${spaces.names.join(", ")}, or a module with a ModelSpace (default uninet)`
      )
    ),
    dataset: Flag.String("dataset").pipe(
      Flag.withMetavar("name|folder"),
      Flag.withDefault("mnist"),
      Flag.withDescription(
        "Data set that the networks are for, the same as in the search that uses the file (default mnist)"
      )
    ),
    on: targets.on,
    int8: Flag.Boolean("int8").pipe(
      Flag.withDefault(false),
      Flag.withDescription(
        "Measure networks in eight bits, as uninet export --int8 writes them: searches then have int8Latency"
      )
    ),
    batch: flags.batch.pipe(Flag.withDefault(1), Flag.withDescription("Examples at a time (default 1)")),
    minutes: minutes.pipe(Flag.withDefault(5), Flag.withDescription("How long it may take (default 5)")),
    seed: Flag.String("seed").pipe(
      Flag.withMetavar("text"),
      Flag.withDefault("0"),
      Flag.withDescription("Decides which networks are measured (default 0)")
    ),
    out: Flag.Path("out").pipe(
      Flag.withMetavar("file"),
      Flag.withDefault("device.json"),
      Flag.withDescription("The device file (default device.json)")
    ),
    json: flags.json
  },
  Effect.fnUntraced(function* ({ batch, dataset, int8, json, minutes, on, out, seed, space }) {
    const target = yield* targets.named(on, batch)
    const fs = yield* FileSystem.FileSystem
    const name = yield* runFolder.shown(out)
    if (yield* Effect.orElseSucceed(fs.exists(out), () => false))
      return yield* usage(`--out ${name} already exists. Give another name or remove it; nothing was changed.`)
    const facts = yield* ranked.factsOf(yield* plans.datasetNamed(dataset, process.cwd()))
    const of = yield* Effect.mapError(SpaceSource.load(facts, spaces.known)(yield* spaces.named(space)), at("--space"))
    if (!of.isTrainable)
      return yield* fault(`the networks of ${of.name} cannot be built, so none can be measured. Give another space.`)
    const device = yield* Effect.scoped(
      Effect.gen(function* () {
        const heard = yield* counting.make("networks")
        return yield* Device.profile({
          target,
          int8,
          seconds: 60 * minutes,
          seed,
          onProgress: (measured, share) => heard(share, 1, format.plural(measured, "network"))
        })(of)
      })
    )
    yield* Effect.mapError(WholeFile.write(out, Device.print(device)), at("--out"))
    const { error, machine, measured, others } = device
    yield* Console.log(
      json
        ? JSON.stringify(
            { file: name, target, precision: int8 ? "int8" : "float32", machine, measured, others, error },
            null,
            2
          )
        : [
            `${name}: ${of.name}${int8 ? " in eight bits" : ""} on ${Target.print(target)} of ${machine.processor}, ONNX Runtime ${machine.onnxruntime}`,
            `${measured} networks measured; of those left out of the fit, half are predicted within ${format.percent(error.median)}, nine in ten within ${format.percent(error.ninety)}`,
            ...loadNote(others),
            `search for it: ${command.uninet("search", "--device-file", name, "--within", `${Device.costOf(device)}<=2ms`)}`
          ].join("\n")
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Measure networks of a space on this machine, so that searches can use their latency"),
  Command.withExamples([
    { command: "uninet profile --minutes 5 --out device.json", description: "One thread, one MNIST digit at a time" },
    {
      command: "uninet profile --space mobilenet --for cpu:2 --batch 8 --out server.json",
      description: "Another space"
    }
  ])
)
