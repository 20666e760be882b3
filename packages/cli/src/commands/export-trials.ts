/** `uninet export-trials`: a search's trials for other tools. */
import { MlflowStore, OptunaStorage, TensorBoard, Trials } from "@uninet/export"
import { Journal } from "@uninet/search"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { Argument, Command, Flag } from "effect/cli"
import { at, fault, said, usage } from "../internal/CliFault.ts"
import * as domain from "../internal/domain.ts"
import * as format from "../internal/format.ts"
import * as plans from "../internal/plan.ts"
import * as reported from "../internal/reported.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as tabled from "../internal/tabled.ts"

const formats = ["csv", "jsonl", "tensorboard", "optuna", "mlflow", "table"] as const
type Name = (typeof formats)[number]

/** Where a run's trials are written by default, relative to the run. */
const usual = {
  csv: "trials.csv",
  jsonl: "trials.jsonl",
  tensorboard: "tensorboard",
  optuna: "optuna.db",
  mlflow: "mlruns",
  table: "table.json.gz"
}

/** What opens the output. */
const opens = (name: Name, place: string) =>
  ({
    csv: "",
    jsonl: "",
    tensorboard: `; tensorboard --logdir ${place}`,
    optuna: `; optuna-dashboard sqlite:///${place}`,
    mlflow: `; mlflow ui --backend-store-uri ${place}`,
    table: `; uninet benchmark ${place}`
  })[name]

/** Writes files into a folder that is created for them; a path that ends with `/` is a folder. */
const below = Effect.fnUntraced(function* (folder: string, files: ReadonlyMap<string, string | Uint8Array>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const made = new Set<string>()
  for (const [name, content] of files) {
    const file = path.join(folder, name)
    const parent = name.endsWith("/") ? file : path.dirname(file)
    if (!made.has(parent)) yield* fs.makeDirectory(parent, { recursive: true })
    made.add(parent)
    if (parent === file) continue
    yield* typeof content === "string" ? fs.writeFileString(file, content) : fs.writeFile(file, content)
  }
})

export const exportTrials = Command.make(
  "export-trials",
  {
    run: Argument.String("run").pipe(Argument.withDescription("The folder of a search")),
    format: Flag.Literals("format", formats).pipe(
      Flag.withDescription(
        "csv or jsonl; event files for TensorBoard; an SQLite storage for Optuna; a file store for MLflow; a table for uninet benchmark, with a card next to it"
      )
    ),
    out: Flag.Path("out").pipe(
      Flag.withMetavar("file|folder"),
      Flag.optional,
      Flag.withDescription(`A new file or folder (default: ${Object.values(usual).join(", ")} in the run's folder)`)
    ),
    deviceFile: Flag.Path("device-file").pipe(
      Flag.withMetavar("file"),
      Flag.optional,
      Flag.withDescription(
        "With --format table: a device file from uninet profile, for a column of latencies on that device"
      )
    ),
    license: Flag.String("license").pipe(
      Flag.withMetavar("text"),
      Flag.optional,
      Flag.withDescription("With --format table: its licence, such as CC0-1.0 (default: not stated)")
    )
  },
  Effect.fnUntraced(function* ({ deviceFile, format: wanted, license, out, run }) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const name = yield* runFolder.shown(run)
    const target = Option.getOrElse(out, () => path.join(run, usual[wanted]))
    const place = yield* runFolder.shown(target)
    const table = yield* Effect.gen(function* () {
      const reader = yield* Journal.reader(path.join(run, runFolder.files.journal))
      const identity = yield* reader.identity
      const trainings = wanted === "csv" ? [] : yield* reader.trainings()
      return Trials.of(path.basename(path.resolve(run)), identity, yield* reader.entries(), trainings)
    }).pipe(Effect.scoped, Effect.mapError(at(name)))
    const ofTable = Option.isSome(license) ? "--license" : Option.isSome(deviceFile) ? "--device-file" : undefined
    if (wanted !== "table" && ofTable !== undefined)
      return yield* usage(`${ofTable} is only for tables. Leave it out, or give --format table.`)
    /** Next to the table. */
    const card = `${target.replace(/\.json(\.gz)?$/, "")}.md`
    for (const each of wanted === "table" ? [target, card] : [target])
      if (yield* Effect.orElseSucceed(fs.exists(each), () => false))
        return yield* usage(
          `--out ${yield* runFolder.shown(each)} already exists. Give a new one; nothing was changed.`
        )
    if (wanted === "table") {
      const trainings = yield* Effect.scoped(
        Effect.flatMap(Journal.reader(path.join(run, runFolder.files.journal)), ({ trainings }) => trainings())
      ).pipe(Effect.mapError(at(name)))
      const made = yield* tabled.of({
        name: path.basename(path.resolve(run)),
        of: yield* domain.measured(yield* reported.spaceOf(run), Option.getOrUndefined(deviceFile)),
        recorded: yield* plans.recorded(run, ""),
        trainings,
        license: Option.getOrUndefined(license)
      })
      const bytes = target.endsWith(".gz") ? made.bytes : new TextEncoder().encode(JSON.stringify(made.json))
      const remedy = "Give a place that you may write to and that has free space."
      yield* runFolder.write(target, bytes, remedy)
      yield* runFolder.write(card, made.card, remedy)
      return yield* Console.log(
        `${place} has ${format.plural(made.json.rows.length, "network")} of ${name} in ${format.count(bytes.length)}B, and ${yield* runFolder.shown(card)} says how it was made${opens(wanted, place)}`
      )
    }
    const begun = table.rows.filter(({ state }) => state !== "refused").length
    if (begun === 0) return yield* fault(`${name} has no trials yet. Export it once it has some.`)
    const writing: Effect.Effect<void, { readonly message: string }, FileSystem.FileSystem | Path.Path> =
      wanted === "optuna"
        ? OptunaStorage.write(target)(table)
        : wanted === "tensorboard"
          ? below(target, TensorBoard.files(table))
          : wanted === "mlflow"
            ? below(target, MlflowStore.files()(table))
            : fs.writeFileString(target, wanted === "csv" ? Trials.csv(table) : Trials.jsonl(table))
    yield* Effect.mapError(writing, ({ message }) =>
      fault(
        `--out ${place}: ${message.replace(/\.$/, "")}. Give a place that you may write to and that has free space.`
      )
    )
    yield* Console.log(`${place} has ${format.plural(begun, "trial")} of ${name}${opens(wanted, place)}`)
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Export a search's trials to other tools: spreadsheets, TensorBoard, Optuna, MLflow"),
  Command.withExamples([
    { command: "uninet export-trials runs/demo --format csv", description: "A table" },
    {
      command: "uninet export-trials runs/random --format table --license CC0-1.0",
      description: "A table for uninet benchmark"
    },
    { command: "uninet export-trials runs/demo --format optuna --out demo.db", description: "For optuna-dashboard" }
  ])
)
