/** `uninet report`: shows searches on a page in a single file. */
import { Front, FrontPicture, Html, Report, Run, Table } from "@uninet/report"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { Argument, Command, Flag } from "effect/cli"
import { fault, said, usage } from "../internal/CliFault.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as opening from "../internal/opening.ts"
import * as reported from "../internal/reported.ts"
import * as runFolder from "../internal/runFolder.ts"

/** Networks whose blocks are shown: the best by reward, and those on the front. */
const most = 24
/** The milliseconds that may be spent on them. */
const patience = 5000

/** Trials whose networks are shown, the most interesting first. */
const interesting = ({ info }: Run.Run, table: Table.Table): ReadonlyArray<number> => {
  const all = Int32Array.from({ length: table.size }, (_, row) => row)
  const [trials, reward, epochs] = ["trial", "reward", "epochs"].map((name) => Table.numbers(name)(table))
  if (trials === undefined || reward === undefined) return []
  const level = all.reduce((top, row) => Math.max(top, epochs?.[row] || 0), 0)
  const ranked = Array.from(all)
    .map((row) => ({ row, worth: reward[row] ?? Number.NaN }))
    .filter(({ row, worth }) => !Number.isNaN(worth) && (epochs?.[row] || 0) === level)
    .sort((a, b) => b.worth - a.worth)
    .map(({ row }) => row)
  const objectives = info.objectives.flatMap(({ direction, name }) => {
    const values = Table.numbers(name)(table)
    return values === undefined ? [] : [{ direction, values }]
  })
  const front = objectives.length < 2 ? [] : Front.of(ranked, objectives)
  return [...new Set([...ranked.slice(0, most), ...front])].slice(0, 2 * most).flatMap((row) => trials[row] ?? [])
}

/** Their blocks, for as many as there is time; for none if the space is not available, which is reported. */
const detailsOf = Effect.fnUntraced(function* (folder: string, run: Run.Run, table: Table.Table) {
  const trials = interesting(run, table)
  if (trials.length === 0) return []
  const made = yield* Effect.result(reported.detailing(folder))
  if (made._tag === "Failure") {
    yield* Console.error(
      `note: the report of ${run.info.name} does not show the blocks of networks: ${made.failure.message}`
    )
    return []
  }
  const until = performance.now() + patience
  const details: Array<Report.Detail> = []
  for (const trial of trials) {
    if (performance.now() > until) break
    const detail = yield* Effect.result(made.success(trial, run.log.rows.get(trial)?.point))
    if (detail._tag === "Success") details.push(detail.success)
  }
  return details
})

/** Writes the front of one search as a picture. */
const drawFront = Effect.fnUntraced(function* (runs: ReadonlyArray<string>, file: string) {
  const path = yield* Path.Path
  const [folder] = runs
  if (folder === undefined || runs.length > 1)
    return yield* usage("--front draws one search: give one folder, or leave --front out for a page with all of them.")
  if (!/\.svg$/i.test(file))
    return yield* usage(
      `--front ${yield* runFolder.shown(file)} is not the name of a picture. Give a file that ends in .svg.`
    )
  const { run } = yield* reported.read(path.resolve(folder))
  const drawn = FrontPicture.svg(run.info)(Run.table(run))
  if (drawn === undefined)
    return yield* fault(
      `${run.info.name} has no result yet with both a measure and a cost. Draw its front once trials have finished.`
    )
  yield* runFolder.write(path.resolve(file), drawn, "Give another place with --front.")
  yield* Console.log(`${yield* runFolder.shown(file)}: the front of ${run.info.name}`)
})

export const report = Command.make(
  "report",
  {
    runs: Argument.String("run").pipe(
      Argument.withDescription("The folders of searches"),
      Argument.variadic({ min: 1 })
    ),
    out: Flag.Path("out").pipe(
      Flag.withMetavar("file"),
      Flag.optional,
      Flag.withDescription(
        "The file to write (default: report.html in the run's folder; for several runs, in the current folder)"
      )
    ),
    front: Flag.Path("front").pipe(
      Flag.withMetavar("file"),
      Flag.optional,
      Flag.withDescription("Write the Pareto front of one search as a picture (.svg) instead of a page")
    ),
    open: Flag.Boolean("open").pipe(Flag.withDefault(false), Flag.withDescription("Open it in the browser")),
    json: flags.json
  },
  Effect.fnUntraced(function* ({ front, json, open, out, runs }) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    if (Option.isSome(front)) return yield* drawFront(runs, front.value)
    const shown: Array<Report.Shown> = []
    const all: Array<Effect.Success<ReturnType<typeof reported.read>>> = []
    const problems: Array<string> = []
    if (Option.isSome(out) && !/\.html?$/i.test(out.value))
      return yield* usage(
        `--out ${yield* runFolder.shown(out.value)} is not the name of a page. Give a file that ends in .html.`
      )
    for (const folder of new Set(runs.map((run) => path.resolve(run)))) {
      yield* Effect.matchEffect(reported.read(folder), {
        onFailure: ({ message }) => Effect.sync(() => void problems.push(message)),
        onSuccess: (found) =>
          Effect.gen(function* () {
            const { run } = found
            all.push(found)
            const table = Run.table(run)
            const details = yield* detailsOf(folder, run, table)
            shown.push({ info: run.info, importances: Report.importances(table)(run), details, table })
          })
      })
    }
    if (shown.length === 0) return yield* fault(problems.join("\n"))
    for (const problem of problems) yield* Console.error(`note: ${problem}`)
    const [only] = runs
    const file = path.resolve(
      Option.getOrElse(out, () =>
        runs.length === 1 && only !== undefined ? path.join(only, "report.html") : "report.html"
      )
    )
    const compared = reported.compared(all)
    const text = yield* Html.of(
      Report.of(shown, { made: Date.now(), problems, ...(compared === undefined ? {} : { compared }) })
    )
    yield* Effect.mapError(fs.makeDirectory(path.dirname(file), { recursive: true }), (error) =>
      fault(`${path.dirname(file)} cannot be created: ${runFolder.reasonOf(error)}. Give another place with --out.`)
    )
    yield* runFolder.write(file, text, "Give another place with --out.")
    const name = yield* runFolder.shown(file)
    const bytes = Buffer.byteLength(text)
    yield* Console.log(
      json
        ? JSON.stringify(
            {
              out: file,
              bytes,
              runs: shown.map(({ info, table }) => ({ name: info.name, state: info.state, trials: table.size })),
              problems
            },
            null,
            2
          )
        : `${name}: ${shown.map(({ info, table }) => `${info.name} with ${format.plural(table.size, "trial")}`).join(", ")}; ${format.count(bytes)}B, self-contained`
    )
    if (open) yield* opening.browser(file)
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Write searches as a page in one file: what was found, what mattered, every trial"),
  Command.withExamples([
    { command: "uninet report runs/demo --open", description: "Look at a search" },
    {
      command: "uninet report runs/a runs/b --out both.html",
      description: "Two searches in one file, to send by mail"
    },
    { command: "uninet report runs/demo --front front.svg", description: "Its Pareto front as a picture" }
  ])
)
