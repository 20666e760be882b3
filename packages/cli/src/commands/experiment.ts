/** `uninet experiment`: compares searches and networks under equal budgets, with intervals. */
import { Dataset } from "@uninet/data"
import { Experiment } from "@uninet/search"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { Argument, Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import { fault, said } from "../internal/CliFault.ts"
import * as command from "../internal/command.ts"
import * as Device from "../internal/device.ts"
import * as domain from "../internal/domain.ts"
import * as experimentDry from "../internal/experimentDry.ts"
import * as experimentProgress from "../internal/experimentProgress.ts"
import * as results from "../internal/experimentResults.ts"
import * as tables from "../internal/experimentTables.ts"
import * as experiments from "../internal/experiment.ts"
import * as flags from "../internal/flags.ts"
import * as runFolder from "../internal/runFolder.ts"

/** Next to the arms' folders. */
const files = {
  /** The experiment as it was started, so that a changed file is noticed. */
  experiment: "experiment.json",
  json: "results.json",
  markdown: "results.md",
  best: "best-so-far.csv",
  learning: "learning.csv"
} as const

/** Whether a folder already has this experiment; fails if it has another one. */
const isBegun = Effect.fnUntraced(function* ({ experiment, path: file }: Experiment.Loaded, folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const found = yield* Effect.option(fs.readFileString(path.join(folder, files.experiment)))
  if (Option.isNone(found)) return false
  const differs = Experiment.difference(found.value, Experiment.print(experiment))
  if (differs !== undefined) return yield* new Experiment.ExperimentChanged({ path: file, ...differs })
  return true
})

/** Starts it in a new folder. */
const begin = Effect.fnUntraced(function* ({ experiment }: Experiment.Loaded, folder: string) {
  const path = yield* Path.Path
  yield* runFolder.create(runFolder.asked(folder))
  yield* runFolder.write(
    path.join(folder, files.experiment),
    Experiment.print(experiment),
    "Give another folder with --out."
  )
})

export const experiment = Command.make(
  "experiment",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("The experiment: a file of JSON, or a module with defineExperiment({ … })")
    ),
    out: Flag.Path("out").pipe(
      Flag.withMetavar("folder"),
      Flag.optional,
      Flag.withDescription("Where it is kept; if it was begun there, it continues (default: runs/ and the file's name)")
    ),
    workers: flags.workers.pipe(
      Flag.optional,
      Flag.withDescription("Training processes of one thread each (default: one for each core)")
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Show what would be trained and about how long it takes; nothing is written")
    ),
    device: flags.device.pipe(Flag.withDefault(Device.standard)),
    allowMixed: flags.allowMixed,
    json: flags.json
  },
  Effect.fnUntraced(function* ({ allowMixed, device, dryRun, file, json, out, workers }) {
    const path = yield* Path.Path
    const loaded = yield* Experiment.load(path.resolve(file))
    const { experiment: given } = loaded
    const folder = Option.getOrElse(out, () => path.resolve("runs", path.parse(file).name))
    const name = yield* runFolder.shown(folder)
    const isThere = yield* isBegun(loaded, folder)
    const machine: experiments.Machine = {
      workers: Option.getOrElse(workers, availableParallelism),
      device: yield* Device.choose(device),
      allowMixed
    }
    const more = [
      ...(Option.isSome(workers) ? ["--workers", String(workers.value)] : []),
      ...(device === Device.standard ? [] : ["--device", device]),
      ...(allowMixed ? ["--allow-mixed"] : [])
    ]
    const again = Effect.suspend(() =>
      Console.error(
        `\nStopped. What has been trained so far is kept in ${name}; continue with: ${command.uninet("experiment", file, "--out", name, ...more)}`
      )
    )
    yield* Effect.scoped(
      Effect.gen(function* () {
        const services = yield* domain.training(yield* experiments.dataPlan(loaded, machine, folder))
        yield* Effect.gen(function* () {
          const arms = yield* experiments.arms(loaded, machine, folder)
          if (dryRun) return yield* experimentDry.run(given, arms, machine, json)
          if (!isThere) yield* begin(loaded, folder)
          yield* Effect.onInterrupt(running(loaded, arms, machine, { folder, json, name }), () => again)
        }).pipe(Effect.provide(services))
      })
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Compare searches, spaces, strategies and recipes under equal budgets"),
  Command.withExamples([
    { command: "uninet experiment parts.json --dry-run", description: "What would be trained, and for how long" },
    { command: "uninet experiment parts.json", description: "Start it in runs/parts, or continue it" }
  ])
)

const running = Effect.fnUntraced(function* (
  loaded: Experiment.Loaded,
  arms: ReadonlyArray<experiments.Arm>,
  machine: experiments.Machine,
  { folder, json, name }: { readonly folder: string; readonly json: boolean; readonly name: string }
) {
  const path = yield* Path.Path
  const dataset = yield* Dataset.Dataset
  const { experiment: given } = loaded
  const [first] = arms
  if (first === undefined) return yield* fault(`${loaded.path} has no arms. Give it some.`)
  const { task } = first.domain.of
  const units = experiments.unitsOf(given, arms, folder)
  const by = { name: task.decides, direction: task.measures[task.decides] ?? "higher" } as const
  const write = Effect.gen(function* () {
    const stood = yield* Effect.forEach(units, experiments.stand)
    const found = results.of(given, arms, stood, dataset)
    const remedy = "What was trained is kept; free disk space, then run the command again."
    const text = tables.markdown(found, given, task.shares)
    yield* runFolder.write(path.join(folder, files.json), `${JSON.stringify(found, undefined, 2)}\n`, remedy)
    yield* runFolder.write(path.join(folder, files.markdown), text, remedy)
    yield* runFolder.write(path.join(folder, files.best), results.bestSoFar(stood, by), remedy)
    yield* runFolder.write(path.join(folder, files.learning), results.learning(stood, task.decides), remedy)
    return { found, text }
  })
  const searches = units.filter(({ arm }) => Option.isNone(arm.point)).length
  yield* Effect.gen(function* () {
    const display = yield* experimentProgress.make(given, searches, units.length)
    yield* experiments.run(given, units, machine, display, write)
  }).pipe(Effect.scoped)
  const { found, text } = yield* write
  yield* Console.log(
    json
      ? JSON.stringify({ out: folder, ...found }, undefined, 2)
      : `${text}\n${name}/ has ${Object.values(files).slice(1).join(", ")}, and a folder for each arm`
  )
})
